"""Opens the data of a run according to its settings, with a held-out part if the model needs one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.common.user_code import is_own, short_name
from minigan.data import DATASETS, Palette, Source, hold_out, number_classes, open_feeds, open_own_parts
from minigan.errors import DataError
from minigan.model import Model
from minigan.training.build import arrays_of, model_class
from minigan.training.settings import RunConfig, TrainingError

IN_MEMORY = "arrays of a program"  # the value of RunConfig.data without a name or path
Sources = dict[str, Source]  # by feed


def open_data(
    config: RunConfig, cls: type[Model] | None = None, data: Any = None, channels: Mapping[str, int] | None = None
) -> Sources:
    """Return the sources of a run, by feed. `data` replaces the name or path in `config.data` if it is given.

    channels: of arrays of pictures, by name; by default those of the settings

    Raises DataError if the data can't be opened, TrainingError if it was in memory and `data` is missing.
    """
    if data is None and is_own(config.data):
        raise TrainingError(f"this run's data is {config.data}, a file of your own: hand over what it returns")
    if data is None and config.data == IN_MEMORY:
        raise TrainingError("this run was trained on arrays in memory: hand them over, or give other data by `data`")
    options = options_of(config, cls) | ({} if channels is None else {"channels": channels})
    return open_feeds(by_feed(config.data) if data is None else data, **options)


def open_sources(
    config: RunConfig, cls: type[Model] | None = None, data: Any = None, held_out: Any = None
) -> tuple[Sources, Sources]:
    """Return the training data of a run, and its held-out data if the model needs any.

    The held-out data is `held_out` if given, else what `config.held_out` names, else the data set's own val or test
    part, else a random tenth. A model may say that it is a part of the training data, and which (`holds_out_one_of`).
    Class maps have the classes of training. Raises DataError or TrainingError.
    """
    sources = open_data(config, cls, data)
    if not (cls or model_class(config.model)).holds_out:
        if config.held_out:
            raise TrainingError(f"`held_out` {config.held_out} isn't used, since {config.model} holds nothing out")
        return sources, {}
    config = replace(config, palettes=palettes_of(sources), shapes=shapes_of(sources))
    options = options_of(config, cls) | {"channels": trained_channels(config, cls)}
    if held_out is None and _is_data(config.held_out):
        held_out = by_feed(config.held_out)
    if held_out is not None:
        one_folder = isinstance(held_out, str | os.PathLike)
        kept = open_feeds(held_out, **options | {"swap": config.swap and one_folder})
        return sources, with_channels(kept, config)
    if config.held_out:
        return hold_out(sources, config.seed, names=config.held_out)
    if one_of := (cls or model_class(config.model)).holds_out_one_of:
        return hold_out(sources, config.seed, one_of=one_of)
    own = open_own_parts(by_feed(config.data) if data is None else data, **options)
    return hold_out(sources, config.seed, with_channels(own, config))


def trained_channels(config: RunConfig, cls: type[Model] | None) -> dict[str, int]:
    """Return the channels with which other pictures are opened, by array: those of training, 1 or 3."""
    kinds = arrays_of(config, cls)
    shapes = {name: shape for name, shape in config.shapes.items() if len(shape) == 3 and shape[2] in (1, 3)}
    return {name: shape[2] for name, shape in shapes.items() if name in kinds and kinds[name].what == "picture"}


def with_channels(sources: Sources, config: RunConfig) -> Sources:
    """Return other data than that of training. Raises DataError for pictures with another number of channels."""
    for source in sources.values():
        for name, shape in source.shapes.items():
            trained = config.shapes.get(name, shape)
            if source.kinds[name].what == "picture" and len(shape) == len(trained) == 3 and shape[2] != trained[2]:
                words = {1: "gray", 3: "in color"}
                is_, was = (words.get(n, f"of {n} channels") for n in (shape[2], trained[2]))
                what = f"pictures of {name} are {is_}, and those of training {was}"
                raise DataError(f"{source.name}: {what}: convert them")
    return sources


def _is_data(held_out: str) -> bool:
    """Whether the setting `held_out` is a name or path, or one for each feed, rather than patterns of file names."""
    found = by_feed(held_out)
    return isinstance(found, dict) or held_out in DATASETS or os.path.exists(os.path.expanduser(held_out))


def absolute_held_out(held_out: str) -> str:
    """Make paths absolute; patterns are unchanged."""
    return absolute(held_out) if _is_data(held_out) else held_out


def options_of(config: RunConfig, cls: type[Model] | None) -> dict[str, Any]:
    """Return the arguments of `open_feeds` that follow from the settings of a run."""
    return {
        "kinds": arrays_of(config, cls),
        "img_size": config.img_size,
        "channels": config.channels,
        "limit": config.limit,
        "seed": config.seed,
        "skip_bad": config.skip_bad,
        "crops": config.crops,
        "swap": config.swap,
        "ignore": config.ignore,
        "palettes": config.palettes,
        "name": short_name(config.data),
    }


def check_sources(config: RunConfig, sources: Sources) -> None:
    """Assign labels to classes as when the run began. Raises TrainingError if shapes or classes have changed."""
    shapes = shapes_of(sources)
    for name, shape in config.shapes.items():
        if shapes.get(name) != tuple(shape):
            raise TrainingError(
                f"{config.data} holds samples of shape {shapes.get(name)}, but this run began with {tuple(shape)}: "
                "start a new run"
            )
    try:
        for source in sources.values() if config.classes else ():
            if source.labels is not None:
                number_classes(source, config.classes)  # type: ignore[arg-type]
    except DataError as error:
        changed = f"the classes of {config.data} have changed since this run began"
        raise TrainingError(f"{changed}: it can't be resumed with others") from error


def by_feed(data: str) -> str | dict[str, str]:
    """Parse a name or path, or one for each feed, such as `a=photos,b=paintings`."""
    parts = [part.partition("=") for part in re.split(r",(?=\w+=)", data)]
    if os.path.exists(data) or not all(equals and feed.isidentifier() for feed, equals, _ in parts):
        return data
    for feed, _, path in parts:
        if not path.strip():
            raise TrainingError(f"there is nothing after {feed}= in {data}: write {feed}=DATA")
    return {feed: path for feed, _, path in parts}


def absolute(data: str) -> str:
    """Make paths absolute, so that the run can be resumed from another directory; names are unchanged."""
    feeds = by_feed(data)
    if isinstance(feeds, dict):
        return ",".join(f"{feed}={absolute(path)}" for feed, path in feeds.items())
    if is_own(data) or not ("/" in data or os.path.exists(data)):
        return data
    return str(Path(data).expanduser().resolve())


def shapes_of(sources: Sources) -> dict[str, tuple[int, ...]]:
    """Return the shape of one sample of each array except labels."""
    return {
        name: tuple(shape)
        for source in sources.values()
        for name, shape in source.shapes.items()
        if source.kinds[name].what != "label"
    }


def palettes_of(sources: Sources) -> dict[str, Palette]:
    """Return the classes of each array of class maps."""
    return {array: palette for source in sources.values() for array, palette in source.palettes.items()}


def samples_of(sources: Sources) -> dict[str, int]:
    """Return the number of samples of each feed."""
    return {feed: len(source) for feed, source in sources.items()}
