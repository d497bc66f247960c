"""What a constructor's argument may be, and what help says of it: stated beside the argument, as its annotation.

    latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
    lr: Annotated[float | None, Positive("learning rate", default="0.1 for pictures, 0.0005 for points")] = None,

The command line makes `--latent-dim N` of the first. `default` words a default that depends on the data or on other
arguments. An argument without such an annotation is an option too, if its type is int, float, str or bool.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Option:
    """Any value of the argument's type. `help` is for people; `default` words the default where it isn't a value."""

    help: str = ""
    default: str = ""

    def check(self, value: Any) -> str:
        """What is wrong with a value, as the end of a sentence such as "0 …"; empty if nothing is."""
        return ""


class Number(Option):
    """Any finite number."""

    def check(self, value: Any) -> str:
        """Finite?"""
        return "" if abs(value) < float("inf") else "is not finite"


class Count(Option):
    """A whole number from 1 on."""

    def check(self, value: Any) -> str:
        """At least 1?"""
        return "" if value >= 1 else "is less than 1"


class WholeNumber(Option):
    """A whole number from 0 on."""

    def check(self, value: Any) -> str:
        """At least 0?"""
        return "" if value >= 0 else "is negative"


class Positive(Option):
    """A number greater than 0."""

    def check(self, value: Any) -> str:
        """Greater than 0?"""
        return "" if 0 < value < float("inf") else "is not a number greater than 0"


class NotNegative(Option):
    """A number from 0 on."""

    def check(self, value: Any) -> str:
        """At least 0?"""
        return "" if 0 <= value < float("inf") else "is not a number from 0 on"


class Fraction(Option):
    """A number from 0 up to, but not including, 1."""

    def check(self, value: Any) -> str:
        """In [0, 1)?"""
        return "" if 0 <= value < 1 else "is not from 0 to 1, 1 excluded"


@dataclass(frozen=True)
class Samples(WholeNumber):
    """A count of samples at which a phase begins; None is filled in from the planned length of a run."""

    default: str = "by the length of the run"


@dataclass(frozen=True)
class Argument:
    """An argument of a constructor that the command line offers as an option.

    type: int, float, str or bool. choices: of a Literal; empty if there are any others.
    """

    name: str
    type: type
    option: Option
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The default, for people."""
        if self.option.default or self.default is None:
            return self.option.default or "depends on the data"
        return ("yes" if self.default else "no") if isinstance(self.default, bool) else str(self.default)

    def check(self, value: Any) -> str:
        """What is wrong with a value that was read from a file, or handed over; empty if nothing is."""
        if value is None:
            return "" if self.default is None else "is missing"
        if self.choices:
            return "" if value in self.choices else f"is none of {', '.join(self.choices)}"
        kinds = (int, float) if self.type is float else (self.type,)
        if type(value) not in kinds:
            return f"is not {'a number' if self.type in (int, float) else 'text' if self.type is str else 'yes or no'}"
        return self.option.check(value)


def arguments_of(model: type) -> dict[str, Argument]:
    """The arguments of a model's constructor that are options: those with a default that are numbers, text, yes or no.

    `device` isn't one: it belongs to a run.
    """
    found = {}
    hints = get_type_hints(model.__init__, include_extras=True)  # type: ignore[misc]
    for name, parameter in inspect.signature(model).parameters.items():
        hint, option = hints.get(name), None
        if type(None) in get_args(hint):  # before Python 3.11 a default of None makes Optional[Annotated[…]] of it
            hint = next((one for one in get_args(hint) if get_origin(one) is Annotated), hint)
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            option = next((note for note in notes if isinstance(note, Option)), None)
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        types = (str,) if choices else getattr(hint, "__args__", (hint,))
        kind = next((kind for kind in (bool, int, float, str) if kind in types), None)
        if parameter.default is inspect.Parameter.empty or kind is None or name == "device":
            continue
        plain = Number if kind in (int, float) else Option
        found[name] = Argument(name, kind, option or plain(name.replace("_", " ")), parameter.default, choices)
    return found
