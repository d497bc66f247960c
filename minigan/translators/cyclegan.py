"""CycleGAN: "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks" (Zhu et al. 2017).

Two sets of pictures, a and b, without pairs: horses and zebras, photos and paintings. Two generators translate, "AB"
from a to b and "BA" back; two critics tell a real picture of a set from a translated one, "DA" and "DB". One step:

    AB, BA    minimize, for a picture a of the first set,

                  mean (DB(AB(a)) − 1)²            adversarial: AB(a) should look like a picture of b
                  + λ mean |BA(AB(a)) − a|         cycle: and BA should restore a from it
                  + ½λ mean |BA(a) − a|            identity: BA should leave a alone, which is of its set already

              and the same with a and b, and so A and B, exchanged
    DA, DB    minimize, for DB, ½ mean (DB(b) − 1)² + ½ mean DB(fake)², where fake is AB(a) or, from the image pool,
              an earlier picture of AB; likewise for DA

The gradients meet in the generators: AB is trained by its own adversarial loss, by both cycle losses (as the first
network of one and the second of the other) and by the identity loss of b. docs/translation.md draws all arrows.

Networks: the ResNet of resnet.py and the PatchGAN of patchgan.py. Optimizers: Adam, a constant learning rate for half
of the run, then linear decay to 0 (`lr_decay`). The reference code has one Adam for both generators and one for both
critics. Adam treats every weight by itself, and the two count the same steps, so this equals one Adam per network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from minigan.backend import Device, array_module, get_device, to_numpy
from minigan.gans.base import Shape, choose
from minigan.layers import InstanceNorm, Layer
from minigan.losses import LeastSquares, l1
from minigan.model import Game, Judgement, Kind, Measure, Model, Now, Translation
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Option, Positive, WholeNumber
from minigan.threads.crew import side_by_side
from minigan.translators.image_pool import ImagePool
from minigan.translators.luminance import luminance_correlation
from minigan.translators.patchgan import build_patchgan, check_size, field_for
from minigan.translators.resnet import MULTIPLE, blocks_for, build_resnet, check_pictures, features_for
from minigan.translators.unet import output_of

IDENTITY = 0.5  # default weight of the identity loss, relative to the cycle loss
JUDGED = 50  # held-out items, at most, whose cycle error is measured


class Direction(NamedTuple):
    """A translation: arrays, the network that makes it, the one that reverses it, and the critic of its results."""

    source: str
    target: str
    there: str
    back: str
    critic: str


class Pass(NamedTuple):
    """What a direction leaves: y (N, H, W, K), its gradient, and the network that made y, whose gradient is missing."""

    direction: Direction
    there: Layer
    cache: Any
    y: Any
    dy: Any
    measured: dict[str, Any]


DIRECTIONS = (Direction("a", "b", "AB", "BA", "DB"), Direction("b", "a", "BA", "AB", "DA"))


class CycleGAN(Model):
    """Translates between two sets of pictures a (N, H, W, C) and b (N, H, W, K) in [−1, 1] without pairs."""

    paper = "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu et al. 2017)"
    makes = "pictures of one set from pictures of another, of any size that is a multiple of 4"
    suits = "two sets of pictures without pairs that differ in color and texture; shapes stay as they are"

    arrays = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
    batch_size, holds_out, multiple, recolors = 1, True, MULTIPLE, True
    lr_decay = "half"  # constant for half of the run, then linear
    averaged = ("AB", "BA")
    translations = tuple(
        Translation(d.source, d.target, False, (d.there,), f"luminance_{d.target}") for d in DIRECTIONS
    )
    measures = {
        "g_a": Measure("BA", "Losses", note="adversarial; of a critic: real and translated"),
        "g_b": Measure("AB", "Losses"),
        "d_a": Measure("DA", "Losses"),
        "d_b": Measure("DB", "Losses"),
        "real_a": Measure("DA(a), real", "Output of the critics"),
        "fake_a": Measure("DA(BA(b)), translated", "Output of the critics"),
        "real_b": Measure("DB(b), real", "Output of the critics"),
        "fake_b": Measure("DB(AB(a)), translated", "Output of the critics"),
        "cycle_a": Measure("a → b → a", "Cycle error", "positive", note="mean |difference|, of a range of 2"),
        "cycle_b": Measure("b → a → b", "Cycle error", "positive"),
        "identity_a": Measure("BA(a) − a", "Identity error", "positive"),
        "identity_b": Measure("AB(b) − b", "Identity error", "positive"),
        "luminance_a": Measure("b and BA(b)", "Luminance before and after", note="correlation; below 0: a negative"),
        "luminance_b": Measure("a and AB(a)", "Luminance before and after"),
    }
    judgements = {
        # Not ranked: the generators that leave every picture as it is have the smallest
        "held_out_cycle_a": Judgement("a → b → a, held out", "", chart="Cycle error"),
        "held_out_cycle_b": Judgement("b → a → b, held out", "", chart="Cycle error"),
    }

    def __init__(
        self,
        a_shape: Shape,
        b_shape: Shape,
        features: Annotated[
            int | None, Count("channels of a generator's first layer, and of a critic's", default="64; under 128 px 32")
        ] = None,
        blocks: Annotated[
            int | None,
            Count("residual blocks of a generator", default="9 from 256 px on, 6 from 128, 4 from 64, else 3"),
        ] = None,
        upsampling: Annotated[
            Literal["transposed", "bilinear"], Option("enlargement in the generators; bilinear has no checkerboards")
        ] = "transposed",
        field: Annotated[
            int | None, Count("receptive field of the critics in pixels: 1, 16, 34 or 70", "by size")
        ] = None,
        cycle: Annotated[float, NotNegative("weight λ of the cycle loss")] = 10.0,
        identity: Annotated[
            float | None, NotNegative("weight of the identity loss, times λ", "0.5; 0 if a and b differ in channels")
        ] = None,
        pool: Annotated[int, WholeNumber("translated pictures that each critic's pool holds; 0: none")] = 50,
        lr: Annotated[float, Positive("learning rate of Adam")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.shapes = {"a": tuple(a_shape), "b": tuple(b_shape)}
        for name, shape in self.shapes.items():
            check_pictures(name, shape)
        self.cycle, self.identity = cycle, self._identity_weight(identity)
        size = a_shape[:2]
        features, blocks = features or features_for(size), blocks or blocks_for(size)
        field = field or field_for(size)
        for shape in self.shapes.values():
            check_size(shape[:2], field)
        A, B = a_shape[2], b_shape[2]  # channels
        self.device = get_device(device)
        self.networks = {
            "AB": build_resnet(A, B, features, blocks, upsampling, rng=rng),
            "BA": build_resnet(B, A, features, blocks, upsampling, rng=rng),
            "DA": build_patchgan(A, field, features, InstanceNorm, rng=rng),
            "DB": build_patchgan(B, field, features, InstanceNorm, rng=rng),
        }
        for network in self.networks.values():
            network.to(self.device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.pools = {name: ImagePool(pool, shape, self.device) for name, shape in self._translated_shapes().items()}
        self.loss = LeastSquares()
        self.losses = {"loss": self.loss}
        self.games = tuple(
            Game(self.loss, d.critic, d.there, *(f"{measure}_{d.target}" for measure in ("d", "g", "real", "fake")))
            for d in DIRECTIONS
        )

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update both generators, then both critics. Returns the losses, and the measures declared above."""
        batch = next_batch()  # {"a": (N, H, W, C), "b": (N, H, W, K)}

        for name in ("AB", "BA"):
            self.optimizers[name].zero_grad()
        # One direction goes through AB, then BA, the other through BA, then AB. So in each of these two calls they add
        # to the gradients of different networks, and can run at the same time
        passes = self.both(lambda d: self.there_and_back(batch[d.source], d, rng), DIRECTIONS)
        self.both(lambda one: one.there.backward(one.dy, one.cache, wrt="params"), passes)  # x is data
        for name in ("AB", "BA"):
            self.optimizers[name].step()

        # the pool holds arrays, not caches: no gradient of a critic's loss reaches a generator
        fakes = {one.direction.target: one.y for one in passes}
        fakes = {side: self.pools[side].exchange(fakes[side], now.rng) for side in ("b", "a")}
        found = self.both(lambda d: self.critic_step(d, batch[d.target], fakes[d.target], rng), DIRECTIONS)
        measured = {}
        for one in (*(one.measured for one in passes), *found):
            measured |= one
        return measured

    def both(self, work: Any, parts: Sequence[Any]) -> list[Any]:
        """Call `work` on each part, one per direction, at the same time. The two must not change the same arrays."""
        return side_by_side(work, parts, on_host=self.device.xp is np)

    def there_and_back(self, x: Any, direction: Direction, rng: Any) -> Pass:
        """Translate a picture x (N, H, W, C) and restore it. Adds the gradients of the second network, `back`."""
        source, target, xp = direction.source, direction.target, array_module(x)
        there, back, D = (self.networks[name] for name in (direction.there, direction.back, direction.critic))

        y, there_cache = there.forward(x, rng=rng)  # (N, H, W, C) → (N, H, W, K)
        # `back` restores x from y, and should leave x alone: one pass, as no layer mixes the pictures of a batch
        inputs = xp.concatenate([y, x]) if self.identity else y  # (2N, H, W, C): K = C
        outputs, back_cache = back.forward(inputs, rng=rng)
        x_again = outputs[: len(x)]  # (N, H, W, C)
        logits, D_cache = D.forward(y, rng=rng)  # → (N, h, w, 1)
        cycle, dx_again = l1(x_again, x)  # mean |x_again − x|
        fooled, dlogits = self.loss.generator(logits)  # ½ mean (D(y) − 1)², and its weight is 2

        measured = {f"g_{target}": 2 * fooled, f"cycle_{source}": cycle}
        measured[f"luminance_{target}"] = luminance_correlation(x, y)
        doutputs = self.cycle * dx_again
        if self.identity:
            same = outputs[len(x) :]
            measured[f"identity_{source}"], dsame = l1(same, x)
            doutputs = xp.concatenate([doutputs, self.cycle * self.identity * dsame])

        # y goes into `back` and into D, so dy is a sum. `back` is trained by the cycle loss, D isn't trained here
        dy = back.backward(doutputs, back_cache)[: len(x)]  # the rest is of x, which is data
        dy = dy + D.backward(2 * dlogits, D_cache, wrt="input")
        return Pass(direction, there, there_cache, y, dy, measured)

    def critic_step(self, direction: Direction, real: Any, fake: Any, rng: Any) -> dict[str, Any]:
        """Update a critic D to minimize ½ mean (D(real) − 1)² + ½ mean D(fake)²."""
        side, D, optimizer = direction.target, self.networks[direction.critic], self.optimizers[direction.critic]
        optimizer.zero_grad()

        real_logits, cache = D.forward(real, rng=rng)  # (N, H, W, K) → (N, h, w, 1)
        loss_real, dlogits = self.loss.real(real_logits)
        D.backward(dlogits, cache, wrt="params")
        del cache

        fake_logits, cache = D.forward(fake, rng=rng)
        loss_fake, dlogits = self.loss.fake(fake_logits)
        D.backward(dlogits, cache, wrt="params")

        optimizer.step()
        means = {f"real_{side}": real_logits.mean(), f"fake_{side}": fake_logits.mean()}
        return {f"d_{side}": loss_real + loss_fake} | means

    def apply(self, x: Any, to: str = "b") -> Any:
        """Translate pictures x (N, H, W, C) to the set `to`, in inference mode. Raises ValueError for another set."""
        networks = {d.target: d.there for d in DIRECTIONS}
        return output_of(self.drawing(choose("to", to, networks)), x, MULTIPLE)

    def translate(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return {"b": AB(a), "a": BA(b)}, without the translation of what isn't in the item."""
        return {d.target: self.apply(item[d.source], d.target) for d in DIRECTIONS if d.source in item}

    def judge(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, float]:
        """Return the mean cycle error of each set, of at most 50 items."""
        found: dict[str, list[float]] = {f"held_out_cycle_{d.source}": [] for d in DIRECTIONS}
        for item in held_out[:JUDGED]:
            for d in DIRECTIONS:
                again = self.apply(self.apply(item[d.source], d.target), d.source)
                found[f"held_out_cycle_{d.source}"].append(float(to_numpy(l1(again, item[d.source])[0])))
        return {name: float(np.mean(errors)) for name, errors in found.items()}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the pools."""
        return {f"{key}.{name}": array for name, pool in self.pools.items() for key, array in pool.state_dict().items()}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the pools."""
        for name, pool in self.pools.items():
            pool.load_state_dict({key: arrays[f"{key}.{name}"] for key in pool.state_dict()})

    def _identity_weight(self, identity: float | None) -> float:
        """Return the weight of the identity loss. Raises ValueError if the loss is wanted and impossible."""
        (*_, A), (*_, B) = self.shapes.values()
        if identity and A != B:
            raise ValueError(
                f"`identity` is {identity:g}, but a has {A} channels and b has {B}, so that no generator can leave a "
                "picture of its target as it is: give 0, or the same `channels` to both"
            )
        return (IDENTITY if A == B else 0.0) if identity is None else identity

    def _translated_shapes(self) -> dict[str, Shape]:
        """Return the shapes of translated pictures: size of the source, channels of the target."""
        return {d.target: (*self.shapes[d.source][:2], self.shapes[d.target][2]) for d in DIRECTIONS}
