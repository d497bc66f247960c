"""The network of the FID and the Inception Score: pictures → 2,048 features and 1,008 probabilities.

Its weights, 96 MB by Google, don't ship with minigan. They are one file, whose name contains the first digits of its
SHA-256. Results may be compared with published ones only with exactly this file, so its checksum is verified.

Two conventions: the logits omit the bias of the last layer, as in the original code of the Inception Score, which only
multiplies by its weight; and pictures are resized without antialiasing (`resize`).

Nothing is trained here, so a batch norm is an affine map of each channel, and is folded into the preceding convolution:

    γ (x∗W − μ)/√(σ² + ε) + β  =  x∗(s W) + (β − s μ)        s = γ/√(σ² + ε)

As separate layers, the 94 batch norms would each take a pass over all pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.common.untrusted import Unreadable, open_file, read_npz
from minigan.data.download import cache_folder, fetch, file_checksum
from minigan.errors import DataError, MiniganError, described
from minigan.layers import Conv2D, Dense, Layer, ReLU, Sequential
from minigan.metrics.checks import check_pictures
from minigan.metrics.features import FeatureNetwork, digest
from minigan.metrics.inception_v3 import CLASSES, FEATURES, inception_v3, weight_shapes
from minigan.metrics.resize import resize_bilinear
from minigan.metrics.safetensors import read_safetensors
from minigan.metrics.torch_file import read_torch_file

FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
VARIABLE = "MINIGAN_INCEPTION"
SIDE = 299  # pixels
EPS = 1e-3  # of the batch norms
CPU_PICTURES, GPU_PICTURES = 4, 64  # at a time; on a CPU a larger batch takes memory and is no faster


Weights = Mapping[str, np.ndarray]


class Inception(FeatureNetwork):
    """Pictures (N, H, W, C) in [-1, 1] of any size, gray or color → features (N, 2048), probabilities (N, 1008).

    `weights` are arrays by name, as `load_inception` reads them; PyTorch's counters of batches are ignored. Set
    `comparable` only for the original weights, with which results may be compared with published ones. Raises
    MiniganError, naming the first array that is missing, unknown or of another shape, and for `None`.
    """

    name = "inception"
    resizer = "bilinear without antialiasing, to 299×299 (as pytorch-fid)"
    n_features = FEATURES
    classes = tuple(map(str, range(CLASSES)))

    def __init__(self, weights: Weights | None, device: Device | str = "cpu", comparable: bool = False) -> None:
        self.device, self.comparable = get_device(device), comparable
        which = "the weights of 2015 that FID is defined by" if comparable else "weights that could not be verified"
        self.describe = f"Inception-v3, {which}"
        weights = _checked(weights)
        self.weights = digest(weights)
        self.blocks = inception_v3(lambda name, *shape, **geometry: self._conv(weights, name, *shape, **geometry))
        self.last = self._with_weights(Dense(FEATURES, CLASSES, bias=False, init=_unset), weights["fc.weight"].T)

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, C) → features (N, 2048), probabilities (N, 1008), float32. Raises ShapeError."""
        check_pictures(pictures, "Inception")
        xp, N = array_module(pictures), len(pictures)
        features = xp.empty((N, FEATURES), np.float32)
        at_once = CPU_PICTURES if xp is np else GPU_PICTURES
        for start in range(0, N, at_once):
            features[start : start + at_once] = self._features(pictures[start : start + at_once])
        logits = self.last.output(features, train=False)
        odds = xp.exp(logits - logits.max(axis=1, keepdims=True))
        return features, odds / odds.sum(axis=1, keepdims=True)

    def _features(self, x: Any) -> Any:
        xp = array_module(x)
        # pytorch-fid resizes (x + 1)/2 and rescales it: equivalent, as each output pixel is a mean of input pixels
        x = resize_bilinear(xp.repeat(x, 3, axis=3) if x.shape[3] == 1 else x, SIDE)
        for block in self.blocks:
            x = block.output(x, train=False)
        return x

    def _conv(self, weights: Weights, name: str, C: int, K: int, kernel: Any, **geometry: Any) -> Layer:
        """Return a convolution with its batch norm folded in, followed by ReLU."""
        gamma, beta, mean, var = (
            weights[f"{name}.bn.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        s = gamma / np.sqrt(var + EPS)
        W = weights[f"{name}.conv.weight"].transpose(2, 3, 1, 0) * s.astype(np.float32)  # (K, C, R, S) → (R, S, C, K)
        conv = Conv2D(C, K, kernel, **geometry, init=_unset)
        return Sequential(self._with_weights(conv, W, beta - s * mean), ReLU())

    def _with_weights(self, layer: Layer, W: np.ndarray, b: np.ndarray | None = None) -> Layer:
        """Set a layer's weights on the device, without gradients, which would double the memory."""
        W = self.device.array(np.ascontiguousarray(W, np.float32))
        b = None if b is None else self.device.array(b, np.float32)
        vars(layer).update(W=W, b=b, dW=None, db=None)  # an assignment would keep the layer's own device
        return layer


def _unset(rng: Any, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """An initializer that draws nothing: 24 million numbers take a second, and all are replaced afterwards."""
    return np.broadcast_to(np.float32(0), shape)


def _checked(weights: Weights | None) -> Weights:
    """Return the weights if exactly the expected arrays are present, finite and of the right shapes."""
    if weights is None:
        raise MiniganError("the Inception network needs weights: load_inception() says where to get them")
    if not isinstance(weights, Mapping):
        raise MiniganError(f"the Inception network takes its weights by name, in a dict, got {described(weights)}")
    shapes = weight_shapes()
    found = {name: array for name, array in weights.items() if not name.endswith(".num_batches_tracked")}
    wrong = "these are not the weights of the FID's Inception network"
    for problem, names in (("is missing", shapes.keys() - found.keys()), ("is unknown", found.keys() - shapes.keys())):
        if names:
            raise MiniganError(f"{wrong}: {min(names)} {problem} ({len(names)} in all)")
    for name, shape in shapes.items():
        if tuple(found[name].shape) != shape or found[name].dtype.kind != "f":
            got = f"{tuple(found[name].shape)} of {found[name].dtype}"
            raise MiniganError(f"{wrong}: {name} is {got}, and should be {shape} of floating-point numbers")
        if not np.isfinite(found[name]).all():
            raise MiniganError(f"{wrong}: {name} is not finite")
        if name.endswith(".running_var") and found[name].min() < 0:
            raise MiniganError(f"{wrong}: {name} is negative, and a variance can't be")
    return found


def load_inception(path: Path | str | None = None, device: Device | str = "cpu") -> Inception:
    """Load the network with the weights at `path`: the .pth file, or a .npz or .safetensors with the same names.

    The default is `$MINIGAN_INCEPTION`, then the file in minigan's cache folder, or in that of torch.hub, where
    pytorch-fid puts it. Raises MiniganError if the file is damaged or missing, and says where to get it.
    """
    found = find_weights() if path is None else Path(path)
    if not found.is_file():
        raise MiniganError(f"there is no file {found} with the weights of the Inception network")
    verified = file_checksum(found) == SHA256
    if found.name == FILE and not verified:
        again = "delete it, and get it again by minigan download inception"
        raise MiniganError(f"{found} is damaged, its SHA-256 doesn't begin with {SHA256[:8]}: {again}")
    return Inception(read_weights(found), device, comparable=verified)


def find_weights() -> Path:
    """Return the path of the weights. Raises MiniganError, saying where to get them, if there are none."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    folders = (cache_folder(), torch_hub_folder())
    for folder in folders:
        if (folder / FILE).is_file():
            return folder / FILE
    by_hand = f"put {FILE} (96 MB, SHA-256 {SHA256[:8]}…) into {folders[0]} by hand, from {URL}"
    how = f"get them by minigan download inception, or {by_hand}, or set {VARIABLE} to where it is"
    raise MiniganError(f"Inception's weights are missing: {how}")


def download_inception() -> Path:
    """Return the path of the file of weights, after downloading it to minigan's cache folder if it is nowhere.

    An interrupted download is resumed, and the checksum is verified. Raises DataError, saying what to do, if the
    download fails or an existing file is damaged.
    """
    there = [folder / FILE for folder in (cache_folder(), torch_hub_folder()) if (folder / FILE).is_file()]
    for path in there:
        if file_checksum(path) == SHA256:
            return path
    try:
        return fetch(cache_folder() / FILE, [URL], SHA256)
    except DataError as error:
        raise DataError(f"{error}; until then, --features photos compares photos by a network that ships") from error


def has_weights() -> bool:
    """Return whether the weights are on this machine, or `$MINIGAN_INCEPTION` names a file."""
    try:
        find_weights()
    except MiniganError:
        return False
    return True


def torch_hub_folder() -> Path:
    """Return the folder in which torch.hub keeps its downloads."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays from a .safetensors, .npz or PyTorch file. Raises MiniganError if that fails."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix != ".npz":
        return read_torch_file(path)
    try:
        with open_file(path) as file:
            return read_npz(file)
    except OSError as error:
        raise MiniganError(f"cannot read {path}: {error.strerror or error}") from error
    except Unreadable as error:
        raise MiniganError(f"{path} is not a usable .npz file of weights: {error}") from error
