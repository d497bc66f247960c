"""The folder of a run, with all its files.

config.json                     the settings: command, model and its arguments, data, seed, versions
declared.json                   display names of the model's measures and layers, for the page
frozen.npz                      the frozen networks, if there are any
metrics.jsonl                   one JSON object for every ten steps
checkpoints/step-000500.npz     the states at the last few checkpoints
phase-NAME.npz                  the state at the end of each phase of training but the last, if there are several
samples/step-000100.png         exhibits, here the one called "samples", and samples.gif, a film of them
real.png                        real pictures, as many as samples
nearest.png, nearest.json       samples with their nearest training pictures, when the run has finished; the distances
losses.png                      the curves
report.html                     all of this on one page

With judgements also

best.npz                        the best checkpoint so far
evaluations.png                 the curves of the judgements

After `minigan score` also

normal.json                     scores of normal pictures, and the rate of false alarms

After a NaN or an infinity also

failure.npz                     the state and the data of the step in which it occurred
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from minigan.common.untrusted import open_file
from minigan.errors import CheckpointError
from minigan.training.files import replacing, write_text
from minigan.training.lock import LOCK, FolderLock, LockedError
from minigan.training.pictures import save_image
from minigan.training.records import RecordFile
from minigan.training.settings import RunConfig, TrainingError, parse_config

OF_A_STEP = re.compile(r"step-[0-9]+")
TEMPORARY = ".*.[0-9]*.tmp"  # partial files of a killed process
LONGEST_CONFIG = 1 << 20  # bytes; typical are one thousand


class RunFolder:
    """The files of one run. Nothing is written before `create`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.losses, self.evaluations = self.path / "losses.png", self.path / "evaluations.png"
        self.best, self.failure, self.frozen = (self.path / f"{name}.npz" for name in ("best", "failure", "frozen"))
        self.report, self.declared = self.path / "report.html", self.path / "declared.json"
        self.real, self.nearest = self.path / "real.png", self.path / "nearest.png"
        self.memorization = self.path / "nearest.json"
        self.records = RecordFile(self.path / "metrics.jsonl")
        self._config, self._checkpoints = self.path / "config.json", self.path / "checkpoints"
        self._lock, self._made = FolderLock(self.path), list[Path]()

    def lock(self) -> None:
        """Create the folder if necessary, and lock it until `unlock`. Raises LockedError if another process has it."""
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._made += missing
        self._lock.acquire()

    def unlock(self) -> None:
        """Release the lock, and remove folders that `lock` created and that are still empty."""
        self._lock.release()
        while self._made:
            with suppress(OSError):  # not empty
                self._made.pop(0).rmdir()

    @classmethod
    def lock_free(cls, wish: str | os.PathLike) -> RunFolder:
        """Lock and return the first of the folders wish, wish-2, wish-3, … that is missing, or empty and unlocked."""
        folder, number = cls(wish), 1
        while True:
            if not folder.path.exists() or is_empty(folder.path):
                with suppress(LockedError):
                    folder.lock()
                    if is_empty(folder.path):  # no other process has trained there since the check
                        return folder
                    folder.unlock()
            number += 1
            folder = cls(f"{wish}-{number}")

    def check_unused(self) -> None:
        """Raise TrainingError if the folder isn't empty.

        A run without a checkpoint can't be resumed, so it is ignored here and replaced by `create`.
        """
        if self.path.exists() and not is_empty(self.path) and not self._failed():
            kind = "holds a run already" if self._config.exists() else "is not an empty folder"
            hint = f", or resume it with --resume {shlex.quote(str(self.path))}" if self.checkpoints() else ""
            raise TrainingError(f"{self.path} {kind}: give another --out{hint}")

    def _failed(self) -> bool:
        """Whether this is the folder of a run without a checkpoint, and not that of another program."""
        try:
            return not self.checkpoints() and bool(self.config())
        except CheckpointError:
            return False

    def create(self, config: RunConfig) -> None:
        """Create and lock the folder, remove the files of a run without a checkpoint, and write config.json."""
        self.lock()
        if not self.checkpoints():
            made = (self.records.path, self.best, self.losses, self.evaluations, self.report, self.failure, self.frozen)
            made += (self.real, self.nearest, self.memorization)
            shown = [path for name in self.exhibits() for path in (*self.pictures(name), self.film(name))]
            for old in (*made, self.declared, *self.path.glob("phase-*.npz"), *shown):
                old.unlink(missing_ok=True)
        for old in (*self.path.glob(TEMPORARY), *self.path.glob(f"*/{TEMPORARY}")):
            old.unlink(missing_ok=True)
        # the first file written: `check_unused` recognizes an aborted run by its config.json
        write_text(self._config, json.dumps(asdict(config), indent=2) + "\n")
        self._checkpoints.mkdir(exist_ok=True)

    def config(self) -> RunConfig:
        """Read config.json. Raises CheckpointError if it is missing, not of a run, or of an older minigan."""
        if self.path.is_file():
            raise CheckpointError(f"{self.path} is a file: give the folder of the run")
        if not self.path.is_dir():
            raise CheckpointError(f"{self.path} does not exist: give the folder of a run, such as runs/dcgan-digits")
        try:
            with open_file(self._config) as file:
                return parse_config(json.loads(file.read(LONGEST_CONFIG).decode()))
        except FileNotFoundError:
            raise CheckpointError(f"{self.path} is not the folder of a run: it has no config.json") from None
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{self._config} is damaged: {self.path} can't be used as a run") from error

    def forget_after(self, step: int) -> None:
        """Delete records and pictures of later steps, when a run is resumed from the checkpoint of `step`.

        Later checkpoints are damaged, otherwise the newest would have been loaded. They are renamed to `….npz.damaged`.
        """
        self.records.forget_after(step)
        for exhibit in self.exhibits():
            for picture in self.pictures(exhibit):
                if _step_of(picture) > step:
                    picture.unlink()
        for checkpoint in self.checkpoints():
            if _step_of(checkpoint) > step:
                checkpoint.replace(f"{checkpoint}.damaged")

    def checkpoint(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return self._checkpoints / f"step-{step:06d}.npz"

    def phase(self, name: str) -> Path:
        """Return the path of the checkpoint at the end of a phase."""
        return self.path / f"phase-{name}.npz"

    def checkpoints(self) -> list[Path]:
        """Return the existing checkpoints, sorted by step."""
        return _of_steps(self._checkpoints, ".npz")

    def keep_newest(self, n: int) -> None:
        """Delete all checkpoints except the last n."""
        for old in self.checkpoints()[:-n]:
            old.unlink()

    @staticmethod
    def copy(one: Path, other: Path) -> None:
        """Copy a checkpoint atomically."""
        with replacing(other) as file, one.open("rb") as source:
            shutil.copyfileobj(source, file)

    def exhibits(self) -> list[str]:
        """Return the names of the exhibits that have pictures."""
        return sorted(folder.name for folder in self.path.glob("*/") if self.pictures(folder.name))

    def add_picture(self, exhibit: str, step: int, image: Image.Image) -> None:
        """Write one picture of an exhibit."""
        (self.path / exhibit).mkdir(exist_ok=True)
        save_image(image, self.path / exhibit / f"step-{step:06d}.png")

    def pictures(self, exhibit: str) -> list[Path]:
        """Return the pictures of an exhibit, sorted by step."""
        return _of_steps(self.path / exhibit, ".png")

    def film(self, exhibit: str) -> Path:
        """Return the path of the film of an exhibit."""
        return self.path / f"{exhibit}.gif"


def is_empty(path: Path) -> bool:
    """Whether `path` is a folder that is empty, except for files of a run that was killed before its config.json."""
    return path.is_dir() and all(file.name == LOCK or file.match(".config.json.*.tmp") for file in path.iterdir())


def _of_steps(folder: Path, suffix: str) -> list[Path]:
    """Return the files step-000100.… of a folder, sorted by step; other files are ignored."""
    found = [path for path in folder.glob(f"step-*{suffix}") if OF_A_STEP.fullmatch(path.stem) and path.is_file()]
    return sorted(found, key=_step_of)


def _step_of(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))
