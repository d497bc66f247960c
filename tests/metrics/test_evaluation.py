import json
from dataclasses import replace

import numpy as np
import pytest
from random_features import RandomFeatures, in_batches, pictures

from minigan.errors import DataError
from minigan.metrics import METRICS, evaluate, frechet_distance, kernel_distance, observe, precision_recall

NETWORK = RandomFeatures()


def measured(x, metrics, against=None, asked=None, network=NETWORK):
    reference = None if against is None else observe(in_batches(against), network, "real noise", keep=True)
    return evaluate(in_batches(x, asked), len(x), "noise", network, reference, metrics)[0]


def test_a_set_compared_with_itself():
    x = pictures(60)
    values = measured(x, ("fid", "pr"), x).values
    assert values["fid"] == pytest.approx(0, abs=1e-9)
    assert (values["precision"], values["recall"]) == (1, 1)


def test_the_numbers_are_those_of_the_arithmetic_on_the_features():
    x, y = pictures(50), pictures(40, seed=1) / 2
    (fx, px), (fy, _) = NETWORK(x), NETWORK(y)
    values = measured(x, METRICS, y, np.zeros(50, int)).values
    assert values["fid"] == pytest.approx(
        frechet_distance(fx.mean(axis=0), np.cov(fx.T), fy.mean(axis=0), np.cov(fy.T)), rel=1e-4
    )
    assert (values["precision"], values["recall"]) == precision_recall(fx, fy)
    called = px.argmax(axis=1)
    assert values["right"] == (called == 0).mean()
    np.testing.assert_allclose(list(values["shares"].values()), np.bincount(called, minlength=3) / 50)
    p = px[:, :2] + px[:, 2:] / 2
    parts = [np.exp((q * np.log(q / q.mean(axis=0))).sum(axis=1).mean()) for q in np.split(p, 10)]
    assert (values["is"], values["is_std"]) == pytest.approx((np.mean(parts), np.std(parts)), rel=1e-5)
    kid = kernel_distance(fx, fy, rng=np.random.default_rng(0), subset_size=20)
    assert (values["kid"], values["kid_std"]) == pytest.approx(kid, rel=1e-4)
    assert values["kid_subset"] == 20


def test_an_answer_carries_what_it_depends_on():
    answer = measured(pictures(50), ("fid",), pictures(40, seed=1))
    found = json.loads(json.dumps(answer.as_dict()))
    assert (found["n"], found["reference"], found["reference_n"]) == (50, "real noise", 40)
    assert (found["network"], found["resizer"]) == ("random projections", "none")
    assert measured(pictures(50), ("is",), pictures(40, seed=1)).reference is None


def test_what_cannot_be_compared_says_so(monkeypatch):
    few, many = pictures(8), pictures(50)
    assert "singular" in " ".join(measured(few, ("fid",), many).caveats)
    assert "of 50 pictures against 40 only" in measured(many, ("fid",), pictures(40)).caveats[-1]
    assert "of 50 pictures only" in measured(many, ("is",)).caveats[-1]
    assert not measured(many, ("kid",), many).caveats
    monkeypatch.setattr("minigan.metrics.evaluation.KEPT", 40)
    assert "use only 40 of the pictures" in measured(many, ("kid",), many).caveats[-1]
    own = RandomFeatures()
    own.comparable = False
    assert "not comparable with published numbers" in measured(many, ("is",), network=own).caveats[0]


def test_the_same_answer_whatever_the_batches():
    x, y = pictures(50), pictures(40, seed=1)
    reference = observe(in_batches(y), NETWORK, "y", keep=True)
    answers = [evaluate(in_batches(x, size=s), 50, "x", NETWORK, reference, METRICS)[0].values for s in (3, 50)]
    assert answers[0].pop("shares") == answers[1].pop("shares")
    for name, value in answers[0].items():
        np.testing.assert_allclose(value, answers[1][name], rtol=1e-6, err_msg=name)


def test_pictures_on_a_device_give_the_same_answer(device):
    x, y = pictures(30), pictures(30, seed=1)
    on_host = measured(x, METRICS, y).values
    reference = observe(((device.array(a), b) for a, b in in_batches(y)), NETWORK, "y", keep=True)
    there = ((device.array(a), b) for a, b in in_batches(x))
    found = evaluate(there, 30, "x", NETWORK, reference, METRICS)[0].values
    assert found.pop("shares") == on_host.pop("shares")
    for name, value in on_host.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("metrics", "n", "said"),
    [
        (("fad",), 50, "no metric 'fad': choose from fid"),
        (("fid",), 50, "give them with --against"),
        (("is",), 9, "there are 9"),
        (("is",), 1, "give two at least"),
    ],
)
def test_what_cannot_be_measured_is_refused(metrics, n, said):
    with pytest.raises(DataError, match=said):
        measured(pictures(n), metrics)


def test_metrics_of_all_features_need_all_features():
    reference = observe(in_batches(pictures(50)), NETWORK, "real noise")
    with pytest.raises(DataError, match="save them again with --metrics kid"):
        evaluate(in_batches(pictures(50)), 50, "noise", NETWORK, reference, ("kid",))


def test_classes_are_counted_by_a_network_that_knows_none():
    network = RandomFeatures()
    network.knows_none = False
    with pytest.raises(DataError, match="leave it out"):
        measured(pictures(50), ("classes",), network=network)


def test_statistics_that_do_not_say_their_n_say_that():
    x = pictures(50)
    reference = replace(observe(in_batches(x), NETWORK, "theirs"), n=None)
    caveats = evaluate(in_batches(x), 50, "noise", NETWORK, reference, ("fid",))[0].caveats
    assert "doesn't say how many pictures" in caveats[-1]


def test_what_is_none_lowers_the_inception_score():
    """Of two classes that are there in equal parts the score is 2; a third of nonsense isn't a third class."""

    class Sure(RandomFeatures):
        def __call__(self, x):
            return super().__call__(x)[0], np.eye(3)[np.rint(x[:, 0, 0, 0]).astype(int)]

    def score(kinds):
        x = pictures(60)
        x[:, 0, 0, 0] = np.tile(kinds, 60 // len(kinds))
        return measured(x, ("is",), network=Sure()).values["is"]

    assert score([0, 1]) == pytest.approx(2)
    assert score([0, 1, 2]) == pytest.approx(np.exp(2 / 3 * np.log(2)))
    assert score([2, 2]) == pytest.approx(1)
