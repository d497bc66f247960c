"""Mistakes of a caller: a metric gives the right number, or refuses in one sentence; never a wrong number."""

import warnings

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.errors import MiniganError
from minigan.metrics import (
    ClassCounts,
    DigitClassifier,
    Inception,
    InceptionScore,
    Moments,
    evaluate,
    frechet_distance,
    kernel_distance,
    modes_and_quality,
    nearest,
    observe,
    precision_recall,
    psnr,
    ssim,
)
from minigan.metrics.resize import resize_bilinear
from minigan.testing.strict import STRICT

RNG = np.random.default_rng(0)
Tensor = type("Tensor", (), {"__module__": "torch", "shape": (8, 3), "ndim": 2, "dtype": "torch.float32"})
FEATURES = RNG.standard_normal((8, 3))
OTHERS = RNG.standard_normal((9, 3))
PICTURES = RNG.uniform(-1, 1, (2, 16, 16, 1))
P = np.array([[0.9, 0.1, 0.0], [0.0, 0.96, 0.04], [0.2, 0.3, 0.5]])
CENTERS = np.array([[0.0, 0.0], [4.0, 0.0]])


def moments(features):
    found = Moments(3)
    found.update(features)
    return found.covariance


def classes(p, asked=None):
    counts = ClassCounts(("a", "b"))
    counts.update(p, asked)
    return counts.result()


def score(p):
    found = InceptionScore(3, 1)
    found.update(p)
    return found.result()


def fid(features):
    """Of these features, whose mean and covariance are taken as they come."""
    x = np.asanyarray(features)
    return frechet_distance(x.mean(axis=0), np.eye(3), [0.0, 0.0, 0.0], np.eye(3).tolist())


# name: (what is measured of an array, the array that it is right for)
MEASURES = {
    "moments": (moments, FEATURES),
    "frechet": (lambda mean: frechet_distance(mean, np.eye(3), np.zeros(3), np.eye(3)), np.arange(3.0)),
    "covariance": (lambda cov: frechet_distance(np.zeros(3), cov, np.zeros(3), np.eye(3)), np.diag([1.0, 2, 3])),
    "kid": (lambda x: kernel_distance(x, OTHERS, 4, 3, rng=np.random.default_rng(0)), FEATURES),
    "kid, second": (lambda x: kernel_distance(OTHERS, x, 4, 3, rng=np.random.default_rng(0)), FEATURES),
    "precision": (lambda x: precision_recall(x, OTHERS), FEATURES),
    "recall": (lambda x: precision_recall(OTHERS, x), FEATURES),
    "nearest": (lambda x: nearest(x, OTHERS), FEATURES),
    "nearest, second": (lambda x: nearest(OTHERS, x), FEATURES),
    "ssim": (lambda x: ssim(x, PICTURES[::-1], 2.0), PICTURES),
    "ssim, second": (lambda x: ssim(PICTURES[::-1], x, 2.0), PICTURES),
    "psnr": (lambda x: psnr(x, PICTURES[::-1], 2.0), PICTURES),
    "psnr, second": (lambda x: psnr(PICTURES[::-1], x, 2.0), PICTURES),
    "classes": (classes, P),
    "score": (score, P),
    "modes": (lambda x: modes_and_quality(x, CENTERS, 1.0), RNG.standard_normal((8, 2))),
    "centers": (lambda x: modes_and_quality(RNG.standard_normal((8, 2)), x, 10.0), CENTERS),
    "resize": (lambda x: resize_bilinear(x, 8), PICTURES),
}
each_measure = pytest.mark.parametrize("name", MEASURES)


@each_measure
def test_lists_of_numbers_are_as_good_as_arrays(name):
    measure, right = MEASURES[name]
    np.testing.assert_equal(measure(right.tolist()), measure(right))


@each_measure
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda x: x + 0j, "real numbers, got complex128"),
        (lambda x: x.astype(str), "real numbers, got <U"),
        (lambda x: x.astype(object), "real numbers, got object"),
        (lambda x: np.ma.masked_array(x, x > 0), "a masked array: fill it"),
        (lambda x: [*x.tolist(), [1.0]], "can't be made one array of numbers"),
        (lambda x: Tensor(), r"got a torch Tensor: pass its \.detach"),
        (lambda x: None, "must be an array of numbers, got None"),
        (lambda x: "pictures", "must be an array of numbers, got a str"),
        (lambda x: {"x": x}, "must be an array of numbers, got a dict"),
        (lambda x: x.ravel()[:1][0], "."),
        (lambda x: x[None, None], "."),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(name, wrong, sentence):
    measure, right = MEASURES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MiniganError, match=sentence) as caught:
            measure(wrong(right))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - {"resize"}))
def test_nothing_has_no_measure(name):
    measure, right = MEASURES[name]
    with pytest.raises(MiniganError):
        measure(right[:0])


@each_measure
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_gives_no_number(name, value):
    measure, right = MEASURES[name]
    x = right.copy()
    x[(0,) * x.ndim] = value
    if name in ("moments", "resize"):  # it is seen in what comes out
        with np.errstate(invalid="ignore"):
            assert not np.isfinite(measure(x)).all()
    elif name == "modes":  # it is near no mode
        assert measure(x)[1] == pytest.approx((measure(right[1:])[1] * 7) / 8)
    else:
        with pytest.raises(MiniganError):
            measure(x)


@each_measure
def test_an_array_of_another_device_is_refused_or_measured(name):
    measure, right = MEASURES[name]
    try:
        measure(STRICT.array(right))
    except MiniganError as error:
        assert "move them to one place" in str(error)  # noqa: PT017


@pytest.mark.parametrize("measure", [score, classes])
@pytest.mark.parametrize(
    "wrong",
    [
        [[1.5, -0.5, 0], [1, 0, 0], [1, 0, 0]],
        [[0.5, 0.5, 0.5], [0.5, 0, 0], [0.5, 0.5, 0]],  # one too large, one too small
        [[3.0, 1.0, -2.0]] * 3,  # logits
        [[90, 10, 0]] * 3,  # per cent
    ],
)
def test_what_are_no_probabilities_is_refused(measure, wrong):
    with pytest.raises(MiniganError, match=r"not negative and sum to 1 for each picture: \d of 3 don't"):
        measure(wrong)


def test_half_precision_is_good_enough_for_probabilities():
    p = RNG.dirichlet(np.ones(3), 3).astype(np.float16)
    assert score(p)[0] == pytest.approx(score(p.astype(float))[0], rel=1e-6)


@pytest.mark.parametrize("labels", [[0, 1, 1], [[0], [1], [1]], [0.0, 1.0, 1.0], np.array([0, 1, 1], np.uint64)])
def test_labels_that_will_do(labels):
    assert classes(P, labels)["right"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, 1.7], "whole numbers from 0 on, and that of sample 2 is 1.7"),
        ([0, np.nan, 1], "that of sample 1 is nan"),
        ([0, 1, -1], "that of sample 2 is -1"),
        ([0, 1, 2], "has 2 classes, and samples of classes 0 to 2 were requested"),
        ([0, 1], "3 samples want as many labels"),
        (np.eye(3)[[0, 1, 1]], r"got shape \(3, 3\): take the largest of each row, labels\.argmax"),
        (["a", "b", "b"], "real numbers"),
        ([0, 1j, 1], "real numbers, got complex"),
        (0, r"got shape \(\)"),
    ],
)
def test_labels_that_will_not(labels, sentence):
    with pytest.raises(MiniganError, match=sentence):
        classes(P, labels)


COUNTS = {
    "k": lambda n: precision_recall(FEATURES, OTHERS, n),
    "k of nearest": lambda n: nearest(FEATURES, OTHERS, n),
    "subset": lambda n: kernel_distance(FEATURES, OTHERS, n, rng=np.random.default_rng(0)),
    "subsets": lambda n: kernel_distance(FEATURES, OTHERS, 4, n, rng=np.random.default_rng(0)),
    "n": lambda n: InceptionScore(n, 1),
    "splits": lambda n: InceptionScore(3, n),
    "features": Moments,
    "window": lambda n: ssim(PICTURES, PICTURES, 2.0, window=n),
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [2.5, "3", np.nan, [3], True])
def test_counts_are_whole_numbers(name, value):
    with pytest.raises(MiniganError, match="must be a whole number, got"):
        COUNTS[name](value)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_may_be_numpys(name):
    COUNTS[name](np.int64(3))


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1])
def test_counts_begin_at_one(name, value):
    with pytest.raises((MiniganError, ValueError)) as caught:
        COUNTS[name](value)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf, "255", None, np.ones(2), 2j])
def test_the_range_of_pictures_is_a_number_above_0(value):
    for measure in (ssim, psnr):
        with pytest.raises(MiniganError, match="data_range is the difference"):
            measure(PICTURES, PICTURES, value)


@pytest.mark.parametrize("option", ["sigma", "K1", "K2"])
@pytest.mark.parametrize("value", [np.nan, "1", None, np.ones(2)])
def test_options_of_ssim_are_numbers(option, value):
    with pytest.raises(MiniganError, match="must be finite numbers"):
        ssim(PICTURES, PICTURES, 2.0, **{option: value})


@pytest.mark.parametrize(
    ("points", "centers", "std", "sentence"),
    [
        (np.zeros((5, 1)), CENTERS, 1.0, r"points \(N, 2\) and centers \(K, 2\), got \(5, 1\)"),  # would be broadcast
        (np.zeros((5, 3)), CENTERS, 1.0, "got"),
        (np.zeros(2), CENTERS, 1.0, "got"),
        (np.zeros((5, 2)), CENTERS[:0], 1.0, "not 5 and 0"),
        (np.zeros((5, 2)), CENTERS, -1.0, "a standard deviation of 0 or more"),
        (np.zeros((5, 2)), CENTERS, np.nan, "a standard deviation of 0 or more"),
        (np.zeros((5, 2)), CENTERS, "1", "a standard deviation of 0 or more"),
        (np.zeros((5, 2)), CENTERS + np.inf, 1.0, "finite centers"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_modes_of_what_does_not_fit(points, centers, std, sentence):
    with pytest.raises(MiniganError, match=sentence):
        modes_and_quality(points, centers, std)


def test_numbers_beyond_float64_are_no_distance_of_0():
    with pytest.raises(MiniganError, match="too large for float64"), np.errstate(over="ignore", invalid="ignore"):
        frechet_distance(np.full(3, 1e200), np.eye(3), np.zeros(3), np.eye(3))


@pytest.mark.parametrize("rng", [0, None, "seed"])
def test_a_seed_is_no_generator(rng):
    with pytest.raises(MiniganError, match=r"rng=np\.random\.default_rng\(seed\)"):
        kernel_distance(FEATURES, OTHERS, 4, rng=rng)


@pytest.mark.parametrize("names", ["ab", 3, (), ("a", "a"), ("a", "none")])
def test_classes_have_names_of_their_own(names):
    with pytest.raises(MiniganError, match="ClassCounts"):
        ClassCounts(names)


@pytest.fixture(scope="module")
def classifier():
    return DigitClassifier(CPU)


@pytest.mark.parametrize(
    ("pictures", "sentence"),
    [
        (np.zeros((2, 16, 16, 1), np.uint8), "got uint8 .*: divide by 127.5 and subtract 1"),
        (np.zeros((2, 16, 16, 1)), "got float64"),
        (np.full((2, 16, 16, 1), 255, np.float32), r"got numbers from 255 to 255: bring them to \[-1, 1\]"),
        (np.zeros((2, 1, 16, 16), np.float32), "got float32"),
        (np.zeros((2, 16, 16, 4), np.float32), "got float32"),
        ([[0.0]], "got a list"),
        (Tensor(), "got a torch Tensor"),
    ],
)
def test_what_a_feature_network_cannot_see(classifier, pictures, sentence):
    with pytest.raises(MiniganError, match=sentence):
        classifier(pictures)
    with pytest.raises(MiniganError, match=sentence):
        observe([(pictures, None)], classifier, "mine")


def test_pictures_that_do_not_come_in_batches(classifier):
    with pytest.raises(MiniganError, match=r"mine: pictures come in batches \(pictures, labels\), got ndarray"):
        observe(np.zeros((2, 16, 16, 1), np.float32), classifier, "mine")


def test_one_metric_needs_no_list(classifier):
    x = RNG.uniform(-1, 1, (10, 16, 16, 1)).astype(np.float32)
    found, _ = evaluate([(x, None)], 10, "mine", classifier, metrics="is")
    assert found.values["is"] >= 1
    with pytest.raises(MiniganError, match="n must be a whole number"):
        evaluate([(x, None)], 10.5, "mine", classifier, metrics="is")


def test_a_reference_is_statistics(classifier):
    with pytest.raises(MiniganError, match="a reference is Statistics, as read_statistics or observe gives them"):
        evaluate([], 10, "mine", classifier, "reference.npz", ["fid"])


@pytest.mark.parametrize("name", ["kid", "precision", "recall", "nearest"])
def test_features_whose_powers_float64_cannot_hold(name):
    measure, right = MEASURES[name]
    assert np.isfinite(np.hstack(measure(1e23 * right))).all()
    with pytest.raises(MiniganError, match="takes features up to 1e.24, got .*: divide all by one number"):
        measure(1e30 * right)


@pytest.mark.parametrize("weights", [[1], "weights.pt", Tensor()])
def test_inception_takes_its_weights_by_name(weights):
    with pytest.raises(MiniganError, match="takes its weights by name, in a dict, got"):
        Inception(weights)
