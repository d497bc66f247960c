"""A run: what was asked for (config.json), and the folder in which everything it makes is kept.

config.json                     the command, the model and its arguments, the data, the seed, versions
metrics.jsonl                   one JSON object for every ten steps
checkpoints/step-000500.npz     the states at the last few checkpoints
samples/step-000100.png         generated from the same latents every time, and samples.gif, a film of them
losses.png                      the curves
report.html                     all of it on a page

and, with --eval-interval,

best.npz                        the checkpoint with the lowest FID so far
evaluations.png                 the curves of FID and Inception Score

and, should a number become infinite or NaN,

failure.npz                     the state and the data of the step at which it did
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import shutil
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import Device, get_device
from minigan.data import AUGMENTATIONS, Dataset, number_classes, open_dataset
from minigan.errors import CheckpointError, DataError, MiniganError
from minigan.gans import MODELS
from minigan.metrics import FEATURE_NETWORKS
from minigan.optim import constant, cosine_decay, linear_decay
from minigan.training.curves import EVALUATED, MEASURES, draw_curves, draw_evaluations
from minigan.training.files import naming, replacing, write_text
from minigan.training.lock import LOCK, FolderLock
from minigan.training.pictures import save_film, save_image
from minigan.untrusted import open_file

# Streams of random numbers that belong to one seed: none disturbs another.
INITIAL_WEIGHTS, TRAINING, FIXED_LATENTS, COUNTED_LATENTS, JUDGED_LATENTS, EVALUATED_LATENTS, REAL_SAMPLES = range(7)
SAMPLE_NAME, CHECKPOINT_NAME = re.compile(r"step-[0-9]+\.png"), re.compile(r"step-[0-9]+\.npz")
TEMPORARY = ".*.[0-9]*.tmp"  # what a killed process leaves of a file that it was writing
USUAL_STEPS = 4000  # of a run on pictures, by default at least: few of them need no fewer steps than many
FEWEST_JUDGED = 10  # samples: Inception Score takes the mean over ten parts
LONGEST_CONFIG = 1 << 20  # bytes; a usual one has about one thousand
LARGEST = 1e39  # a little more than float32 can hold
TABLES, NOTE = ("gradients", "weights"), {"check", "sentence"}  # what isn't a number in a record
ON_NAN = ("stop", "rollback")  # what to do when a number becomes infinite or NaN
# Of the learning rate: from the number of steps of a run to the factor at each of them.
DECAYS = {
    "none": lambda n_steps: constant(),
    "linear": lambda n_steps: linear_decay(0, n_steps),
    "cosine": lambda n_steps: cosine_decay(n_steps),
}


class TrainingError(MiniganError):
    """A run that can't start, or can't go on."""


@dataclass(frozen=True)
class RunConfig:
    """What was asked for. `n_steps` is the length of training; `samples` the size of the data set at the beginning.

    `classes` names the classes that a conditional model was trained on, by label. `ema` is the decay of the average of
    the generator's weights, or None; `lr_decay` names one of DECAYS. `eval_interval` is None where nothing is measured
    during training; else `eval_samples` are, with the feature network `eval_features`. `on_nan` is one of ON_NAN.
    `fingerprint` tells whether the data is still the same, `init_from` names the checkpoint whose weights the run began
    with, and `changes` says what was changed when it went on (see `changes.py`).
    Fields with a default may be missing in config.json: older runs have fewer.
    """

    model: str
    model_args: dict[str, Any]
    data: str
    shape: tuple[int, ...]
    samples: int
    batch_size: int
    n_steps: int
    img_size: int | None = None
    channels: int | None = None
    limit: int | None = None
    skip_bad: bool = False
    augment: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    ema: float | None = None
    lr_decay: str = "none"
    seed: int = 0
    device: str = "cpu"
    sample_interval: int = 100
    checkpoint_interval: int = 500
    keep_checkpoints: int = 3
    on_nan: str = "stop"
    eval_interval: int | None = None
    eval_samples: int = 2000
    eval_features: str = "inception"
    fingerprint: str = ""
    init_from: str = ""
    changes: tuple[str, ...] = ()
    command: str = ""
    started: str = ""
    versions: dict[str, str] | None = None

    def open_data(self) -> Dataset:
        """Open the data set. Raises DataError if it can't, TrainingError for samples or classes of another kind.

        It may have more samples than when the run began, fewer, or others.
        """
        dataset = open_dataset(
            self.data, self.img_size, self.channels, self.seed, limit=self.limit, skip_bad=self.skip_bad
        )
        if tuple(dataset.shape) != tuple(self.shape):
            raise TrainingError(
                f"{self.data} holds samples of shape {tuple(dataset.shape)}, but this run began with "
                f"{tuple(self.shape)}: start a new run"
            )
        if self.classes:
            try:
                number_classes(dataset, self.classes)
            except DataError as error:
                changed = f"the classes of {self.data} have changed since this run began"
                raise TrainingError(f"{changed}: it can't go on with others") from error
        return dataset

    def build_gan(self, device: Device | None = None) -> Any:
        """Build the model with its initial weights, averaged if that was asked for.

        Raises MiniganError for arguments that the model can't take.
        """
        rng = np.random.default_rng([self.seed, INITIAL_WEIGHTS])
        model, device = model_class(self.model), device or get_device(self.device)
        for name in self.model_args.keys() - inspect.signature(model).parameters.keys():
            raise TrainingError(f"{self.model}: it takes no {name}, which this run was begun with")
        try:
            gan = model(tuple(self.shape), **self.model_args, rng=rng, device=device)
            if self.ema is not None:
                gan.average_weights(self.ema)
            return gan
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, MiniganError):
                raise
            raise TrainingError(f"{self.model}: {error}") from error


def model_class(name: str) -> type:
    """Look up a model. Raises TrainingError with the nearest name if there is none."""
    if name in MODELS:
        return MODELS[name]
    near = get_close_matches(name.lower(), MODELS, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(MODELS)}"
    raise TrainingError(f"there is no model called {name!r}: {hint}")


class RunFolder:
    """The files of one run. Nothing is written before `create`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.film, self.losses = self.path / "samples.gif", self.path / "losses.png"
        self.best, self.evaluations = self.path / "best.npz", self.path / "evaluations.png"
        self.report, self.failure = self.path / "report.html", self.path / "failure.npz"
        self._config, self._metrics = self.path / "config.json", self.path / "metrics.jsonl"
        self._samples, self._checkpoints = self.path / "samples", self.path / "checkpoints"
        self._lock, self._made = FolderLock(self.path), []

    def lock(self) -> None:
        """Make the folder if need be, and keep other processes from training in it until `unlock`.

        Raises LockedError if one does already.
        """
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._made += missing
        self._lock.acquire()

    def unlock(self) -> None:
        """Let others train here. Folders that `lock` made and in which there is nothing go again."""
        self._lock.release()
        while self._made:
            with suppress(OSError):  # it holds something
                self._made.pop(0).rmdir()

    @classmethod
    def free(cls, wish: str | os.PathLike) -> RunFolder:
        """The folder `wish`, or the first of wish-2, wish-3, … that isn't there, or is empty and not locked."""
        path, number = Path(wish), 1
        while path.exists() and not (is_empty(path) and not FolderLock(path).taken()):
            number += 1
            path = Path(f"{wish}-{number}")
        return cls(path)

    def check_unused(self) -> None:
        """Raise TrainingError if there is something in the folder.

        A run that ended before its first checkpoint doesn't count: nobody can go on with it, so `create` replaces it.
        """
        if self.path.exists() and not is_empty(self.path) and not self._failed():
            kind = "holds a run already" if self._config.exists() else "is not an empty folder"
            hint = f", or go on with --resume {shlex.quote(str(self.path))}" if self.checkpoints() else ""
            raise TrainingError(f"{self.path} {kind}: give another --out{hint}")

    def _failed(self) -> bool:
        """Whether a run ended here before its first checkpoint. A config.json of another program is not ours."""
        try:
            return not self.checkpoints() and bool(self.config())
        except CheckpointError:
            return False

    def create(self, config: RunConfig) -> None:
        """Make the folder if need be, lock it, and write config.json. What a run without a checkpoint left there goes.

        Raises LockedError if another process trains there.
        """
        self.lock()
        if not self.checkpoints():
            made = (self._metrics, self.best, self.film, self.losses, self.evaluations, self.report, self.failure)
            for old in (*made, *self.samples()):
                old.unlink(missing_ok=True)
        for folder in (self.path, self._samples, self._checkpoints):
            folder.mkdir(exist_ok=True)
            for old in folder.glob(TEMPORARY):
                old.unlink(missing_ok=True)
        write_text(self._config, json.dumps(asdict(config), indent=2) + "\n")

    def config(self) -> RunConfig:
        """Read config.json. Raises CheckpointError if it isn't there or isn't the configuration of a run."""
        if self.path.is_file():
            raise CheckpointError(f"{self.path} is a file: give the folder of the run")
        if not self.path.is_dir():
            raise CheckpointError(f"{self.path} does not exist: give the folder of a run, such as runs/dcgan-digits")
        try:
            with open_file(self._config) as file:
                config = parse_config(json.loads(file.read(LONGEST_CONFIG).decode()))
        except FileNotFoundError:
            raise CheckpointError(f"{self.path} is not the folder of a run: it has no config.json") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckpointError(f"{self._config} is damaged: {self.path} can't be used as a run") from error
        return config

    def add_record(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with naming(self._metrics), self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl. Lines that are no records, such as one that a crash cut off, are left out."""
        try:
            with open_file(self._metrics) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [record for record in map(_parse_record, lines) if record]

    def forget_after(self, step: int) -> None:
        """Drop records and samples later than the checkpoint that the run goes on from.

        Later checkpoints are damaged, or it would go on from them: they get the name `….npz.damaged`.
        """
        lines = [json.dumps(r) + "\n" for r in self.records() if r["step"] <= step]
        write_text(self._metrics, "".join(lines))
        for picture in self.samples():
            if _step_of(picture) > step:
                picture.unlink()
        for checkpoint in self.checkpoints():
            if _step_of(checkpoint) > step:
                checkpoint.replace(f"{checkpoint}.damaged")

    def flush_records(self) -> None:
        """Have the records on the disk: a checkpoint must not outlive what was recorded before it."""
        if self._metrics.exists():
            with naming(self._metrics), self._metrics.open("ab") as file:
                os.fsync(file.fileno())

    def checkpoint(self, step: int) -> Path:
        """The name of the checkpoint of a step."""
        return self._checkpoints / f"step-{step:06d}.npz"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are there, in the order of their steps."""
        found = (path for path in self._checkpoints.glob("step-*.npz") if CHECKPOINT_NAME.fullmatch(path.name))
        return sorted((path for path in found if path.is_file()), key=_step_of)

    def keep_newest(self, n: int) -> None:
        """Delete all checkpoints but the last n."""
        for old in self.checkpoints()[:-n]:
            old.unlink()

    def copy_best(self, path: Path) -> None:
        """Copy the best checkpoint."""
        with replacing(path) as file, self.best.open("rb") as best:
            shutil.copyfileobj(best, file)

    def add_sample(self, step: int, image: Image.Image) -> None:
        """Write one picture into samples/."""
        save_image(image, self._samples / f"step-{step:06d}.png")

    def samples(self) -> list[Path]:
        """The pictures in samples/, in the order of their steps; files with other names are not ours."""
        found = (path for path in self._samples.glob("step-*.png") if SAMPLE_NAME.fullmatch(path.name))
        return sorted((path for path in found if path.is_file()), key=_step_of)

    def draw(self, title: str, judged_by: str = "") -> None:
        """Draw losses.png, evaluations.png and samples.gif from what has been recorded."""
        records = [record for record in self.records() if record.keys() >= MEASURES]
        evaluated = [record for record in records if record.keys() >= EVALUATED]
        samples = self.samples()
        if records:
            save_image(draw_curves(records, title), self.losses)
        if evaluated:
            save_image(draw_evaluations(evaluated, f"{title}: {judged_by}"), self.evaluations)
        if samples:
            save_film(samples, self.film)


def is_empty(path: Path) -> bool:
    """Whether `path` is a folder with nothing in it, but for a lock."""
    return path.is_dir() and all(file.name == LOCK for file in path.iterdir())


def _step_of(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))


def _parse_record(line: bytes) -> dict[str, Any] | None:
    """Read one line of metrics.jsonl; None if it isn't a step with numbers, tables of numbers, and notes."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    tables = [record.get(name, {}) for name in TABLES]
    notes = record.get("notes", [])
    if not all(isinstance(table, dict) for table in tables) or not isinstance(notes, list):
        return None
    numbers = [value for name, value in record.items() if name not in (*TABLES, "notes")]
    numbers += [value for table in tables for value in table.values()]
    good = all(type(value) in (int, float) and abs(value) < LARGEST for value in numbers)
    good = good and all(isinstance(note, dict) and note.keys() == NOTE for note in notes)
    return record if good and all(type(text) is str for note in notes for text in note.values()) else None


def parse_config(values: dict[str, Any]) -> RunConfig:
    """Make a configuration of what JSON gave. Raises ValueError, TypeError or KeyError for what isn't one."""
    known = [f.name for f in fields(RunConfig) if f.name in values or f.default is MISSING]
    config = RunConfig(**{name: values[name] for name in known})
    lists = ("shape", "augment", "classes", "changes")
    config = replace(config, **{name: tuple(getattr(config, name)) for name in lists})
    _check(config)
    return config


def _check(config: RunConfig) -> None:
    """Raise TypeError or ValueError if a field read from JSON isn't of the kind in its annotation, or out of range."""
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = [kind.split("[")[0].strip() for kind in str(field.type).split("|")]
        if ("None" if value is None else type(value).__name__) not in kinds:
            raise TypeError(f"{field.name} is {value!r}")
    intervals = (config.sample_interval, config.checkpoint_interval, config.eval_interval or 1, config.keep_checkpoints)
    limits = (n for n in (config.img_size, config.channels, config.limit) if n is not None)
    sizes = [config.samples, *config.shape, *limits]
    if not config.shape or any(type(n) is not int for n in config.shape) or config.seed < 0:
        raise ValueError("the shape isn't one, or the seed is negative")
    if min(config.batch_size, config.n_steps, *intervals, *sizes) < 1 or set(config.augment) - AUGMENTATIONS.keys():
        raise ValueError("a number is below 1, or an augmentation is unknown")
    if any(type(text) is not str for text in (*config.classes, *config.changes)) or not 0 <= (config.ema or 0) < 1:
        raise ValueError("a class has no name, a change no words, or the decay isn't one")
    if config.lr_decay not in DECAYS or config.eval_features not in FEATURE_NETWORKS or config.on_nan not in ON_NAN:
        raise ValueError("the decay of the learning rate, the feature network, or what to do on NaN is unknown")
    if config.eval_samples < FEWEST_JUDGED:
        raise ValueError("too few samples are to be measured")
