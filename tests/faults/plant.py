"""Plant faults in everything that computes a derivative, and see whether the default tests find them.

    python tests/faults/plant.py                                  every fault: hours
    python tests/faults/plant.py minigan/losses.py                those of some files
    python tests/faults/plant.py --sample 200 --seed 3            a random choice of all
    python tests/faults/plant.py --list                           the files, how many faults each has, and its tests

A fault is a small change to one function (`mutations.py`): an operation turned round, a term or factor left out, a
comparison that is off at its boundary, a constant that is another, a statement that is missing. The tests of the module
are collected once; then for each fault a child process is forked, the changed code is put into the function there, and
the tests (those of TESTS that aren't slow) run until one fails. Faults that change nothing are listed with the reason
in `equivalent.py`.

Faults in a reference kernel are planted while reference kernels run, those in all other files while fast kernels run.

Exit status 1 if a fault is not found that isn't in that list.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import FunctionType

ROOT = Path(__file__).resolve().parents[2]
LONGER = 10  # times as long as without a fault, and half a minute: then a child is stuck, and its fault is found

# Each module with its tests, the quickest first
LAYERS = ("layers/test_refusals.py", "layers/test_gradients.py", "testing/test_report.py", "layers/test_devices.py")
COMPOSITES = tuple(f"layers/test_{name}.py" for name in ("composite", "containers", "conditional", "branches"))
PENALTIES = ("penalties/test_penalties.py", "penalties/test_penalty_gradients.py", "penalties/test_penalty_faults.py")
PENALTIES += ("penalties/test_path_length.py",)
STEPS = tuple(f"gans/test_{name}.py" for name in ("dcgan", "family", "gan", "what_gans_declare"))
AUTOENCODERS = ("autoencoders/test_autoencoder_networks.py", "autoencoders/test_autoencoders.py")
TESTS = {
    "kernels/convolution.py": ("kernels/test_convolution.py",),
    "kernels/geometry.py": (
        "kernels/test_convolution.py",
        "kernels/test_windows.py",
        "layers/test_dense_and_conv.py",
        *LAYERS,
    ),
    "kernels/windows.py": ("kernels/test_windows.py", "layers/test_max_pooling.py", *LAYERS),
    "kernels/elementwise.py": ("kernels/test_elementwise.py", *LAYERS),
    "kernels/lines.py": ("kernels/test_lines.py",),
    "kernels/normalize.py": ("kernels/test_normalize.py", "layers/test_norms.py"),
    "kernels/reductions.py": ("kernels/test_normalize.py",),
    "kernels/fast/convolution.py": ("kernels/test_minimal.py", "kernels/test_convolution.py", *LAYERS),
    "kernels/fast/depthwise.py": ("kernels/test_convolution.py",),
    "kernels/fast/lines.py": ("kernels/test_lines.py",),
    "kernels/fast/minimal.py": ("kernels/test_minimal.py", *LAYERS),
    "kernels/fast/patches.py": ("kernels/test_convolution.py", "kernels/test_windows.py", *LAYERS),
    "kernels/fast/planes.py": ("kernels/test_planes.py", *LAYERS),
    "kernels/fast/tiles.py": ("kernels/test_tiles.py", "kernels/test_minimal.py", *LAYERS),
    "kernels/fast/windows.py": ("kernels/test_windows.py",),
    "kernels/fast/elementwise.py": ("kernels/test_elementwise.py", "layers/test_activations.py"),
    "kernels/fast/normalize.py": ("kernels/test_normalize.py", "layers/test_norms.py"),
    "kernels/fast/reductions.py": ("kernels/test_normalize.py", "layers/test_norms.py"),
    "layers/activations.py": ("layers/test_activations.py", *LAYERS),
    "layers/adain.py": ("layers/test_adain.py", *LAYERS),
    "layers/affine.py": ("layers/test_adaptive_affine.py", "layers/test_norms.py", *LAYERS),
    "layers/attention.py": ("layers/test_attention.py", *LAYERS),
    "layers/base.py": ("layers/test_base.py", "layers/test_own_layers.py", "layers/test_containers.py", LAYERS[0]),
    "layers/bicubic.py": ("layers/test_bicubic.py", *LAYERS),
    "layers/bilinear.py": ("layers/test_bilinear.py", *LAYERS),
    "layers/blocks.py": ("layers/test_blocks.py", "gans/test_wgan_gp.py"),
    "layers/branches.py": ("layers/test_branches.py", "layers/test_skip.py", *LAYERS),
    "layers/composite.py": (*COMPOSITES, *LAYERS),
    "layers/constant.py": ("layers/test_style_layers.py", *LAYERS),
    "layers/containers.py": (*COMPOSITES, "layers/test_own_layers.py", "layers/test_blocks.py", *LAYERS),
    "layers/conv.py": ("layers/test_dense_and_conv.py", "layers/test_initializers.py", *LAYERS),
    "layers/dense.py": ("layers/test_dense_and_conv.py", "layers/test_initializers.py", *LAYERS),
    "layers/dropout.py": ("layers/test_dropout_and_shape.py", *LAYERS),
    "layers/embedding.py": ("layers/test_embedding.py", *LAYERS),
    "layers/equalized.py": ("layers/test_equalized.py", *LAYERS),
    "layers/fade.py": ("layers/test_fade.py", *LAYERS),
    "layers/initializers.py": ("layers/test_initializers.py", "layers/test_pixel_shuffle.py"),
    "layers/minibatch.py": ("layers/test_minibatch.py", *LAYERS),
    "layers/modulated.py": ("layers/test_modulated.py", *LAYERS),
    "layers/noise.py": ("layers/test_style_layers.py", *LAYERS),
    "layers/norms.py": ("layers/test_norms.py", "layers/test_conditional.py", *LAYERS),
    "layers/padding.py": ("layers/test_padding.py", *LAYERS),
    "layers/pixel_norm.py": ("layers/test_pixel_norm.py", *LAYERS),
    "layers/pixel_shuffle.py": ("layers/test_pixel_shuffle.py", *LAYERS),
    "layers/pooling.py": ("layers/test_pooling.py", "layers/test_max_pooling.py", *LAYERS),
    "layers/projection.py": ("layers/test_projection.py", *LAYERS),
    "layers/reparametrize.py": ("layers/test_reparametrize.py", *LAYERS),
    "layers/resample.py": ("layers/test_resample.py", *LAYERS),
    "layers/shape.py": ("layers/test_dropout_and_shape.py", "layers/test_adaptive_affine.py", *LAYERS),
    "layers/softmax.py": ("layers/test_activations.py", *LAYERS),
    "layers/spectral_norm.py": ("layers/test_spectral_norm.py", *LAYERS),
    "optim.py": ("test_optim.py",),
    "losses.py": ("test_losses.py",),
    "penalties.py": PENALTIES,
    "gans/dcgan.py": STEPS,
    "gans/gan.py": ("gans/test_gan.py", *STEPS),
    "gans/cgan.py": ("gans/test_conditional_gans.py", *STEPS),
    "gans/cdcgan.py": ("gans/test_conditional_gans.py", *STEPS),
    "gans/lapgan.py": ("gans/test_lapgan.py",),
    "gans/growing_style.py": ("gans/test_growing_style.py",),
    "gans/stylegan.py": ("gans/test_stylegan.py",),
    "gans/lsgan.py": ("gans/test_lsgan.py", *STEPS),
    "gans/growing.py": ("gans/test_progan.py",),
    "gans/progan.py": ("gans/test_progan.py",),
    "gans/biggan.py": ("gans/test_biggan.py", *STEPS),
    "gans/sngan.py": ("gans/test_sngan.py", *STEPS),
    "gans/style_networks.py": ("gans/test_style_networks.py", "penalties/test_path_length.py"),
    "gans/stylegan2.py": ("gans/test_stylegan2.py",),
    "gans/half_life.py": ("gans/test_stylegan2.py",),
    "gans/wgan.py": ("gans/test_wgan.py", *STEPS),
    "gans/wgan_gp.py": ("gans/test_wgan_gp.py", *STEPS),
    "autoencoders/ganomaly.py": ("autoencoders/test_ganomaly.py",),
    "translators/cyclegan.py": ("translators/test_cyclegan.py",),
    "translators/image_pool.py": ("translators/test_image_pool.py", "translators/test_cyclegan.py"),
    "translators/luminance.py": ("translators/test_luminance.py",),
    "translators/filling.py": ("translators/test_filling.py", "translators/test_restore.py"),
    "translators/dncnn.py": ("translators/test_restore.py",),
    "translators/restore.py": ("translators/test_restore.py",),
    "translators/maps.py": ("translators/test_maps_in_color.py", "translators/test_pix2pix.py"),
    "translators/pix2pix.py": ("translators/test_pix2pix.py",),
    "translators/content.py": ("translators/test_content.py", "translators/test_srgan.py"),
    "translators/enlarger.py": ("translators/test_enlarger.py",),
    "translators/large_critic.py": ("translators/test_enlarger.py", "translators/test_srgan.py"),
    "translators/srgan.py": ("translators/test_srgan.py",),
    "translators/srresnet.py": ("translators/test_srresnet.py",),
    "translators/super_resolution.py": ("translators/test_srresnet.py",),
    "autoencoders/base.py": AUTOENCODERS,
    "autoencoders/networks.py": AUTOENCODERS,
    "autoencoders/vae.py": AUTOENCODERS,
    "autoencoders/vaegan.py": AUTOENCODERS,
}

# The other files of the engine, and why no faults are planted there
NO_DERIVATIVE = {
    "errors.py": "words of errors",
    "backend.py": "devices and where arrays are",
    "threads/blas.py": "how many threads BLAS has",
    "threads/crew.py": "which thread does what",
    "threads/partition.py": "how work is cut, which tests/threads holds",
    "kernels/twin.py": "which of two kernels runs",
    "layers/parameters.py": "where parameters are stored",
    "layers/reach.py": "how far a layer looks around, for tiles",
    "options.py": "help of options",
    "model.py": "the contract",
    "models.py": "models by name",
    "gans/base.py": "networks and latents handed on",
    "gans/networks.py": "networks, of layers that have tests of their own",
    "translators/damages.py": "what the data is, not a derivative",
    "gans/lapgan_networks.py": "networks, of layers that have tests of their own",
    "gans/resnet.py": "networks, of layers that have tests of their own",
    "translators/norms.py": "norms by name",
    "translators/patchgan.py": "networks, of layers that have tests of their own",
    "translators/resnet.py": "networks, of layers that have tests of their own",
    "translators/unet.py": "networks, of layers that have tests of their own",
}


class Planter:
    """A pytest plugin that runs the collected tests once for each fault, in a child process."""

    def __init__(self, file: str, planted: list) -> None:
        self.file, self.planted = file, planted
        self.module = "minigan." + file.removesuffix(".py").replace("/", ".")
        self.outcomes: Counter = Counter()
        self.healthy, self.seconds = False, float("inf")

    def pytest_runtestloop(self, session) -> bool:
        """Instead of pytest's own loop."""
        began = time.monotonic()
        self.healthy = not session.testsfailed and self._survives(session, None)
        self.seconds = 30 + LONGER * (time.monotonic() - began)
        for fault in self.planted if self.healthy else ():
            self.outcomes[self._outcome(session, fault)] += 1
        return True

    def _outcome(self, session, fault) -> str:
        from equivalent import EQUIVALENT

        if not self._survives(session, fault):
            return "found"
        name = ".".join(fault.path)
        reason = EQUIVALENT.get((self.file, name, fault.change)) or EQUIVALENT.get((self.file, name, "*"))
        outcome = "changes nothing" if reason else "not found"
        print(f"  {outcome}: {self.file}, {fault}{f' ({reason})' if reason else ''}", flush=True)
        return outcome

    def _survives(self, session, fault) -> bool:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 1  # a test that fails, in whatever way
            try:
                status = self._run(session, fault)
            finally:
                os._exit(status)
        began = time.monotonic()
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() - began > self.seconds:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        return ended[1] == 0

    def _run(self, session, fault) -> int:
        from _pytest.runner import runtestprotocol

        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1), os.dup2(silence, 2)
        if fault is not None:
            _function(self.module, fault.path).__code__ = fault.code
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                return 1
        return 0


def _function(module: str, path: tuple[str, ...]) -> FunctionType:
    """The function of a name, without what wraps it; of a kernel with a fast twin, the reference."""
    found = importlib.import_module(module)
    for name in path:
        found = vars(found)[name]
    while True:
        inner = [getattr(found, name, None) for name in ("__func__", "fget", "__wrapped__")]
        if not any(inner):
            return found
        found = next(filter(None, inner))


def main() -> int:
    """Plant the faults. Returns 1 if some weren't found."""
    parser = argparse.ArgumentParser(description="Plant faults in the derivatives, and see whether tests find them.")
    parser.add_argument("files", nargs="*", type=Path, help="default: all that compute a derivative")
    parser.add_argument("--sample", type=int, help="only so many faults, drawn by the seed (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="list files, their numbers of faults and their tests")
    args = parser.parse_args()
    # the tests' own cases, the same every time, and no time spent on finding smaller ones
    os.environ.update(CI="1", HYPOTHESIS_PROFILE="faults", OMP_NUM_THREADS="1")
    names = [os.path.relpath(path.resolve(), ROOT / "minigan") for path in args.files] or list(TESTS)
    for name in names:
        if name not in TESTS:
            parser.error(f"{name} has no tests here: choose from {', '.join(TESTS)}")
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "faults")]
    if args.list:
        return _list(names)
    everything = [(name, fault) for name in names for fault in _faults(name)]
    chosen = everything
    if args.sample is not None and args.sample < len(everything):
        chosen = random.Random(args.seed).sample(everything, args.sample)
    print(f"{len(chosen)} of {len(everything)} faults", flush=True)
    return _report([_plant(name, [fault for where, fault in chosen if where == name]) for name in names])


def is_reference(name: str) -> bool:
    """Whether a file holds reference kernels; geometry.py serves both."""
    return name.startswith("kernels/") and not name.startswith("kernels/fast/") and name != "kernels/geometry.py"


def _list(names: list[str]) -> int:
    for name in names:
        kernels = " (with reference kernels)" if is_reference(name) else ""
        print(f"{len(_faults(name)):5} {name}{kernels}: {', '.join(TESTS[name])}")
    return 0


def _faults(name: str) -> list:
    from mutations import faults

    path = ROOT / "minigan" / name
    found = faults(path.read_text(encoding="utf-8"), str(path))
    if not name.startswith("gans/"):
        return list(found)
    # the rest of these files builds networks, of layers that have tests of their own
    return [fault for fault in found if len(fault.path) == 2 and fault.path[1] != "__init__"]


def _plant(name: str, planted: list) -> Counter:
    """Plant faults into one module; print those that survive. Returns how many there are of each outcome."""
    import pytest

    from minigan.kernels.twin import reference_kernels

    if not planted:
        return Counter()
    began, planter = time.monotonic(), Planter(name, planted)
    tests = [str(ROOT / "tests" / test) for test in TESTS[name]]
    silent = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler"]
    with reference_kernels() if is_reference(name) else nullcontext():
        pytest.main([*silent, "-m", "not slow", *tests], plugins=[planter])
    if not planter.healthy:
        raise SystemExit(f"the tests of {name} fail without a fault: mend them first")
    print(f"{name}: {dict(planter.outcomes)}, {time.monotonic() - began:.0f} s", flush=True)
    return planter.outcomes


def _report(counts: list[Counter]) -> int:
    total = sum(counts, Counter())
    changing = total["found"] + total["not found"]
    print(f"{total['found']} of {changing} faults found; {total['changes nothing']} more change nothing")
    return 1 if total["not found"] else 0


if __name__ == "__main__":
    sys.exit(main())
