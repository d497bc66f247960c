"""VAE-GAN: "Autoencoding beyond pixels using a learned similarity metric" (Larsen, Sønderby, Larochelle, Winther 2016).

A VAE measures reconstructions by pixels, and a picture that is shifted by a pixel counts as a bad one. Here they are
measured in the features f of a discriminator D, which has two parts: D(x) = sigmoid(verdict(features(x))). The decoder
is the generator of a GAN as well. f has F values for a picture, KL is that of vae.py.

    μ, log σ = encoder(x)      z = μ + σ ε      x̃ = decoder(z)      s = decoder(z′), z′ ~ N(0, 1)
    error = mean (f(x̃) − f(x))² over all values, f = features
    encoder     minimizes   error + (2β/F) KL
    decoder     minimizes   γ error − mean log D(s)
    D           minimizes   −mean log D(x) − mean log(1 − D(s))

Which loss reaches which network: a row is a loss, with the way of its gradient from right to left.

    error       encoder ← z ← decoder ← x̃ ← f(x̃)      D's weights get none, or D would make everything alike. f(x) is
                                                       a target: no gradient goes into it. The decoder's part is
                                                       multiplied by γ, the encoder's isn't
    KL          encoder ← μ, log σ
    log D(s)    decoder ← s ← features ← verdict       D's weights get none. It doesn't reach the encoder: z′ is drawn
    D's loss    features ← verdict                     ends at x and s

All gradients are computed before any network is updated, as in the authors' code. Their equilibrium rule then skips an
update where D or the decoder is far ahead: with the costs a = −mean log D(x), b = −mean log(1 − D(s)), which are both
log 2 = .69 if D can't decide, and a margin of .35,

    D is skipped         if a or b is less than .68 − margin
    the decoder          if a or b is greater than .68 + margin;        nothing is skipped if both would be

The rule needs two numbers on the host, which the device computes: the step's one wait for it.

**γ for means.** The authors' L = ½ Σ (f(x̃) − f(x))² sums over the F values: L = (F/2) error. Their γ is multiplied by
F/2 here, and the KL divergence of an encoder that minimizes L + β KL by 2/F. For 64 pixels they used γ = 1e-5, in the
last version of their script 1e-6; F = 8·8·256 makes that .082 and .0082. The default is .1 for all sizes.

Deviations from the authors' code: Adam 2e-4 (.5, .999) instead of RMSprop with weight decay; the decoder minimizes
−log D(s) instead of log(1 − D(s)), whose gradient vanishes where D rejects s. D doesn't judge reconstructions, as in
that last version (in the paper it does).
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

import numpy as np

from minigan.autoencoders.base import Autoencoder
from minigan.autoencoders.networks import check_shape, decoder, discriminator, encoder
from minigan.backend import Device, array_module, to_numpy
from minigan.gans.base import Shape
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, kl_to_normal, l2
from minigan.model import Game, Judgement, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, NotNegative, Positive

EQUILIBRIUM = 0.68  # of D's costs; log 2 = 0.69 is the cost of guessing


class VAEGAN(Autoencoder):
    """A variational autoencoder of pictures of `shape` (H, W, C), whose decoder is a generator.

    H and W are multiples of 4 from 16 to 128; C is 1 or 3. Raises ShapeError for other shapes.
    """

    paper = "Autoencoding beyond pixels using a learned similarity metric (Larsen, Sønderby, Larochelle, Winther 2016)"
    makes = "pictures of 16 to 128 pixels, codes of pictures, and pictures of codes"
    suits = "for codes of pictures, with sharper pictures than those of vae, and pixels that are less exact"
    reads = 1.0
    measures = {
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("decoder", "Losses", note="−mean log D(s)"),
        "d_real": Measure("D(x), real", "Output of D", "opinion"),
        "d_fake": Measure("D(s), generated", "Output of D", "opinion"),
        "error": Measure("features of D", "Error of reconstructions", "positive", note="mean (f(x̃) − f(x))²"),
        "pixels": Measure("training", "Error in pixels", "positive", note="mean (x̃ − x)², which nothing minimizes"),
        "kl": Measure("KL", "Information in the code", "positive", note="nats a picture; near 0, the code is ignored"),
        "d_updates": Measure("D", "Updates", "share", note="share of steps; the rest are skipped to keep the balance"),
        "decoder_updates": Measure("decoder", "Updates", "share"),
    }
    judgements = {"held_out_error": Judgement("held-out pictures", "", "mean (x̃ − x)²", chart="Error in pixels")}

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the code z")] = 128,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        beta: Annotated[float, Positive("weight of KL: the variance of a feature, given the code")] = 1.0,
        gamma: Annotated[float, NotNegative("weight of the error of reconstructions in the decoder's loss")] = 0.1,
        margin: Annotated[float, NotNegative("distance of D's costs from 0.68 at which an update is skipped")] = 0.35,
        features: Annotated[int, Count("channels of the encoder's first layer; others have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        check_shape(shape)
        eye, verdict = discriminator(shape, features, rng)
        networks = {
            "encoder": encoder(shape, latent_dim, features, rng),
            "decoder": decoder(shape, latent_dim, features, rng),
            "features": eye,
            "verdict": verdict,
        }
        self.setup(shape, latent_dim, networks, device)
        self.optimizers = {name: Adam(net.parameters(), lr, (0.5, 0.999)) for name, net in self.networks.items()}
        self.beta, self.gamma, self.margin = beta, gamma, margin
        self.loss = Minimax()
        self.losses, self.games = {"loss": self.loss}, (Game(self.loss, "verdict", "decoder"),)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update encoder, decoder and D once, as far as the equilibrium rule allows. Returns all measures."""
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        x = next_batch()["real"]  # (N, H, W, C)
        f_x, f_x_cache = self.networks["features"].forward(x, rng=rng)  # → (N, h, w, K)
        measured = self.reconstruct_in_features(x, f_x, rng)
        measured |= self.compete(f_x, f_x_cache, rng)

        learns = self.balanced(measured.pop("real_cost"), measured.pop("fake_cost"))
        for name, optimizer in self.optimizers.items():
            if learns.get(name, True):  # the encoder always learns
                optimizer.step()
        shares = {"d_updates": learns["verdict"], "decoder_updates": learns["decoder"]}
        return measured | {
            name: array_module(x).full((), float(learned), np.float32) for name, learned in shares.items()
        }

    def reconstruct_in_features(self, x: Any, f_x: Any, rng: Any) -> dict[str, Any]:
        """Compute the gradients of error and KL. They reach the encoder and the decoder.

        x: pictures (N, H, W, C). f_x: their features (N, h, w, K), a target into which no gradient goes
        """
        encoder, decoder, features = (self.networks[name] for name in ("encoder", "decoder", "features"))
        h, encoder_cache = encoder.forward(x, rng=rng)  # → (N, 2·latent_dim): μ, log σ
        z, noise = self.sampling.forward(h, rng=rng)  # → (N, latent_dim)
        decoded, decoder_cache = decoder.forward(z, rng=rng)  # → (N, H, W, C)
        f_decoded, features_cache = features.forward(decoded, rng=rng)  # → (N, h, w, K)
        error, df_decoded = l2(f_decoded, f_x)
        kl, dkl = kl_to_normal(h)  # dkl (N, 2·latent_dim)

        ddecoded = features.backward(df_decoded, features_cache, wrt="input")  # D's weights get no gradient
        dz = decoder.backward(ddecoded, decoder_cache)
        decoder.parameters().grads *= self.gamma  # the decoder minimizes γ error; dz stays the gradient of the error
        # forward: h goes into z and into the KL divergence, so dh is a sum of two
        dh = self.sampling.backward(dz, noise, wrt="input") + (2 * self.beta / prod(f_x.shape[1:])) * dkl
        encoder.backward(dh, encoder_cache, wrt="params")
        return {"error": error, "pixels": l2(decoded, x)[0], "kl": kl}

    def compete(self, f_x: Any, f_x_cache: Any, rng: Any) -> dict[str, Any]:
        """Add the gradients of the decoder's adversarial loss and of D's loss. They reach decoder and D.

        f_x, f_x_cache: the features (N, h, w, K) of the real pictures, and the cache of that pass
        """
        decoder, features, verdict = (self.networks[name] for name in ("decoder", "features", "verdict"))
        sample, decoder_cache = decoder.forward(self.latent(len(f_x), rng), rng=rng)  # → (N, H, W, C)
        f_sample, features_cache = features.forward(sample, rng=rng)  # → (N, h, w, K)
        real, real_cache = verdict.forward(f_x, rng=rng)  # → (N, 1)
        fake, fake_cache = verdict.forward(f_sample, rng=rng)
        g_loss, dfooled = self.loss.generator(fake)  # −mean log D(s)
        loss_real, dreal = self.loss.real(real)  # −mean log D(x)
        loss_fake, dfake = self.loss.fake(fake)  # −mean log(1 − D(s))

        # The decoder's loss. D's weights get no gradient, and the encoder none, because z′ was drawn
        df_sample = verdict.backward(dfooled, fake_cache, wrt="input")
        dsample = features.backward(df_sample, features_cache, wrt="input")
        decoder.backward(dsample, decoder_cache, wrt="params")  # added to the gradients of γ error

        # D's loss. It ends at x, which is data, and at the sample: the decoder gets no gradient
        features.backward(verdict.backward(dreal, real_cache), f_x_cache, wrt="params")
        features.backward(verdict.backward(dfake, fake_cache), features_cache, wrt="params")
        opinions = {"d_real": sigmoid(real).mean(), "d_fake": sigmoid(fake).mean()}
        costs = {"real_cost": loss_real, "fake_cost": loss_fake}
        return {"d_loss": loss_real + loss_fake, "g_loss": g_loss} | opinions | costs

    def balanced(self, real_cost: Any, fake_cost: Any) -> dict[str, bool]:
        """Return which networks are updated, by the equilibrium rule. Waits for the device to read both costs."""
        costs = to_numpy(array_module(real_cost).stack([real_cost, fake_cost]))  # the step's one read
        D, decoder = costs.min() >= EQUILIBRIUM - self.margin, costs.max() <= EQUILIBRIUM + self.margin
        if not D and not decoder:
            D = decoder = True
        return {"features": bool(D), "verdict": bool(D), "decoder": bool(decoder)}
