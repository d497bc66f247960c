"""`minigan train`: starts a run, resumes one, or makes a dry run."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.backend import CPU, keep_freed_memory
from minigan.commands import options
from minigan.commands.cli import Parser, UsageError, sentence
from minigan.commands.options import add_number, place, print_notes, warn
from minigan.commands.report import add_open, open_page
from minigan.common.user_code import is_own, locate_data_errors, own_data, own_model, short_name
from minigan.common.words import flag
from minigan.data import DATASETS
from minigan.errors import CheckpointError, DataError
from minigan.metrics import FEATURE_NETWORKS
from minigan.models import MODELS
from minigan.training.build import build_model
from minigan.training.changes import extend
from minigan.training.doctor import Doctor
from minigan.training.folder import RunFolder
from minigan.training.length import steps_per_epoch
from minigan.training.plan import DEFAULT_DATA, Plan, new_plan
from minigan.training.progress import Progress, count_steps, forecast, resume_command, say
from minigan.training.run import Run
from minigan.training.session import feeds_of, opened, plan_of_resumed, progress_of
from minigan.training.settings import DECAYS, ON_NAN, RunConfig, TrainingError
from minigan.training.stepper import Stepper
from minigan.training.summary import summarize
from minigan.training.translation_judges import about_best

EMA = 0.999
RUNS = Path("runs")
TIMED_S = 3.0  # seconds of steps in a dry run


def add_arguments(parser: Parser) -> None:
    """Add the options. If the command line has a model, the help only covers the options of that model."""
    parser.usage = "minigan train MODEL [options]\n       minigan train --resume RUN [options]"
    shown = _named_model(parser.words)
    own = own_model(shown)[0] if shown and is_own(shown) else None
    models: dict[str, Any] = {shown: own or MODELS[shown]} if shown else MODELS
    which = f"{', '.join(MODELS)}, or your own as my_gan.py:MyGAN; see minigan train MODEL --help"
    parser.add_argument("words", nargs="?", metavar="MODEL", help=which)
    if len(models) == 1:
        options.add_model_options(parser.add_argument_group(f"options of {shown}"), shown, own)

    _add_data(parser, models)
    training = parser.add_argument_group("training")
    length = training.add_mutually_exclusive_group()
    add_number(length, "n_epochs")
    add_number(length, "n_steps")
    add_number(training, "batch_size", options.defaults({name: cls.batch_size for name, cls in models.items()}))
    usual = options.defaults({name: "no average" if cls.ema is None else cls.ema for name, cls in models.items()})
    average = f"draw with an average of the weights; DECAY is {EMA} if left out, 0 for none (default: {usual})"
    training.add_argument("--ema", nargs="?", const=EMA, type=_decay, metavar="DECAY", help=average)
    usual = options.defaults({name: cls.lr_decay for name, cls in models.items()})
    falling = f"of the learning rate to 0 at the last step; half: from the middle of the run on (default: {usual})"
    training.add_argument("--lr-decay", choices=tuple(DECAYS), help=falling)
    add_number(training, "seed")
    training.add_argument("--device", help="cpu, cuda or cuda:N (default: cpu)")

    output = parser.add_argument_group("output")
    where = f"folder of the run (default: {RUNS}/MODEL-DATA, then -2, -3, ...)"
    output.add_argument("--out", type=place, metavar="RUN", help=where)
    for name in ("sample_interval", "checkpoint_interval", "keep_checkpoints"):
        add_number(output, name)
    nan = f"on NaN, end, or go back to the last checkpoint with a smaller --lr (default: {RunConfig.on_nan})"
    output.add_argument("--on-nan", choices=ON_NAN, help=nan)
    for name in ("eval_interval", "eval_samples"):
        add_number(output, name)
    judged = "whose features they are compared by (default: as minigan evaluate)"
    output.add_argument("--eval-features", choices=FEATURE_NETWORKS, help=judged)
    what = "resume the run in this folder; --n-steps or --n-epochs extend it (default: a new run)"
    output.add_argument("--resume", type=place, metavar="RUN", help=what)
    options.add_model(output)
    what = "begin with the weights of another run, or of one of its checkpoints (default: with random ones)"
    output.add_argument("--init-from", type=place, metavar="RUN", help=what)
    add_open(output)
    output.add_argument("--dry-run", action="store_true", help="only show layers, memory and cost (default: train)")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors (default: print progress)")

    if len(models) > 1:
        title = "options of models; for the defaults of one, minigan train MODEL --help"
        options.add_model_options(parser.add_argument_group(title), None)


def _add_data(parser: Parser, models: dict[str, Any]) -> None:
    """Add the options about data."""
    data = parser.add_argument_group("data")
    where = f"{', '.join(DATASETS)}, the path of {options.PATHS}, or your own function as my_data.py:make_data"
    where += "; of pairs, a folder of them or input=DATA,target=DATA; of two sets, a folder with both or a=DATA,b=DATA"
    data.add_argument("--data", type=options.word, help=f"{where} (default: {DEFAULT_DATA})")
    data.add_argument("--img-size", type=options.size, metavar="N", help=options.SIZE_HELP)
    data.add_argument("--channels", type=int, choices=(1, 3), help="gray or color (default: as they are)")
    options.add_skip_bad(data)
    options.add_samples(data, models)


def main(args: argparse.Namespace) -> int:
    """Train, and return the exit status."""
    keep_freed_memory()
    if args.words and args.model and args.words != args.model:
        raise UsageError(f"give one model: {args.words} or --model {args.model}")
    if args.open and args.dry_run:
        raise UsageError("--dry-run writes no page: leave out --open")
    left_out = ("words", "model", "resume", "out", "open", "dry_run", "quiet")
    given = {k: v for k, v in vars(args).items() if v is not None and k not in left_out}
    word = args.words or args.model
    data, files = own_data(args.data) if args.data and is_own(args.data) else (None, {})
    if args.resume:
        folder, plan = _go_on(args, given, word, data, files)
    else:
        cls, more = own_model(word) if word and is_own(word) else (None, {})
        if args.out:
            RunFolder(args.out).check_unused()
        with locate_data_errors(args.data):
            plan = new_plan(given | ({"model": word} if word else {}), cls, data)
        command = shlex.join(["minigan", *sys.argv[1:]])
        plan = plan._replace(config=replace(plan.config, own=(more | files) or None, command=command))
        data_name = next(iter(plan.sources.values())).name.partition("/")[0]  # of one folder's sets: sets/A
        name = f"{short_name(plan.config.model)}-{data_name}"
        folder = RunFolder(args.out or RUNS / name)
    chosen = args.resume or args.out  # otherwise the first free folder of RUNS/NAME, NAME-2, …
    options.check_writable(chosen or RUNS)
    if args.dry_run:
        return _dry_run(plan)
    folder = folder if chosen else RunFolder.lock_free(folder.path)
    with opened(plan, folder, bool(args.resume), warn) as run:
        run.report.when_written = open_page if args.open else None
        return _train(run, args.quiet)


def _go_on(
    args: argparse.Namespace, given: dict[str, Any], word: str | None, data: Any, files: dict[str, str]
) -> tuple[RunFolder, Plan]:
    """Return the folder and the plan of a resumed run."""
    for name in ("out", "init_from"):
        if getattr(args, name):
            raise UsageError(f"{flag(name)} can't be given with --resume: a run continues in its own folder")
    folder, config, cls = options.read_run("train --resume", args.resume, word, args.data or "")
    config = extend(config, given, cls)
    config = replace(config, own=((config.own or {}) | files) or None)
    with locate_data_errors(args.data):
        return folder, plan_of_resumed(config, cls, data)


def _dry_run(plan: Plan) -> int:
    """Print the networks and the cost of a step, and time a few steps, without writing any file."""
    config, cls, sources, _ = plan
    print(summarize(build_model(config, cls, CPU), config, config.shapes))
    model = build_model(config, cls)
    with feeds_of(config, sources, model) as feeds:
        doctor = Doctor(model, config, None)
        stepper = Stepper(model, feeds, config, doctor)
        progress = Progress(config.n_steps, quiet=True, steps_per_epoch=steps_per_epoch(config, model))
        end = time.perf_counter() + TIMED_S
        while progress.step < 3 or (time.perf_counter() < end and progress.step < config.n_steps):
            stepper.advance()
            model.device.synchronize()
            progress.advance()
        print("\n" + forecast(config.n_steps, progress.seconds_a_step() or 0.0, progress.steps_per_epoch))
    print_notes(model.heuristics(config.batch_size))
    for source in sources.values():
        print_notes(source.notes)
    for note in doctor.at_start():
        print(f"note: {note.sentence}")
    return 0


def _train(run: Run, quiet: bool) -> int:
    """Train, and print a summary. Returns the exit status."""
    signal = _train_on(run, quiet)
    stepper, folder = run.stepper, run.folder
    if signal:
        say(f"interrupted after step {stepper.step}, checkpoint saved: {resume_command(folder.path)}", sys.stderr)
        return 128 + signal
    if not quiet:
        minutes, seconds = divmod(round(stepper.seconds), 60)
        say(f"{count_steps(stepper.step)} in {minutes} min {seconds} s: see report.html in {folder.path}")
        if run.best.step:
            say(f"best.npz is of step {run.best.step}, with {run.best.judgement.words} {run.best.value:.4g}")
    return 0


def _train_on(run: Run, quiet: bool) -> int:
    """Train, and return 0 or the number of the signal that interrupted training."""
    config, folder, sources = run.config, run.folder, run.feeds.sources.values()
    if not quiet:
        on = " and ".join(source.describe() for source in sources)
        held_out = len(run.gallery.held_out)
        on += f" ({held_out:,} more are held out)" if held_out else ""
        say(f"{config.model} on {on}; steps {run.stepper.step} to {config.n_steps}, into {folder.path}")
        print_notes(run.model.heuristics(config.batch_size))
        for source in sources:
            print_notes(source.notes)
        if not run.best.key and (why := about_best(run.model, run.gallery.held_out)):
            print_notes((why,))
    try:
        with closing(progress_of(run, quiet)) as progress:
            return run.train(progress)
    except (DataError, CheckpointError, OSError) as error:
        if not folder.checkpoints():
            raise
        go_on = f"go on with {resume_command(folder.path)}"
        then = go_on if run.saved_step < config.n_steps else f"it is in {folder.path}"
        raise TrainingError(f"{sentence(error)}; the checkpoint of step {run.saved_step} is kept: {then}") from error


def _named_model(words: Sequence[str]) -> str | None:
    """Find the model in a command line that isn't parsed yet."""
    for before, word in zip(["", *words], words, strict=False):
        named = word.removeprefix("--model=")
        if named in MODELS or (is_own(named) and not named.startswith("-") and before != "--data"):
            return named
    return None


def _decay(text: str) -> float:
    if text in MODELS or is_own(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number: write the model first, train {text} --ema")
    return options.fraction(text)
