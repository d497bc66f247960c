"""SRGAN: enlargement with convincing textures (Ledig et al. 2017, section 2.2), in two stages of one run.

    stage one   the phase "pixels": G learns a small error, as in srresnet.py
    stage two   the phase "adversarial": a critic D learns to tell original from enlarged pictures, and G to make
                pictures that D takes for originals. For a batch of small pictures x with the originals t, y = G(x),

                    G minimizes   p·E(y, t) + c·mean (φ(y) − φ(t))² + a·A(D(y))
                    D minimizes   −mean log D(t) − mean log(1 − D(y))

                E: L1 or L2 of pixels; φ: a frozen content network (content.py); A = −mean log D(y)

With `loss="relativistic"`, D and A are those of ESRGAN: D compares t with the mean of y and y with the mean of t
(`RelativisticAverage` in losses.py). Each of the three weights p, c and a can be 0, and then its term isn't computed;
without a, there is no D.

The gradients, and where they end:

    G's update     dy is a sum of three: of E; of the features, through φ to y; of A, through D to y. It goes through G
                   and ends at x, which is data. φ and D get no gradient of their weights, φ(t) and D(t) depend on no
                   weight of G
    D's update     ends at D's input: y is an array there, made before G's update

One pass of D over t and one over y serve both updates. D's weights change at the end of the step only, so the gradients
are the same as with passes of their own.

At the end of stage one, G's weights are kept, and from then on saved with every checkpoint. `set_strength(s)` makes
`apply` use (1 − s)·stage one + s·stage two, weight by weight. Stage two begins at the weights of stage one and stays
near them. So a network with weights between both enlarges, too, with less or more texture (network interpolation; Wang
et al. 2018, section 3.4).

Networks: enlarger.py, large_critic.py, content.py.

Deviations from Ledig et al.: those of srresnet.py; D with half of the paper's channels; content in the features of the
small network of photos that ships with the package, with E beside it, instead of VGG19's alone; D and G are updated by
the same y; stage one is half of the run, with a schedule of its own. `--content FILE --pixel-weight 0` with VGG19's
weights is the paper's loss: its c is (1/12.75)², which brings VGG's features to the size of pixels.
"""

from __future__ import annotations

import copy
from math import cos, pi
from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device
from minigan.errors import CheckpointError
from minigan.gans.base import Shape
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax, RelativisticAverage, l2
from minigan.model import Game, Measure, Now, Phase, Translation
from minigan.optim import Adam
from minigan.options import Count, NotNegative, Option, Positive, Samples, Steps
from minigan.translators.content import (
    PHOTOS,
    as_color,
    as_color_adjoint,
    build_content,
    check_content_size,
    digest,
    fill_content,
)
from minigan.translators.enlarger import PRESETS, Preset, build_enlarger
from minigan.translators.large_critic import build_critic
from minigan.translators.super_resolution import PIXEL_LOSSES, Scale, SuperResolution, psnr_of_batch

PHOTO_LAYER, VGG_LAYER = "2", "5_4"  # of the content networks, by default; VGG19's is the paper's φ5,4
PHOTO_WEIGHT, VGG_WEIGHT = 0.1, 1 / 12.75**2
KEPT = "stage_one."  # before the names of stage one's weights in a checkpoint
DIGEST = "content_digest"
UNDECIDED = "PSNR and SSIM are highest before textures are added"
Pass = tuple[Any, Any]  # the result of a forward pass: y and the cache


class SRGAN(SuperResolution):
    """An SRResNet that is then trained with a critic; `shape` (H, W, C) is that of the large crops in training.

    Raises ValueError for an option that doesn't exist, ShapeError for crops that are too small.
    """

    paper = "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al. 2017)"
    begins_with = ("srresnet",)
    suits = "to enlarge photos with convincing textures; the details are invented, the error is larger"
    measures = SuperResolution.measures | {
        "content": Measure("content", "Content", "positive", note="mean (φ(y) − φ(t))², before its weight"),
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("G", "Losses", note="adversarial, before its weight"),
        "d_real": Measure("D(original)", "Output of D", "opinion"),
        "d_fake": Measure("D(enlarged)", "Output of D", "opinion"),
    }

    def __init__(
        self,
        shape: Shape,
        scale: Annotated[int, Scale("factor of enlargement: 2, 3 or 4")] = 4,
        preset: Annotated[
            Literal["small", "default", "paper"], Option("channels × blocks: 16 × 5, 32 × 8, or the paper's 64 × 16")
        ] = "default",
        features: Annotated[int | None, Count("channels of G's hidden layers", "by preset")] = None,
        blocks: Annotated[int | None, Count("residual blocks of G", "by preset")] = None,
        norm: Annotated[Literal["none", "batch"], Option("batch norm after each convolution of a block")] = "none",
        residual: Annotated[bool, Option("add to the bicubic enlargement")] = True,
        colors: Annotated[
            Literal["luminance", "rgb"], Option("what is learned; luminance: colors are enlarged bicubically")
        ] = "luminance",
        damage: Annotated[
            str, Option("what low pictures suffer besides: blur:1, noise:5, jpeg:50 …", default="none")
        ] = "",
        pretrain_steps: Annotated[int | None, Steps("steps of stage one; 0: none", "half of the run")] = None,
        pretrain_samples: Annotated[int | None, Samples("the same in pictures", "steps × batch size")] = None,
        loss: Annotated[
            Literal["standard", "relativistic"], Option("D judges each picture, or compares it with the others' mean")
        ] = "standard",
        pixel_loss: Annotated[Literal["l1", "l2"], Option("mean absolute or mean square error of pixels")] = "l1",
        pixel_weight: Annotated[float, NotNegative("weight of the pixel loss in stage two; 0: none")] = 1.0,
        content: Annotated[
            str, Option("content network: photos, which ships; a file of VGG19's weights; or none")
        ] = PHOTOS,
        content_layer: Annotated[
            str, Option("its last layer: 1 to 4 of photos; 1_1 to 5_4 of VGG19", "2 of photos, 5_4 of VGG19")
        ] = "",
        content_weight: Annotated[
            float | None, NotNegative("weight of the content loss; 0: none", "0.1 for photos, 0.00615 for VGG19")
        ] = None,
        adversarial: Annotated[float, NotNegative("weight of the adversarial loss; 0: no D")] = 1e-3,
        critic_features: Annotated[int, Count("channels of D's first layer")] = 32,
        lr: Annotated[float, Positive("learning rate of Adam in stage one, at its beginning")] = 1e-3,
        lr2: Annotated[float, Positive("learning rate in stage two, a tenth in its second half")] = 1e-4,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        self.setup(shape, scale, colors, damage, device)
        size = Preset(features or PRESETS[preset].features, blocks or PRESETS[preset].blocks, preset == "paper")
        G, self.stage_one = (build_enlarger(self.channels, scale, size, norm, residual, rng=rng) for _ in range(2))
        self.stage_one.to(self.device)
        self.networks = {"G": G}
        self.relativistic = loss == "relativistic"
        if adversarial:
            self.networks["D"] = build_critic(self.crop, self.channels, critic_features, not self.relativistic, rng=rng)
        self.optimizers = {name: Adam(net.to(self.device).parameters(), lr) for name, net in self.networks.items()}
        self.pixel_loss, self.pixel_weight, self.adversarial = PIXEL_LOSSES[pixel_loss], pixel_weight, adversarial
        self._set_content(content, content_layer, content_weight, rng)
        self.loss: Any = RelativisticAverage() if self.relativistic else Minimax()
        self.lr, self.lr2, self.pretrain = lr, lr2, pretrain_samples or 0
        self.kept = False  # whether `stage_one` has the weights of stage one
        self._blend: Any = None  # the network of `set_strength`
        self._declare()

    def _declare(self) -> None:
        """Declare the stages and what belongs to the weights that aren't 0. Raises ValueError if all are 0."""
        if not (self.pixel_weight or self.content_weight or self.adversarial):
            raise ValueError("`pixel_weight`, `content_weight` and `adversarial` are all 0: leave one of them on")
        if self.adversarial:
            self.losses, self.games = {"loss": self.loss}, (Game(self.loss),)
        if self.adversarial or self.content_weight:
            self.translations = (Translation("low", "high", undecided=UNDECIDED),)
        stages = Phase("pixels", idle=("D",) if self.adversarial else ()), Phase("adversarial", self.pretrain)
        self.phases = stages if self.pretrain else stages[1:]

    def _set_content(self, content: str, layer: str, weight: float | None, rng: np.random.Generator) -> None:
        """Build the content network, if it has a weight."""
        photos = content == PHOTOS
        self.content, self.content_weight = (
            content,
            (PHOTO_WEIGHT if photos else VGG_WEIGHT) if weight is None else weight,
        )
        if content == "none" or not self.content_weight:
            self.content_weight = 0.0
            return
        layer = layer or (PHOTO_LAYER if photos else VGG_LAYER)
        network = build_content(content, layer, rng=rng)
        check_content_size(self.crop, content, layer)
        self.frozen = {"content": network.to(self.device)}

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Fill in the length of stage one in samples: half of the run, or so many steps of the run's batch size."""
        if arguments.get("pretrain_samples") is not None:
            return arguments
        steps = arguments.get("pretrain_steps")
        return arguments | {"pretrain_samples": samples // 2 if steps is None else steps * arguments["batch_size"]}

    def fill_frozen(self, read: Any) -> None:
        """Read the weights of the content network. Raises MiniganError if they aren't there, or not in the file."""
        if self.frozen:
            fill_content(self.frozen["content"], self.content, read(self.content))

    def rates(self, now: Now) -> dict[str, float]:
        """Return the learning rates: a half cosine to 0 in stage one; in stage two, a tenth in its second half."""
        if now.samples < self.pretrain:
            return dict.fromkeys(self.optimizers, self.lr * (1 + cos(pi * now.samples / self.pretrain)) / 2)
        # now.progress is the share of the steps that are done, so the run has about samples/progress samples
        second_half = now.progress > 0 and now.samples > (self.pretrain + now.samples / now.progress) / 2
        return dict.fromkeys(self.optimizers, self.lr2 * (0.1 if second_half else 1))

    def begin(self, phase: Phase, now: Now) -> None:
        """Begin stage two: keep the weights of stage one. The moments of Adam belong to another loss: set them to 0."""
        self._keep_stage_one()
        self.optimizers["G"].reset()

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update G once, and in stage two D. Returns the measures declared above, as far as they are computed."""
        batch, G = next_batch(), self.networks["G"]
        x, t = self.seen(batch["low"]), self.seen(batch["high"])  # (N, h, w, C) and (N, s·h, s·w, C)
        two = now.phase.name == "adversarial"
        if two and not self.kept:  # a run without stage one: it began with the weights of another run
            self._keep_stage_one()

        self.optimizers["G"].zero_grad()
        y, cache = G.forward(x, rng=rng)  # (N, h, w, C) → (N, s·h, s·w, C)
        error, dy = self.pixel_loss(y, t)
        measured = {self.pixel_loss.__name__: error, "batch_psnr": psnr_of_batch(y, t)}
        passes = None
        if two:
            dy = self.pixel_weight * dy
            if self.content_weight:
                measured["content"], dcontent = self.content_loss(y, t)
                dy = dy + self.content_weight * dcontent
            if self.adversarial:
                passes = [self.networks["D"].forward(pictures, rng=rng) for pictures in (t, y)]
                measured["g_loss"], dfooled = self.fooling_loss(*passes)
                dy = dy + self.adversarial * dfooled
        G.backward(dy, cache, wrt="params")  # x is data
        self.optimizers["G"].step()
        return measured | (self.critic_step(*passes) if passes else {})

    def content_loss(self, y: Any, t: Any) -> tuple[Any, Any]:
        """Return mean (φ(y) − φ(t))² and its gradient at y (N, H, W, C)."""
        network = self.frozen["content"]
        wanted = network.output(as_color(t), train=False)  # t is data: no gradient
        found, cache = network.forward(as_color(y), train=False)  # (N, H, W, 3) → (N, h, w, K)
        error, dfound = l2(found, wanted)
        return error, as_color_adjoint(network.backward(dfound, cache, wrt="input"), y.shape[3])  # φ isn't trained

    def fooling_loss(self, original: Pass, enlarged: Pass) -> tuple[Any, Any]:
        """Return A and its gradient at y (N, H, W, C), by D's passes over t and y."""
        (real, _), (fake, cache) = original, enlarged
        if self.relativistic:
            loss, (_, dfake) = self.loss.generator(real, fake)  # the gradient at `real` ends there: t is data
        else:
            loss, dfake = self.loss.generator(fake)
        return loss, self.networks["D"].backward(dfake, cache, wrt="input")  # D isn't trained by this loss

    def critic_step(self, original: Pass, enlarged: Pass) -> dict[str, Any]:
        """Update D, by its passes over t and y, which were made before G's update. G gets no gradient."""
        D, (real, real_cache), (fake, fake_cache) = self.networks["D"], original, enlarged
        if self.relativistic:
            d_loss, (dreal, dfake) = self.loss.critic(real, fake)
            outputs = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
        else:
            (loss_real, dreal), (loss_fake, dfake) = self.loss.real(real), self.loss.fake(fake)
            d_loss, outputs = loss_real + loss_fake, (sigmoid(real), sigmoid(fake))
        self.optimizers["D"].zero_grad()
        D.backward(dreal, real_cache, wrt="params")
        D.backward(dfake, fake_cache, wrt="params")
        self.optimizers["D"].step()
        return {"d_loss": d_loss, "d_real": outputs[0].mean(), "d_fake": outputs[1].mean()}

    def apply(self, x: Any) -> Any:
        """Enlarge pictures x (N, h, w, C) in [−1, 1], in inference mode, with the weights of `set_strength`."""
        return self.enlarge(x, self._blend or self.drawing("G"))

    def stages(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the results of both stages for a held-out item, by name; in stage one only its own."""
        results = {"stage one": self.enlarge(item["low"], self.stage_one if self.kept else self.drawing("G"))}
        return results | ({"stage two": self.apply(item["low"])} if self.kept else {})

    def set_strength(self, strength: float) -> None:
        """Let `apply` use (1 − strength)·stage one + strength·stage two, weight by weight, strength from 0 to 1.

        Raises ValueError for another strength, and before stage two.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"the strength is {strength}: it is from 0, stage one, to 1, stage two")
        if not self.kept:
            raise ValueError("this run has no stage two yet, so there is nothing to blend: leave out the strength")
        one, two = self.stage_one.state_dict(), self.drawing("G").state_dict()
        self._blend = copy.deepcopy(self.stage_one)
        self._blend.load_state_dict({name: (1 - strength) * a + strength * two[name] for name, a in one.items()})

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the weights of stage one, if it is over, and the checksum of the content network."""
        kept = {KEPT + name: a for name, a in self.stage_one.state_dict().items()} if self.kept else {}
        return kept | ({DIGEST: digest(self.frozen["content"])} if self.frozen else {})

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the weights of stage one. Raises CheckpointError if the run had another content network."""
        if self.frozen and not np.array_equal(arrays[DIGEST], digest(self.frozen["content"])):
            raise CheckpointError("the content network isn't the one that this run began with: its weights differ")
        kept = {name.removeprefix(KEPT): a for name, a in arrays.items() if name.startswith(KEPT)}
        self.kept = bool(kept)
        if kept:
            self.stage_one.load_state_dict(kept)

    def _keep_stage_one(self) -> None:
        self.stage_one.load_state_dict(self.drawing("G").state_dict())
        self.kept = True
