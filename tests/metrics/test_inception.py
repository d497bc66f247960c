"""The Inception network with random weights: its table, what is folded and resized, and where weights are found."""

import hashlib
import http.server
import threading
import tracemalloc

import numpy as np
import pytest

from minigan.commands.cli import main
from minigan.errors import MiniganError, ShapeError
from minigan.layers import BatchNorm, Conv2D
from minigan.metrics import inception
from minigan.metrics.inception import FILE, Inception, load_inception
from minigan.metrics.inception_v3 import weight_shapes
from minigan.metrics.resize import resize_bilinear
from minigan.testing import STRICT, forbid_transfers


@pytest.fixture(scope="module")
def weights():
    """Random arrays of all the right shapes; kernels keep the activations of about the same size."""
    rng = np.random.default_rng(0)
    pool, arrays = rng.standard_normal(1 << 18, np.float32), {}
    for name, shape in weight_shapes().items():
        draw = np.resize(np.roll(pool, rng.integers(len(pool))), shape)
        if name.endswith(("conv.weight", "fc.weight")):
            arrays[name] = draw * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        else:
            positive = name.endswith(("bn.weight", "running_var"))
            arrays[name] = 1 + np.float32(0.3) * np.tanh(draw) if positive else np.float32(0.2) * draw
    return arrays


@pytest.fixture(scope="module")
def network(weights):
    return Inception(weights)


def pictures(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def test_the_table_has_94_convolutions_and_the_file_as_many_numbers_as_it_has_bytes_for():
    shapes = weight_shapes()
    assert sum(name.endswith(".conv.weight") for name in shapes) == 94
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 23_885_392  # float32, in a file of 95,628,359 bytes
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)


def test_batch_norm_in_the_convolution_is_batch_norm_after_it(weights, network):
    x = pictures(1, 11, 9, 3)
    conv, norm = Conv2D(3, 32, 3, stride=2, bias=False), BatchNorm(32, eps=1e-3)
    conv.W[...] = weights["Conv2d_1a_3x3.conv.weight"].transpose(2, 3, 1, 0)
    parts = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
    norm.load_state_dict({ours: weights[f"Conv2d_1a_3x3.bn.{theirs}"] for ours, theirs in parts.items()})
    y = np.maximum(norm.forward(conv.forward(x)[0], train=False)[0], 0)
    np.testing.assert_allclose(network.blocks[0].forward(x, train=False)[0], y, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_pictures_of_any_size_and_number_give_features_and_probabilities(network):
    """Alone or among others, more than go through the network together; gray is color of equal parts.

    However many pictures there are, they take less than 100 MB of memory.
    """
    x = pictures(inception.CPU_PICTURES + 1, 20, 33, 1)
    before = x.copy()
    tracemalloc.start()
    features, probabilities = network(x)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert (features.shape, probabilities.shape) == ((5, network.n_features), (5, len(network.classes)))
    assert features.dtype == probabilities.dtype == np.float32
    assert features.min() >= 0
    assert probabilities.min() > 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    large = resize_bilinear(x[4:].repeat(3, axis=3), 299)
    for found, expected in zip(network(large), (features[4:], probabilities[4:]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(x, before)
    assert network(x[:0])[0].shape == (0, 2048)


def test_logits_are_without_bias(weights, network):
    features, probabilities = network(pictures(1, 8, 8, 3))
    logits = features.astype(np.float64) @ weights["fc.weight"].T
    np.testing.assert_allclose(probabilities, np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)


@pytest.mark.slow
def test_it_runs_on_a_device(weights, network):
    """And has no gradients, which would take as much memory as the weights."""
    x = pictures(1, 16, 16, 1)
    tracemalloc.start()
    there = Inception(weights, STRICT)
    assert tracemalloc.get_traced_memory()[0] < 100e6
    tracemalloc.stop()
    x_there = STRICT.array(x)
    with forbid_transfers():
        results = there(x_there)
    for found, expected in zip(results, network(x), strict=True):
        np.testing.assert_allclose(found.get(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 8, 8, 4), (2, 0, 8, 3)])
def test_other_things_than_pictures_are_refused(network, shape):
    with pytest.raises(ShapeError, match="pictures"):
        network(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"fc.bias": None}, r"fc.bias is missing \(1 in all\)"),
        ({"AuxLogits.fc.bias": np.zeros(3)}, r"AuxLogits.fc.bias is unknown \(1 in all\)"),
        (
            {"fc.weight": np.zeros((1000, 2048))},
            r"fc.weight is \(1000, 2048\) of float64, and should be \(1008, 2048\)",
        ),
        ({"fc.bias": np.zeros(1008, int)}, r"fc.bias is \(1008,\) of int64"),
        ({"Mixed_7c.branch_pool.bn.bias": np.full(192, np.nan)}, "Mixed_7c.branch_pool.bn.bias is not finite"),
        ({"Conv2d_1a_3x3.bn.running_var": np.full(32, -1.0)}, "Conv2d_1a_3x3.bn.running_var is negative"),
    ],
)
def test_other_weights_are_refused_in_a_sentence(weights, change, complaint):
    changed = {name: array for name, array in (weights | change).items() if array is not None}
    with pytest.raises(MiniganError, match=complaint):
        Inception(changed)


def test_no_weights_are_no_network():
    with pytest.raises(MiniganError, match="needs weights: load_inception"):
        Inception(None)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folders where weights are looked for, which are empty; and networks are not built."""
    for name in ("MINIGAN_INCEPTION", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "minigan"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(inception, "read_weights", lambda path: path)
    monkeypatch.setattr(inception, "Inception", lambda weights, device, comparable: (weights, comparable))
    found = [tmp_path / "minigan" / FILE, tmp_path / "cache" / "torch" / "hub" / "checkpoints" / FILE]
    for path in found:
        path.parent.mkdir(parents=True)
    return found


def test_weights_that_are_nowhere_are_asked_for(places):
    with pytest.raises(MiniganError) as caught:
        load_inception()
    sentence = str(caught.value)
    for told in (FILE, "SHA-256 6726825d", "https://github.com/mseitzer/pytorch-fid/", str(places[0].parent)):
        assert told in sentence
    assert "MINIGAN_INCEPTION" in sentence
    with pytest.raises(MiniganError, match="there is no file .*other.npz with the weights"):
        load_inception(places[0].parent / "other.npz")


def test_weights_are_looked_for_in_order(places, monkeypatch, tmp_path):
    """An argument, the environment, minigan's folder, torch.hub's. They are comparable if the checksum is right."""
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(b"right").hexdigest())
    for path in places:
        path.write_bytes(b"right")
    assert load_inception() == (places[0], True)
    places[0].unlink()
    assert load_inception() == (places[1], True)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"converted")
    monkeypatch.setenv("MINIGAN_INCEPTION", str(other))
    assert load_inception() == (other, False)
    assert load_inception(places[1]) == (places[1], True)


class Serving(http.server.BaseHTTPRequestHandler):
    """Serves a file that stands for the weights, from where the client asks."""

    CONTENT = bytes(range(256)) * 40

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.CONTENT) - start))
        self.end_headers()
        self.wfile.write(self.CONTENT[start:])

    def log_message(self, *args): ...


@pytest.fixture
def server(monkeypatch):
    """A server that has the weights; their address and checksum are those of its file."""
    with http.server.HTTPServer(("127.0.0.1", 0), Serving) as server:
        server.starts = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setattr(inception, "URL", f"http://127.0.0.1:{server.server_port}/{FILE}")
        monkeypatch.setattr(inception, "SHA256", hashlib.sha256(Serving.CONTENT).hexdigest())
        yield server
        server.shutdown()


def test_weights_are_downloaded_once_and_then_found(places, server, capsys):
    assert not inception.has_weights()
    for _ in range(2):
        assert main(["download", "inception"]) == 0
        assert capsys.readouterr().out == f"{places[0]}\n"
    assert server.starts == [0] and places[0].read_bytes() == Serving.CONTENT
    assert inception.has_weights() and load_inception() == (places[0], True)


def test_an_interrupted_download_goes_on_where_it_was(places, server):
    places[0].with_name(FILE + ".part").write_bytes(Serving.CONTENT[:1000])
    assert inception.download_inception().read_bytes() == Serving.CONTENT
    assert server.starts == [1000]


def test_what_torch_has_downloaded_is_not_downloaded_again(places, server):
    places[1].write_bytes(Serving.CONTENT)
    assert inception.download_inception() == places[1] and not server.starts


def test_a_download_without_a_network_says_what_to_do(places, monkeypatch, capsys):
    monkeypatch.setattr(inception, "URL", "http://127.0.0.1:1/weights")  # nothing listens there
    assert main(["download", "inception"]) == 2
    said = capsys.readouterr().err
    for told in ("could not download", "refused", f"put the file into {places[0].parent}", "--features photos"):
        assert told in said
    assert said.count("\n") == 1


def test_a_damaged_file_is_not_used_and_not_overwritten(places, server, capsys):
    places[0].write_bytes(b"half of it")
    assert main(["download", "inception"]) == 2
    assert "is damaged, its checksum is wrong: delete it to have it downloaded again" in capsys.readouterr().err
    assert places[0].read_bytes() == b"half of it" and not server.starts


def test_a_damaged_file_is_found_by_its_checksum(places):
    places[0].write_bytes(b"half of it")
    with pytest.raises(
        MiniganError,
        match="is damaged, its SHA-256 doesn't begin with 6726825d: delete it, and get it again by minigan",
    ):
        load_inception()


def test_weights_of_an_npz_file(weights, network, tmp_path):
    np.savez(tmp_path / "w.npz", **weights, **{"Mixed_5b.branch1x1.bn.num_batches_tracked": 3})
    loaded = load_inception(tmp_path / "w.npz")
    assert not loaded.comparable
    assert "could not be verified" in loaded.describe
    np.testing.assert_array_equal(loaded.blocks[5].layers[0].W, network.blocks[5].layers[0].W)
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(MiniganError, match="w.npz is not a usable .npz file of weights"):
        load_inception(tmp_path / "w.npz")
