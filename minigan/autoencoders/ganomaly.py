"""GANomaly: "GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training" (Akcay et al. 2018).

Learns from normal pictures alone, and gives every picture a score that is larger for abnormal ones. Three networks are
in a row, and a discriminator D = verdict(features(·)) beside them:

    x → encoder → z → decoder → x̂ → second encoder → ẑ

    z, ẑ   codes (N, latent_dim)            x̂   the reconstruction (N, H, W, C), in [−1, 1]
    f      the features of D (N, 4, 4, K), the input of its last layer

One training step:

    update encoder, decoder, second to minimize   a·mean (f(x) − f(x̂))² + p·mean |x − x̂| + c·mean (z − ẑ)²
    update D to minimize                          ½ (−mean log D(x) − mean log(1 − D(x̂)))

a = 1, p = 50, c = 1. The first term is *feature matching* (Salimans et al. 2016): D's logit isn't used for the
generator at all, so a confident D doesn't stop it. The gradients, and where they end:

    dẑ = 2c (ẑ − z)/M           through the second encoder to x̂
    dx̂                          the sum of three: of |x − x̂|, of the features through D, of ẑ through the second encoder
    dz = decoderᵀ dx̂ − dẑ       z is in (z − ẑ)² twice: directly, with the sign −, and by way of x̂ and ẑ
    dx                          isn't computed: x is data. So are f(x) in the generator's update, and x̂ in that of D

The networks are trained on normal pictures. On an abnormal one, the decoder makes what it knows, so x̂ lacks what is
abnormal, and ẑ is the code of a normal picture. The score is mean (z − ẑ)², by the networks in inference mode, so it
doesn't depend on other pictures. The authors scale scores to [0, 1] by the smallest and largest in the test set, which
one picture doesn't have; `minigan score` compares a score with those of held-out normal pictures instead.

D's loss may reach 0. Then its gradient vanishes, and its features stop following x̂. The authors draw new weights for D
if its loss is below 1e-5. Here D's optimizer is reset, too: v of Adam would still be that of vanished gradients, and
the first step (1 − β1)/√(1 − β2) = 16 times as large as lr. Each step reads D's loss on the host for this decision.

Networks, from the authors' code, with F = `features`, for 32×32 pixels:

    encoders   32²·C → 16²·F → 8²·2F → 4²·4F → latent_dim     4×4 convolutions, stride 2; the last one without padding
    D          the same, with one logit in place of the code
    decoder    latent_dim → 4²·4F → 8²·2F → 16²·F → 32²·C     4×4 transposed convolutions, tanh

Other sizes are 8, 16, 64, 128 … with fewer or more stages. Batch norm after all but the first and last layers of the
encoders and D, and all but the last of the decoder; LeakyReLU .2 in encoders and D, ReLU in the decoder; no biases;
weights N(0, .02), batch-norm scales N(1, .02). Adam 2e-4 (.5, .999).

Deviations from the authors' code (samet-akcay/ganomaly): pictures are always in [−1, 1], while theirs of MNIST reach
2.8, which tanh can't; one pass of D over x and one over x̂ serve both updates; the reset of D's optimizer.

With `adversarial=0` there is no D, and with `code_weight=0` no second encoder. Without both, this is a plain
autoencoder, whose score is mean (x − x̂)².
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device, array_module, get_device, to_numpy
from minigan.errors import ShapeError
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
    normal,
)
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, l1, l2
from minigan.model import PICTURE, Exhibit, Judgement, Measure, Model, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Positive

SMALLEST = 8  # pixels
SHOWN = 8  # held-out pictures
JUDGED, BATCH = 512, 64  # held-out pictures that are judged at most; in a batch
Shape = tuple[int, ...]
Pass = tuple[Any, Any]  # the result of a forward pass and its cache


class GANomaly(Model):
    """An encoder, a decoder and a second encoder for normal pictures of `shape` (H, W, C), trained beside a D.

    H = W is 8, 16, 32, 64 …; C is 1 or 3. Raises ShapeError for other shapes.
    """

    paper = "GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training (Akcay et al. 2018)"
    makes = "a score for each picture of 8, 16, 32, 64 or 128 pixels, large for what isn't like the training pictures"
    suits = "to find faulty parts when there are pictures of good ones only"
    arrays = {"real": PICTURE}
    holds_out, holds_out_one_of = True, 5  # of the training pictures, which are normal; a test part has others, too
    judgements = {
        "held_out_error": Judgement("|x − x̂| held out", chart="Mean |x − x̂|"),
        "held_out_score": Judgement("mean score of held-out normal pictures", "", "its unit is that of the code"),
    }

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the code z")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        adversarial: Annotated[float, NotNegative("weight of the features of D; 0: no D")] = 1.0,
        pixel_weight: Annotated[float, Positive("weight of the error of pixels")] = 50.0,
        code_weight: Annotated[float, NotNegative("weight of the error of codes; 0: no second encoder")] = 1.0,
        restart_below: Annotated[float, NotNegative("loss of D below which it starts anew; 0: never")] = 1e-5,
        features: Annotated[int, Count("channels of the layers next to the picture; deeper ones have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        check_shape(shape)
        self.shape, self.features, self.device = tuple(shape), features, get_device(device)
        self.adversarial, self.pixel_weight, self.code_weight = adversarial, pixel_weight, code_weight
        self.restart_below = restart_below
        self.networks: dict[str, Layer] = {
            "encoder": encoder(shape, latent_dim, features, rng),
            "decoder": decoder(shape, latent_dim, features, rng),
        }
        if code_weight:
            self.networks["second"] = encoder(shape, latent_dim, features, rng)
        self.averaged = tuple(self.networks)
        if adversarial:
            self.networks |= discriminator(shape, features, rng)
            self.reads = 1.0 if restart_below else 0.0
        for network in self.networks.values():
            network.to(self.device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.loss = Minimax()
        self.losses = {"loss": self.loss} if adversarial else {}
        self._declare()

    def _declare(self) -> None:
        """Declare the measures of the terms that aren't left out."""
        self.measures = {"pixel_error": Measure("|x − x̂|", "Mean |x − x̂|", "positive", note="before its weight")}
        if self.code_weight:
            self.measures["code_error"] = Measure("mean (z − ẑ)²", "Codes", "positive", note="before its weight")
        if self.adversarial:
            self.measures |= {
                "feature_error": Measure("mean (f(x) − f(x̂))²", "Features of D", "positive", note="before its weight"),
                "d_loss": Measure("D", "Loss of D", "positive"),
                "d_real": Measure("D(x)", "Output of D", "opinion"),
                "d_fake": Measure("D(x̂)", "Output of D", "opinion"),
            }
        if self.reads:
            words = "D was started anew"
            self.measures["restarts"] = Measure(words, "Restarts of D", "share", note="share of the steps")

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update the encoders and the decoder once, then D. Returns the measures declared above."""
        x = next_batch()["real"]  # (N, H, W, C)
        encoder, decoder = self.networks["encoder"], self.networks["decoder"]
        for name in self.averaged:
            self.optimizers[name].zero_grad()
        z, z_cache = encoder.forward(x, rng=rng)  # (N, H, W, C) → (N, latent_dim)
        y, y_cache = decoder.forward(z, rng=rng)  # x̂ (N, H, W, C)

        error, dy = l1(y, x)
        measured, dy, dz = {"pixel_error": error}, self.pixel_weight * dy, None
        if self.code_weight:
            second = self.networks["second"]
            again, cache = second.forward(y, rng=rng)  # ẑ (N, latent_dim)
            measured["code_error"], dagain = l2(again, z)
            dagain = self.code_weight * dagain
            dy = dy + second.backward(dagain, cache)
            dz = -dagain  # of z in (z − ẑ)² itself
        if self.adversarial:
            # D's weights change at the end of the step, so these passes serve both updates
            on_x, on_y = (self.networks["features"].forward(pictures, rng=rng) for pictures in (x, y))
            measured["feature_error"], dfeatures = l2(on_y[0], on_x[0])  # f(x) is data: no gradient
            dfeatures = self.adversarial * dfeatures
            dy = dy + self.networks["features"].backward(dfeatures, on_y[1], wrt="input")  # D isn't trained by it
        through = decoder.backward(dy, y_cache)  # (N, H, W, C) → (N, latent_dim)
        encoder.backward(through if dz is None else through + dz, z_cache, wrt="params")  # x is data
        for name in self.averaged:
            self.optimizers[name].step()
        return measured | (self.discriminator_step(on_x, on_y, rng, now) if self.adversarial else {})

    def discriminator_step(self, on_x: Pass, on_y: Pass, rng: Any, now: Now) -> dict[str, Any]:
        """Update D by the passes of its features over x and x̂. Ends at D's input: x̂ is an array, made before."""
        features, verdict = self.networks["features"], self.networks["verdict"]
        for name in ("features", "verdict"):
            self.optimizers[name].zero_grad()
        losses, outputs = [], []
        for (f, f_cache), objective in ((on_x, self.loss.real), (on_y, self.loss.fake)):
            logits, cache = verdict.forward(f, rng=rng)  # (N, 4, 4, K) → (N, 1)
            loss, dlogits = objective(logits)
            df = verdict.backward(dlogits / 2, cache)  # D's loss is half of the sum
            features.backward(df, f_cache, wrt="params")
            losses.append(loss)
            outputs.append(sigmoid(logits).mean())
        for name in ("features", "verdict"):
            self.optimizers[name].step()
        d_loss = (losses[0] + losses[1]) / 2
        measured = {"d_loss": d_loss, "d_real": outputs[0], "d_fake": outputs[1]}
        if self.restart_below:
            restart = float(to_numpy(d_loss)) < self.restart_below  # the one number that is read on the host
            if restart:
                self.restart_discriminator(now.rng)
            measured["restarts"] = array_module(d_loss).full_like(d_loss, float(restart))
        return measured

    def restart_discriminator(self, rng: np.random.Generator) -> None:
        """Draw new weights for D, and forget the moments of its optimizers."""
        for name, network in discriminator(self.shape, self.features, rng).items():
            self.networks[name].load_state_dict(network.state_dict())
            self.optimizers[name].reset()

    def encode(self, x: Any) -> Any:
        """Return the codes z (N, latent_dim) of pictures (N, H, W, C) in [−1, 1], in inference mode."""
        return self.drawing("encoder").output(x, train=False)

    def reconstruct(self, x: Any) -> Any:
        """Return the reconstructions x̂ of pictures (N, H, W, C), in [−1, 1], in inference mode."""
        return self.drawing("decoder").output(self.encode(x), train=False)

    def score(self, x: Any) -> Any:
        """Return the scores (N,) of pictures (N, H, W, C): mean (z − ẑ)², or mean (x − x̂)² without second encoder."""
        return self.scored(x)[0]

    def scored(self, x: Any) -> tuple[Any, Any]:
        """Return the scores (N,) and the reconstructions (N, H, W, C) of pictures, in inference mode."""
        z = self.encode(x)
        y = self.drawing("decoder").output(z, train=False)
        if not self.code_weight:
            return ((x - y) ** 2).mean(axis=(1, 2, 3)), y
        again = self.drawing("second").output(y, train=False)
        return ((z - again) ** 2).mean(axis=1), y

    def judge(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, float]:
        """Return the mean error of pixels and the mean score of every second held-out picture.

        The error decides which checkpoint is the best: the unit of the score changes with the size of the codes. The
        other held-out pictures aren't looked at here: `minigan score` takes its threshold from them.
        """
        errors: list[Any] = []
        scores: list[Any] = []
        for x in batches(held_out, range(0, len(held_out), 2)[:JUDGED]):
            some, y = self.scored(x)
            errors.append(to_numpy(abs(x - y).mean(axis=(1, 2, 3))))
            scores.append(to_numpy(some))
        if not errors:
            return dict.fromkeys(self.judgements, np.nan)
        return {"held_out_error": np.concatenate(errors).mean(), "held_out_score": np.concatenate(scores).mean()}

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Return held-out pictures, their reconstructions, and the differences of both."""
        rows = []
        for x in batches(held_out, range(0, len(held_out), 2)[:SHOWN]):
            y = self.reconstruct(x)
            rows.append(array_module(x).stack([x, y, abs(x - y) - 1], axis=1))  # (N, 3, H, W, C)
        if not rows:
            return {}
        pictures = array_module(rows[0]).concatenate(rows).reshape(-1, *self.shape)  # (3N, H, W, C)
        return {"held_out": Exhibit(pictures, 3, captions=("picture", "reconstruction", "difference"))}


def batches(held_out: Sequence[dict[str, Any]], which: Sequence[int]) -> Iterator[Any]:
    """Yield these held-out pictures in batches (N, H, W, C)."""
    for start in range(0, len(which), BATCH):
        pictures = [held_out[i]["real"] for i in which[start : start + BATCH]]  # (1, H, W, C) each
        yield array_module(pictures[0]).concatenate(pictures)


def check_shape(shape: Shape) -> None:
    """Raise ShapeError unless the networks exist for pictures of `shape` (H, W, C)."""
    size = shape[0] if len(shape) == 3 else 0
    if len(shape) != 3 or shape[1] != size or size < SMALLEST or size & (size - 1) or shape[2] not in (1, 3):
        got = "×".join(map(str, shape))
        raise ShapeError(
            "ganomaly takes square pictures of 8, 16, 32, 64 … pixels with 1 or 3 channels, "
            f"not {got}: give another `img_size`"
        )


def stage_widths(size: int, features: int) -> list[int]:
    """Return the channels at size/2, size/4, …, 4 pixels: `features`, and twice as many at each stage."""
    return [features * 2**i for i in range(size.bit_length() - 3)]


def stages(shape: Shape, features: int, rng: np.random.Generator) -> list[Layer]:
    """Return the stages of an encoder, or of D: pictures (N, H, W, C) → (N, 4, 4, K)."""
    W: dict[str, Any] = {"stride": 2, "padding": 1, "bias": False, "init": normal(0.02), "rng": rng}
    first, *others = stage_widths(shape[0], features)
    layers: list[Layer] = [Conv2D(shape[2], first, 4, **W), LeakyReLU(0.2)]
    for wide in others:
        layers += [Conv2D(wide // 2, wide, 4, **W), batch_norm(wide, rng), LeakyReLU(0.2)]  # H → H/2
    return layers


def encoder(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Sequential:
    """Build an encoder: pictures (N, H, W, C) → codes (N, latent_dim)."""
    wide = stage_widths(shape[0], features)[-1]
    last = Conv2D(wide, latent_dim, 4, bias=False, init=normal(0.02), rng=rng)  # 4² → 1²
    return Sequential(*stages(shape, features, rng), last, Flatten())


def discriminator(shape: Shape, features: int, rng: np.random.Generator) -> dict[str, Layer]:
    """Build D as two networks: features, (N, H, W, C) → (N, 4, 4, K), and verdict, (N, 4, 4, K) → logits (N, 1)."""
    wide = stage_widths(shape[0], features)[-1]
    body = Sequential(*stages(shape, features, rng))
    last = Conv2D(wide, 1, 4, bias=False, init=normal(0.02), rng=rng)  # 4² → 1²
    return {"features": body, "verdict": Sequential(last, Flatten())}


def decoder(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Sequential:
    """Build the decoder: codes (N, latent_dim) → pictures (N, H, W, C) in [−1, 1]."""
    W: dict[str, Any] = {"bias": False, "init": normal(0.02), "rng": rng}
    widths = stage_widths(shape[0], features)[::-1]
    layers: list[Layer] = [Reshape(1, 1, latent_dim), ConvTranspose2D(latent_dim, widths[0], 4, **W)]  # 1² → 4²
    layers += [batch_norm(widths[0], rng), ReLU()]
    for narrow in widths[1:]:
        layers += [ConvTranspose2D(2 * narrow, narrow, 4, stride=2, padding=1, **W), batch_norm(narrow, rng), ReLU()]
    return Sequential(*layers, ConvTranspose2D(widths[-1], shape[2], 4, stride=2, padding=1, **W), Tanh())


def batch_norm(channels: int, rng: np.random.Generator) -> BatchNorm:
    """Return a batch norm with scales from N(1, .02)."""
    return BatchNorm(channels, init=normal(0.02, mean=1.0), rng=rng)
