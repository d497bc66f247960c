"""InfoGAN (Chen et al. 2016) as a model of your own: a file outside of the package, for `minigan train`.

Shows how a model is written, with a network cut where a second loss enters: nobody tells G what the digits are called,
yet a code comes to mean which one it is.

    minigan train examples/infogan.py:InfoGAN --data digits --n-steps 2000 --out runs/infogan     about 2 minutes

The latent is z = (noise, c): c is a class out of 10 and two numbers in [−1, 1]. A GAN may ignore c; InfoGAN adds
to what G maximises the mutual information of c and the picture; P is the posterior, which nobody knows:

    I(c; G(z)) = H(c) − H(c | G(z)) = H(c) + E log P(c | G(z))

For any other distribution Q(c | x), E log P(c | x) − E log Q(c | x) = KL(P ‖ Q) ≥ 0, so

    I(c; G(z)) ≥ H(c) + E log Q(c | G(z))                             c is drawn first, then x = G(noise, c)

with equality for Q = P; the expectation needs draws from the prior alone. H(c) is constant. −log Q of the class is a
cross-entropy; that of a number is ½ (c − μ)², if Q is a normal distribution around μ(x) with variance 1. So

    L_info = cross_entropy(class logits, class) + λ · ½ Σ (c − μ)²    mean over the batch, λ = 0.5

is minimised. Q reads the features of D, so D is cut there: features | verdict, and Q is a second head.

    D's loss on real pictures and fakes    → verdict, features
    L_info on fakes                        → Q, features; and in G's step, through both, which it leaves alone, → G
    G's loss                               → through verdict and features, which it leaves alone, → G

What you should see: samples/ has a column for each class, most of them one digit all the way down; first/ and second/ a
row for each class, whose digit leans or thickens from left to right, as one of the numbers goes from −1.5 to 1.5.
Differences from the paper: DCGAN's generator, smaller networks; λ is 1 in the authors' code.
"""

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device, get_device
from minigan.gans.base import LatentGAN
from minigan.gans.dcgan import check_shape, generator
from minigan.layers import BatchNorm, Conv2D, Dense, Flatten, LeakyReLU, Sequential
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, l2, softmax_cross_entropy
from minigan.model import PICTURE, Exhibit, Game, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, NotNegative, Positive

NOISE, CLASSES, NUMBERS = 62, 10, 2


class InfoGAN(LatentGAN):
    """G, features of D, its verdict, and Q; from LatentGAN it has `generate` and what is measured of D and G."""

    arrays = {"real": PICTURE}
    measures = {
        **LatentGAN.measures,
        "class_loss": Measure("class", "What Q can't tell", "positive", note="2.3, the logarithm of 10, is a guess"),
        "number_loss": Measure("numbers", "What Q can't tell", "positive", note="0.33 is a guess"),
    }

    def __init__(
        self,
        shape: tuple[int, ...],
        lr: Annotated[float, Positive("learning rate of D and Q")] = 2e-4,
        g_lr: Annotated[float, Positive("learning rate of G")] = 1e-3,
        number_weight: Annotated[float, NotNegative("weight of the numbers in the information")] = 0.5,
        features: Annotated[int, Count("channels next to the picture; deeper layers have more")] = 32,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        check_shape(shape, "infogan")
        self.latent_dim, self.number_weight, self.device = NOISE + CLASSES + NUMBERS, number_weight, get_device(device)
        (H, W, C), F, without_bias = shape, features, {"bias": False, "rng": rng}
        D = [Conv2D(C, F, 4, stride=2, padding=1, rng=rng), LeakyReLU(0.1)]
        D += [Conv2D(F, 2 * F, 4, stride=2, padding=1, **without_bias), BatchNorm(2 * F), LeakyReLU(0.1), Flatten()]
        D += [Dense(H // 4 * (W // 4) * 2 * F, 128, **without_bias), BatchNorm(128), LeakyReLU(0.1)]
        Q = [Dense(128, 128, **without_bias), BatchNorm(128), LeakyReLU(0.1), Dense(128, CLASSES + NUMBERS, rng=rng)]
        G = generator(shape, self.latent_dim, F, rng).layers
        parts = {"G": G, "features": D, "verdict": [Dense(128, 1, rng=rng)], "Q": Q}
        self.networks = nets = {name: Sequential(*layers).to(self.device) for name, layers in parts.items()}
        self.optimizers = {n: Adam(net.parameters(), g_lr if n == "G" else lr, (0.5, 0.999)) for n, net in nets.items()}
        self.loss = loss = Minimax()
        self.losses, self.games = {"loss": loss}, (Game(loss, critic="verdict"),)

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, 74): noise from N(0, 1), a class as a row of zeros and a one, numbers from [−1, 1]."""
        one_hot = self.device.xp.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, n)]
        numbers = 2 * rng.random((n, NUMBERS), dtype=np.float32) - 1
        return self.device.xp.concatenate([rng.standard_normal((n, NOISE), dtype=np.float32), one_hot, numbers], axis=1)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D and Q on real pictures and fakes, then G on the same fakes."""
        real = next_batch()["real"]  # (N, H, W, C)
        z = self.latent(len(real), rng)
        fake, G_cache = self.networks["G"].forward(z, rng=rng)
        return self.critic_step(real, fake, z, rng) | self.generator_step(fake, G_cache, z, rng)

    def critic_step(self, real: Any, fake: Any, z: Any, rng: Any) -> dict[str, Any]:
        """Update features, verdict and Q. The pictures are seen apart; Q sees the fakes alone."""
        features, verdict = self.networks["features"], self.networks["verdict"]
        optimizers = [self.optimizers[name] for name in ("features", "verdict", "Q")]
        for optimizer in optimizers:
            optimizer.zero_grad()
        d_loss, opinions = 0, {}
        for name, x, objective in (("d_real", real, self.loss.real), ("d_fake", fake, self.loss.fake)):
            f, f_cache = features.forward(x, rng=rng)  # (N, H, W, C) → (N, F)
            logits, cache = verdict.forward(f, rng=rng)  # → (N, 1)
            loss, dlogits = objective(logits)
            df = verdict.backward(dlogits, cache)
            if x is fake:
                df = df + self.information(f, z, "both", rng)[2]
            features.backward(df, f_cache, wrt="params")
            d_loss, opinions[name] = d_loss + loss, sigmoid(logits).mean()
        for optimizer in optimizers:
            optimizer.step()
        return {"d_loss": d_loss, **opinions}

    def generator_step(self, fake: Any, G_cache: Any, z: Any, rng: Any) -> dict[str, Any]:
        """Update G: both gradients meet in the features, and go on together."""
        features, verdict = self.networks["features"], self.networks["verdict"]
        self.optimizers["G"].zero_grad()
        f, f_cache = features.forward(fake, rng=rng)
        logits, cache = verdict.forward(f, rng=rng)
        g_loss, dlogits = self.loss.generator(logits)
        class_loss, number_loss, df = self.information(f, z, "input", rng)
        dfake = features.backward(df + verdict.backward(dlogits, cache, wrt="input"), f_cache, wrt="input")
        self.networks["G"].backward(dfake, G_cache, wrt="params")
        self.optimizers["G"].step()
        return {"g_loss": g_loss, "class_loss": class_loss, "number_loss": number_loss}

    def information(self, f: Any, z: Any, wrt: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Features (N, F) of fakes, and their z → the cross-entropy, mean (c − μ)², and ∂L_info/∂f."""
        told, cache = self.networks["Q"].forward(f, rng=rng)  # (N, 10 + 2)
        class_loss, dclass = softmax_cross_entropy(told[:, :CLASSES], z[:, NOISE:-NUMBERS].argmax(axis=1))
        number_loss, dnumbers = l2(told[:, CLASSES:], z[:, -NUMBERS:])  # over N·2 numbers; L_info has ½ Σ of the two
        dtold = self.device.xp.concatenate([dclass, self.number_weight * NUMBERS / 2 * dnumbers], axis=1)
        return class_loss, number_loss, self.networks["Q"].backward(dtold, cache, wrt)

    def show(self, held_out: Any, rng: Any) -> dict[str, Exhibit]:
        """A column for each class, other noise in each row; then a row for each class, along each of the numbers."""
        xp, table = self.device.xp, self.latent(8, rng).repeat(CLASSES, axis=0)
        classes, along = xp.eye(CLASSES, dtype=np.float32), xp.linspace(-1.5, 1.5, 9).astype(np.float32)
        table[:, NOISE:-NUMBERS] = xp.tile(classes, (8, 1))
        shown = {"samples": Exhibit(self.generate(table), CLASSES, like="real")}
        for column, name in ((-2, "first"), (-1, "second")):
            table = table[:1].repeat(9 * CLASSES, axis=0)
            table[:, NOISE:-NUMBERS], table[:, -NUMBERS:] = xp.repeat(classes, 9, axis=0), 0
            table[:, column] = xp.tile(along, CLASSES)
            shown[name] = Exhibit(self.generate(table), 9)
        return shown
