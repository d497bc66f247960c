"""The study of augmentation: what each arm is trained on, its intervals and its sentence, and that it goes on."""

import json
import re

import numpy as np
import pytest
from test_examples import load, run

from minigan.data import ArrayDataset
from minigan.errors import DataError

study = load("augmentation_study")


def pictures(n, n_classes=3):
    """n pictures of each class, all of which differ."""
    x = np.arange(n * n_classes, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 16, 16, 1), np.uint8)
    return ArrayDataset("pictures", x, np.arange(n * n_classes) % n_classes, list("abc"))


def chosen(data):
    return set(data.samples[:, 0, 0, 0].tolist())


def test_the_few_pictures_are_equally_many_of_each_class_and_no_other_set_has_them():
    data = pictures(20)
    real, others = study.choose(data, 5, 8, seed=1)
    assert np.bincount(real.labels).tolist() == [5] * 3 and np.bincount(others.labels).tolist() == [8] * 3
    assert not chosen(real) & chosen(others)
    assert chosen(real) < chosen(study.choose(data, 9, 8, seed=1)[0])
    assert chosen(real) != chosen(study.choose(data, 5, 8, seed=2)[0])
    assert study.choose(data, 15, 8, seed=1)[1] is None  # only five others of each class
    with pytest.raises(DataError, match="class a has only 20 pictures"):
        study.choose(data, 21, 8, seed=1)


def test_every_set_of_an_arm_gives_an_equal_part_of_each_batch(monkeypatch):
    batches = []
    monkeypatch.setattr(
        study.PictureClassifier, "train", lambda self, next_batch, steps, seed: batches.append(next_batch())
    )
    one, other = pictures(30).select(np.arange(40)), pictures(30).select(np.arange(40, 90))
    args = type("Args", (), {"steps": 1})
    study.trained_classifier([one, other], [], one.shape, 3, 0, args)
    study.trained_classifier([one], [], one.shape, 3, 0, args)
    (x, labels), (alone, _) = batches
    values = np.rint((x[:, 0, 0, 0] + 1) * 127.5)
    assert len(x) == len(alone) == len(labels) == study.BATCH
    assert values[:32].max() < 40 <= values[32:].min() and (labels == values % 3).all()


@pytest.mark.parametrize(("df", "tabled"), [(1, 12.706), (4, 2.776), (9, 2.262), (30, 2.042)])
def test_the_quantile_is_that_of_tables(df, tabled):
    assert study.t_quantile(df) == pytest.approx(tabled, abs=1e-3)


def results(gains, both=0.5):
    found = {"gan": 0.4, "classical": both, "both": both}
    return {str(k): found | {"both": both + gain / 100} for k, gain in enumerate(gains)}


def test_the_sentence_says_gain_or_loss_only_if_the_interval_leaves_out_zero():
    assert "are +1.00 points (95 % interval +0.38 to +1.62, 5 seeds): a gain." in study.sentence(
        10, results([0.5, 1, 1.5, 0.5, 1.5])
    )
    assert ": a loss." in study.sentence(10, results([-0.5, -1, -1.5, -0.5, -1.5]))
    assert ": no gain that this many seeds can show." in study.sentence(10, results([-0.5, 1, 1.5, 0.5, -0.1]))
    assert "they are -10.00 ± 0.00 points" in study.sentence(10, results([0, 1]))
    assert "no gain" in study.sentence(10, results([5]))  # one seed has no interval


@pytest.mark.slow
def test_every_arm_is_trained_once_and_a_study_goes_on(tmp_path):
    words = ["digits", "--rehearse", "--out", "out"]
    first = run("augmentation_study.py", words, tmp_path)
    assert first.returncode == 0, first.stderr
    file = tmp_path / "out" / "results.json"
    found = json.loads(file.read_text())
    assert set(found["results"]) == {"5", "10"}
    for seeds in found["results"].values():
        assert set(seeds) == {"0", "1"}
        for one in seeds.values():
            assert one.keys() >= study.ARMS.keys() - {"gan alone, filtered"}
            assert one["fid"] > 0 and 0 <= one["accepted"] <= 1
    text = (tmp_path / "out" / "results.md").read_text()
    assert len(re.findall(r"points \(95 % interval .* 2 seeds\): (?:a|no) (?:gain|loss)", text)) == 2

    del found["results"]["10"]["1"]  # as if it had been interrupted in the last classifier
    file.write_text(json.dumps(found))
    again = run("augmentation_study.py", words, tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("the GAN has") == 1
    assert (tmp_path / "out" / "results.md").read_text() == text

    other = run("augmentation_study.py", [*words, "--img-size", "28"], tmp_path)
    assert other.returncode == 2 and "was made with --img-size 16, not 28" in other.stderr
