"""`minigan train`: a new run, a run that goes on, or a dry run."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.backend import CPU, keep_freed_memory
from minigan.cli import Parser, UsageError, nearest, sentence
from minigan.commands.configure import (
    DEFAULT_DATA,
    DEFAULT_STEPS,
    LEAST_EPOCHS,
    LEAST_STEPS,
    MIN_INTERVAL,
    PICTURES,
    extend,
    new_config,
    steps_per_epoch,
)
from minigan.commands.options import (
    PATHS,
    SIZE_HELP,
    add_model_options,
    add_skip_bad,
    check_writable,
    count,
    defaults,
    flag,
    fraction,
    open_checkpoint,
    place,
    print_notes,
    read_config,
    warn,
    whole_number,
)
from minigan.data import AUGMENTATIONS, DATASETS, Batches, Dataset
from minigan.errors import CheckpointError, DataError
from minigan.gans import MODELS
from minigan.metrics import FEATURE_NETWORKS, open_features
from minigan.training.changes import changes, with_data
from minigan.training.doctor import Doctor
from minigan.training.evaluation import Judge
from minigan.training.lock import LockedError
from minigan.training.progress import Progress, count_steps, forecast, resume_command, say
from minigan.training.run import (
    DECAYS,
    ON_NAN,
    RunConfig,
    RunFolder,
    TrainingError,
    is_empty,
)
from minigan.training.summary import summarize
from minigan.training.trainer import Trainer

EMA = 0.999
RUNS = Path("runs")
TIMED_S = 3.0  # of steps in a dry run


def add_arguments(parser: Parser) -> None:
    """Add the options. If a model is named on the command line, the help is about that one."""
    parser.usage = "minigan train MODEL [options]\n       minigan train --resume RUN [options]"
    shown = next((word for word in parser.words if word in MODELS), None)
    sizes = defaults({name: cls.batch_size for name, cls in MODELS.items() if shown in (None, name)})
    steps = ", ".join(f"{data}: {n:,}" for data, n in DEFAULT_STEPS.items())
    steps += f"; other data: {LEAST_STEPS:,}, or {LEAST_EPOCHS} epochs if that is more"
    which = f"{', '.join(MODELS)}; see minigan train MODEL --help"
    parser.add_argument("model", nargs="?", metavar="MODEL", help=which)

    if shown:
        add_model_options(parser.add_argument_group(f"options of {shown}"), shown)

    data = parser.add_argument_group("data")
    data.add_argument("--data", help=f"{', '.join(DATASETS)}, or the path of {PATHS} (default: {DEFAULT_DATA})")
    data.add_argument("--img-size", type=count, metavar="N", help=SIZE_HELP)
    data.add_argument("--channels", type=count, choices=(1, 3), help="grey or colour (default: as they are)")
    data.add_argument("--limit", type=count, metavar="N", help="use only N samples, drawn by the seed (default: all)")
    add_skip_bad(data)
    kinds = ",".join(AUGMENTATIONS)
    data.add_argument("--augment", type=_augmentations, metavar="A,B", help=f"any of {kinds}, or none (default: none)")

    training = parser.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    epochs = "passes through the data (default: by --n-steps)"
    length.add_argument("--n-epochs", type=count, metavar="N", help=epochs)
    updates = f"updates of the generator (default: {steps})"
    length.add_argument("--n-steps", type=count, metavar="N", help=updates)
    training.add_argument("--batch-size", type=count, metavar="N", help=f"samples in a batch (default: {sizes})")
    average = f"draw with an average of the generator's weights; DECAY is {EMA} if left out (default: no average)"
    training.add_argument("--ema", nargs="?", const=EMA, type=_decay, metavar="DECAY", help=average)
    usual = defaults({name: cls.lr_decay for name, cls in MODELS.items() if shown in (None, name)})
    falling = f"of the learning rate, from the first step to 0 at the last (default: {usual})"
    training.add_argument("--lr-decay", choices=tuple(DECAYS), help=falling)
    training.add_argument("--seed", type=whole_number, metavar="N", help="seed of everything random (default: 0)")
    training.add_argument("--device", help="cpu, cuda or cuda:N (default: cpu)")

    output = parser.add_argument_group("output")
    where = f"folder of the run (default: {RUNS}/MODEL-DATA, then -2, -3, ...)"
    output.add_argument("--out", type=place, metavar="RUN", help=where)
    pictures = f"steps between pictures; the first come sooner (default: {MIN_INTERVAL}, or for about {PICTURES})"
    output.add_argument("--sample-interval", type=count, metavar="N", help=pictures)
    saving = f"steps between checkpoints (default: {RunConfig.checkpoint_interval})"
    output.add_argument("--checkpoint-interval", type=count, metavar="N", help=saving)
    kept = f"checkpoints that are kept, besides the best (default: {RunConfig.keep_checkpoints})"
    output.add_argument("--keep-checkpoints", type=count, metavar="N", help=kept)
    nan = f"on NaN, end, or go back to the last checkpoint with a smaller --lr (default: {RunConfig.on_nan})"
    output.add_argument("--on-nan", choices=ON_NAN, help=nan)
    judged = "steps between evaluations: FID and Inception Score, best.npz, evaluations.png (default: none)"
    output.add_argument("--eval-interval", type=count, metavar="N", help=judged)
    judged = f"samples in an evaluation (default: {RunConfig.eval_samples})"
    output.add_argument("--eval-samples", type=count, metavar="N", help=judged)
    judged = "whose features they are compared by (default: digits for digits and mnist, else inception)"
    output.add_argument("--eval-features", choices=FEATURE_NETWORKS, help=judged)
    what = "go on with the run in this folder; --n-steps or --n-epochs make it longer (default: a new run)"
    output.add_argument("--resume", type=place, metavar="RUN", help=what)
    what = "begin with the weights of another run, or of one of its checkpoints (default: with random ones)"
    output.add_argument("--init-from", type=place, metavar="RUN", help=what)
    output.add_argument("--dry-run", action="store_true", help="only show layers, memory and cost (default: train)")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors (default: print progress)")

    if shown is None:
        title = "options of models; for the defaults of one, minigan train MODEL --help"
        add_model_options(parser.add_argument_group(title), None)


def main(args: argparse.Namespace) -> int:
    """Train, and return the exit status."""
    keep_freed_memory()
    given = {k: v for k, v in vars(args).items() if v is not None and k not in ("resume", "out", "dry_run", "quiet")}
    if args.resume:
        for name in ("out", "init_from"):
            if getattr(args, name):
                raise UsageError(f"{flag(name)} can't be given with --resume: a run goes on in its own folder")
        folder = RunFolder(args.resume)
        config = extend(read_config(folder), given)
        dataset = config.open_data()
        config = with_data(config, dataset)
    else:
        if args.out:
            RunFolder(args.out).check_unused()
        config, dataset = new_config(given)
        folder = RunFolder(args.out) if args.out else RunFolder.free(RUNS / f"{config.model}-{dataset.name}")
    check_writable(folder.path)
    if args.dry_run:
        gan = config.build_gan(CPU)
        print(summarize(gan, config))
        print("\n" + _time_steps(config, dataset))
        print_notes(dataset)
        for note in Doctor(gan, config, None).at_start():
            print(f"note: {note.sentence}")
        return 0
    try:
        if args.resume:
            folder.lock()
        elif args.out:
            folder.lock()
            folder.check_unused()  # somebody may have trained there since it was last looked at
        else:
            folder = _lock_free(folder)
        return _train(config, dataset, folder, args)
    finally:
        folder.unlock()


def _lock_free(folder: RunFolder) -> RunFolder:
    """Lock a folder whose name is ours to choose; the next one, should another process have been quicker."""
    wish = folder.path
    while True:
        try:
            folder.lock()
            if is_empty(folder.path):
                return folder
            folder.unlock()
        except LockedError:
            pass
        folder = RunFolder.free(wish)


def _train(config: RunConfig, dataset: Dataset, folder: RunFolder, args: argparse.Namespace) -> int:
    """Train in a folder that is locked, and say what came of it."""
    checkpoint = open_checkpoint(folder, config.model) if args.resume else None
    gan = config.build_gan()
    if config.init_from and not args.resume:
        config = _begin_with(gan, config)
    if checkpoint:
        config = _note_changes(folder.config(), config, checkpoint.state)
    judge = None
    if config.eval_interval:
        network = open_features(config.eval_features, gan.device)
        judge = Judge(network, dataset, config.eval_samples, config.seed, gan.device)
    augment = [AUGMENTATIONS[name] for name in config.augment]
    with Batches(dataset, config.batch_size, config.seed, augment, device=gan.device) as batches:
        trainer = Trainer(gan, dataset, batches, config, folder, judge)
        if checkpoint:
            trainer.resume(checkpoint)
        signal = _train_on(trainer, args.quiet)
    if signal:
        say(f"interrupted after step {trainer.step}, checkpoint saved: {resume_command(folder.path)}", sys.stderr)
        return 128 + signal
    if not args.quiet:
        minutes, seconds = divmod(round(trainer.seconds), 60)
        say(f"{count_steps(trainer.step)} in {minutes} min {seconds} s: see report.html in {folder.path}")
        if trainer.best_step:
            say(f"best.npz is of step {trainer.best_step}, with FID {trainer.best_fid:.2f}")
    return 0


def _begin_with(gan: Any, config: RunConfig) -> RunConfig:
    """Give a new run the weights of another one. Raises CheckpointError if they don't fit."""
    other = Path(config.init_from)
    folder, file = (RunFolder(other), None) if other.is_dir() else (RunFolder(other.parent), other)
    checkpoint = open_checkpoint(folder, config.model, file)
    checkpoint.restore(gan, weights_only=True)
    return replace(config, init_from=f"{checkpoint.path}, of step {checkpoint.state['step']:,}")


def _note_changes(before: RunConfig, config: RunConfig, state: dict[str, Any]) -> RunConfig:
    """Say what is different from here on, and add it to the configuration."""
    found = changes(before, config, state)
    for sentence_ in found:
        warn(sentence_)
    return replace(config, changes=(*config.changes, *(f"step {state['step']:,}: {change}" for change in found)))


def _time_steps(config: RunConfig, dataset: Dataset) -> str:
    """Make some steps that leave nothing behind, and say how long the run would take."""
    gan = config.build_gan()
    rng = gan.device.rng(config.seed)
    augment = [AUGMENTATIONS[name] for name in config.augment]
    with Batches(dataset, config.batch_size, config.seed, augment, device=gan.device) as batches:
        progress = Progress(config.n_steps, quiet=True, steps_per_epoch=steps_per_epoch(config))
        end = time.perf_counter() + TIMED_S
        while progress.step < 3 or (time.perf_counter() < end and progress.step < config.n_steps):
            gan.step(batches.next_with_labels if gan.n_classes else batches.__next__, rng)
            gan.device.synchronize()
            progress.advance()
        return forecast(config.n_steps, progress.seconds_a_step(), progress.steps_per_epoch)


def _train_on(trainer: Trainer, quiet: bool) -> int:
    """Train, and return the number of the signal that ended it, or 0."""
    config, folder, start = trainer.config, trainer.folder, trainer.step
    if not quiet:
        say(f"{config.model} on {trainer.dataset.describe()}; steps {start} to {config.n_steps}, into {folder.path}")
        print_notes(trainer.dataset)
    progress = Progress(config.n_steps, start, quiet, steps_per_epoch(config))
    try:
        return trainer.train(progress)
    except (DataError, CheckpointError, OSError) as error:
        if not folder.checkpoints():
            raise
        go_on = f"go on with {resume_command(folder.path)}"
        then = go_on if trainer.saved_step < config.n_steps else f"it is in {folder.path}"
        kept = f"the checkpoint of step {trainer.saved_step} is kept: {then}"
        raise TrainingError(f"{sentence(error)}; {kept}") from error
    finally:
        progress.close()


def _decay(text: str) -> float:
    if text in MODELS:
        raise argparse.ArgumentTypeError(f"{text} is not a number: write the model first, train {text} --ema")
    return fraction(text)


def _augmentations(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name and text != "none")
    for name in names:
        if name not in AUGMENTATIONS:
            raise argparse.ArgumentTypeError(f"there is no {name!r}: {nearest(name, AUGMENTATIONS)}")
    return names
