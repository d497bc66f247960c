"""Annotations for constructor arguments: the range of valid values and the help text of each option.

    latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
    lr: Annotated[float | None, Positive("learning rate", default="0.1 for pictures, 0.0005 for points")] = None,

The first becomes `--latent-dim N` on the command line. `default` describes a default value that depends on the data or
on other arguments. Arguments of type int, float, str or bool are options without an annotation too.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Option:
    """Any value of the argument's type. `help` and `default` describe the option and its default in the help text."""

    help: str = ""
    default: str = ""

    def check(self, value: Any) -> str:
        """Return what is wrong with a value, to follow it in a sentence ("0 is less than 1"); empty if it is valid."""
        return ""


class Number(Option):
    """Any finite number. Subclasses restrict it with `valid`."""

    wrong: ClassVar[str] = "is not finite"

    @staticmethod
    def valid(value: Any) -> bool:
        """Return True if a finite value is in the range."""
        return True

    def check(self, value: Any) -> str:
        """Return `wrong` unless the value is finite and valid."""
        return "" if abs(value) < float("inf") and self.valid(value) else self.wrong


class Count(Number):
    """A whole number of at least 1."""

    wrong, valid = "is less than 1", staticmethod(lambda value: value >= 1)


class WholeNumber(Number):
    """A whole number of at least 0."""

    wrong, valid = "is negative", staticmethod(lambda value: value >= 0)


class Positive(Number):
    """A number greater than 0."""

    wrong, valid = "is not a number greater than 0", staticmethod(lambda value: value > 0)


class NotNegative(Number):
    """A number of at least 0."""

    wrong, valid = "is not a number of at least 0", staticmethod(lambda value: value >= 0)


class Fraction(Number):
    """A number of at least 0 and less than 1."""

    wrong, valid = "is not at least 0 and less than 1", staticmethod(lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class Samples(WholeNumber):
    """A number of samples at which a phase begins; None: computed from the planned length of the run."""

    default: str = "by the length of the run"


@dataclass(frozen=True)
class Steps(Samples):
    """The same in steps of the run's batch size; the model's `planned` turns it into samples."""


@dataclass(frozen=True)
class Argument:
    """A constructor argument that is an option on the command line.

    type: int, float, str or bool. choices: the values of a Literal; empty for other types.
    """

    name: str
    type: type
    option: Option
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Return the default as text for the help."""
        if self.option.default or self.default is None:
            return self.option.default or "depends on the data"
        return ("yes" if self.default else "no") if isinstance(self.default, bool) else str(self.default)

    def check(self, value: Any) -> str:
        """Return what is wrong with a value from a file or a call, as in `Option.check`; empty if it is valid."""
        if value is None:
            return "" if self.default is None else "is missing"
        if self.choices:
            return "" if value in self.choices else f"is none of {', '.join(self.choices)}"
        kinds = (int, float) if self.type is float else (self.type,)
        if type(value) not in kinds:
            return f"is not {'a number' if self.type in (int, float) else 'text' if self.type is str else 'yes or no'}"
        return self.option.check(value)


@lru_cache(maxsize=128)  # reading the annotations of all models takes 20 ms, which every command would wait for
def arguments_of(model: type) -> Mapping[str, Argument]:
    """Return the constructor arguments that are options: int, float, str or bool with a default, but not `device`."""
    found = {}
    hints = get_type_hints(model.__init__, include_extras=True)  # type: ignore[misc]
    for name, parameter in inspect.signature(model).parameters.items():
        hint, option = hints.get(name), None
        if type(None) in get_args(hint):  # before Python 3.11, a default of None turns it into Optional[Annotated[…]]
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
    return MappingProxyType(found)
