"""The base class of models that encode a picture x as a latent z, and decode z to a picture.

The losses and update steps are written out in each model's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.autoencoders.networks import check_shape
from minigan.backend import Device, array_module, get_device, to_numpy
from minigan.gans.base import Shape
from minigan.layers import Layer, Reparametrize
from minigan.losses import l2
from minigan.model import PICTURE, Exhibit, Judgement, Model

SHOWN_SAMPLES, SHOWN_PAIRS = 64, 8
HELD_OUT_ERROR = Judgement("held-out pictures", note="mean (x̃ − x)²", chart="Error in pixels")


class Autoencoder(Model):
    """An encoder x (N, H, W, C) → μ, log σ (N, 2·latent_dim), and a decoder z (N, latent_dim) → x̃ (N, H, W, C).

    In training, z ~ N(μ, σ²); to encode a picture, z = μ. A subclass calls `setup` and writes `step`.
    """

    arrays = {"real": PICTURE}
    averaged = ("encoder", "decoder")
    holds_out = True
    judgements = {"held_out_error": HELD_OUT_ERROR}

    def setup(self, shape: Shape, latent_dim: int, networks: dict[str, Layer], device: Device | str) -> None:
        """Move the networks to the device. Two are "encoder" and "decoder". Raises ShapeError for other shapes."""
        check_shape(shape)
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        self.networks = {name: network.to(self.device) for name, network in networks.items()}
        self.sampling = Reparametrize()  # no parameters, so it is in no network

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim) from N(0, 1)."""
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def generate(self, z: Any, labels: Any = None) -> Any:
        """Decode z (n, latent_dim) to pictures (n, H, W, C) in [−1, 1], in inference mode.

        Uses the moving average of the weights if there is one. Raises ValueError if labels are given.
        """
        _check_labels(labels)
        return self.drawing("decoder").output(z, train=False)

    def encode(self, x: Any) -> Any:
        """Return the mean code μ (n, latent_dim) of pictures x (n, H, W, C), in inference mode."""
        return self.posterior(x)[0]

    def posterior(self, x: Any) -> tuple[Any, Any]:
        """Return μ and σ (n, latent_dim) of the codes of pictures x (n, H, W, C), in inference mode."""
        h = self.drawing("encoder").output(x, train=False)  # (n, 2·latent_dim)
        return h[:, : self.latent_dim], array_module(h).exp(h[:, self.latent_dim :])

    def reconstruct(self, x: Any) -> Any:
        """Encode pictures x (n, H, W, C), and decode their mean codes."""
        return self.generate(self.encode(x))

    def trace(self, code: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the pictures of z = `code` (n, latent_dim), and `backward`, which maps their gradient to dz.

        The gradients of the decoder's parameters are left alone. Raises ValueError if labels are given.
        """
        _check_labels(labels)
        decoder = self.drawing("decoder")
        samples, cache = decoder.forward(code, train=False)
        return samples, lambda dsamples: decoder.backward(dsamples, cache, wrt="input")

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Return samples, and held-out pictures beside their reconstructions."""
        shown = {"samples": Exhibit(self.generate(self.latent(SHOWN_SAMPLES, rng)), like="real")}
        if held_out:
            xp = self.device.xp
            x = xp.concatenate([item["real"] for item in held_out[:SHOWN_PAIRS]])
            pairs = xp.stack([x, self.reconstruct(x)], axis=1).reshape(-1, *self.shape)  # a row for each picture
            shown["reconstructions"] = Exhibit(pairs, 2, captions=("picture", "reconstruction"))
        return shown

    def judge(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, float]:
        """Return the mean square error of the reconstructions of held-out pictures."""
        errors = [l2(self.reconstruct(item["real"]), item["real"])[0] for item in held_out]
        return {"held_out_error": float(to_numpy(self.device.xp.stack(errors).mean()))} if errors else {}


def _check_labels(labels: Any) -> None:
    if labels is not None:
        raise ValueError("this model is not conditional: call it without labels")
