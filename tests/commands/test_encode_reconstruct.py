"""`minigan encode` and `reconstruct`: codes, reconstructions, walks between pictures, classes exchanged; refusals."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

from minigan.commands.encoded import in_batches
from minigan.commands.reconstruct import CHANGES
from minigan.commands.walks import FILM_STEPS, STEPS
from minigan.data import open_dataset
from minigan.training.build import open_model
from minigan.training.folder import RunFolder
from minigan.training.pictures import to_bytes, to_image


def gray(path):
    """A gray picture as bytes (H, W, 1)."""
    return np.asarray(Image.open(path).convert("L"))[..., None]


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """A tiny run, and a folder of three pictures of its data: digits of the classes 0, 1 and 2."""
    folder = tmp_path_factory.mktemp("vae")
    small = "--img-size 16 --features 1 --latent-dim 3 --limit 60 --n-steps 3 --batch-size 8 --quiet"
    assert run(f"train vae --data digits {small} --out {folder}/run") == 0
    (folder / "in").mkdir()
    data = open_dataset("digits", 16)
    for k in range(3):
        picture = data.batch(np.flatnonzero(data.labels == k)[:1])[0]
        to_image(to_bytes(picture)).save(folder / "in" / f"{k}.png")
    return folder


@pytest.fixture
def opened(vae):
    """Its model, and the three pictures."""
    folder = RunFolder(vae / "run")
    model, _ = open_model(folder, folder.config(), None, "cpu", None, print)
    x = [gray(vae / "in" / f"{k}.png").astype(np.float32) / 127.5 - 1 for k in range(3)]
    return model, np.stack(x)


def test_codes_that_sample_draws_again(vae, opened, capsys):
    model, x = opened
    assert run(f"encode {vae}/run {vae}/in -o codes") == 0
    assert capsys.readouterr().out == "3 codes of 3 numbers are in codes\n"
    z = np.stack([np.load(f"codes/{k}.npz")["z"] for k in range(3)])
    np.testing.assert_array_equal(z, model.encode(x))
    head, *rows = Path("codes/codes.csv").read_text().splitlines()
    assert head == "picture,z0,z1,z2"
    assert [row.split(",")[0] for row in rows] == ['"0"', '"1"', '"2"']
    np.testing.assert_allclose([[float(n) for n in row.split(",")[1:]] for row in rows], z, rtol=1e-5)
    assert run(f"sample {vae}/run --seed codes/0.npz,codes/2.npz --separate --out drawn") == 0
    np.testing.assert_array_equal(gray("drawn/2.png"), to_bytes(model.reconstruct(x))[2])


def test_reconstructions_and_their_errors(vae, opened, capsys):
    model, x = opened
    assert run(f"reconstruct {vae}/run {vae}/in/1.png {vae}/in/1.png -o out") == 0
    found = model.reconstruct(x)[1]
    error = np.square(found - x[1]).mean()
    assert f"{error:.4f}" in capsys.readouterr().out.splitlines()[3]  # the mean of both
    measured = json.loads(Path("out/reconstruction.json").read_text())
    assert list(measured) == ["1", "1-2"]
    assert measured["1"]["error"] == pytest.approx(error, rel=1e-5)
    assert measured["1"]["psnr"] == pytest.approx(10 * np.log10(4 / error), rel=1e-5)
    for name in ("1", "1-2"):
        np.testing.assert_array_equal(gray(f"out/{name}.png"), to_bytes(found))
    assert sorted(path.name for path in Path("out/table").iterdir()) == ["reconstructions.png"]


def test_a_walk_goes_in_a_straight_line_from_picture_to_picture(vae, opened, monkeypatch):
    model, x = opened
    seen = []
    monkeypatch.setattr(type(model), "generate", lambda self, z, labels=None: seen.append(z) or self.reconstruct_(z))
    monkeypatch.setattr(type(model), "reconstruct_", lambda self, z: self.drawing("decoder").output(z), raising=False)
    assert run(f"reconstruct {vae}/run {vae}/in --interpolate -o out") == 0
    z = model.encode(x)
    grid, film = (np.concatenate([s for s in seen if len(s) == n]) for n in (2 * STEPS, 2 * (FILM_STEPS + 1)))
    for walk, steps in ((grid, STEPS), (film, FILM_STEPS + 1)):
        rows = walk.reshape(2, steps, 3)
        np.testing.assert_allclose(rows[:, 0], z[:-1], atol=1e-6)
        np.testing.assert_allclose(rows[:, -1], z[1:], atol=1e-6)
        np.testing.assert_allclose(np.diff(rows, axis=1), np.diff(rows, axis=1)[:, :1].repeat(steps - 1, 1), atol=1e-6)
    with Image.open("out/table/interpolation.gif") as gif:
        assert gif.n_frames == 2 * FILM_STEPS + 1


@pytest.mark.parametrize("own", [False, True])
def test_a_class_is_exchanged_by_the_difference_of_mean_codes(vae, opened, own, monkeypatch):
    """Of the run's own data, or of a folder with a folder for each class."""
    model, x = opened
    seen, generate = [], type(model).generate
    monkeypatch.setattr(type(model), "generate", lambda self, z, labels=None: seen.append(z) or generate(self, z))
    if own:
        data, labels = x, np.array([0, 1, 2])
        for k in range(3):
            Path(f"sorted/class{k}").mkdir(parents=True)
            Image.open(vae / "in" / f"{k}.png").save(f"sorted/class{k}/a.png")
        words = "--from class0 --to class2 --labels sorted"
    else:
        sources = open_dataset("digits", 16, limit=60)
        data, labels = sources.batch(np.arange(60)), sources.labels
        words = "--from 0 --to 2"
    assert run(f"reconstruct {vae}/run {vae}/in {words} --strength 2 -o out") == 0
    change = model.encode(data[labels == 2]).mean(0) - model.encode(data[labels == 0]).mean(0)
    for z, t in zip(seen[1:], CHANGES, strict=True):
        np.testing.assert_allclose(z, model.encode(x) + 2 * t * change, rtol=1e-4, atol=1e-5)
    assert Path("out/table/changed.png").exists()


def test_pictures_go_through_in_batches(opened):
    model, x = opened
    many = np.tile(x, (90, 1, 1, 1))  # 270, more than a batch
    np.testing.assert_allclose(in_batches(model.reconstruct, model, many)[267:], model.reconstruct(x), atol=1e-6)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("reconstruct {run} {in} --from 0", "--from and --to are two classes, and only one is given"),
        ("reconstruct {run} {in} --strength 2", "--strength is of a change of class"),
        ("reconstruct {run} {in} --labels digits", "--labels is of a change of class"),
        ("reconstruct {run} {in} --from 0 --to nine", "there is no class 'nine'"),
        ("reconstruct {run} {in} --from 0 --to 1 --labels {in}", "in has no classes: give data that has"),
        ("reconstruct {run} {in} --from 0 --to 1 --strength nan", "--strength: nan is not finite"),
        ("reconstruct {run} {in}/0.png --interpolate", "--interpolate goes from picture to picture: give two or more"),
        ("reconstruct {run} {in} -o {in}/0.png", "because .*0.png is not a folder"),
        ("encode {run} nothing.png", "there is no file nothing.png"),
        ("encode {run} .", "has no pictures in it"),
        ("encode nowhere {in}", "nowhere does not exist"),
    ],
)
def test_refusals(vae, capsys, line, sentence):
    capsys.readouterr()
    err = refused(capsys, line.format(**{"run": vae / "run", "in": vae / "in"}))
    assert re.search(sentence, err), err


def test_a_picture_of_another_size_is_resized_if_asked(vae, capsys):
    capsys.readouterr()
    Image.new("L", (20, 30)).save("large.png")
    assert "large.png has 30x20 pixels, and the run draws 16x16" in refused(capsys, f"encode {vae}/run large.png")
    assert run(f"encode {vae}/run large.png --resize") == 0
    assert (vae / "run" / "codes" / "large.npz").exists()


def test_a_gan_has_no_encoder(capsys):
    assert run("train dcgan --data digits --img-size 16 --features 1 --limit 16 --n-steps 1 --out run --quiet") == 0
    Image.new("L", (16, 16)).save("a.png")
    capsys.readouterr()
    for command in ("encode", "reconstruct"):
        err = refused(capsys, f"{command} run a.png")
        assert "dcgan has no encoder, as vae and vaegan do: minigan project run finds codes by a search" in err
