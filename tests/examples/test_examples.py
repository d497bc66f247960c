"""Run every example, small, in a folder of its own, and check what its docstring promises."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from minigan.layers import Dense, LeakyReLU, ReLU, Sequential
from minigan.penalties import GradientPenalty
from minigan.testing import check_layer
from minigan.testing.differences import along, derivative
from minigan.training import train

ROOT = Path(__file__).resolve().parents[2]
ALL = sorted((ROOT / "examples").glob("*.py"))
GIVEN_TO_TRAIN = ("infogan.py", "my_data.py")  # to `minigan train`: they are no programs
NEED_PHOTOS = ("train_photo_classifier.py", "train_enlarger.py")  # test_train_….py beside this file run them
OF_A_RUN = ("restoration_compared.py",)  # its argument is a trained run
OF_RUNS = (
    "translation_results.py",
    "super_resolution_results.py",
    "growing_results.py",
    "codes_results.py",
    "anomaly_results.py",
    "translate_my_pictures.py",
)  # they call `minigan train`, which prints notes
WITH_TESTS = ("augmentation_study.py",)  # test_augmentation_study.py runs it
NEED_TORCH = ("enlarge_beside_torch.py",)
OTHERS = GIVEN_TO_TRAIN + NEED_PHOTOS + OF_A_RUN + OF_RUNS + WITH_TESTS + NEED_TORCH
EXAMPLES = [path for path in ALL if path.name not in OTHERS]
SMALL = {
    "train_classifier.py": ["--data", "digits", "--steps", "3", "--batch-size", "16"],
    "what_fid_sees.py": ["--limit", "80"],
    "what_kid_sees.py": ["--limit", "20"],
    "ring_by_hand.py": ["--steps", "60"],
    "dcgan_digits.py": ["--steps", "3", "--batch-size", "8"],
    "wgan_gp_broken.py": ["--steps", "2"],
    "translation_broken.py": ["--steps", "2"],
    "super_resolution_broken.py": ["--steps", "3"],
    "growing_broken.py": ["--steps", "3"],
    "wgan_gp_by_hand.py": ["--steps", "20"],
    "your_own_layer.py": ["--steps", "10", "--examples", "10"],
    "your_own_pictures.py": ["--steps", "2", "--batch-size", "4", "--features", "2"],
}
PICTURES = {
    "train_classifier.py": {"digits-held-out.png"},
    "what_fid_sees.py": {"distorted.png"},
    "what_kid_sees.py": {"damaged.png"},
    "ring_by_hand.py": {"ring.png"},
    "dcgan_digits.py": {"real.png", "digits-00003.png"},
    "wgan_gp_broken.py": {"broken.png"},
    "translation_broken.py": {"broken.png"},
    "super_resolution_broken.py": {"broken.png"},
    "growing_broken.py": {"broken.png"},
    "wgan_gp_by_hand.py": {"grid-00020.png", "grid.png"},
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
    with mock.patch.dict(os.environ):  # an example may choose the number of threads, for itself alone
        spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_writes_its_pictures_where_it_is_told(example, tmp_path):
    result = run(example.name, [*SMALL[example.name], "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    assert {path.name for path in tmp_path.iterdir()} - {".hypothesis"} == {"out"}
    for name in PICTURES[example.name]:
        assert np.ptp(np.asarray(Image.open(tmp_path / "out" / name))) > 0, f"{name} is blank"


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "others"), [("noise:25", 3), ("hole:blobs", 2)])
def test_restoration_compared_with_other_methods(damage, others, tmp_path):
    pytest.importorskip("skimage")
    rng = np.random.default_rng(0)
    for i in range(4):
        smooth = rng.uniform(0, 255, (4, 4, 3)).astype(np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(smooth).resize((48, 40), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{i}.png")
    options = {"damage": damage, "img_size": 16, "channels": 1, "features": 2, "depth": 2, "n_steps": 2}
    train("restore", tmp_path / "photos", tmp_path / "r", quiet=True, **options)
    result = run("restoration_compared.py", ["r", "--data", "photos", "--size", "16", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    title, *lines = result.stdout.splitlines()
    assert title.endswith("means of 4 pictures" if damage == "noise:25" else "means of 24 pictures")
    scores = {line[17:].strip(): float(line[:9]) for line in lines if "BM3D" not in line}
    assert len(scores) == others + 1
    if damage == "noise:25":
        assert 19.8 < scores["noisy"] < 20.6 < min(score for name, score in scores.items() if "means" in name)
    else:
        assert 20 < scores["smooth filling"] < scores["biharmonic"]
    assert np.ptp(np.asarray(Image.open(tmp_path / "out" / "compared.png"))) > 0


@pytest.mark.slow
@pytest.mark.parametrize("task", ["denoise", "fill", "photo-to-label", "label-to-photo", "horse-to-zebra", "monet"])
def test_translate_my_pictures_trains_goes_on_and_translates(task, tmp_path):
    load("translation_results").draw_sets(tmp_path)
    data = {"denoise": "t91", "fill": "t91", "horse-to-zebra": "horse2zebra", "monet": "horse2zebra"}.get(
        task, "facades"
    )
    holes = np.zeros((96, 128), np.uint8)
    holes[20:50, 30:60] = 255
    Image.fromarray(holes).save(tmp_path / "mask.png")
    small = ["--train", "--features 4 --batch-size 2", "--out", "out"]
    mask = ["--mask", "mask.png"] if task == "fill" else []
    for steps in ("2", "4"):
        words = [task, data, "t91/0.png", "t91/1.png", "--steps", steps, *mask, *small]
        result = run("translate_my_pictures.py", words, tmp_path)
        assert result.returncode == 0, result.stderr
        assert {path.name for path in (tmp_path / "out" / "results").iterdir()} == {"0.png", "1.png"}
    assert Image.open(tmp_path / "out" / "results" / "0.png").size == (128, 96)
    assert (tmp_path / "out" / "checkpoints" / "step-000004.npz").exists()
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_translation_results_of_all_models_are_made_once_and_resumed(tmp_path):
    """20 steps of each arm, on drawn pictures."""
    first = run("translation_results.py", ["--rehearse", "--only", "fill", "--steps", "10", "--out", "out"], tmp_path)
    assert first.returncode == 0, first.stderr
    result = run("translation_results.py", ["--rehearse", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    arms = load("translation_results").ARMS
    assert set(results) == set(arms)
    for name, found in results.items():
        assert found["steps"] == 20
        assert set(found["evaluations"]) == {"held out", *arms[name].against}
        for title in found["evaluations"]:
            assert list((tmp_path / "out" / "pictures").glob(f"{name}-{title.replace(' ', '-')}-*.png"))
    spent = results["fill"]["time"]["cpu_seconds"]
    again = run("translation_results.py", ["--rehearse", "--only", "fill", "--out", "out"], tmp_path)
    assert json.loads((tmp_path / "out" / "results.json").read_text())["fill"]["time"]["cpu_seconds"] == spent
    assert "step" not in again.stdout  # nothing was trained
    assert "camvid-entropy" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.slow
def test_enlargement_beside_torch_agrees(tmp_path):
    pytest.importorskip("torch")
    result = run("enlarge_beside_torch.py", ["--side", "24", "--rounds", "1", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line[:15].strip() for line in lines] == ["minigan, tiles", "minigan, whole", "PyTorch"]
    assert all(float(line.rpartition("difference ")[2]) < 1e-5 for line in lines)


@pytest.mark.slow
def test_super_resolution_results_of_all_arms_are_made(tmp_path):
    """20 steps of each arm, on drawn pictures."""
    result = run("super_resolution_results.py", ["--rehearse", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    arms = load("super_resolution_results").ARMS
    assert set(results) == set(arms)
    for name, found in results.items():
        assert found["steps"] == 20 and {"Set5", "Set14"} <= found["evaluations"].keys()
        assert all(one["scale"] == arms[name].scale and one["n"] == 2 for one in found["evaluations"].values())
        assert (tmp_path / "out" / "pictures" / f"{name}-Set14.png").is_file()
    assert (tmp_path / "out" / "pictures" / "srgan-x4-crops.png").is_file()
    assert "strength-0.25" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.slow
def test_growing_results_of_all_arms_are_made(tmp_path):
    """20 steps of each arm, on drawn pictures, through every resolution; truncation and projections of one of them."""
    result = run("growing_results.py", ["--rehearse", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    arms = load("growing_results").ARMS
    assert set(results) == {*arms, "real", "truncation", "projections"}
    for name, arm in arms.items():
        assert results[name]["steps"] == 20
        assert {"precision", "recall", "fid" if arm.data == "mnist" else "kid"} <= results[name]["values"].keys()
    assert [one["psi"] for one in results["truncation"]] == [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert [len(results["projections"][name]) for name in ("own", "held-out")] == [10, 10]
    assert "nearer than 1,000 samples" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.slow
def test_anomaly_results_of_some_arms_are_made(tmp_path):
    """20 steps of the arms of one digit, scored beside the simple scores, and a digit with a white spot."""
    words = ["--rehearse", "--only", "digit-8-seed-0", "--out", "out"]
    result = run("anomaly_results.py", words, tmp_path)
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out"
    results = json.loads((out / "results.json").read_text())
    assert set(results) == {f"digit-8-seed-0-{model}" for model in ("ganomaly", "autoencoder")}
    methods = results["digit-8-seed-0-ganomaly"]["methods"]
    assert list(methods) == ["ganomaly", "nearest normal picture", "PCA, 50 components"]
    assert methods["nearest normal picture"]["auroc"] > 0.8
    table = (out / "results.md").read_text()
    assert "| 8 | " in table
    assert "of 4 cases" in table
    assert (out / "blot" / "scored" / "scores.html").is_file()
    kept = (out / "digit-8-seed-0-ganomaly" / "scored" / "scores.json").stat().st_mtime_ns
    assert run("anomaly_results.py", words, tmp_path).returncode == 0  # nothing is done again
    assert (out / "digit-8-seed-0-ganomaly" / "scored" / "scores.json").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_codes_results_of_all_arms_are_made(tmp_path):
    """20 steps of each arm, on drawn digits."""
    result = run("codes_results.py", ["--rehearse", "--out", "out"], tmp_path)
    assert result.returncode == 0, result.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results) == set(load("codes_results").ARMS)
    for one in results.values():
        assert one["pictures"] == 20
        assert 0 < one["pixels"] < 4 and one["features"] > 0 and "kid" in one["kid"]
    assert "| photos-vaegan | 20 |" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.parametrize("example", ALL, ids=lambda path: path.stem)
def test_docstring_says_how_to_run_it_and_what_to_see(example):
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")))
    program = f"python examples/{example.name}"
    assert (f"examples/{example.name}:" if example.name in GIVEN_TO_TRAIN else program) in docstring
    assert "Shows" in docstring and "What you should see" in docstring
    assert re.search(r"about .*(second|minute)", docstring)


@pytest.mark.parametrize("name", ["ring_by_hand", "wgan_gp_by_hand"])
def test_by_hand_uses_numpy_alone(name):
    tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"argparse", "os", "pathlib", "numpy", "PIL"}


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


def critic_by_hand_and_of_layers(f):
    """A critic of wgan_gp_by_hand in float64, the same one made of layers, points, and the example."""
    example, rng = load("wgan_gp_by_hand"), np.random.default_rng(0)
    critic = [
        (W.astype(np.float64), rng.standard_normal(b.shape)) for W, b in example.new_network([2, 6, 5, 6, 1], rng)
    ]
    layers = [Dense(*W.shape) for W, _ in critic]
    activation = {"swish": load("wgan_gp_broken").Swish, "relu": ReLU}[f]
    network = Sequential(*[layer for dense in layers for layer in (dense, activation())][:-1])
    network.to(dtype=np.float64)
    for layer, (W, b) in zip(layers, critic, strict=True):
        layer.W[...], layer.b[...] = W, b
    return example, getattr(example, f), critic, network, rng.standard_normal((7, 2))


def flat(gradients):
    return np.concatenate([g.ravel() for pair in gradients for g in pair])


@pytest.mark.parametrize("f", ["swish", "relu"])
def test_wgan_gp_by_hand_has_the_gradients_of_the_layers(f):
    example, activation, critic, network, x = critic_by_hand_and_of_layers(f)
    dy = np.random.default_rng(1).standard_normal((7, 1))
    y, cache = example.forward(critic, x, activation)
    dx, gradients = example.backward(critic, dy, cache)
    expected_y, expected_cache = network.forward(x)
    np.testing.assert_allclose(y, expected_y, rtol=1e-12)
    np.testing.assert_allclose(dx, network.backward(dy, expected_cache), rtol=1e-12)
    np.testing.assert_allclose(flat(gradients), network.parameters().grads, rtol=1e-11)


@pytest.mark.parametrize("f", ["swish", "relu"])
def test_wgan_gp_by_hand_has_the_penalty_gradient_of_the_layers_and_of_differences(f):
    example, activation, critic, network, x = critic_by_hand_and_of_layers(f)
    P, gradients = example.gradient_penalty(critic, x, activation)
    penalty = GradientPenalty(example.LAMBDA)
    penalty.points = lambda real, fake, rng: x
    np.testing.assert_allclose(P, penalty(network, x, x, None), rtol=1e-12)
    np.testing.assert_allclose(flat(gradients), network.parameters().grads, rtol=1e-9, atol=1e-12)

    for layer, layer_gradients in zip(critic, gradients, strict=True):
        for p, dp in zip(layer, layer_gradients, strict=True):
            direction = np.random.default_rng(2).choice([-1.0, 1.0], p.shape)
            numeric = derivative(along(p, direction, lambda: example.gradient_penalty(critic, x, activation)[0]), 1e-4)
            np.testing.assert_allclose((direction * dp).sum(), numeric, rtol=1e-7, atol=1e-9)
    has_biases = [bool(np.abs(db).max() > 0) for _, db in gradients]
    assert has_biases == [f == "swish"] * 3 + [False]  # they learn in the fourth sweep alone


def test_wgan_gp_broken_forgets_what_it_says():
    """The cosine is 1 for the gradient that is right, and visibly smaller without the second derivative."""
    broken, rng = load("wgan_gp_broken"), np.random.default_rng(0)
    check_layer(broken.Swish(), rng.standard_normal((3, 4)))
    real, fake = rng.standard_normal((2, 16, 2))
    cosines = []
    for activation in (broken.Swish, broken.WithoutSecondDerivative):
        D = broken.dense_network([2, 16, 16, 1], activation, np.random.default_rng(1))
        cosines.append(broken.cosine_with_differences(D, real, fake, GradientPenalty(1.0)))
    assert cosines[0] > 1 - 1e-8
    assert 0 < cosines[1] < 0.99
    epsilon = broken.OneEpsilon().points(np.ones((5, 2)), np.zeros((5, 2)), rng)
    assert np.ptp(epsilon) == 0 < np.ptp(GradientPenalty().points(np.ones((5, 2)), np.zeros((5, 2)), rng))


@pytest.mark.slow
def test_wgan_gp_by_hand_covers_the_grid(tmp_path):
    result = run("wgan_gp_by_hand.py", ["--out", "out"], tmp_path)
    modes, on_target = re.findall(r"modes (\d+) of 25  on target (\d+)%", result.stdout)[-1]
    assert int(modes) == 25 and int(on_target) >= 85


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
