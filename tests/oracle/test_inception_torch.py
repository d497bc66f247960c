"""The Inception network against pytorch-fid's, with the same random weights; resizing; and files that PyTorch wrote."""

import collections

import numpy as np
import pytest
from references import fid_inception

from minigan.errors import MiniganError
from minigan.metrics.inception import Inception, read_weights
from minigan.metrics.resize import resize_bilinear
from minigan.metrics.torch_file import read_torch_file

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def theirs():
    """(network, wrapper, weights by name)."""
    with pytest.MonkeyPatch.context() as monkeypatch, torch.no_grad():
        yield fid_inception(monkeypatch)


@pytest.fixture(scope="module")
def ours(theirs):
    return Inception(theirs[2])


def channels_first(x):
    return torch.tensor(x).permute(0, 3, 1, 2)


def assert_close(found, expected, tolerance):
    expected = expected.numpy()
    assert found.shape == expected.shape
    assert abs(found - expected).max() <= tolerance * abs(expected).max()


def test_features_and_probabilities_of_photographs(theirs, ours):
    network, _, weights = theirs
    x = RNG.uniform(-1, 1, (2, 13, 13, 3)).astype(np.float32).repeat(23, axis=1).repeat(23, axis=2)  # 13·23 = 299
    seen = {}
    hook = network.avgpool.register_forward_hook(lambda module, inputs, output: seen.update(features=output.flatten(1)))
    logits = network(channels_first(x)) - network.fc.bias
    hook.remove()
    features, probabilities = ours(x)
    assert_close(features, seen["features"], 1e-5)
    assert_close(features @ weights["fc.weight"].T, logits, 1e-5)
    assert_close(probabilities, torch.softmax(logits, 1), 1e-5)
    assert np.ptp(features, axis=0).max() > 0.02 * features.max()  # the two pictures differ


@pytest.mark.parametrize("shape", [(5, 32, 32, 3), (2, 28, 28, 1), (1, 301, 200, 3)])
def test_from_small_pictures_to_features(theirs, ours, shape):
    """5 pictures are more than the network looks at together."""
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    pictures = channels_first(np.broadcast_to((x + 1) / 2, (*shape[:3], 3)).copy())
    (expected,) = theirs[1](pictures)
    assert_close(ours(x)[0], expected.flatten(1), 1e-5)


@pytest.mark.parametrize("size", [(32, 32), (1, 7), (299, 299), (64, 500)])
@pytest.mark.parametrize("out", [(299, 299), (3, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resizing(size, out, dtype):
    """PyTorch's result in float64: in float32 it rounds the places of the centers, which moves pixel 500 by 3e-5."""
    x = RNG.uniform(-1, 1, (2, *size, 3)).astype(dtype)
    y = torch.nn.functional.interpolate(channels_first(x).double(), out, mode="bilinear", align_corners=False)
    found = resize_bilinear(x, out)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, y.permute(0, 2, 3, 1), rtol=0, atol=1e-6 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "stream"])
def test_a_state_dict_that_pytorch_saved_gives_the_same_network(theirs, ours, tmp_path, zipped):
    torch.save(theirs[0].state_dict(), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    weights = read_weights(tmp_path / "net.pth")
    assert len(weights) == 566  # with the counters of batches
    x = RNG.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(Inception(weights)(x)[0], ours(x)[0])


TENSORS = collections.OrderedDict(
    float16=torch.randn(3, 4).half(),
    bfloat16=torch.randn(5).bfloat16(),
    float32=torch.randn(2, 3, 4),
    float64=torch.randn(2).double(),
    int64=torch.tensor(7),
    uint8=torch.arange(5, dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    transposed=torch.randn(3, 5, 2).permute(2, 0, 1),
    part=torch.arange(40.0).reshape(5, 8)[1:, 2::3],
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.randn(4)),
)
TENSORS["shared"] = TENSORS["part"][1:]


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "stream"])
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
def test_tensors_of_every_kind(tmp_path, zipped, kind):
    torch.save(kind(TENSORS), tmp_path / "t.pth", _use_new_zipfile_serialization=zipped)
    found = read_torch_file(tmp_path / "t.pth")
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        expected = (tensor.float() if name == "bfloat16" else tensor).detach().numpy()
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == (np.uint8 if name == "bool" else expected.dtype), name
        assert found[name].shape == expected.shape
    assert np.may_share_memory(found["shared"], found["part"])


def test_safetensors(tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    tensors = {name: tensor.detach().contiguous() for name, tensor in TENSORS.items() if name not in ("shared", "part")}
    save_file(tensors, tmp_path / "t.safetensors", metadata={"format": "pt"})
    found = read_weights(tmp_path / "t.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        expected = (tensor.float() if name == "bfloat16" else tensor).numpy()
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].shape == expected.shape


@pytest.mark.parametrize(
    "what",
    [torch.nn.Linear(2, 2), [torch.zeros(2)], {"epoch": 3, "net": {"W": torch.zeros(2)}}, {"x": np.zeros(3)}, {3: 4}],
    ids=["a module", "a list", "a checkpoint", "an array", "no names"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "stream"])
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path, what, zipped):
    torch.save(what, tmp_path / "t.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(MiniganError, match="is not a usable file of PyTorch weights: it ") as caught:
        read_torch_file(tmp_path / "t.pth")
    assert "\n" not in str(caught.value)
