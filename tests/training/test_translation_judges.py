"""Translations are judged on held-out items: the numbers, beside those of the source, and the best checkpoint."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG
from translators import Cycle, Denoiser, Painter, cycle_data, denoiser_data, waves

from minigan.common.model_checks import check_model
from minigan.data import HeldOut, open_feeds
from minigan.errors import ModelError
from minigan.layers import Softmax
from minigan.losses import pixel_cross_entropy
from minigan.metrics import kernel_distance, open_features, psnr, ssim
from minigan.model import PICTURE, Judgement, Translation
from minigan.testing import STRICT
from minigan.training import TrainingError, load_checkpoint, train
from minigan.training.declared import Declared
from minigan.training.judges import Best
from minigan.training.translation import BadPictureError, Scores, comparable_source, cut, in_batches, result_of
from minigan.training.translation_judges import FEWEST_FOR_KID, about_best, spread, translation_judges
from minigan.translators import CycleGAN

JUDGED = replace(
    CONFIG, model_args={}, limit=None, augment=(), n_steps=20, eval_interval=5, sample_interval=100, batch_size=4
)
SHORT = {"n_steps": 20, "batch_size": 4, "quiet": True}
DIGITS = open_features("digits")
RESTORED = replace(JUDGED, model="my.py:Denoiser", shapes={"clean": (16, 16, 1)}, samples={"data": 11})
CYCLE = replace(
    JUDGED,
    model="my.py:Cycle",
    shapes={"a": (16, 16, 1), "b": (16, 16, 1)},
    samples={"a": 30, "b": 40},
    eval_features="digits",
)


def held_out(model, data):
    """All of the data, as held-out items on the model's device."""
    return HeldOut(open_feeds(data, model.arrays), model.arrays, model.device, 0, getattr(model, "damage", None))


def denoiser(n=12, size=16, device="cpu"):
    model = Denoiser((16, 16, 1), rng=np.random.default_rng(0), device=device)
    return model, held_out(model, denoiser_data(n, size))


def cycle(device="cpu"):
    model = Cycle((16, 16, 1), (16, 16, 1), rng=np.random.default_rng(0), device=device)
    return model, held_out(model, cycle_data())


def painter(n=6, device="cpu"):
    """Items in which one pixel in nine isn't known."""
    model = Painter((8, 8, 1), (8, 8, 3), rng=np.random.default_rng(0), device=device)
    inputs = waves(n, 2, 8)
    targets = np.eye(3, dtype=np.float32)[np.clip(np.rint(inputs[..., 0] + 1), 0, 2).astype(int)]
    targets[:, ::3, ::3] = 0
    array = model.device.array
    return model, [{"input": array(inputs[i : i + 1]), "target": array(targets[i : i + 1])} for i in range(n)]


# Pairs


def test_a_pair_is_judged_beside_its_source():
    """Means over the pictures, in the range 2; the result is clipped, the source isn't."""
    model, items = denoiser()
    (judge,) = translation_judges(model, items, RESTORED)
    found = judge(model)
    pairs = [(np.clip(model.output(item["noisy"]), -1, 1), item["noisy"], item["clean"]) for item in items]
    for name, side in (("", 0), ("source_", 1)):
        y, x = (np.concatenate(part) for part in ([pair[side] for pair in pairs], [pair[2] for pair in pairs]))
        assert found[f"{name}psnr"] == pytest.approx(psnr(y, x, 2).mean(), rel=1e-5)
        assert found[f"{name}ssim"] == pytest.approx(ssim(y, x, 2).mean(), rel=1e-5)
        assert found["source_l1" if name else "held_out_l1"] == pytest.approx(abs(y - x).mean(), rel=1e-5)
    assert found.keys() == judge.judgements.keys()
    assert found["source_psnr"] == pytest.approx(20, abs=0.5)  # σ = 0.2 of a range of 2
    assert found == judge(model)


def test_the_psnr_of_bytes_is_that_of_the_range_of_two():
    """0 … 255 are −1 … 1, so only rounding would make a difference."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(256, size=(2, 12, 12, 3)).astype(np.float64)
    assert psnr(a, b, 255) == pytest.approx(psnr(a / 127.5 - 1, b / 127.5 - 1, 2), rel=1e-12)


@pytest.mark.parametrize(("size", "scores"), [(8, {"psnr", "l1", "l2"}), (16, {"psnr", "ssim", "l1", "l2"})])
def test_ssim_needs_a_picture_of_its_window(size, scores):
    x, scored = waves(1, 0, size), Scores(False, ("l1", "l2"))
    scored.add(x * 0.9, x, x)
    values = scored.values()
    assert {name for name, value in values.items() if np.isfinite(value) and "source" not in name} == scores
    assert values["source_psnr"] == np.inf  # of equal pictures


def test_a_gray_source_is_compared_with_a_color_target_in_each_channel():
    target = waves(1, 0, 12, 3)
    gray = target.mean(axis=3, keepdims=True)
    scored = Scores(False, ("l1",))
    scored.add(target, target, gray)
    assert scored.values()["source_l1"] == pytest.approx(abs(gray - target).mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("source", "fits"), [((6, 6, 1), True), ((6, 6, 3), True), ((6, 6, 2), False), ((6, 5, 3), False)]
)
def test_a_source_is_comparable_if_it_has_the_size_of_the_target(source, fits):
    model, _ = denoiser()
    item = {"noisy": np.zeros((1, *source)), "clean": np.zeros((1, 6, 6, 3))}
    assert (comparable_source(model, model.translations[0], item) is not None) == fits


def test_the_psnr_inside_holes_is_that_of_their_pixels():
    rng = np.random.default_rng(0)
    x, y, damaged = rng.uniform(-1, 1, (3, 1, 12, 12, 3))
    mask = rng.integers(2, size=(1, 12, 12, 1)).astype(np.uint8)
    scored = Scores(False)
    scored.add(y, x, damaged, mask)
    scored.add(y, x, damaged, np.ones_like(mask))  # without a hole
    for name, picture in (("hole_psnr", y), ("source_hole_psnr", damaged)):
        errors = [(picture[place] - x[place]) ** 2 for place in np.ndindex(1, 12, 12) if not mask[place]]
        assert scored.rows[0][name] == pytest.approx(10 * np.log10(4 / np.mean(errors)), rel=1e-12)
        assert np.isnan(scored.rows[1][name])


def test_a_model_that_fills_holes_is_judged_inside_of_them():
    model, items = denoiser()
    (judge,) = translation_judges(
        model, [{**item, "mask": np.zeros((1, 16, 16, 1), np.uint8)} for item in items], RESTORED
    )
    found = judge(model)
    assert found["hole_psnr"] == found["psnr"] and found["source_hole_psnr"] == found["source_psnr"]


def test_a_map_is_never_compared_with_a_picture():
    """Not even if there are as many classes as color channels."""
    model, items = painter()
    back = Translation("target", "input")
    assert comparable_source(model, back, {"target": items[0]["target"], "input": np.zeros((1, 8, 8, 3))}) is None


def test_maps_are_judged_by_classes_of_known_pixels():
    model, items = painter()
    (judge,) = translation_judges(model, items, JUDGED)
    known = np.concatenate([item["target"].any(axis=3).ravel() for item in items])
    given, real = (
        np.concatenate([map_.argmax(axis=3).ravel() for map_ in maps])[known]
        for maps in ([model.output(item["input"]) for item in items], [item["target"] for item in items])
    )
    iou = [((given == k) & (real == k)).sum() / ((given == k) | (real == k)).sum() for k in range(3)]
    error = np.mean([abs(model.output(i["input"]) * i["target"].any(3)[..., None] - i["target"]).mean() for i in items])
    assert judge(model) == {
        "miou": pytest.approx(np.mean(iou), rel=1e-5),
        "accuracy": pytest.approx((given == real).mean()),
        "held_out_l1": pytest.approx(error, rel=1e-5),
    }
    assert list(judge.judgements) == ["miou", "accuracy", "held_out_l1"]


def test_the_held_out_cross_entropy_is_that_of_training():
    """Of probabilities instead of logits, and of known pixels."""
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(1, 5, 6, 3)), np.eye(3)[rng.integers(3, size=(1, 5, 6))]
    target[0, :2] = 0
    scored = Scores(True, ("l1", "cross_entropy"))
    probabilities = Softmax().output(logits)
    scored.add(probabilities, target)
    assert scored.rows[0]["cross_entropy"] == pytest.approx(pixel_cross_entropy(logits, target)[0], rel=1e-12)
    scored.add(np.eye(3)[[[[0]]]], np.eye(3)[[[[1]]]])  # sure, and wrong
    assert np.isfinite(scored.rows[1]["cross_entropy"])


def test_large_pictures_are_judged_by_their_center(monkeypatch):
    monkeypatch.setattr("minigan.training.translation_judges.MOST_SIDE", 12)
    model, items = denoiser()
    (judge,) = translation_judges(model, items, RESTORED)
    centers = [
        np.clip(model.output(item["noisy"][:, 2:14, 2:14]), -1, 1) - item["clean"][:, 2:14, 2:14] for item in items
    ]
    assert judge(model)["held_out_l1"] == pytest.approx(np.mean([abs(gap).mean() for gap in centers]), rel=1e-5)


def test_a_cut_leaves_small_pictures_and_other_arrays_alone():
    item = {"x": np.zeros((1, 9, 20, 3)), "mask": np.zeros((1, 9, 20, 1)), "label": np.zeros(1)}
    shapes = {name: x.shape for name, x in cut(item, "x", 12, 10).items()}
    assert shapes == {"x": (1, 9, 10, 3), "mask": (1, 9, 10, 1), "label": (1,)}


def test_items_are_drawn_by_the_seed_up_to_a_number_of_them_and_of_pixels(monkeypatch):
    _, items = denoiser(20)
    assert spread(items, "clean", RESTORED) == list(range(20))
    some = spread(items, "clean", replace(RESTORED, eval_samples=7))
    assert len(set(some)) == 7 and some == sorted(some) == spread(items, "clean", replace(RESTORED, eval_samples=7))
    assert some != spread(items, "clean", replace(RESTORED, eval_samples=7, seed=1))
    monkeypatch.setattr("minigan.training.translation_judges.MOST_PIXELS", 5 * 256)
    assert len(spread(items, "clean", RESTORED)) == 5
    monkeypatch.setattr("minigan.training.translation_judges.MOST_ITEMS", 3)
    assert len(spread(items, "clean", RESTORED)) == 3


def test_a_result_that_is_not_finite_has_no_score():
    model, items = denoiser()
    (judge,) = translation_judges(model, items, RESTORED)
    model.networks["G"].parameters().values[...] = np.nan
    assert judge(model).keys() == {"source_psnr", "source_ssim", "source_l1"}


# Sets


def test_sets_are_judged_by_kid_both_ways_beside_the_untranslated():
    model, items = cycle()
    (judge,) = translation_judges(model, items, CYCLE)
    found = judge(model)
    levels = lambda x: np.rint((np.clip(x, -1, 1) + 1) * 127.5) / 127.5 - 1  # noqa: E731
    a, b = (np.concatenate([items[i][name] for i in range(n)]) for name, n in (("a", 30), ("b", 40)))
    kid = {}
    for name, x, target in (
        ("kid_b", model.output(a, "AB"), b),
        ("source_kid_b", a, b),
        ("kid_a", model.output(b, "BA"), a),
        ("source_kid_a", b, a),
    ):
        features = [DIGITS(levels(part).astype(np.float32))[0] for part in (x, target)]
        kid[name], _ = kernel_distance(*features, 15, 100, rng=np.random.default_rng(0))
    kid["kid"] = (kid["kid_a"] + kid["kid_b"]) / 2
    assert found == {name: pytest.approx(value, rel=1e-3) for name, value in kid.items()}
    assert next(iter(judge.judgements)) == "kid" and found == judge(model)


def test_scores_that_decide_nothing_are_reported_and_no_checkpoint_is_the_best():
    model, items = denoiser()
    (decided,) = translation_judges(model, items, RESTORED)
    model.translations = (replace(model.translations[0], undecided="noise is wanted"),)
    (judge,) = translation_judges(model, items, RESTORED)
    assert judge(model) == decided(model)
    best = Best(judge.judgements)
    assert not best.update(judge(model), 1) and best.describe({"psnr": 20.0}) == "PSNR 20" and not best.describe({})
    assert "kept as the best, because noise is wanted: the last one" in about_best(model, items)
    assert about_best(model, items[:0]) == ""


def test_few_held_out_pictures_have_no_kid():
    model, items = cycle()
    few = HeldOut(
        {name: source.select(np.arange(FEWEST_FOR_KID - 1)) for name, source in items.sources.items()}, model.arrays
    )
    assert translation_judges(model, few, CYCLE) == []
    assert "KID takes 4 held-out pictures of each set, and there are 3 of a and 3 of b" in about_best(model, few)
    assert about_best(model, items) == about_best(model, items[:0]) == ""


def test_generators_that_do_nothing_are_not_the_best_for_their_cycle_error():
    assert Best(CycleGAN.judgements).key == ""


def test_a_set_with_a_result_that_is_not_finite_has_no_kid():
    model, items = cycle()
    (judge,) = translation_judges(model, items, CYCLE)
    model.networks["AB"].parameters().values[...] = np.nan
    assert judge(model).keys() == {"kid_a", "source_kid_a", "source_kid_b"}
    with pytest.raises(BadPictureError):
        list(in_batches(iter([np.full((1, 4, 4, 1), np.inf)])))


def test_batches_hold_pictures_of_one_size():
    pictures = [waves(1, 0, size) for size in (8, 8, 12, 8)]
    assert [x.shape for x, _ in in_batches(iter(pictures))] == [(2, 8, 8, 1), (1, 12, 12, 1), (1, 8, 8, 1)]


# Devices and several translations


@pytest.mark.parametrize("make", [denoiser, painter, cycle])
def test_a_gpu_gives_the_same_numbers_and_each_fetch_is_said(make):
    config = CYCLE if make is cycle else RESTORED
    found = []
    for device in ("cpu", STRICT):
        model, items = make(device=device)
        found.append([judge(model) for judge in translation_judges(model, items, config)])
    for one, other in zip(*found, strict=True):
        assert one == {name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in other.items()}


def test_several_paired_translations_are_told_apart_by_their_targets():
    class Both(Denoiser):
        arrays = {"clean": PICTURE, "other": PICTURE}
        translations = (Translation("noisy", "clean"), Translation("noisy", "other"))

        def translate(self, item):
            return {"clean": item["noisy"], "other": 0 * item["noisy"]}

    model = Both((16, 16, 1), rng=np.random.default_rng(0))
    x = waves(3, 0)
    items = [{"noisy": x[i : i + 1] * 0.9, "clean": x[i : i + 1], "other": x[i : i + 1]} for i in range(3)]
    judges = translation_judges(model, items, RESTORED)
    found = judges[0](model) | judges[1](model)
    assert found["held_out_l1_clean"] == found["source_l1_clean"] == pytest.approx(abs(0.1 * x).mean(), rel=1e-4)
    assert found["held_out_l1_other"] == pytest.approx(abs(x).mean(), rel=1e-4)
    words = [one.words for judge in judges for one in judge.judgements.values()]
    assert len(set(words)) == len(words) and "PSNR, other" in words


# What a model returns


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda x: x, "translate returned an array of shape|translate returned"),
        (lambda x: {}, "returned nothing: return {'clean': y} for an item with 'noisy'"),
        (lambda x: {"noisy": x}, "returned 'noisy': return {'clean': y}"),
        (lambda x: {"clean": x[:, :4]}, r"clean of shape \(1, 4, 16, 1\), and \(1, 16, 16, 1\) was expected"),
    ],
)
def test_a_wrong_result_is_a_sentence(returned, told):
    model, items = denoiser()
    model.translate = lambda item: returned(item["noisy"])
    with pytest.raises(TrainingError, match=told):
        result_of(model, model.translations[0], items[0])


def test_a_model_sees_the_source_of_one_translation_only():
    model, items = cycle()
    seen = []
    translate = model.translate
    model.translate = lambda item: seen.append(set(item)) or translate(item)
    for one in model.translations:
        result_of(model, one, items[0])
    assert seen == [{"a"}, {"b"}]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"translations": ("a",)}, r"use Translation\(source, target\)"),
        ({"translations": (Translation("a", "c"),)}, "an array of a translation is 'c'"),
        ({"translations": (Translation("a", "b", networks=("AC",)),)}, "a network of the translation to 'b' is 'AC'"),
        ({"translate": None}, r"write def translate\(self, item\)"),
        ({"holds_out": False}, "write holds_out = True"),
    ],
)
def test_a_wrong_declaration_is_a_sentence(change, told):
    model = type("Wrong", (Cycle,), change)((8, 8, 1), (8, 8, 1), rng=np.random.default_rng(0))
    with pytest.raises(ModelError, match=told):
        check_model(model)


# Runs


def test_the_best_checkpoint_is_the_one_with_the_best_psnr(tmp_path):
    run = train(Denoiser, denoiser_data(30), tmp_path / "run", eval_interval=5, **SHORT)
    records = [record for record in run.folder.records.read() if "psnr" in record]
    assert [record["step"] for record in records] == [5, 10, 15, 20]
    best = max(records, key=lambda record: record["psnr"])
    assert load_checkpoint(run.folder.best).state["step"] == best["step"] and run.best.key == "psnr"
    assert len({record["source_psnr"] for record in records}) == 1
    assert "L1, held out" in run.folder.report.read_text()


def test_a_set_judge_comes_before_the_judgements_of_the_model(tmp_path):
    class Own(Cycle):
        judgements = {"error": Judgement("cycle error", chart="Pixel loss")}

        def judge(self, held_out, rng):
            return {"error": 1.0}

    data = {name: np.concatenate([x, x]) for name, x in cycle_data().items()}
    run = train(Own, data, tmp_path / "run", eval_features="digits", **SHORT)
    assert run.best.key == "kid" and run.record["error"] == 1.0
    loss = next(chart for chart in run.declared.charts if chart.title == "Pixel loss")
    assert loss.curves == {"l1": "L1", "error": "cycle error"}


def test_without_judging_or_held_out_items_there_is_no_judge():
    model, items = denoiser()
    assert translation_judges(model, items, replace(RESTORED, eval_interval=None)) == []
    assert translation_judges(model, items[:0], RESTORED) == []


def test_held_out_curves_share_a_chart_with_those_of_training():
    model, items = denoiser()
    (judge,) = translation_judges(model, items, RESTORED)
    declared = Declared.of(model, judge.judgements)
    (loss,) = declared.charts
    assert loss.curves == {"l1": "L1", "held_out_l1": "L1, held out", "source_l1": "L1 of noisy"}
    assert [(chart.title, list(chart.curves)) for chart in declared.judged] == [
        ("PSNR", ["psnr", "source_psnr"]),
        ("SSIM", ["ssim", "source_ssim"]),
    ]


def test_declarations_with_charts_are_read_again(tmp_path):
    model, items = denoiser()
    (judge,) = translation_judges(model, items, RESTORED)
    declared = Declared.of(model, judge.judgements)
    declared.write(tmp_path / "declared.json")
    assert Declared.read(tmp_path / "declared.json").judged == declared.judged
    old = json.loads((tmp_path / "declared.json").read_text())
    for one in old["judgements"].values():
        del one["chart"]
    (tmp_path / "declared.json").write_text(json.dumps(old))
    assert len(Declared.read(tmp_path / "declared.json").judged) == len(declared.judgements)
