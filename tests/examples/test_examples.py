"""Run every example, small, in a folder of its own, and check what its docstring promises."""

import ast
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.layers import Dense, LeakyReLU, Sequential

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SMALL = {
    "judge_digits.py": ["--steps", "3", "--gan-steps", "2", "--samples", "30"],
    "ring_by_hand.py": ["--steps", "60"],
    "dcgan_digits.py": ["--steps", "3", "--batch-size", "8"],
    "your_own_layer.py": ["--steps", "10", "--examples", "10"],
    "your_own_pictures.py": ["--steps", "2", "--batch-size", "4", "--features", "2"],
}
PICTURES = {
    "judge_digits.py": {"real-digits-16x16x1.png", "dcgan-2-steps.png"},
    "ring_by_hand.py": {"ring.png"},
    "dcgan_digits.py": {"real.png", "digits-00003.png"},
    "your_own_layer.py": {"swish.png"},
    "your_own_pictures.py": {"real.png", "samples-00002.png", "walk.png"},
}


def run(name, arguments, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=900)


def load(name):
    spec = spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_writes_its_pictures_where_it_is_told(example, tmp_path):
    result = run(example.name, [*SMALL[example.name], "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    assert {path.name for path in tmp_path.iterdir()} - {".hypothesis"} == {"out"}
    for name in PICTURES[example.name]:
        assert np.ptp(np.asarray(Image.open(tmp_path / "out" / name))) > 0, f"{name} is blank"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_docstring_says_how_to_run_it_and_what_to_see(example):
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
    assert f"python examples/{example.name}" in docstring
    assert "Shows" in docstring and "What you should see" in docstring
    assert re.search(r"about .*(second|minute)", docstring)


def test_ring_by_hand_uses_numpy_alone():
    tree = ast.parse((ROOT / "examples" / "ring_by_hand.py").read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"argparse", "pathlib", "numpy", "PIL"}


def test_ring_by_hand_has_the_gradients_of_the_layers():
    ring, rng = load("ring_by_hand"), np.random.default_rng(0)
    parameters = [p.astype(np.float64) for p in ring.new_network([3, 5, 5, 2], rng)]
    network = Sequential(Dense(3, 5), LeakyReLU(0.2), Dense(5, 5), LeakyReLU(0.2), Dense(5, 2)).to(dtype=np.float64)
    for i, layer in enumerate(network.layers[::2]):
        layer.W[...], layer.b[...] = parameters[2 * i], parameters[2 * i + 1]
    x, dy = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))

    y, cache = ring.forward(parameters, x)
    dx, gradients = ring.backward(parameters, dy, cache)
    expected_y, expected_cache = network.forward(x)
    np.testing.assert_allclose(y, expected_y)
    np.testing.assert_allclose(dx, network.backward(dy, expected_cache), rtol=1e-12)
    for gradient, (_, expected) in zip(gradients, network.parameters().named().values(), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


@pytest.mark.slow
def test_ring_by_hand_covers_the_ring(tmp_path):
    result = run("ring_by_hand.py", ["--out", "out"], tmp_path)
    modes, on_target = re.findall(r"modes (\d) of 8  on target (\d+)%", result.stdout)[-1]
    assert int(modes) == 8 and int(on_target) >= 75


def test_your_own_pictures_takes_a_folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    arguments = [*SMALL["your_own_pictures.py"], "--data", "pictures", "--out", "out"]
    result = run("your_own_pictures.py", arguments, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "8 pictures of 16x16x3" in result.stdout
