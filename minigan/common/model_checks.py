"""Checks that a model fulfills the contract in model.py. Errors are one sentence, with the file and the line.

`check_arrays` checks a class before its data is opened, `check_model` an instance before training, `check_measures` the
result of a step, `check_exhibits` the result of `show`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minigan.backend import Device, array_module, is_array
from minigan.common.words import nearest
from minigan.errors import ModelError, described
from minigan.layers import Layer
from minigan.model import CONTENTS, Exhibit, Game, Judgement, Kind, Measure, Model, Now, Phase, Translation, can
from minigan.optim import Optimizer

SCALES = ("any", "positive", "share", "opinion")
FILE_NAME = re.compile(r"\w[\w-]*")  # valid names of phases and exhibits, which are used as file names
RESERVED = {"step", "epoch", "seconds", "pictures_per_second", "diversity", "gradients", "weights", "notes", "phase"}


def check_arrays(cls: type, arrays: Any) -> None:
    """Raise ModelError unless `arrays` is a valid declaration {name: Kind}."""
    if not isinstance(arrays, dict) or not arrays:
        _wrong(cls, f'its arrays are {arrays!r}: declare what a batch holds, such as arrays = {{"real": PICTURE}}')
    for name, kind in arrays.items():
        if not isinstance(kind, Kind):
            _wrong(cls, f"the array {name!r} is declared as {kind!r}: use a Kind, such as PICTURE or LABEL")
        if kind.what not in CONTENTS:
            _wrong(cls, f"the array {name!r} is of an unknown kind, {kind.what!r}: {nearest(kind.what, CONTENTS)}")


def check_model(model: Any) -> None:
    """Raise ModelError if anything required for training is missing or inconsistent."""
    cls = type(model)
    if cls.step is Model.step:
        _wrong(cls, "it has no step: write def step(self, next_batch, rng, now)")
    if not isinstance(getattr(model, "device", None), Device):
        _wrong(cls, "it has no device: write self.device = get_device(device) in its constructor")
    check_arrays(cls, model.arrays)
    _check_networks(model)
    _check_optimizers(model)
    _check_words(model)
    _check_games(model)
    _check_translations(model)
    _check_phases(model)
    lines = model.heuristics(1)
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        _wrong(cls, f"its heuristics are {lines!r}: return a list of lines")


def check_measures(model: Any, returned: Any) -> None:
    """Raise ModelError unless a step returned declared measures, as 0-d arrays on the model's device."""
    step = type(model).step
    if returned is None:
        _wrong(step, 'it returned nothing: return the measures, such as {"d_loss": loss}')
    if not isinstance(returned, dict):
        _wrong(step, f"it returned {described(returned)}: return the measures by name, {{name: 0-d array}}")
    for name, value in returned.items():
        if name not in model.measures:
            known = nearest(str(name), model.measures, f'add it to measures, "{name}": Measure(words, chart)')
            _wrong(step, f"it returned {name!r}, which is no declared measure: {known}")
        if not is_array(value):
            what = type(value).__name__
            _wrong(step, f"{name} is a Python {what}: return the 0-d array itself, such as loss.mean()")
        if value.ndim:
            _wrong(step, f"{name} has the shape {tuple(value.shape)}: return one number, such as its mean()")
        if array_module(value) is not model.device.xp:
            _wrong(step, f"{name} was fetched from {model.device}: return the 0-d array that is still there")


def check_exhibits(model: Any, shown: Any) -> None:
    """Raise ModelError unless `show` returned exhibits that can be drawn, with names that are valid for folders."""
    show = type(model).show
    if not isinstance(shown, dict):
        _wrong(show, f"what it returned is {_kind(shown)}: return exhibits by name, {{name: Exhibit(samples)}}")
    for name, exhibit in shown.items():
        if not isinstance(exhibit, Exhibit):
            _wrong(show, f"{name} is {_kind(exhibit)}: return Exhibit(samples)")
        if not FILE_NAME.fullmatch(str(name)) or name == "checkpoints":
            _wrong(show, f"an exhibit can't be called {name!r}: use letters, digits, - and _")
        shape = tuple(getattr(exhibit.samples, "shape", ()))
        if not (len(shape) == 4 and shape[3] in (1, 3) or len(shape) == 2 and shape[1] == 2) or not all(shape):
            has = f"has the shape {shape}" if shape else f"is {_kind(exhibit.samples)}"
            _wrong(show, f"{name} {has}: show pictures (N, H, W, 1 or 3), or points (N, 2)")
        if exhibit.like and exhibit.like not in model.arrays:
            _wrong(show, f"{name} is like {exhibit.like!r}, which is no array: {nearest(exhibit.like, model.arrays)}")


def _check_networks(model: Any) -> None:
    """Check the names of the networks, and that no layer belongs to two networks."""
    cls, owner = type(model), dict[int, str]()
    for what in ("networks", "frozen"):
        networks: Any = getattr(model, what, None)
        if not isinstance(networks, dict) or not all(isinstance(layer, Layer) for layer in networks.values()):
            _wrong(cls, f"self.{what} is no dict of layers by name: write self.{what} = {{name: network}}")
        for name, network in networks.items():
            if not str(name).isidentifier():
                _wrong(cls, f"a network can't be called {name!r}: use letters, digits and _")
            for prefix, layer in network.walk():
                other = owner.setdefault(id(layer), name)
                if other != name:
                    place = f"layer {prefix.rstrip('.')} of {name}" if prefix else f"the network {name}"
                    _wrong(cls, f"{place}, {layer!r}, is in {other} as well: a layer belongs to one network")
    if not model.networks:
        _wrong(cls, "it has no networks: write self.networks = {name: network} in its constructor")
    for name in model.networks.keys() & model.frozen.keys():
        _wrong(cls, f"{name} is in networks and in frozen: one that learns nothing is only in frozen")


def _check_optimizers(model: Any) -> None:
    """Check that each network has an optimizer of its own parameters, and the names in averages and rates."""
    cls = type(model)
    optimizers: Any = getattr(model, "optimizers", None)
    if not isinstance(optimizers, dict) or not all(isinstance(one, Optimizer) for one in optimizers.values()):
        _wrong(cls, "self.optimizers is no dict of optimizers by name: write self.optimizers = {name: Adam(…)}")
    for name, optimizer in optimizers.items():
        if name not in model.networks:
            hint = "it is in frozen, which nothing trains" if name in model.frozen else nearest(name, model.networks)
            _wrong(cls, f"the optimizer {name!r} has no network of that name: {hint}")
        network = model.networks[name]
        if optimizer.parameters is not network.parameters():
            moved = next((n for n, other in model.networks.items() if other._vector is optimizer.parameters), "")
            _wrong(cls, f"the optimizer {name!r} moves {moved or 'other parameters'}: make it of {name}.parameters()")
    for name, network in model.networks.items():
        if name not in optimizers and len(network.parameters()):
            _wrong(cls, f"nothing trains the network {name}: add an optimizer, or put it into frozen instead")
    for what, names in (
        ("averaged has", model.averaged),
        ("there is an average of", model.averages),
        ("rates returns", model.rates(Now(0, 0, np.random.default_rng(0)))),
    ):
        known = optimizers if what == "rates returns" else model.networks
        for name in names:
            if name not in known:
                _wrong(cls, f"{what} {name!r}, which isn't there: {nearest(name, known)}")


def _check_words(model: Any) -> None:
    """Check the types and values of measures and judgements, and that their names aren't reserved in records."""
    cls = type(model)
    for what, kind, found in (
        ("measure", Measure, model.measures),
        ("judgement", Judgement, model.judgements),
    ):
        for name, one in found.items():
            if not isinstance(one, kind):
                _wrong(cls, f"the {what} {name!r} is declared as {one!r}: use {kind.__name__}(…)")
            if name in RESERVED or (what == "judgement" and name in model.measures):
                _wrong(cls, f"a {what} can't be called {name!r}, which is something else in a record: rename it")
    for name, measure in model.measures.items():
        if measure.scale not in SCALES:
            _wrong(cls, f"the measure {name!r} has the scale {measure.scale!r}: {nearest(measure.scale, SCALES)}")
    for name, judgement in model.judgements.items():
        if judgement.better not in ("", "lower", "higher"):
            _wrong(cls, f"the judgement {name!r} is better {judgement.better!r}: use lower, higher or nothing")


def _check_games(model: Any) -> None:
    """Check that games refer to existing networks and declared measures."""
    for game in model.games:
        if not isinstance(game, Game):
            _wrong(type(model), f"a game is declared as {game!r}: use Game(…)")
        for role in ("critic", "generator"):
            _check_there(model, f"the game's {role}", getattr(game, role), model.networks, "network")
        for role in ("critic_loss", "generator_loss", "real", "fake", *(["penalty"] if game.penalty else [])):
            _check_there(model, f"the game's {role}", getattr(game, role), model.measures, "measure")


def _check_translations(model: Any) -> None:
    """Check that translations are made, and that their arrays, networks and measures exist."""
    cls = type(model)
    for one in model.translations:
        if not isinstance(one, Translation):
            _wrong(cls, f"a translation is declared as {one!r}: use Translation(source, target)")
        for name in one.networks:
            _check_there(model, f"a network of the translation to {one.target!r}", name, model.networks, "network")
        if one.luminance:
            _check_there(model, "the luminance of a translation", one.luminance, model.measures, "measure")
        for name in (one.source, one.target) if not can(model, "damage") else ():  # which may make them
            _check_there(model, "an array of a translation", name, model.arrays, "array")
    if model.translations and not can(model, "translate"):
        _wrong(cls, "it has translations and doesn't make them: write def translate(self, item)")
    if model.translations and not model.holds_out:
        _wrong(cls, "its translations are judged on held-out items: write holds_out = True in the class")


def _check_phases(model: Any) -> None:
    """Check that phases begin at 0, are in order, and have valid, unique names."""
    cls, names, before = type(model), set[str](), -1
    layers = {
        (f"{name}.{prefix}" if prefix else name).rstrip(".")
        for name, network in model.networks.items()
        for prefix, _ in network.walk()
    }
    if not model.phases:
        _wrong(cls, "it has no phases: leave them out, or declare one that begins at 0")
    for phase in model.phases:
        if not isinstance(phase, Phase) or not FILE_NAME.fullmatch(phase.name):
            _wrong(cls, f"a phase is declared as {phase!r}: use Phase(name, begins), with letters, digits, - and _")
        if phase.name in names:
            _wrong(cls, f"two phases are called {phase.name!r}: give each a name of its own")
        if type(phase.begins) is not int:
            _wrong(cls, f"the phase {phase.name!r} begins at {phase.begins!r}: it takes a count of samples")
        if before < 0 and phase.begins:
            _wrong(cls, f"its first phase, {phase.name!r}, begins at {phase.begins:,} samples: let it begin at 0")
        if phase.begins <= before:
            at = f"begins at {phase.begins:,} samples, not after the one before it, at {before:,}"
            _wrong(cls, f"the phase {phase.name!r} {at}: put them in order")
        if phase.batch_size is not None and not (type(phase.batch_size) is int and phase.batch_size >= 1):
            _wrong(cls, f"the phase {phase.name!r} has batches of {phase.batch_size!r}: use a number from 1 on")
        for name in phase.idle:
            _check_there(model, f"idle in the phase {phase.name!r}", name, layers, "network or layer")
        names.add(phase.name)
        before = phase.begins


def _check_there(model: Any, role: str, name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        few = sorted(known, key=lambda n: (n.count("."), n))[:8]
        _wrong(type(model), f"{role} is {name!r}, and there is no such {what}: {nearest(name, few)}")


def _kind(x: Any) -> str:
    return "nothing" if x is None else f"of the type {type(x).__name__}"


def _wrong(value: Any, problem: str) -> NoReturn:
    """Raise ModelError for a class or a method, with its file and line."""
    try:
        place = f" ({Path(inspect.getsourcefile(value) or '').name}, line {inspect.getsourcelines(value)[1]})"
    except (TypeError, OSError):  # defined at a prompt
        place = ""
    raise ModelError(f"{value.__qualname__.rpartition('<locals>.')[2]}{place}: {problem}")
