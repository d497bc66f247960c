"""The network behind the FID and the Inception Score: a photograph in, 2,048 features and 1,008 probabilities out.

Its weights don't ship with minigan: 96 MB, and Google's. They are one file, and its name carries the beginning of its
SHA-256. Numbers may be compared with published ones only if it is that file, so it is looked at byte by byte.

Two conventions: the logits are without the bias of the last layer, as in the code of the Inception Score, which
multiplies by its weight and no more; and pictures are resized without antialiasing (`resize`).

Nothing is trained here, so a batch norm is a straight line for each channel, and rides on the convolution before it:

    γ (x∗W − μ)/√(σ² + ε) + β  =  x∗(s W) + (β − s μ)        s = γ/√(σ² + ε)

As layers of their own the 94 batch norms would each be a pass over all pixels.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.common.untrusted import Unreadable, open_file, read_npz
from minigan.data.download import cache_folder
from minigan.errors import MiniganError, described
from minigan.layers import Conv2D, Dense, Layer, ReLU, Sequential
from minigan.metrics.checks import check_seen
from minigan.metrics.features import FeatureNetwork, digest
from minigan.metrics.inception_v3 import CLASSES, FEATURES, inception_v3, weight_shapes
from minigan.metrics.resize import resize_bilinear
from minigan.metrics.safetensors import read_safetensors
from minigan.metrics.torch_file import read_torch_file

FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
SHA256 = "6726825d"  # its first 8 digits
VARIABLE = "MINIGAN_INCEPTION"
SIDE = 299  # pixels
EPS = 1e-3  # of the batch norms
CPU_PICTURES, GPU_PICTURES = 4, 64  # at a time; on a CPU more would only take memory


class Inception(FeatureNetwork):
    """Pictures (N, H, W, C) in [-1, 1] of any size, grey or colour → features (N, 2048), probabilities (N, 1008).

    `weights` are arrays by name, as `load_inception` finds them; the batches that PyTorch has counted are ignored.
    Whether the numbers are comparable depends on them alone: `comparable` is False unless the caller knows better.
    Raises MiniganError, naming the first array that is missing, unknown or of another shape, and for `None`.
    """

    name = "inception"
    resizer = "bilinear without antialiasing, to 299×299 (as pytorch-fid)"
    n_features = FEATURES
    classes = tuple(map(str, range(CLASSES)))

    def __init__(
        self, weights: Mapping[str, np.ndarray] | None, device: Device | str = "cpu", comparable: bool = False
    ) -> None:
        self.device, self.comparable = get_device(device), comparable
        which = "the weights of 2015 that FID is defined by" if comparable else "weights that could not be verified"
        self.describe = f"Inception-v3, {which}"
        weights = _checked(weights)
        self.weights = digest(weights)
        self.blocks = inception_v3(lambda name, *shape, **geometry: self._conv(weights, name, *shape, **geometry))
        self.last = self._placed(Dense(FEATURES, CLASSES, bias=False, init=_unset), weights["fc.weight"].T)

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, C) → features (N, 2048), probabilities (N, 1008), float32. Raises ShapeError."""
        check_seen(pictures, "Inception")
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
        # pytorch-fid resizes (x + 1)/2 and scales then: the same, as each output pixel is a mean of input pixels
        x = resize_bilinear(xp.repeat(x, 3, axis=3) if x.shape[3] == 1 else x, SIDE)
        for block in self.blocks:
            x = block.output(x, train=False)
        return x

    def _conv(
        self,
        weights: Mapping[str, np.ndarray],
        name: str,
        C: int,
        K: int,
        kernel: Any,
        stride: int = 1,
        padding: Any = 0,
    ) -> Layer:
        """A convolution with its batch norm in it, and ReLU."""
        gamma, beta, mean, var = (
            weights[f"{name}.bn.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        s = gamma / np.sqrt(var + EPS)
        W = weights[f"{name}.conv.weight"].transpose(2, 3, 1, 0) * s.astype(np.float32)  # (K, C, R, S) → (R, S, C, K)
        return Sequential(
            self._placed(Conv2D(C, K, kernel, stride, padding, init=_unset), W, beta - s * mean),
            ReLU(),
        )

    def _placed(self, layer: Layer, W: np.ndarray, b: np.ndarray | None = None) -> Layer:
        """The layer with its weights on the device, and without gradients, which would take as much memory again."""
        W = self.device.array(np.ascontiguousarray(W, np.float32))
        b = None if b is None else self.device.array(b, np.float32)
        vars(layer).update(W=W, b=b, dW=None, db=None)  # an assignment would keep the layer's own device
        return layer


def _unset(rng: Any, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    """No initial weights: drawing 24 million numbers takes a second, and none of them would stay."""
    return np.broadcast_to(np.float32(0), shape)


def _checked(weights: Mapping[str, np.ndarray] | None) -> Mapping[str, np.ndarray]:
    """The weights, if they are all there, and no others, finite and of the right shapes."""
    if weights is None:
        raise MiniganError("the Inception network needs weights: load_inception() says where they may be got")
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
    """Make the network with the weights at `path`: the .pth file, or a .npz or .safetensors with the same names.

    Without a path: `$MINIGAN_INCEPTION`, then the file in minigan's cache folder or in that of torch.hub, where
    pytorch-fid puts it. Raises MiniganError if there is none, saying where it may be got; or if it is damaged.
    """
    found = find_weights() if path is None else Path(path)
    if not found.is_file():
        raise MiniganError(f"there is no file {found} with the weights of the Inception network")
    verified = sha256(found).startswith(SHA256)
    if found.name == FILE and not verified:
        raise MiniganError(f"{found} is damaged: its SHA-256 doesn't begin with {SHA256}, so get it again from {URL}")
    return Inception(read_weights(found), device, comparable=verified)


def find_weights() -> Path:
    """Return where the weights are, or raise MiniganError."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    folders = (cache_folder(), torch_hub_folder())
    for folder in folders:
        if (folder / FILE).is_file():
            return folder / FILE
    raise MiniganError(
        f"the weights of the Inception network are not here: get {FILE} (96 MB, SHA-256 {SHA256}…) from {URL} "
        f"and put it into {folders[0]}, or set {VARIABLE} to where it is"
    )


def torch_hub_folder() -> Path:
    """Where torch.hub keeps the files that it has downloaded."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays from a .safetensors, .npz or PyTorch file. Raises MiniganError if that can't be done."""
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
        raise MiniganError(f"{path} is no usable .npz file of weights: {error}") from error


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
