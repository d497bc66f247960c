"""Kill trainings at random moments, go on with each, and compare the end with that of a run that nobody disturbed.

    python tests/training/kills.py dcgan wgan-gp sngan --kills 100
    python tests/training/kills.py attention biggan lapgan progan stylegan stylegan2 vae vaegan --kills 20
    python tests/training/kills.py restore filling pix2pix cyclegan srresnet srgan relativistic --kills 20

A run is killed (SIGKILL) and resumed until it has reached its last step; then its weights, optimizers, statistics,
measures, pictures and checkpoints must be those of the unbroken run, bit for bit. Every third kill
waits for a file that is being written and comes in the midst of it. Prints a line for each model; exit status 1 if
anything differs.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import minigan

STEPS, LIFE = 300, 1.2  # of a run; seconds, at most, from the lock to a kill, on an idle machine
SMALL = "--features 4 --latent-dim 8 --batch-size 8 --limit 64 --augment crop --ema 0.9 --lr-decay linear"
OFTEN = f"--n-steps {STEPS} --checkpoint-interval 7 --sample-interval 100 --quiet"
GANS = {  # that need other options than SMALL
    "attention": "sngan --attention 8 --labels",
    "ganomaly": "ganomaly --restart-below 0.5",
    "vaegan": "vaegan --img-size 16 --margin 0.02",
    "biggan": "biggan --img-size 32 --features 1 --labels --ortho 0.0001",
}
HALF_LIFE = ("stylegan", "stylegan2")  # whose averages have a decay that grows with the pictures so far, without --ema
TRANSLATORS = {  # with folders of pictures a and b, of 24×20 pixels
    "restore": "restore --data a --damage blur:1,noise:5-50 --depth 3 --ema 0.9 --augment flip",
    "filling": "restore --data a --damage hole:blobs --depth 2 --adversarial 0.01 --lr-decay linear",
    "pix2pix": "pix2pix --data input=a,target=b --augment jitter",
    "srresnet": "srresnet --data a --preset small --blocks 1 --augment turn --ema 0.9",
    "srgan": "srgan --data a --preset small --blocks 1 --scale 2 --pretrain-steps 150 --critic-features 2 --norm batch",
    "relativistic": "srgan --data a --blocks 1 --scale 2 --pretrain-steps 100 --critic-features 2 --loss relativistic",
    "cyclegan": "cyclegan --data a=a,b=b --blocks 1 --field 16 --pool 5 --channels 1",
}
TINY = "--img-size 16 --features 2 --batch-size 2"
TIMES = ("seconds", "pictures_per_second")  # all that may differ


@dataclass(frozen=True)
class Training:
    """The words of `minigan train` that begin a run, and those that it needs again to go on."""

    words: tuple[str, ...]
    again: tuple[str, ...] = ()


def of_a_gan(model: str) -> Training:
    """A small run of a model that ships, or of one of GANS."""
    name, *own = GANS.get(model, model).split()
    small = SMALL.replace("--ema 0.9", "") if name in HALF_LIFE else SMALL
    return Training((name, *small.split(), *own))


def of_a_translator(name: str, folder: Path) -> Training:
    """A small run of one of TRANSLATORS, on pictures that are written into `folder`."""
    rng = np.random.default_rng(0)
    for side in "ab":
        (folder / side).mkdir(parents=True, exist_ok=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (5, 6, 3), np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(pixels).save(folder / side / f"{i}.png")
    words = re.sub(r"(?<=[ =,])([ab])(?=[ ,])", lambda found: str(folder / found[1]), TRANSLATORS[name])
    return Training((*words.split(), *TINY.split()))


@dataclass
class Tally:
    """What happened to the runs of a model."""

    kills: int = 0
    while_writing: int = 0  # kills that left a file half-written
    before_a_checkpoint: int = 0  # and so the run began anew
    runs: int = 0
    problems: list[str] = field(default_factory=list)


def start(words: list[str], folder: Path) -> subprocess.Popen:
    path = os.pathsep.join([str(Path(minigan.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "minigan", "train", *words]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def half_written(run: Path, process: subprocess.Popen) -> bool:
    return any(run.rglob(f".*.{process.pid}.tmp"))


def at_work(run: Path, process: subprocess.Popen) -> bool:
    """Whether Python has started and got so far as to lock the folder."""
    try:
        return (run / ".lock").read_text().strip() == str(process.pid)
    except FileNotFoundError:
        return False


def has_checkpoint(run: Path) -> bool:
    return any((run / "checkpoints").glob("step-*.npz"))


def kill_at_random(process: subprocess.Popen, run: Path, chance: random.Random, aim: bool, life: float) -> bool:
    """Let it train for a while and kill it. Returns False if it came to its end before."""
    while process.poll() is None and not at_work(run, process):
        time.sleep(0.002)
    time.sleep(chance.uniform(0, life))
    deadline = time.monotonic() + 1
    while aim and process.poll() is None and not half_written(run, process) and time.monotonic() < deadline:
        pass
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def at_its_end(run: Path) -> bool:
    """Whether the last checkpoint is there, after which nothing is written any more."""
    return (run / "checkpoints" / f"step-{STEPS:06d}.npz").exists()


def kill_and_resume(
    training: Training, folder: Path, tally: Tally, kills: int, chance: random.Random, life: float
) -> bool:
    """One run from its beginning to its end, with as many kills as come, up to `kills` in all.

    Returns False if it was killed after its last checkpoint, and so couldn't tidy up.
    """
    run = folder / "broken"
    while True:
        go_on = ["--resume", "broken", "--quiet", *training.again]
        process = start(go_on if has_checkpoint(run) else begin(training, "broken"), folder)
        tally.before_a_checkpoint += not has_checkpoint(run) and run.exists()
        if tally.kills < kills and kill_at_random(process, run, chance, tally.kills % 3 == 0, life):
            tally.kills += 1
            tally.while_writing += half_written(run, process)
            if at_its_end(run):
                return False
            continue
        _, err = process.communicate()
        if process.returncode:
            tally.problems.append(f"exit status {process.returncode}: {err.decode().strip()}")
        return True


def begin(training: Training, name: str) -> list[str]:
    return [*training.words, *OFTEN.split(), "--out", name]


def outcome(run: Path) -> dict[str, object]:
    """Everything that a run has made, but for times."""
    made: dict[str, object] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".npz":
            made |= {f"{name}: {key}": value for key, value in arrays(path).items()}
        elif path.suffix in (".png", ".gif") or name == "declared.json":
            made[name] = path.read_bytes()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    made["records"] = [{key: value for key, value in record.items() if key not in TIMES} for record in records]
    return made | {"files": sorted(path.relative_to(run).as_posix() for path in run.rglob("*"))}


def arrays(path: Path) -> dict[str, object]:
    """What a checkpoint holds, but for times."""
    with np.load(path) as file:
        made: dict[str, object] = {name: file[name].tobytes() for name in file.files if name != "checksum"}
    if "state" in made:
        state = {name: value for name, value in json.loads(made.pop("state")).items() if name not in TIMES}
        state["config"] = {k: v for k, v in state["config"].items() if k not in ("command", "started")}
        made |= {f"state, {name}": value for name, value in state.items()}
    return made


def try_training(training: Training, kills: int, seed: int = 0, life: float = LIFE) -> Tally:
    """Kill runs so many times, and compare the end of each with an unbroken one."""
    chance, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = start(begin(training, "unbroken"), folder)
        _, err = process.communicate()
        if process.returncode:
            raise RuntimeError(err.decode())
        expected = outcome(folder / "unbroken")
        while tally.kills < kills and not tally.problems:
            shutil.rmtree(folder / "broken", ignore_errors=True)
            tidy = kill_and_resume(training, folder, tally, kills, chance, life)
            tally.runs += 1
            if not tally.problems:
                found = outcome(folder / "broken")
                if not tidy:  # an older checkpoint may be left, which an unbroken run has deleted
                    found = {key: found.get(key) for key in expected} | {"files": expected["files"]}
                wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
                tally.problems += [f"{key} differs" for key in sorted(wrong)]
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["dcgan", "wgan-gp", "sngan"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--life", type=float, default=LIFE, help="seconds from the lock to a kill, at most")
    args = parser.parse_args()
    failed = False
    for model in args.models:
        with tempfile.TemporaryDirectory() as name:
            training = of_a_translator(model, Path(name)) if model in TRANSLATORS else of_a_gan(model)
            tally = try_training(training, args.kills, args.seed, args.life)
        failed |= bool(tally.problems)
        print(
            f"{model}: {tally.kills} kills, {tally.while_writing} of them while a file was written, "
            f"{tally.before_a_checkpoint} before the first checkpoint; {tally.runs} runs brought to their end, "
            + ("all bit for bit like an unbroken one" if not tally.problems else "; ".join(tally.problems)),
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
