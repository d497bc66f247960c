"""`minigan score`: the scores of a run, a threshold from held-out normal pictures, labels, simple scores, refusals."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, newest, refused, run  # noqa: F401
from PIL import Image

from minigan.commands.scored_page import heat_map
from minigan.data import open_dataset
from minigan.metrics.detection import auroc, average_precision
from minigan.metrics.normality import NearestNormal
from minigan.training.build import open_model
from minigan.training.folder import RunFolder
from minigan.training.normal import Normal, held_out_normal

TINY = "--img-size 8 --features 2 --latent-dim 4 --batch-size 8 --n-steps 6 --eval-interval 3 --quiet"


def picture(path, rng, bad=False, size=8):
    pixels = np.full((size, size), 100) + rng.integers(0, 60, (size, size))
    if bad:
        pixels[2:5, 2:5] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with pictures of parts and a run on the good ones, of which 20 are held out."""
    folder, rng = tmp_path_factory.mktemp("score"), np.random.default_rng(0)
    for i in range(100):
        picture(folder / f"parts/train/good/{i:02}.png", rng)
    for i in range(12):
        picture(folder / f"parts/test/good/{i:02}.png", rng)
        picture(folder / f"parts/test/spot/{i:02}.png", rng, bad=True)
    assert run(f"train ganomaly --data {folder}/parts {TINY} --out {folder}/run") == 0
    assert run(f"train dcgan --img-size 16 --features 2 --n-steps 1 --limit 20 --quiet --out {folder}/dcgan") == 0
    (folder / "empty").mkdir()
    (folder / "text.png").write_text("no picture")
    picture(folder / "one.png", rng)
    return folder


@pytest.fixture
def here(trained, in_an_empty_folder):  # noqa: F811
    """Copies in the empty folder of each test."""
    for name in ("run", "parts"):
        shutil.copytree(trained / name, name)
    config = Path("run/config.json")
    config.write_text(config.read_text().replace(str(trained / "parts"), str(Path("parts").resolve())))


def opened(checkpoint="run/best.npz"):
    folder = RunFolder("run")
    return open_model(folder, folder.config(), Path(checkpoint))[0]


def answer():
    return json.loads(Path("run/scored/scores.json").read_text())


@pytest.mark.usefixtures("here")
def test_scores_threshold_and_verdicts(capsys):
    """Those of best.npz; the threshold is the k-th smallest of every second held-out picture, k = ⌈11 · 0.8⌉ = 9."""
    assert run("score run parts --alpha 0.2") == 0
    out = capsys.readouterr().out
    model, found = opened(), answer()
    data = open_dataset("parts", 8, 1, split="test")
    expected = {str(path): s for path, s in zip(data.paths, model.score(data.batch(np.arange(24))), strict=True)}
    rows = list(csv.DictReader(Path("run/scored/scores.csv").read_text().splitlines()))
    assert {row["picture"]: float(row["score"]) for row in rows} == pytest.approx(expected, rel=1e-4)
    scores = [row["score"] for row in found["pictures"]]
    assert scores == sorted(scores, reverse=True)

    _, read, which, _ = held_out_normal(RunFolder("run").config(), None)
    assert which == list(range(1, 20, 2))
    normal = np.sort(model.score(read(np.array(which))))
    assert found["threshold"] == pytest.approx(normal[8], rel=1e-5)
    assert (found["normal"]["n"], found["normal"]["rank"]) == (10, 9)
    for row in found["pictures"]:
        assert row["abnormal"] == (row["score"] > found["threshold"])
        assert row["p"] == pytest.approx((1 + (normal >= row["score"] * (1 - 1e-6)).sum()) / 11)
    assert f"{found['abnormal']} of 24 are abnormal: their score is above {found['threshold']:.4g}" in out
    assert "20 % of normal pictures may have a larger score; from 10 pictures, held out of parts" in out


@pytest.mark.usefixtures("here")
def test_the_test_part_is_never_held_out():
    """Training and held-out pictures are both of train; that half of those held out judged and half gave scores."""
    source, read, which, _ = held_out_normal(RunFolder("run").config(), None)
    assert (len(source), len(which)) == (80, 10)
    assert all("train" in str(path) for path in source.parts["real"].paths)
    train = open_dataset("parts", 8, 1).batch(np.arange(100))
    assert all((train == x).all(axis=(1, 2, 3)).any() for x in read(np.array(which)))


@pytest.mark.usefixtures("here")
def test_labels_are_names_of_folders(capsys):
    assert run("score run parts --alpha 0.2 --baselines") == 0
    found = answer()
    first = {row["picture"]: row for row in found["pictures"]}
    abnormal = np.array(["spot" in name for name in first])
    assert found["labels"]["abnormal"] == found["labels"]["normal"] == 12
    for title, one in found["methods"].items():
        scores = np.array([row["score" if title == "ganomaly" else title] for row in first.values()])
        assert one["auroc"] == pytest.approx(auroc(scores, abnormal), abs=1e-12)
        assert one["average_precision"] == pytest.approx(average_precision(scores, abnormal), abs=1e-12)
        alarm = scores > one["threshold"]
        counts = ((alarm & abnormal), (~alarm & abnormal), (alarm & ~abnormal), (~alarm & ~abnormal))
        names = ("found", "missed", "false_alarms", "passed")
        assert [one[name] for name in names] == [c.sum() for c in counts]
    assert list(found["methods"]) == ["ganomaly", "nearest normal picture", "PCA, 50 components"]
    assert found["methods"]["nearest normal picture"]["auroc"] == 1
    source = held_out_normal(RunFolder("run").config(), None)[0]
    nearest = NearestNormal(source.read(np.arange(80))["real"])
    x = np.concatenate([open_dataset("parts", 8, 1, split="test").batch(np.arange(24))])
    expected = sorted(nearest.score(x).tolist())
    assert sorted(row["nearest normal picture"] for row in first.values()) == pytest.approx(expected, rel=1e-6)
    assert "AUROC" in capsys.readouterr().out
    assert run("score run parts --alpha 0.2 --good spot") == 0  # the other way round
    assert answer()["methods"]["ganomaly"]["auroc"] == pytest.approx(1 - found["methods"]["ganomaly"]["auroc"])


@pytest.mark.usefixtures("here")
def test_one_picture_gets_a_verdict_without_the_data(capsys):
    """The scores of normal pictures and α are stored with the run; other weights need them again."""
    assert run("score run parts --alpha 0.2") == 0
    before = answer()
    one = before["pictures"][0]
    shutil.copy(one["picture"], "one.png")
    shutil.rmtree("parts")
    assert run("score run one.png") == 0
    found = answer()
    assert (found["threshold"], found["alpha"]) == (before["threshold"], 0.2)
    assert found["pictures"][0]["score"] == pytest.approx(one["score"], rel=1e-5)
    assert "methods" not in found
    assert run("score run one.png --alpha 0.5") == 0  # the 6th smallest of 10
    assert answer()["normal"]["rank"] == 6
    capsys.readouterr()
    stored = Normal.read(Path("run/normal.json"))
    replace(stored, step=stored.step + 1).write(Path("run/normal.json"))  # of other weights
    assert "parts does not exist" in refused(capsys, "score run one.png")


@pytest.mark.usefixtures("here")
def test_other_normal_pictures_give_the_threshold():
    assert run("score run parts --normal parts/test/good --alpha 0.1") == 0
    found = answer()
    assert (found["normal"]["n"], found["normal"]["source"]) == (12, "parts/test/good")
    model, good = opened(), open_dataset("parts/test/good", 8, 1)
    assert found["threshold"] == pytest.approx(np.sort(model.score(good.batch(np.arange(12))))[11], rel=1e-5)
    assert found["methods"]["ganomaly"]["false_alarms"] == 0


@pytest.mark.usefixtures("here")
def test_what_it_writes_is_one_page(capsys):
    assert run("score run parts --alpha 0.2 -o here --json") == 0
    found, page = json.loads(capsys.readouterr().out), Path("here/scores.html").read_text()
    assert found == json.loads(Path("here/scores.json").read_text())
    assert page.count("data:image/png;base64,") == 3 * 24
    assert page.count('class="card alarm"') == found["abnormal"]
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    positions = [page.index(f">{row['picture']}, ") for row in found["pictures"]]
    assert positions == sorted(positions)
    assert not Path("run/scored").exists()


def test_a_heat_map_is_red_where_the_reconstruction_differs():
    x, y = np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.float32)
    y[0, 0], y[0, 1], y[1, 0] = 0.25, 0.5, 2
    heat = heat_map(x, y, 0.5)
    assert heat[1, 1].tolist() == [128, 128, 128]
    assert heat[0, 0].tolist() == [174, 74, 74]
    assert heat[0, 1].tolist() == heat[1, 0].tolist() == [220, 20, 20]


BAD = {
    "score nowhere parts": "nowhere does not exist",
    "score parts parts": "is not the folder of a run",
    "score dcgan parts": "dcgan gives no scores of pictures: give a run of ganomaly",
    "score run": "the following arguments are required: IN",
    "score run nothing.png": "there is no file nothing.png",
    "score run ./nothing/x": "nothing/x does not exist",
    "score run nothing": "there is no data set or folder called 'nothing'",
    "score run ring": "ring is a set of points|not of pictures",
    "score run empty": "empty",
    "score run text.png": "text.png",
    "score run parts --alpha 0": "--alpha is 0",
    "score run parts --alpha 1": "1 is not at least 0 and less than 1",
    "score run parts --alpha x": "'x' is not a number",
    "score run parts --alpha 0.05": "10 normal pictures are too few for .* 0.05: give 19 or more, or a larger --alpha",
    "score run parts --good fine": "there is no class 'fine' among the pictures: use good, spot",
    "score run parts --good god": "did you mean good",
    "score run one.png --good spott": "there is no class 'spott'",
    "score run parts --normal nothing": "nothing",
    "score run parts --normal one.png": "1 normal picture is too few",
    "score run parts --normal ring": "points",
    "score run parts --split side": "invalid choice: 'side'",
    "score run digits --split test": "digits has no test split",
    "score run parts --checkpoint none.npz": "there is no file none.npz",
    "score run parts --checkpoint dcgan/CHECKPOINT": "dcgan",
    "score run parts --checkpoint text.png": "text.png",
    "score run parts -o one.png/x": "nothing can be written into one.png/x",
    "score run parts --model my.py:X": "the model my.py:X doesn't fit this run",
    "score run parts --device mps": "mps",
    "score run parts --latent 3": "minigan score has no --latent",
}


@pytest.mark.parametrize("line", BAD)
def test_a_sentence_for_each_bad_input(trained, capsys, monkeypatch, line):
    monkeypatch.chdir(trained)
    sentence, checkpoint = BAD[line], newest("dcgan").relative_to("dcgan")
    assert re.search(sentence, refused(capsys, line.replace("CHECKPOINT", str(checkpoint))))
    assert not Path("run/normal.json").exists()
    assert not Path("run/scored").exists()


@pytest.mark.usefixtures("here")
def test_a_damaged_file_of_normal_scores_is_made_again(capsys):
    good = {"step": 6, "source": "x", "alpha": 0.2, "heat": 0.1, "scores": [1.0, 2.0]}
    others = ({"step": "6"}, {"scores": []}, {"scores": [float("nan")]}, {"alpha": None}, {"more": 1})
    for text in ["{", "[]", *(json.dumps(good | other) for other in others)]:
        Path("run/normal.json").write_text(text)
        assert run("score run parts/test/good/00.png --alpha 0.2") == 0
        assert "normal.json is damaged: delete it, and it is made again" in capsys.readouterr().err
        assert len(Normal.read(Path("run/normal.json")).scores) == 10
