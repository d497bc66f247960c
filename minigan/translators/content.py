"""Content networks: frozen networks whose features say how alike two pictures are (Ledig et al. 2017, section 2.2.1).

    content loss        C = mean (φ(y) − φ(t))²        φ: the first layers of a trained network, t the original
    its gradient        dy = φ.backward(dφ), dφ = 2 (φ(y) − φ(t))/M

Pixels compare each detail at its exact place: a texture that is shifted by one pixel is as wrong as none. Features of
deeper layers are means over many places and of several patterns, so they compare what textures are there. φ isn't
trained; it runs in inference mode, and only the gradient at its input is computed.

    photos      depth 1 to 4 of the package's network of photos (metrics/photo_classifier.py): each depth is two
                convolutions with batch norm and ReLU, and halves height and width
    a file      VGG19 (Simonyan and Zisserman 2015), up to the ReLU after one convolution: "5_4" is the fourth one of
                block 5. Its arrays have the names of torchvision: features.0.weight and so on. Its input is normalized
                by the mean and the deviation of ImageNet's colors: a batch norm with these as running statistics

A gray picture goes into φ with three equal channels, so its gradient is the sum over the three.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import CheckpointError, ShapeError
from minigan.gans.base import choose
from minigan.layers import BatchNorm, Conv2D, Layer, MaxPool2D, ReLU, Sequential, he_normal

PHOTOS = "photos"
PHOTO_WIDTHS = (24, 48, 64, 80)  # channels of each depth of the network of photos
VGG_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels and convolutions; a max pooling between
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of colors in [0, 1]
BN_EPS = 1e-5


def build_content(source: str, layer: str, *, rng: np.random.Generator | None = None) -> Sequential:
    """Build φ: pictures (N, H, W, 3) in [−1, 1] → features (N, h, w, K), with random weights.

    source: "photos", or the path of a file of VGG19's weights, which isn't read here
    layer:  depth "1" to "4" of the network of photos, or "1_1" to "5_4" of VGG19

    Raises ValueError for another layer.
    """
    if source == PHOTOS:
        depth = choose("content_layer", layer, {str(k + 1): k + 1 for k in range(len(PHOTO_WIDTHS))})
        return Sequential(*(one for k in range(depth) for one in photo_depth(k, rng)))
    ends = [f"{b + 1}_{k + 1}" for b, (_, convolutions) in enumerate(VGG_BLOCKS) for k in range(convolutions)]
    choose("content_layer", layer, dict.fromkeys(ends))
    block, convolution = map(int, layer.split("_"))
    layers: list[Layer] = [_normalization()]
    C = 3
    for b, (K, convolutions) in enumerate(VGG_BLOCKS[:block]):
        layers += [MaxPool2D(2)] if b else []
        for _ in range(convolution if b == block - 1 else convolutions):
            layers += [Conv2D(C, K, 3, padding=1, init=he_normal(), rng=rng), ReLU()]
            C = K
    return Sequential(*layers)


def photo_depth(k: int, rng: np.random.Generator | None = None) -> list[Layer]:
    """Return the layers of depth k = 0 … 3 of the network of photos: (N, H, W, C) → (N, H/2, W/2, K)."""
    W: dict[str, Any] = {"bias": False, "init": he_normal(), "rng": rng}
    C, K, first = ((3,) + PHOTO_WIDTHS)[k], PHOTO_WIDTHS[k], 5 if k == 0 else 3
    return [
        *(Conv2D(C, K, first, stride=2, padding=first // 2, **W), BatchNorm(K), ReLU()),
        *(Conv2D(K, K, 3, padding=1, **W), BatchNorm(K), ReLU()),
    ]


def fill_content(network: Layer, source: str, arrays: dict[str, np.ndarray]) -> None:
    """Copy the weights in a file's arrays into φ. Raises CheckpointError if they aren't there."""
    names = dict(_photo_names(network) if source == PHOTOS else _vgg_names(network))
    state, found = network.state_dict(), {}
    for own, theirs in names.items():
        array = arrays.get(theirs)
        if array is not None and source != PHOTOS and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)  # (K, C, R, S) → (R, S, C, K)
        if array is None or array.shape != state[own].shape or not np.isfinite(array).all():
            what = "the network of photos" if source == PHOTOS else "VGG19, as torchvision names them"
            raise CheckpointError(f"{source} doesn't have the weights of {what}: {theirs} is missing or different")
        found[own] = array
    network.load_state_dict(state | found)


def as_color(x: Any) -> Any:
    """Return pictures (N, H, W, 3) of pictures (N, H, W, 1 or 3)."""
    return array_module(x).repeat(x, 3, axis=3) if x.shape[3] == 1 else x


def as_color_adjoint(dy: Any, channels: int) -> Any:
    """Return the gradient at the input of `as_color`: dy (N, H, W, 3) → dx (N, H, W, channels)."""
    # forward: y = x in each of three channels
    return dy.sum(axis=3, keepdims=True) if channels == 1 else dy


def check_content_size(size: tuple[int, int], source: str, layer: str) -> None:
    """Raise ShapeError if pictures of this size would have no feature: VGG19 halves, and drops a last odd pixel."""
    least = 1 if source == PHOTOS else 2 ** (int(layer[0]) - 1)
    if min(size) < least:
        raise ShapeError(f"`content_layer` {layer} needs crops of {least}×{least} pixels: use a larger `img_size`")


def digest(network: Layer) -> np.ndarray:
    """Return the SHA-256 of a network's arrays, as 32 bytes."""
    hashed = hashlib.sha256()
    for array in network.state_dict().values():
        hashed.update(np.ascontiguousarray(array).tobytes())
    return np.frombuffer(hashed.digest(), np.uint8)


def _normalization() -> BatchNorm:
    """Return a batch norm that maps colors in [−1, 1] to (color in [0, 1] − mean)/std, in inference."""
    norm = BatchNorm(3, eps=BN_EPS, affine=False)
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    # ((x + 1)/2 − mean)/std = (x − (2 mean − 1))/(2 std)
    norm.running_mean[...], norm.running_var[...] = 2 * mean - 1, (2 * std) ** 2 - BN_EPS
    return norm


def _photo_names(network: Layer) -> list[tuple[str, str]]:
    """Pair the names of φ's arrays with those in the file: depth k is inside the second path of depth k − 1.

    The file has "0.0." before the first depth's layers 0 … 5, "0.0.6.1." before those of the second, and so on.
    """
    pairs = []
    for own in network.state_dict():
        number, _, rest = own.partition(".")
        depth, place = divmod(int(number), 6)
        pairs.append((own, f"0.0.{'6.1.' * depth}{place}.{rest}"))
    return pairs


def _vgg_names(network: Layer) -> list[tuple[str, str]]:
    """Pair the names of φ's weights with torchvision's, which counts from the first convolution."""
    theirs = {"W": "weight", "b": "bias"}
    numbered = [(own, *own.split(".")) for own in network.state_dict() if own.rpartition(".")[2] in theirs]
    return [(own, f"features.{int(number) - 1}.{theirs[what]}") for own, number, what in numbered]
