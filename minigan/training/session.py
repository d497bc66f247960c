"""Starts and resumes runs, for the command line and for Python programs.

run = train(DCGAN, pictures, "runs/mine", n_steps=2000)      # (N, H, W, C), a dict of arrays, or a data set
samples = run.model.generate(run.model.latent(64, run.model.device.rng(0)))
"""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.common.user_code import is_own, own_data, own_model
from minigan.common.words import either
from minigan.data import AUGMENTATIONS, Feeds, HeldOut, NothingHeldOut
from minigan.errors import CheckpointError
from minigan.metrics import open_features, read_network
from minigan.model import Model, can
from minigan.models import MODELS
from minigan.training.build import build_model, model_class, open_checkpoint
from minigan.training.changes import changes, extend, fingerprint
from minigan.training.checkpoint import Warn
from minigan.training.folder import RunFolder
from minigan.training.judges import FeatureJudge
from minigan.training.length import steps_per_epoch
from minigan.training.plan import Plan, new_plan
from minigan.training.progress import Progress
from minigan.training.run import Run
from minigan.training.settings import RunConfig
from minigan.training.sources import Sources, check_sources, open_sources, samples_of


def train(
    model: str | type[Model],
    data: Any,
    out: str | os.PathLike,
    *,
    held_out: Any = None,
    resume: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a model in the folder `out`, and return the run, with its `model`, its `folder` and its newest `record`.

    model:    a class, or a name as on the command line
    data:     an array, a dict of arrays by name, a dict of feeds, a data set, or a name or path
    held_out: data of the same kind, for models that judge on held-out data, or patterns of names of files that are held
              out; by default the val or test part of `data`, else a tenth of it
    settings: n_steps, batch_size, seed, … and the model's own arguments
    resume:   resume the run in `out`; a larger n_steps extends it

    Raises MiniganError for invalid arguments or data, and KeyboardInterrupt after an interrupted run has saved a
    checkpoint.
    """
    if isinstance(model, str):
        words, cls = {"model": model}, own_model(model)[0] if is_own(model) else None
    else:
        words, cls = {"model": name_of(model)}, model
    if isinstance(held_out, str | os.PathLike):
        settings, held_out = settings | {"held_out": os.fspath(held_out)}, None
    if isinstance(data, str | os.PathLike):
        words["data"] = str(data)
        data = own_data(words["data"])[0] if is_own(words["data"]) else None
    folder = RunFolder(out)
    if resume:
        plan = plan_of_resumed(extend(folder.config(), settings | words, cls), cls, data, held_out)
    else:
        folder.check_unused()
        plan = new_plan(settings | words, cls, data, held_out)
        plan = plan._replace(config=replace(plan.config, command=shlex.join(["python", *sys.argv])))
    with opened(plan, folder, resume) as run, closing(progress_of(run, quiet)) as progress:
        for line in run.model.heuristics(run.config.batch_size):
            progress.say(f"note: {line}")
        if run.train(progress):
            raise KeyboardInterrupt
        return run


@contextmanager
def opened(plan: Plan, folder: RunFolder, resume: bool = False, warn: Warn = lambda _: None) -> Iterator[Run]:
    """Context manager: lock the folder and yield a run that is ready to train. `warn` receives changes on resume.

    Raises LockedError if another process trains there, TrainingError if the folder of a new run isn't empty.
    """
    config, cls, sources, held_out = plan
    try:
        folder.lock()
        if not resume:  # another process may have trained there since the last check
            folder.check_unused()
        checkpoint = open_checkpoint(folder, config.model, warn=warn) if resume else None
        model = build_model(config, cls)
        if checkpoint:
            step, found = checkpoint.state["step"], changes(folder.config(), config, checkpoint.state)
            for sentence in found:
                warn(sentence)
            config = replace(config, changes=(*config.changes, *(f"step {step:,}: {change}" for change in found)))
        else:
            model.fill_frozen(read_network)
            config = _load_initial_weights(model, config) if config.init_from else config
        with feeds_of(config, sources, model) as feeds:
            damage = getattr(model, "damage", None)
            kept = HeldOut(held_out, model.arrays, model.device, config.seed, damage) if held_out else NothingHeldOut()
            run = Run(model, feeds, config, folder, _judges(config, sources, model), kept)
            if checkpoint:
                run.resume(checkpoint)
            yield run
    finally:
        folder.unlock()


def feeds_of(config: RunConfig, sources: Sources, model: Model) -> Feeds:
    """Return the stream of batches of a run, positioned at its beginning."""
    augment: list[Any] = [AUGMENTATIONS[name] for name in config.augment]
    damage = getattr(model, "damage", None)
    return Feeds(sources, model.arrays, config.batch_size, config.seed, augment, device=model.device, damage=damage)


def plan_of_resumed(config: RunConfig, cls: type[Model] | None = None, data: Any = None, held_out: Any = None) -> Plan:
    """Return the plan of a resumed run, with its data opened again. Raises MiniganError if the data no longer fits."""
    cls = cls or model_class(config.model)
    # nothing is planned anew, but a batch size that doesn't fit is refused before the run is touched
    cls.planned(1, config.model_args | {"batch_size": config.batch_size})
    sources, kept = open_sources(config, cls, data, held_out)
    check_sources(config, sources)
    config = replace(config, samples=samples_of(sources), fingerprint=fingerprint(sources))
    return Plan(config, cls, sources, kept)


def progress_of(run: Run, quiet: bool) -> Progress:
    """Return the progress display of a run, which the caller closes. It shows nothing if `quiet`."""
    epoch = steps_per_epoch(run.config, run.model)
    return Progress(run.config.n_steps, run.stepper.step, quiet, epoch, run.declared)


def name_of(cls: type[Model]) -> str:
    """Return the command-line name of a model, such as `dcgan`, or my_gan.py:MyGAN for a user's own class."""
    for name, one in MODELS.items():
        if one is cls:
            return name
    try:
        file = Path(inspect.getsourcefile(cls) or "program.py").name
    except (TypeError, OSError):  # defined at a prompt
        file = "program.py"
    return f"{file}:{cls.__name__}"


def _load_initial_weights(model: Any, config: RunConfig) -> RunConfig:
    """Copy the weights in `config.init_from` into `model`; return `config` with the checkpoint's path and step.

    The other run is of the same model, or of one that the model may begin with, whose networks it shares.
    """
    other = Path(config.init_from)
    folder, file = (RunFolder(other), None) if other.is_dir() else (RunFolder(other.parent), other)
    checkpoint = open_checkpoint(folder, None if model.begins_with else config.model, file)
    if checkpoint.state["model"] in model.begins_with:
        checkpoint.restore_shared(model)
    elif checkpoint.state["model"] == config.model:
        checkpoint.restore(model, weights_only=True)
    else:
        those = either([config.model, *model.begins_with])
        raise CheckpointError(f"{checkpoint.path} is a checkpoint of {checkpoint.state['model']}, not of {those}")
    return replace(config, init_from=f"{checkpoint.path}, of step {checkpoint.state['step']:,}")


def _judges(config: RunConfig, sources: Sources, model: Any) -> list[Any]:
    """Return the evaluations besides the model's own judgements: FID and Inception Score of generated samples."""
    if not (config.eval_interval and config.eval_features and can(model, "generate")):
        return []
    array = next(name for name, kind in model.arrays.items() if len(config.shapes.get(name, ())) == 3)
    real = sources[model.arrays[array].feed].parts[array]
    network = open_features(config.eval_features, model.device)
    return [FeatureJudge(network, real, config.eval_samples, config.seed, model.device)]
