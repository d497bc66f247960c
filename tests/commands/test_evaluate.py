"""`minigan evaluate` as a user calls it, and the evaluations during training."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import TINY, in_an_empty_folder, newest, refused, run  # noqa: F401
from PIL import Image

from minigan.data import open_dataset
from minigan.metrics import ssim
from minigan.training.pictures import to_bytes, to_image


def folder_of_digits(name, indices, size=16, noise=0.0):
    """Write digits as PNG files; return the pictures in [0, 255]."""
    x = open_dataset("digits", size).batch(np.asarray(indices))
    x = to_bytes(x + noise * np.random.default_rng(0).standard_normal(x.shape))
    os.makedirs(name)
    for i, picture in enumerate(x):
        to_image(picture).convert("L").save(f"{name}/{i:04d}.png")
    return x.astype(float)


def evaluated(capsys, line):
    """Run `minigan evaluate … --json`; return its answer."""
    capsys.readouterr()
    assert run(f"evaluate {line} --json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_is_compared_with_its_own_data(capsys):
    run(TINY)
    capsys.readouterr()
    assert run("evaluate runs/dcgan-digits --n 100") == 0
    out = capsys.readouterr().out
    assert "100 of runs/dcgan-digits at step 4, drawn with seed 0" in out
    assert "digits: 64 pictures of 16x16x1, 10 classes, train split" in out
    assert "not comparable with published numbers" in " ".join(out.split())
    folder = Path("runs/dcgan-digits/evaluation")
    answer = json.loads((folder / "evaluation.json").read_text())
    assert f"{answer['values']['fid']:.4f}" in out
    assert sorted(answer["values"]) == ["classes_present", "fid", "is", "is_std", "shares", "sure"]
    with Image.open(folder / "neighbors.png") as neighbors, Image.open(folder / "classes.png") as histogram:
        assert neighbors.width > 9 * 64  # a sample, a gap and seven neighbors
        assert histogram.size == (900, 320)


@pytest.mark.slow
def test_the_seed_decides_and_the_checkpoint_draws(capsys):
    run(TINY)
    answers = [evaluated(capsys, f"runs/dcgan-digits --n 50 --seed {seed}")["values"]["fid"] for seed in (0, 0, 1)]
    assert answers[0] == answers[1] != answers[2]
    run(f"{TINY} --seed 1")
    other = evaluated(capsys, "runs/dcgan-digits --n 50 --checkpoint " + str(newest("runs/dcgan-digits-2")))
    assert other["values"]["fid"] != answers[0]


def test_a_conditional_run_is_asked_for_every_class(capsys):
    run("train cdcgan --features 2 --latent-dim 4 --batch-size 8 --limit 64 --n-steps 2")
    values = evaluated(capsys, "runs/cdcgan-digits --n 40")["values"]
    assert len(values["right_of"]) == 10
    assert values["right"] == pytest.approx(np.mean(list(values["right_of"].values())))


def test_a_conditional_run_is_asked_only_for_the_classes_of_its_data(capsys):
    digits = open_dataset("digits")
    for label in (2, 4, 6):
        folder_of_digits(f"some/{label}", np.flatnonzero(digits.labels == label)[:5])
    run("train cdcgan --data some --img-size 16 --features 2 --latent-dim 4 --batch-size 8 --n-steps 2")
    capsys.readouterr()
    assert run("evaluate runs/cdcgan-some --n 30 --features digits --metrics classes") == 0
    out = capsys.readouterr().out
    assert re.search(r"classes drawn +\d of 3\n", out)
    answer = json.loads(Path("runs/cdcgan-some/evaluation/evaluation.json").read_text())
    assert list(answer["values"]["right_of"]) == ["2", "4", "6"]


@pytest.mark.slow
def test_two_folders(capsys):
    folder_of_digits("a", range(100))
    folder_of_digits("b", range(100, 250))
    folder_of_digits("c", range(250, 350), noise=0.5)
    same = evaluated(capsys, "a a --features digits --metrics fid,kid,pr")["values"]
    assert same["fid"] == pytest.approx(0, abs=1e-6)
    assert same["recall"] == 1
    near = evaluated(capsys, "a b --features digits --metrics fid")
    far = evaluated(capsys, "c --against b --features digits --metrics fid")
    assert near["values"]["fid"] < far["values"]["fid"] / 2
    assert (near["n"], near["reference_n"]) == (100, 150)


@pytest.mark.slow
def test_statistics_that_were_saved_give_the_same_numbers(capsys):
    folder_of_digits("a", range(100))
    first = evaluated(capsys, "a digits --metrics fid,kid --save-stats stats/digits.npz")
    again = evaluated(capsys, "a stats/digits.npz --metrics FID,kid")
    assert again["values"] == first["values"]
    assert again["reference_n"] == 1797
    assert "digits: 1,797 pictures" in again["reference"]
    alone = evaluated(capsys, "digits --metrics is --save-stats alone.npz")
    assert "fid" not in alone["values"]
    third = evaluated(capsys, "a alone.npz --metrics fid")["values"]["fid"]  # the file says whose features they are
    assert third == pytest.approx(first["values"]["fid"], rel=1e-6)


def test_ssim_and_psnr_compare_picture_by_picture(capsys):
    a, b = folder_of_digits("a", range(9)), folder_of_digits("b", range(9), noise=0.2)
    values = evaluated(capsys, "a b --metrics ssim,psnr")["values"]
    assert values["ssim"] == pytest.approx(ssim(a, b, 255).mean())
    assert values["psnr"] == pytest.approx(np.mean(10 * np.log10(255**2 / ((a - b) ** 2).mean(axis=(1, 2, 3)))))
    assert evaluated(capsys, "a a --metrics ssim")["values"]["ssim"] == pytest.approx(1)
    assert run("evaluate a b --metrics psnr") == 0
    assert "dB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a nowhere", "no data set or folder called 'nowhere'"),
        ("nowhere/a b", "nowhere/a does not exist"),
        ("a b c", "one reference"),
        ("a b --against c", "one reference"),
        ("a b --metrics fad", "no metric 'fad': did you mean fid?"),
        ("a b --features digits --metrics ssim,fid", "run it twice"),
        ("a --metrics ssim", "give two folders"),
        ("a --features digits --metrics fid", "give them with --against"),
        ("a --split test --features digits", "give one with --against"),
        ("a b.npz --features digits", "there is no file b.npz"),
        ("a digits --split test", "digits has no test split"),
        ("grid", "set of points"),
        ("a b --checkpoint a/0000.png", "--checkpoint is for a run"),
        ("a few --metrics ssim", "a/0003.png has no picture of its name in few, and so have 8 others"),
        ("a b --metrics ssim --img-size 8", "whole, at their own size: leave out --img-size"),
        ("few --features digits", "divides the samples into 10 parts"),
        ("a b --features digits --weights nothing.npz", "nothing.npz"),
        ("a b --device cuda:99", "cuda"),
        ("a b --out a/0000.png", "not a folder"),
        ("a b --metrics is --features digits --save-stats sx", "call it sx.npz"),
        ("b.npz a", "they can be a reference"),
        ("a b --metrics ssim --n 3", "leave out --n"),
        ("few b --features digits --metrics pr", "use 4 at least"),
        ("runs", "runs/dcgan-digits"),
        ("a runs/dcgan-digits", "is a run, and no reference"),
        ("runs/dcgan-digits --checkpoint nothing.npz", "there is no file nothing.npz"),
    ],
)
def test_wrong_words_are_one_sentence(capsys, line, said, monkeypatch):
    monkeypatch.setenv("HOME", os.getcwd())
    folder_of_digits("a", range(12))
    folder_of_digits("b", range(12))
    folder_of_digits("few", range(3))
    if "runs" in line:
        run(TINY)
        capsys.readouterr()
    assert said in refused(capsys, f"evaluate {line}")


def test_a_run_of_points_is_refused(capsys):
    run("train gan --data ring --n-steps 1")
    assert "minigan sample runs/gan-ring counts the modes" in refused_quietly(capsys, "evaluate runs/gan-ring")


def refused_quietly(capsys, line):
    capsys.readouterr()
    return refused(capsys, line)


def test_without_its_weights_inception_says_which_file_is_missing(capsys, monkeypatch):
    monkeypatch.setenv("HOME", os.getcwd())
    monkeypatch.setenv("XDG_CACHE_HOME", os.getcwd())
    folder_of_digits("a", range(12))
    said = refused(capsys, "evaluate a a --features inception")
    assert "minigan download inception" in said
    assert "pt_inception-2015-12-05-6726825d.pth" in said
    assert "6726825d" in said


def test_without_inception_photos_are_compared_by_the_network_that_ships(capsys, monkeypatch):
    monkeypatch.setenv("HOME", os.getcwd())
    monkeypatch.setenv("XDG_CACHE_HOME", os.getcwd())
    folder_of_digits("a", range(12))
    folder_of_digits("b", range(12, 24))
    assert run("evaluate a b --json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["features"] == "photos" and {"kid", "precision", "recall"} <= found["values"].keys()
    assert "not comparable with published numbers" in found["caveats"][0]
    assert "give these with --against" in refused(capsys, "evaluate a")
    folder_of_digits("small", range(12), 8)
    assert "the sets have 16x16 and 8x8: give --img-size" in refused(capsys, "evaluate a small")
    assert "photos has no classes" in refused(capsys, "evaluate a b --metrics is")


@pytest.mark.slow
def test_evaluations_during_training(capsys):
    assert run(f"{TINY} --n-steps 8 --eval-interval 3 --eval-samples 50") == 0
    out, folder = capsys.readouterr().out, Path("runs/dcgan-digits")
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    fid = {record["step"]: record["fid"] for record in records if "fid" in record}
    assert list(fid) == [3, 6, 8]
    best = min(fid, key=fid.get)
    assert f"best.npz is of step {best}, with FID {fid[best]:.2f}" in out
    with np.load(folder / "best.npz") as arrays:
        assert json.loads(arrays["state"].tobytes())["step"] == best
    with Image.open(folder / "evaluations.png") as curves:
        assert curves.size == (900, 600)
    there = evaluated(capsys, f"{folder} --checkpoint {folder}/best.npz --n 50 --metrics fid")
    assert there["values"]["fid"] == pytest.approx(fid[best], rel=1e-3)


def test_a_resumed_run_knows_its_best(capsys):
    """It goes on as if it had never stopped: the same evaluations, and the same best checkpoint."""
    options = "--eval-interval 2 --eval-samples 50 --checkpoint-interval 2"
    run(f"{TINY} --n-steps 8 {options} --out whole")
    run(f"{TINY} --n-steps 4 {options} --out parts")
    run("train --resume parts --n-steps 8")
    fids = [
        [json.loads(line).get("fid") for line in Path(run, "metrics.jsonl").read_text().splitlines()]
        for run in ("whole", "parts")
    ]
    assert [fid for fid in fids[0] if fid] == [fid for fid in fids[1] if fid]
    with np.load("whole/best.npz") as whole, np.load("parts/best.npz") as parts:
        for name in whole.files:
            if name not in ("state", "checksum"):
                np.testing.assert_array_equal(whole[name], parts[name])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{TINY} --eval-samples 50", "add --eval-interval"),
        (f"{TINY} --eval-interval 2 --eval-samples 9", "give 10 at least"),
        ("train gan --data ring --eval-interval 2", "modes are counted anyway"),
    ],
)
def test_evaluations_that_cannot_be(capsys, line, said):
    assert said in refused(capsys, line)


def test_two_samples_of_one_set_are_not_the_same_pictures(capsys):
    values = evaluated(capsys, "digits --against digits --metrics fid --n 300 --n-against 300")["values"]
    assert values["fid"] > 0.05


def test_pictures_that_are_cut_are_counted(capsys):
    folder_of_digits("a", range(12))
    Image.new("L", (32, 20)).save("a/wide.png")
    assert "1 of them cut and resized" in evaluated(capsys, "a --features digits")["source"]
    assert "cut" not in evaluated(capsys, "digits --features digits")["source"]


def test_equal_pictures_have_no_finite_psnr(capsys):
    folder_of_digits("a", range(3))
    assert evaluated(capsys, "a a --metrics psnr")["values"]["psnr"] is None
    assert run("evaluate a a --metrics psnr") == 0
    assert "inf dB" in capsys.readouterr().out


def test_what_an_earlier_evaluation_drew_goes(capsys):
    run(TINY)
    evaluated(capsys, "runs/dcgan-digits --n 20")
    folder = Path("runs/dcgan-digits/evaluation")
    assert sorted(os.listdir(folder)) == ["classes.png", "evaluation.json", "neighbors.png"]
    evaluated(capsys, "runs/dcgan-digits --n 20 --metrics is")
    assert sorted(os.listdir(folder)) == ["evaluation.json", "neighbors.png"]


def test_a_score_without_reference_does_without_the_data(capsys):
    folder_of_digits("photos", range(20))
    run("train dcgan --data photos/ --img-size 16 --features 2 --latent-dim 4 --batch-size 4 --n-steps 1")
    os.rename("photos", "elsewhere")
    assert evaluated(capsys, "runs/dcgan-photos --n 20 --features digits --metrics is")["reference"] is None
    assert "does not exist" in refused(capsys, "evaluate runs/dcgan-photos --features digits")
