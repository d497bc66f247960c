"""Content networks: which features they compute, whose weights they read, and what is refused."""

import numpy as np
import pytest

from minigan.errors import CheckpointError, ShapeError
from minigan.metrics import PhotoClassifier, read_network
from minigan.translators.content import (
    as_color,
    as_color_adjoint,
    build_content,
    check_content_size,
    digest,
    fill_content,
)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).uniform(-1, 1, (2, 32, 48, 3)).astype(np.float32)


@pytest.mark.parametrize(("depth", "first", "last"), [(1, 0, 24), (2, 24, 72), (4, 136, 216)])
def test_the_features_of_the_network_of_photos_are_those_that_ship(pictures, depth, first, last):
    """The means of each depth over a picture are what `PhotoClassifier` computes before its last batch norm."""
    network = build_content("photos", str(depth))
    fill_content(network, "photos", read_network("photos"))
    features = network.output(pictures, train=False)
    assert features.shape == (2, 32 >> depth, 48 >> depth, last - first)
    whole = PhotoClassifier().network[0].layers[0].output(pictures, train=False)
    np.testing.assert_allclose(features.mean(axis=(1, 2)), whole[:, first:last], atol=1e-5)


def vgg19(upto, seed=0):
    """A state dict with random weights and the names of torchvision's VGG19."""
    rng, arrays, C, number = np.random.default_rng(seed), {}, 3, 0
    for b, (K, convolutions) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))[:upto]):
        number += b > 0
        for _ in range(convolutions):
            arrays[f"features.{number}.weight"] = rng.standard_normal((K, C, 3, 3)).astype(np.float32) / (9 * C) ** 0.5
            arrays[f"features.{number}.bias"] = rng.standard_normal(K).astype(np.float32)
            C, number = K, number + 2
    return arrays


def test_the_numbers_of_the_deepest_layer_are_torchvisions():
    assert list(vgg19(5))[-1] == "features.34.bias"  # conv5_4
    network = build_content("vgg19.pth", "5_4")
    arrays = vgg19(5)
    fill_content(network, "vgg19.pth", arrays)
    np.testing.assert_array_equal(network[35].W, arrays["features.34.weight"].transpose(2, 3, 1, 0))
    assert type(network[36]).__name__ == "ReLU"


@pytest.mark.parametrize(
    ("layer", "channels"), [("1_1", [64]), ("2_1", [64, 64, 128]), ("3_1", [64, 64, 128, 128, 256])]
)
def test_earlier_blocks_are_whole_and_the_last_one_ends_at_its_layer(layer, channels):
    convolutions = [one for one in build_content("vgg19.pth", layer).layers if type(one).__name__ == "Conv2D"]
    assert [one.out_channels for one in convolutions] == channels


def test_black_and_white_are_normalized_as_torchvision_does():
    network = build_content("vgg19.pth", "1_1")
    x = np.array([-1.0, 1.0]).reshape(1, 1, 2, 1) * np.ones(3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    found = network[0].output(x, train=False)[0, 0]
    np.testing.assert_allclose(found, [-mean / std, (1 - mean) / std], rtol=1e-6)


@pytest.mark.oracle
def test_a_file_that_pytorch_saved_is_read_without_it(tmp_path, pictures):
    torch = pytest.importorskip("torch")
    arrays = vgg19(2)
    file = tmp_path / "vgg19.pth"
    torch.save({name: torch.tensor(a) for name, a in arrays.items()}, file)
    network = build_content(str(file), "2_2")
    fill_content(network, str(file), read_network(str(file)))
    mean, std = (torch.tensor(a).reshape(1, 3, 1, 1) for a in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = ((torch.tensor(pictures.transpose(0, 3, 1, 2)) + 1) / 2 - mean) / std
    for number in (0, 2, None, 5, 7):
        if number is None:
            x = torch.nn.functional.max_pool2d(x, 2)
        else:
            W, b = (torch.tensor(arrays[f"features.{number}.{name}"]) for name in ("weight", "bias"))
            x = torch.nn.functional.conv2d(x, W, b, padding=1).relu()
    np.testing.assert_allclose(network.output(pictures, train=False), x.numpy().transpose(0, 2, 3, 1), atol=1e-4)


@pytest.mark.parametrize("damage", ["missing", "shape", "nan"])
def test_other_weights_are_refused_and_change_nothing(damage):
    arrays = vgg19(2)
    if damage == "missing":
        del arrays["features.5.bias"]
    elif damage == "shape":
        arrays["features.5.weight"] = arrays["features.5.weight"][:, :-1]
    else:
        arrays["features.5.weight"][0, 0, 0, 0] = np.nan
    network = build_content("vgg19.pth", "2_2", rng=np.random.default_rng(0))
    before = digest(network)
    with pytest.raises(
        CheckpointError, match=r"vgg19.pth doesn't have .*VGG19.*: features.5.* is missing or different"
    ):
        fill_content(network, "vgg19.pth", arrays)
    assert np.array_equal(digest(network), before)
    with pytest.raises(CheckpointError, match="the network of photos"):
        fill_content(build_content("photos", "1"), "photos", read_network("digits"))


def test_other_layers_and_too_small_crops_are_refused():
    for source, layer in (("photos", "5"), ("photos", "2_2"), ("vgg19.pth", "6_1"), ("vgg19.pth", "2")):
        with pytest.raises(ValueError, match="`content_layer` is"):
            build_content(source, layer)
    with pytest.raises(ShapeError, match="`content_layer` 5_4 needs crops of 16×16 pixels"):
        check_content_size((15, 32), "vgg19.pth", "5_4")
    check_content_size((16, 16), "vgg19.pth", "5_4")
    check_content_size((1, 1), "photos", "4")


def test_the_checksum_depends_on_every_number():
    one, two = (build_content("photos", "1", rng=np.random.default_rng(0)) for _ in range(2))
    assert np.array_equal(digest(one), digest(two))
    two[1].running_var[3] += 1e-6
    assert not np.array_equal(digest(one), digest(two))


def test_a_gray_picture_has_three_equal_channels():
    rng = np.random.default_rng(0)
    for C in (1, 3):
        x, dy = rng.standard_normal((2, 4, 5, C)), rng.standard_normal((2, 4, 5, 3))
        assert (as_color(x) == x).all()
        assert (as_color(x) * dy).sum() == pytest.approx((x * as_color_adjoint(dy, C)).sum())
