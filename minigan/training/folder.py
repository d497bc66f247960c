"""The folder of a run, in which everything that it makes is kept.

config.json                     the settings: command, model and its arguments, data, seed, versions
declared.json                   what the model's measures and layers are called, for the page
frozen.npz                      the networks that nothing trains, if there are any
metrics.jsonl                   one JSON object for every ten steps
checkpoints/step-000500.npz     the states at the last few checkpoints
phase-NAME.npz                  the state at the end of each phase of training but the last, if there are several
samples/step-000100.png         exhibits, here the one called "samples", and samples.gif, a film of them
losses.png                      the curves
report.html                     all of it on a page

and, with judgements,

best.npz                        the checkpoint that was judged the best so far
evaluations.png                 the curves of the judgements

and, should a number become infinite or NaN,

failure.npz                     the state and the data of the step at which it did
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
from minigan.training.records import Records
from minigan.training.settings import RunConfig, TrainingError, parse_config

OF_A_STEP = re.compile(r"step-[0-9]+")
TEMPORARY = ".*.[0-9]*.tmp"  # what a killed process leaves of a file that it was writing
LONGEST_CONFIG = 1 << 20  # bytes; a usual one has about one thousand


class RunFolder:
    """The files of one run. Nothing is written before `create`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.losses, self.evaluations = self.path / "losses.png", self.path / "evaluations.png"
        self.best, self.failure, self.frozen = (self.path / f"{name}.npz" for name in ("best", "failure", "frozen"))
        self.report, self.declared = self.path / "report.html", self.path / "declared.json"
        self.records = Records(self.path / "metrics.jsonl")
        self._config, self._checkpoints = self.path / "config.json", self.path / "checkpoints"
        self._lock, self._made = FolderLock(self.path), list[Path]()

    def lock(self) -> None:
        """Make the folder if need be, and keep other processes from training in it until `unlock`.

        Raises LockedError if one does already.
        """
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._made += missing
        self._lock.acquire()

    def unlock(self) -> None:
        """Let others train here. Folders that `lock` made and that are still empty are removed."""
        self._lock.release()
        while self._made:
            with suppress(OSError):  # it holds something
                self._made.pop(0).rmdir()

    @classmethod
    def lock_free(cls, wish: str | os.PathLike) -> RunFolder:
        """Lock the folder `wish`, or the first of wish-2, wish-3, … that isn't there, or is empty and not locked."""
        folder, number = cls(wish), 1
        while True:
            if not folder.path.exists() or is_empty(folder.path):
                with suppress(LockedError):
                    folder.lock()
                    if is_empty(folder.path):  # nobody has trained there meanwhile
                        return folder
                    folder.unlock()
            number += 1
            folder = cls(f"{wish}-{number}")

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
        """Make the folder if need be, lock it, and write config.json. What a run without a checkpoint left is removed.

        Raises LockedError if another process trains there.
        """
        self.lock()
        if not self.checkpoints():
            made = (self.records.path, self.best, self.losses, self.evaluations, self.report, self.failure, self.frozen)
            shown = [path for name in self.exhibits() for path in (*self.pictures(name), self.film(name))]
            for old in (*made, self.declared, *self.path.glob("phase-*.npz"), *shown):
                old.unlink(missing_ok=True)
        for old in (*self.path.glob(TEMPORARY), *self.path.glob(f"*/{TEMPORARY}")):
            old.unlink(missing_ok=True)
        # before any other file: a folder with a config.json of ours may be replaced
        write_text(self._config, json.dumps(asdict(config), indent=2) + "\n")
        self._checkpoints.mkdir(exist_ok=True)

    def config(self) -> RunConfig:
        """Read config.json. Raises CheckpointError if it isn't there, isn't of a run, or is of an older minigan."""
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
        """Drop records and pictures later than the checkpoint that the run goes on from.

        Later checkpoints are damaged, or it would go on from them: they get the name `….npz.damaged`.
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
        """The name of the checkpoint of a step."""
        return self._checkpoints / f"step-{step:06d}.npz"

    def phase(self, name: str) -> Path:
        """The name of the checkpoint at the end of a phase."""
        return self.path / f"phase-{name}.npz"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are there, in the order of their steps."""
        return _of_steps(self._checkpoints, ".npz")

    def keep_newest(self, n: int) -> None:
        """Delete all checkpoints but the last n."""
        for old in self.checkpoints()[:-n]:
            old.unlink()

    @staticmethod
    def copy(one: Path, other: Path) -> None:
        """Copy a checkpoint, whole or not at all."""
        with replacing(other) as file, one.open("rb") as source:
            shutil.copyfileobj(source, file)

    def exhibits(self) -> list[str]:
        """The names of the exhibits of which there are pictures."""
        return sorted(folder.name for folder in self.path.glob("*/") if self.pictures(folder.name))

    def add_picture(self, exhibit: str, step: int, image: Image.Image) -> None:
        """Write one picture of an exhibit."""
        (self.path / exhibit).mkdir(exist_ok=True)
        save_image(image, self.path / exhibit / f"step-{step:06d}.png")

    def pictures(self, exhibit: str) -> list[Path]:
        """The pictures of an exhibit, in the order of their steps."""
        return _of_steps(self.path / exhibit, ".png")

    def film(self, exhibit: str) -> Path:
        """The name of the film of an exhibit's pictures."""
        return self.path / f"{exhibit}.gif"


def is_empty(path: Path) -> bool:
    """Whether `path` is a folder with nothing in it but what a run leaves that is killed before its config.json."""
    return path.is_dir() and all(file.name == LOCK or file.match(".config.json.*.tmp") for file in path.iterdir())


def _of_steps(folder: Path, suffix: str) -> list[Path]:
    """The files step-000100.… of a folder, in the order of their steps; files with other names are not ours."""
    found = [path for path in folder.glob(f"step-*{suffix}") if OF_A_STEP.fullmatch(path.stem) and path.is_file()]
    return sorted(found, key=_step_of)


def _step_of(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))
