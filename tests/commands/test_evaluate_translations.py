"""`minigan evaluate RUN` for models that translate."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

TRANSLATORS = Path(__file__).parents[1] / "training" / "translators.py"
TRAIN = "--n-steps 4 --batch-size 4 --quiet --out run"
DENOISER = f"train my_models.py:Denoiser --data pictures --img-size 16 {TRAIN}"
CYCLE = f"train my_models.py:Cycle --data a=pictures,b=others --img-size 16 --eval-features digits {TRAIN}"
OWN = "evaluate run --model my_models.py:"


def write(folder, n, seed):
    """Gray stripes as files."""
    Path(folder).mkdir()
    rng = np.random.default_rng(seed)
    for i in range(n):
        x = 127.5 * (1 + np.sin(rng.uniform(0.1, 1) * np.mgrid[:16, :16][i % 2] + rng.uniform(0, 6)))
        Image.fromarray(x.astype(np.uint8)).save(f"{folder}/{folder}-{i:02}.png")


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):  # noqa: F811
    Path("my_models.py").write_text(TRANSLATORS.read_text())
    write("pictures", 60, 0)
    write("others", 50, 1)


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    """A run that tests copy."""
    folder, before = tmp_path_factory.mktemp("denoiser"), os.getcwd()
    os.chdir(folder)
    Path("my_models.py").write_text(TRANSLATORS.read_text())
    write("pictures", 60, 0)
    assert run(DENOISER) == 0
    os.chdir(before)
    return folder / "run"


def evaluated(capsys, line):
    """The answer with --json, and the one in the folder."""
    capsys.readouterr()
    assert run(f"{line} --json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert json.loads(Path("run/evaluation/evaluation.json").read_text()) == answer
    return answer


def test_pairs_are_scored_with_a_row_for_each_picture(capsys):
    run(DENOISER)
    answer = evaluated(capsys, f"{OWN}Denoiser")
    found = answer["translations"]["noisy-to-clean"]
    assert found["n"] == 6 and answer["pictures"] == "pictures: 6 pictures of 16x16x1, held out"
    with Path("run/evaluation/noisy-to-clean.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and all(Path(f"pictures/{row['picture']}.png").is_file() for row in rows)
    for name, row in found["scores"].items():
        assert row.keys() == {"value", "interval", "source", "constant"}
        assert np.mean([float(one[name]) for one in rows]) == pytest.approx(row["value"], rel=1e-4)
        assert np.mean([float(one[f"source_{name}"]) for one in rows]) == pytest.approx(row["source"], rel=1e-4)
    scores = {row["picture"]: float(row["psnr"]) for row in rows}
    assert found["shown"] == sorted(scores, key=scores.get, reverse=True)
    with Image.open("run/evaluation/noisy-to-clean.png") as table:
        assert table.width == 2 + 3 * 66 and table.height > 6 * 66
    assert run(f"{OWN}Denoiser") == 0
    out = capsys.readouterr().out
    assert f"{found['scores']['psnr']['value']:.4f}" in out and "mean picture" in out and "noisy itself" in out


def test_other_pictures_are_judged_all_or_some(capsys):
    run(DENOISER)
    answer = evaluated(capsys, f"{OWN}Denoiser --against others")
    assert answer["translations"]["noisy-to-clean"]["n"] == 50 and answer["pictures"].startswith("others: 50")
    with Path("run/evaluation/noisy-to-clean.csv").open() as file:
        scores = {row["picture"]: float(row["psnr"]) for row in csv.DictReader(file)}
    order = sorted(scores, key=scores.get, reverse=True)
    assert answer["translations"]["noisy-to-clean"]["shown"] == [order[i] for i in (0, 1, 24, 25, 48, 49)]
    some = evaluated(capsys, f"{OWN}Denoiser --against others --n 7")["translations"]["noisy-to-clean"]
    assert some["n"] == 7 and len(some["shown"]) == 6 and "constant" not in some["scores"]["psnr"]


def test_sets_are_compared_in_both_directions(capsys):
    run(CYCLE)
    answer = evaluated(capsys, f"{OWN}Cycle --split train --metrics kid,fid")
    for name, n in (("a-to-b", 54), ("b-to-a", 45)):
        rows = answer["translations"][name]["rows"]
        assert rows["result"]["n"] == rows["source"]["n"] == n and rows["result"].keys() >= {"kid", "kid_std", "fid"}
        assert Path(f"run/evaluation/{name}.png").is_file()
    assert run(f"{OWN}Cycle --split train") == 0
    out = capsys.readouterr().out
    assert all(words in out for words in ("a translated", "a itself", "half of b", "not comparable"))


def test_pictures_smaller_than_those_of_training_are_a_sentence_without_a_size_to_choose(capsys):
    run(DENOISER)
    Path("small").mkdir()
    with Image.open("others/others-00.png") as picture:
        picture.save("small/1.png")
        picture.resize((8, 8)).save("small/0.png")
    said = refused(capsys, f"{OWN}Denoiser --against small")
    assert "small/0.png is 8x8, smaller than 16x16: give pictures as large as those of training, at least" in said
    assert "--img-size" not in said and "at least, or go on without it by --skip-bad" in said
    assert evaluated(capsys, f"{OWN}Denoiser --against small --skip-bad")["translations"]["noisy-to-clean"]["n"] == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{OWN}Denoiser --metrics kid", "--metrics is for sets, and pairs of pictures are compared pixel by pixel"),
        (f"{OWN}Denoiser --features digits", "--features is for sets"),
        (f"{OWN}Denoiser --save-stats a.npz", "--save-stats is about generated samples, and run translates"),
        (f"{OWN}Denoiser --n-against 3", "--n-against is about generated samples"),
        (f"{OWN}Denoiser --against nothing", "there is no data set or folder called 'nothing'"),
        (f"{OWN}Denoiser --split test", "has no test"),
    ],
)
def test_what_does_not_apply_is_a_sentence(denoiser, capsys, line, said):
    shutil.copytree(denoiser, "run")
    assert said in refused(capsys, line)


def test_sets_have_metrics_of_sets_only(capsys):
    run(CYCLE)
    assert "compared by fid, kid, pr, and not by classes" in refused(capsys, f"{OWN}Cycle --metrics classes")
