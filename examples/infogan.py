"""InfoGAN (Chen et al. 2016): your own model in a file outside the package, for `minigan train`.

Shows how to write a model whose network branches where a second loss enters. InfoGAN is trained without labels, yet a
part of the latent learns to select the digit.

    minigan train examples/infogan.py:InfoGAN --data digits --n-steps 2000 --out runs/infogan     about 2 minutes

The latent is z = (noise, c), where the code c is one of 10 classes and two numbers in [−1, 1]. A GAN may ignore c.
In InfoGAN, G also maximizes the mutual information of c and the picture, with the posterior P(c | x) (section 4):

    I(c; G(z)) = H(c) − H(c | G(z)) = H(c) + E log P(c | G(z))

P is unknown. For any other distribution Q(c | x), E log P(c | x) − E log Q(c | x) = KL(P ‖ Q) ≥ 0, so

    I(c; G(z)) ≥ H(c) + E log Q(c | G(z))                             with c from the prior and x = G(noise, c)

with equality for Q = P (section 5). H(c) is constant. For the class, −log Q is a cross-entropy; for a number, with Q
normal with mean μ(x) and variance 1, it is ½ (c − μ)² plus a constant. So G and Q minimize

    L_info = cross_entropy(class logits, class) + λ · ½ Σ (c − μ)²    mean over the batch, λ = 0.5

Q uses the features of D. Therefore D is two networks, features and verdict, and Q is a second head on the features:

    D's loss on real pictures and fakes    updates verdict and features
    L_info on fakes                        updates Q and features; in G's step only G, through Q and features
    G's loss                               updates only G, through verdict and features

What you should see: in samples/, one column per class, most of them with a single digit; in first/ and second/, one row
per class, in which one number grows from −1.5 to 1.5 and changes the slant or thickness of the digit.
Differences from the paper: DCGAN's generator, smaller networks, λ (1 in the authors' code).
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
    """InfoGAN with the networks G, features, verdict and Q. `generate` and the measures of D and G are LatentGAN's."""

    arrays = {"real": PICTURE}
    measures = {
        **LatentGAN.measures,
        "class_loss": Measure("class", "Loss of Q", "positive", note="random guessing: log 10 = 2.3"),
        "number_loss": Measure("numbers", "Loss of Q", "positive", note="guessing the mean: 0.33"),
    }

    def __init__(
        self,
        shape: tuple[int, ...],
        lr: Annotated[float, Positive("learning rate of D and Q")] = 2e-4,
        g_lr: Annotated[float, Positive("learning rate of G")] = 1e-3,
        number_weight: Annotated[float, NotNegative("λ, weight of the numbers in L_info")] = 0.5,
        features: Annotated[int, Count("channels of the layer next to the picture; deeper layers have multiples")] = 32,
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
        """Draw z (n, 62 + 10 + 2): noise from N(0, 1), a one-hot class, and numbers from U[−1, 1]."""
        one_hot = self.device.xp.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, n)]
        numbers = 2 * rng.random((n, NUMBERS), dtype=np.float32) - 1
        return self.device.xp.concatenate([rng.standard_normal((n, NOISE), dtype=np.float32), one_hot, numbers], axis=1)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update features, verdict and Q on real pictures and fakes, then G on the same fakes."""
        real = next_batch()["real"]  # (N, H, W, C)
        z = self.latent(len(real), rng)
        fake, G_cache = self.networks["G"].forward(z, rng=rng)
        return self.critic_step(real, fake, z, rng) | self.generator_step(fake, G_cache, z, rng)

    def critic_step(self, real: Any, fake: Any, z: Any, rng: Any) -> dict[str, Any]:
        """Update features, verdict and Q. Real pictures and fakes are two batches; Q is trained on the fakes."""
        features, verdict = self.networks["features"], self.networks["verdict"]
        optimizers = [self.optimizers[name] for name in ("features", "verdict", "Q")]
        for optimizer in optimizers:
            optimizer.zero_grad()
        d_loss, means = 0, {}
        for name, x, objective in (("d_real", real, self.loss.real), ("d_fake", fake, self.loss.fake)):
            f, f_cache = features.forward(x, rng=rng)  # (N, H, W, C) → (N, F)
            logits, cache = verdict.forward(f, rng=rng)  # → (N, 1)
            loss, dlogits = objective(logits)
            df = verdict.backward(dlogits, cache)  # (N, 1) → (N, F)
            if x is fake:
                df = df + self.information(f, z, "both", rng)[2]
            features.backward(df, f_cache, wrt="params")
            d_loss, means[name] = d_loss + loss, sigmoid(logits).mean()
        for optimizer in optimizers:
            optimizer.step()
        return {"d_loss": d_loss, **means}

    def generator_step(self, fake: Any, G_cache: Any, z: Any, rng: Any) -> dict[str, Any]:
        """Update G: the gradients of G's loss and of L_info are added at the features, then backpropagated to G."""
        features, verdict = self.networks["features"], self.networks["verdict"]
        self.optimizers["G"].zero_grad()
        f, f_cache = features.forward(fake, rng=rng)  # (N, H, W, C) → (N, F)
        logits, cache = verdict.forward(f, rng=rng)  # (N, F) → (N, 1)
        g_loss, dlogits = self.loss.generator(logits)  # −mean log D(G(z))
        class_loss, number_loss, df = self.information(f, z, "input", rng)  # df (N, F)
        dfake = features.backward(df + verdict.backward(dlogits, cache, wrt="input"), f_cache, wrt="input")
        self.networks["G"].backward(dfake, G_cache, wrt="params")
        self.optimizers["G"].step()
        return {"g_loss": g_loss, "class_loss": class_loss, "number_loss": number_loss}

    def information(self, f: Any, z: Any, wrt: Any, rng: Any) -> tuple[Any, Any, Any]:
        """Return the class loss, the number loss mean (c − μ)², and ∂L_info/∂f (N, F), for features f of fakes of z."""
        q, cache = self.networks["Q"].forward(f, rng=rng)  # (N, F) → (N, 10 + 2)
        class_loss, dclass = softmax_cross_entropy(q[:, :CLASSES], z[:, NOISE:-NUMBERS].argmax(axis=1))
        number_loss, dnumbers = l2(q[:, CLASSES:], z[:, -NUMBERS:])  # mean over N·2 numbers; L_info has ½ Σ over the 2
        dq = self.device.xp.concatenate([dclass, self.number_weight * NUMBERS / 2 * dnumbers], axis=1)  # (N, 12)
        return class_loss, number_loss, self.networks["Q"].backward(dq, cache, wrt)

    def show(self, held_out: Any, rng: Any) -> dict[str, Exhibit]:
        """Return samples with one class per column, and two grids with one class per row in which a number varies."""
        xp, table = self.device.xp, self.latent(8, rng).repeat(CLASSES, axis=0)
        classes, values = xp.eye(CLASSES, dtype=np.float32), xp.linspace(-1.5, 1.5, 9).astype(np.float32)
        table[:, NOISE:-NUMBERS] = xp.tile(classes, (8, 1))
        shown = {"samples": Exhibit(self.generate(table), CLASSES, like="real")}
        for column, name in ((-2, "first"), (-1, "second")):
            table = table[:1].repeat(9 * CLASSES, axis=0)
            table[:, NOISE:-NUMBERS], table[:, -NUMBERS:] = xp.repeat(classes, 9, axis=0), 0
            table[:, column] = xp.tile(values, CLASSES)
            shown[name] = Exhibit(self.generate(table), 9)
        return shown
