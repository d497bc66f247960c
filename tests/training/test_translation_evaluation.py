"""What `minigan evaluate` finds out about translations: scores, intervals, constant answers, distances of sets."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_translation_judges import CYCLE, DIGITS, RESTORED, cycle, denoiser, held_out, painter
from translators import Cycle, Denoiser, denoiser_data, waves

from minigan.data import HeldOut, open_feeds
from minigan.errors import DataError
from minigan.metrics import open_features
from minigan.model import PICTURE, Translation
from minigan.testing import STRICT
from minigan.training.pictures import to_bytes
from minigan.training.translation import Scores, compare
from minigan.training.translation_evaluation import (
    DRAWS,
    PairAnswer,
    bootstrap,
    constant_answer,
    evaluate_pairs,
    evaluate_sets,
    open_judged,
    picture_name,
)
from minigan.training.translation_judges import translation_judges


def map_scores(n=7, K=3):
    """Scores of random maps of 4 × 4 pixels."""
    rng, scores = np.random.default_rng(0), Scores(True)
    for _ in range(n):
        classes = rng.integers(K, size=(1, 4, 4))
        scores.add(rng.random((1, 4, 4, K)) + np.eye(K)[classes] * 0.5, np.eye(K)[classes])
    return scores


def test_scores_of_pairs_stand_beside_the_source_and_the_mean_picture():
    model, items = denoiser()
    sources = open_feeds(denoiser_data(40), model.arrays)
    rows = evaluate_pairs(model, model.translations[0], items, sources).rows()
    values = compare(model, model.translations[0], items).values()
    mean = denoiser_data(40)["clean"].mean(axis=0)
    assert list(rows) == ["psnr", "ssim", "l1"]
    for name, row in rows.items():
        assert row["value"] == values[name] and row["source"] == values[f"source_{name}"]
        assert row["interval"][0] < row["value"] < row["interval"][1]
    gaps = [abs(item["clean"][0] - mean).mean() for item in items]
    assert rows["l1"]["constant"] == pytest.approx(np.mean(gaps), rel=1e-2)  # of bytes


def test_the_constant_answer_of_maps_is_the_most_frequent_class():
    model, items = painter()
    data = {name: np.concatenate([item[name] for item in items]) for name in ("input", "target")}
    sources = open_feeds(data, model.arrays)
    counts = data["target"].sum(axis=(0, 1, 2))
    answer = constant_answer(sources, "target", True, model.device)
    np.testing.assert_allclose(answer, np.broadcast_to(counts / counts.sum(), (1, 8, 8, 3)), rtol=1e-6)
    rows = evaluate_pairs(model, model.translations[0], items, sources).rows()
    assert rows["accuracy"]["constant"] == pytest.approx(counts.max() / counts.sum())


def test_pictures_of_another_size_and_crops_have_no_constant_answer():
    model, items = denoiser(size=20)
    small = open_feeds(denoiser_data(9, 16), model.arrays)
    assert evaluate_pairs(model, model.translations[0], items, small).constant is None
    crops = open_feeds(denoiser_data(9, 20), model.arrays, 16, crops=True)
    assert constant_answer(crops, "clean", False, model.device) is None
    assert constant_answer({}, "clean", False, model.device) is None


def test_the_interval_of_maps_is_that_of_a_loop_over_draws():
    """Each draw is scored as a set of its own."""
    scores = map_scores()
    drawn = np.random.default_rng(0).integers(7, size=(DRAWS, 7))
    found = [scores.values(row) for row in drawn]
    for name, ends in bootstrap(scores).items():
        assert ends == pytest.approx(np.quantile([one[name] for one in found], (0.025, 0.975)), rel=1e-12)


def test_the_interval_of_a_mean_has_its_width():
    """1.96 standard errors to each side, for values of any distribution with a variance."""
    rng, scores = np.random.default_rng(0), Scores(False)
    scores.rows = [{"psnr": value} for value in rng.exponential(size=400)]
    low, high = bootstrap(scores)["psnr"]
    assert high - low == pytest.approx(2 * 1.96 * np.std(scores.column("psnr")) / 20, rel=0.1)


def test_a_single_picture_has_no_interval_and_an_infinite_score_no_row():
    scores, x = Scores(False, ("l1",)), waves(1, 0)
    scores.add(x, x)
    rows = PairAnswer(Translation("a", "b"), scores, None).rows()
    assert rows == {"ssim": {"value": 1.0}, "l1": {"value": 0.0}}


def test_the_iou_of_each_class_is_that_of_all_pixels():
    scores = Scores(True)
    for given, real in ((0, 0), (0, 1), (1, 1)):
        scores.add(np.eye(3)[[[[given]]]], np.eye(3)[[[[real]]]])
    assert PairAnswer(Translation("a", "b"), scores, None).classes() == [0.5, 0.5, None]


# Sets


def test_distances_of_sets_stand_between_doing_nothing_and_the_target_itself():
    model, _ = cycle()
    noise = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 1)).astype(np.float32)
    items = held_out(model, {"a": waves(30, 3), "b": noise})
    rows = evaluate_sets(model, model.translations[0], items, DIGITS)
    assert list(rows) == ["result", "source", "halves"]
    assert (rows["result"]["n"], rows["result"]["reference_n"]) == (30, 40)
    assert (rows["halves"]["n"], rows["halves"]["reference_n"]) == (20, 20)
    assert rows["source"]["kid"] > 10 * abs(rows["halves"]["kid"])
    (judge,) = translation_judges(model, items, CYCLE)
    judged = judge(model)
    for name, row in (("kid_b", "result"), ("source_kid_b", "source")):
        assert abs(rows[row]["kid"] - judged[name]) < rows[row]["kid_std"]  # drawn in another order


def test_a_translation_that_does_nothing_has_the_distance_of_the_source():
    model, items = cycle()
    model.translate = lambda item: {"b": item["a"]}
    rows = evaluate_sets(model, model.translations[0], items, DIGITS, ("fid", "kid"))
    assert rows["result"] == rows["source"] and rows["result"]["fid"] > 0
    assert rows["halves"]["fid"] > 0.01  # they are different pictures


def test_few_pictures_have_no_halves_and_a_single_one_no_distance():
    model, items = cycle()
    assert list(evaluate_sets(model, model.translations[0], items, DIGITS, most=6)) == ["result", "source"]
    with pytest.raises(DataError, match="sets of pictures are compared, and of a there is only one"):
        evaluate_sets(model, model.translations[0], items, DIGITS, most=1)


def test_a_gpu_gives_the_same_scores_and_distances():
    found = []
    for device in ("cpu", STRICT):
        (model, items), (sets, set_items) = denoiser(device=device), cycle(device=device)
        rows = evaluate_pairs(model, model.translations[0], items, items.sources).rows()
        network = open_features("digits", device)
        found.append(({name: row["value"] for name, row in rows.items()}, {n: r["constant"] for n, r in rows.items()}))
        found[-1] += (evaluate_sets(sets, sets.translations[0], set_items, network)["result"],)
    for one, other in zip(*found, strict=True):
        assert one == {name: pytest.approx(value, rel=1e-3) for name, value in other.items()}


# Which pictures are judged


def files(folder, n, seed=0):
    folder.mkdir(parents=True)
    for i, x in enumerate(to_bytes(waves(n, seed, 16))):
        Image.fromarray(x[..., 0]).save(folder / f"{i:03}.png")
    return folder


def test_of_the_runs_own_data_what_is_held_out_is_judged(tmp_path):
    folder = files(tmp_path / "data", 30)
    config = replace(RESTORED, data=str(folder), img_size=(16, 16))
    training, judged = open_judged(config, Denoiser)
    assert (len(training["data"]), len(judged["data"])) == (27, 3)
    training, judged = open_judged(config, Denoiser, split="train")
    assert len(training["data"]) == len(judged["data"]) == 27


def test_of_other_data_everything_is_judged_unless_it_has_a_part_for_that(tmp_path):
    config = replace(RESTORED, data=str(files(tmp_path / "data", 30)), img_size=(16, 16), limit=4)
    training, judged = open_judged(config, Denoiser, str(files(tmp_path / "other", 12)), other=True)
    assert training == {} and len(judged["data"]) == 12
    for part, n in (("train", 8), ("test", 5)):
        files(tmp_path / "parts" / part, n)
    assert len(open_judged(config, Denoiser, str(tmp_path / "parts"), other=True)[1]["data"]) == 5
    assert len(open_judged(config, Denoiser, str(tmp_path / "parts"), other=True, split="train")[1]["data"]) == 8
    assert len(open_judged(config, Denoiser, denoiser_data(7), other=True)[1]["data"]) == 7


def test_sets_are_named_by_feed(tmp_path):
    a, b = files(tmp_path / "a", 5), files(tmp_path / "b", 6)
    config = replace(CYCLE, img_size=(16, 16))
    _, judged = open_judged(config, Cycle, f"a={a},b={b}", other=True)
    assert {feed: len(source) for feed, source in judged.items()} == {"a": 5, "b": 6}


def test_a_picture_is_named_by_its_file(tmp_path):
    sources = open_feeds(str(files(tmp_path / "data", 5)), {"clean": PICTURE}, 16)
    model, items = denoiser()
    assert picture_name(HeldOut(sources, {"clean": PICTURE}), model.translations[0], 3) == "003"
    assert picture_name(items, model.translations[0], 3) == "3"
    _, cycle_items = cycle()
    assert picture_name(cycle_items, Translation("b", "a"), 7) == "7"
    crops = open_feeds(str(tmp_path / "data"), {"clean": PICTURE}, 8, crops=True)
    assert picture_name(HeldOut(crops, {"clean": PICTURE}), model.translations[0], 3) == "003"
