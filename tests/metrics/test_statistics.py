import io
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_features import RandomFeatures, in_batches, pictures

from minigan.errors import DataError
from minigan.metrics import Statistics, observe, read_statistics, write_statistics

NETWORK = RandomFeatures()


def saved(path, statistics):
    with path.open("wb") as file:
        write_statistics(file, statistics)
    return path


@given(st.integers(2, 40), st.integers(1, 40))
def test_however_the_pictures_come_the_statistics_are_those_of_all(n, size):
    x = pictures(n)
    features, _ = NETWORK(x)
    found = observe(in_batches(x, size=size), NETWORK, "noise", keep=True)
    assert found.n == n
    np.testing.assert_allclose(found.mean, features.mean(axis=0, dtype=float), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(features.T.astype(float)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.features, features, rtol=1e-5, atol=1e-5)


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(n):
        stream = ((pictures(50, seed), None) for seed in range(n // 50))
        tracemalloc.start()
        observe(stream, NETWORK, "noise")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(100)  # whatever is loaded only once
    assert peak(5000) < 1.1 * peak(500)


def test_of_many_pictures_the_features_of_the_first_are_kept(monkeypatch):
    monkeypatch.setattr("minigan.metrics.statistics.KEPT", 10)
    x = pictures(25)
    found = observe(in_batches(x, size=7), NETWORK, "noise", keep=True)
    np.testing.assert_allclose(found.features, NETWORK(x)[0][:10], rtol=1e-5, atol=1e-5)
    assert found.n == 25


def test_watchers_see_every_batch():
    seen = []
    labels = np.arange(20) % 2
    observe(in_batches(pictures(20), labels), NETWORK, "noise", watchers=[lambda *batch: seen.append(batch)])
    assert [len(features) for features, _, _ in seen] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate([asked for _, _, asked in seen]), labels)


@pytest.mark.parametrize("keep", [True, False])
def test_statistics_come_back_from_their_file(tmp_path, keep):
    found = observe(in_batches(pictures(30)), NETWORK, "noise, 30 of it", keep)
    again = read_statistics(saved(tmp_path / "s.npz", found), NETWORK)
    assert (again.source, again.n, again.network, again.resizer) == ("noise, 30 of it", 30, "random", "none")
    for name in ("mean", "covariance", "features"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_a_file_of_pytorch_fid_is_taken_as_inception(tmp_path):
    path = tmp_path / "fid_stats.npz"
    np.savez(path, mu=np.zeros(10), sigma=np.eye(10))
    inception = RandomFeatures()
    inception.name = "inception"
    found = read_statistics(path, inception)
    assert (found.n, found.source, found.features) == (None, str(path), None)
    with pytest.raises(DataError, match="evaluate with --features inception"):
        read_statistics(path, NETWORK)


def test_statistics_of_another_version_of_the_network_are_refused(tmp_path):
    found = observe(in_batches(pictures(30)), NETWORK, "noise")
    for what in ("resizer", "weights"):
        other = RandomFeatures()
        setattr(other, what, "another")
        with pytest.raises(DataError, match="create it again"):
            read_statistics(saved(tmp_path / "s.npz", found), other)


def _about(**changes):
    about = {"source": "s", "n": 5, "network": "random", "weights": "of seed 0", "resizer": "none"} | changes
    return np.frombuffer(json.dumps(about).encode(), np.uint8)


GOOD = {"mu": np.zeros(10), "sigma": np.eye(10), "about": _about()}


@pytest.mark.parametrize(
    "damage",
    [
        {"mu": np.zeros(9)},
        {"mu": np.full(10, np.nan)},
        {"sigma": np.zeros((10, 9))},
        {"sigma": np.array(["x"] * 10)},
        {"mu": np.array([{}] * 10, dtype=object)},
        {"features": np.zeros((4, 9), np.float32)},
        {"features": np.zeros((4, 10), np.int64)},
        {"about": _about(n=1)},
        {"about": _about(n="many")},
        {"about": np.frombuffer(b"[1]", np.uint8)},
        {"about": np.frombuffer(b"{", np.uint8)},
        {"about": np.zeros(3)},
    ],
)
def test_damaged_files_are_one_sentence(tmp_path, damage):
    path = tmp_path / "s.npz"
    np.savez(path, **GOOD | damage)
    with pytest.raises(DataError, match=str(path)) as caught:
        read_statistics(path, NETWORK)
    assert "\n" not in str(caught.value)


@given(st.integers(0, 900), st.integers(0, 255))
def test_no_byte_of_a_file_that_is_cut_or_changed_ends_in_another_error(where, byte):
    file = io.BytesIO()
    write_statistics(file, Statistics("s", 5, "random", "of seed 0", "none", np.zeros(10), np.eye(10)))
    good = file.getvalue()
    for bad in (good[:where], good[:where] + bytes([byte]) + good[where + 1 :]):
        try:
            read_statistics(io.BytesIO(bad), NETWORK)
        except DataError as error:
            assert "\n" not in str(error)


def test_one_picture_has_no_covariance_and_a_nan_no_mean():
    with pytest.raises(DataError, match="give two at least"):
        observe(in_batches(pictures(1)), NETWORK, "noise")
    broken = pictures(5)
    broken[2, 0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        observe(in_batches(broken), NETWORK, "noise")
