"""The engine stands on its own: it imports nothing of the workshop, and trains without a file of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rooms import ENGINE, FILES, MODULES, PACKAGE, all_imports, engine_files, room_of

from minigan.gans import MODELS

PROGRAM = Path(__file__).with_name("engine_alone.py")
IN_A_FUNCTION = {"minigan.translators.damages": {"PIL"}}  # imported when it is called: JPEG compression


def test_the_engine_imports_itself_the_standard_library_and_numpy():
    rooms = {room for row in ENGINE for room in row}
    for module, name in MODULES.items():
        if room_of(module) in rooms:
            others = all_imports(FILES[name])
            assert {room_of(other) for other in others & MODULES.keys()} <= rooms, module
            roots = {other.partition(".")[0] for other in others - MODULES.keys()}
            assert roots - sys.stdlib_module_names <= {"numpy", "cupy"} | IN_A_FUNCTION.get(module, set()), module


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with the engine's files and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    for name in ("__init__.py", *engine_files()):
        (folder / "minigan" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, folder / "minigan" / name)
    return folder


def train(folder, kernels):
    """Run the program in a folder with the package of that folder; return the numbers and the modules it loaded."""
    environment = os.environ | {"PYTHONPATH": str(folder), "MINIGAN_KERNELS": kernels}
    run = subprocess.run(
        [sys.executable, PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    *numbers, packages, modules = run.stdout.splitlines()
    return np.array([float(word) for line in numbers for word in line.split()]), packages, modules.split(",")


def test_a_gan_trains_on_the_engines_files_alone_with_both_kernels(alone):
    """In float64 a few million roundings of 1e-16 end far below 1e-9; a wrong term in a kernel would not."""
    fast, packages, modules = train(alone, "")
    assert packages == "minigan numpy"
    assert {room_of(module) for module in modules} <= {room for row in ENGINE for room in row}
    assert len(fast) == 3 * 3 + 1
    assert np.isfinite(fast).all()
    reference, *_ = train(alone, "reference")
    np.testing.assert_allclose(reference, fast, rtol=1e-9)


STEP_OF_EACH_GAN = """
import sys
sys.modules["PIL"] = sys.modules["tqdm"] = None
import numpy as np
from minigan.gans import MODELS
from minigan.model import Now
from minigan.options import arguments_of

rng = np.random.default_rng(0)
for name, model in MODELS.items():
    shape = (32, 32, 1) if name == "biggan" else (16, 16, 1)
    batch = {"real": np.tanh(rng.standard_normal((4, *shape), np.float32)), "label": np.arange(4) % 2}
    small = {"latent_dim": 6, "features": 2, "n_classes": 2, "labels": True}
    small = {argument: value for argument, value in small.items() if argument in arguments_of(model)}
    measured = model(shape, **small, rng=rng).step(lambda: batch, rng, Now(0, 0, rng))
    assert all(np.isfinite(value) for value in measured.values()), name
    print(name)
"""


def test_every_gan_makes_a_step_on_the_engines_files_alone(alone):
    environment = os.environ | {"PYTHONPATH": str(alone)}
    command = [sys.executable, "-c", STEP_OF_EACH_GAN]
    run = subprocess.run(command, cwd=alone, env=environment, capture_output=True, text=True, timeout=300)
    assert (run.stderr, run.stdout.split()) == ("", list(MODELS))
