"""What commands share: the kinds of values that options take, and the options that a model's constructor defines."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import dataclass
from typing import Any, get_type_hints

from minigan.gans import MODELS


def whole_number(text: str) -> int:
    """A whole number, from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def count(text: str) -> int:
    """A whole number, from 1 on."""
    value = whole_number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return value


def positive(text: str) -> float:
    """A number greater than 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number greater than 0")
    return value


def fraction(text: str) -> float:
    """A number from 0 up to, but not including, 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1, 1 excluded")
    return value


def number(text: str) -> float:
    """Any finite number."""
    value = float(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


# Constructor arguments that several models have. Others are shown by their names alone.
KNOWN = {
    "latent_dim": (count, "length of the latent vector z"),
    "lr": (positive, "learning rate"),
    "b1": (fraction, "Adam's decay of the first moment, or SGD's momentum"),
    "b2": (fraction, "Adam's decay of the second moment"),
    "n_critic": (count, "updates of the discriminator for each one of the generator"),
    "label_smoothing": (fraction, "how far the target for real samples is below 1"),
    "features": (count, "channels of the layers nearest to the picture; deeper ones have multiples of it"),
}
KINDS = {int: whole_number, float: number, str: str, bool: bool}


@dataclass(frozen=True)
class ModelOption:
    """A constructor argument of a model as an option."""

    name: str
    kind: Any
    default: Any
    what: str

    @property
    def flag(self) -> str:
        """As it is typed."""
        return flag(self.name)


def flag(name: str) -> str:
    """Spell an argument's name as an option: latent_dim becomes --latent-dim."""
    return "--" + name.replace("_", "-")


def model_options(model: type) -> dict[str, ModelOption]:
    """The options of a model: its constructor's arguments that are numbers, text or yes-or-no, and have a default."""
    options = {}
    hints = get_type_hints(model.__init__)  # type: ignore[misc]
    for name, parameter in inspect.signature(model).parameters.items():
        hint = hints.get(name)
        kind = next((k for k in KINDS if k in getattr(hint, "__args__", (hint,))), None)
        if parameter.default is not inspect.Parameter.empty and kind is not None and name != "device":
            known, what = KNOWN.get(name, (KINDS[kind], name.replace("_", " ")))
            options[name] = ModelOption(name, known, parameter.default, what)
    return options


def add_model_options(parser: Any, shown: str | None) -> None:
    """Add the options of all models; the help is about the model `shown`, if there is one."""
    offers: dict[str, dict[str, ModelOption]] = {}
    for model, cls in MODELS.items():
        for name, option in model_options(cls).items():
            offers.setdefault(name, {})[model] = option
    for name, by_model in offers.items():
        option = by_model.get(shown or "") or next(iter(by_model.values()))
        if shown is None:
            text = f"{option.what} (default: {defaults({m: o.default for m, o in by_model.items()})})"
        elif shown in by_model:
            text = f"{option.what} (default: {defaults({shown: option.default})})"
        else:
            text = argparse.SUPPRESS
        if option.kind is bool:
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        else:
            how = {"type": option.kind, "metavar": "N" if option.kind in (count, whole_number) else "X"}
        parser.add_argument(option.flag, dest=name, default=None, help=text, **how)


def defaults(by_model: dict[str, Any]) -> str:
    """Say what is the default: one value, or one for each model."""
    shown = {model: "depends on the data" if value is None else str(value) for model, value in by_model.items()}
    if len(set(shown.values())) == 1 and len(shown) in (1, len(MODELS)):
        return next(iter(shown.values()))
    return ", ".join(f"{model}: {value}" for model, value in shown.items())
