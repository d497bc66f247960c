"""A layer of your own: Swish with a learned β, derived by hand, property-tested, and broken on purpose.

Shows how to write a layer for minigan (`minigan/layers/base.py` has a shorter one, and all that a layer promises) and
how to find out whether its derivatives are right: `check_layer` compares all of them with differences, to second order,
and Hypothesis looks for a shape and numbers at which they are wrong.

    python examples/your_own_layer.py                  about 10 seconds
    python examples/your_own_layer.py --examples 500   a longer search

What you should see: the right layer passes, with the largest relative error of each gradient. Then three wrong ones,
with common mistakes, are caught, each with the gradient and the entry that is wrong. In the end the layer is used: a
critic with Swish fits a gradient penalty, which needs the second derivatives. swish.png shows the function and its
derivative.

Needs Hypothesis (pip install hypothesis), which minigan itself doesn't.
"""

import argparse
from pathlib import Path

import numpy as np
from hypothesis import Phase, given, seed, settings
from PIL import Image, ImageDraw

from minigan.layers import Dense, Layer, Sequential
from minigan.layers.activations import sigmoid
from minigan.optim import Adam
from minigan.testing import GradientError, check_layer, shake
from minigan.testing.strategies import pictures


class Swish(Layer):
    """y = x · sigmoid(βx), with one learned β (Ramachandran, Zoph and Le 2017, "Searching for Activation Functions").

    Let s = sigmoid(βx). Then s′ = ∂s/∂(βx) = s(1 − s) and s″ = s′(1 − 2s).

    First order. Differentiate y = x·s in x, where βx has the factor β, and in β, where it has the factor x:

        f = ∂y/∂x = s + βx·s′             dx = dy · f
        ∂y/∂β     = x²·s′                 dbeta = Σ dy · x²·s′

    Second order. dx = dy · f, so with v = ddx = ∂P/∂(dx), P reaches dy, x and β through the two factors:

        ddy   = v · f
        dx2   = v · dy · ∂f/∂x            ∂f/∂x = βs′ + βs′ + β²x·s″ = β(2s′ + βx·s″)
        dbeta += Σ v · dy · ∂f/∂β         ∂f/∂β = xs′ + xs′ + βx²·s″ = x(2s′ + βx·s″)

    The two brackets are the same: f depends on β and x almost only through βx.
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.add_parameters(beta=np.full(1, beta, np.float32))

    def forward(self, x, train=True, rng=None):
        """x → y, of any shape."""
        self.check_input(x, None, None)
        s = sigmoid(self._beta(x) * x)
        return x * s, (x, s)

    def backward_input(self, dy, cache):
        """dx = dy · f."""
        x, s = cache
        return dy * self._f(x, s)

    def backward_params(self, dy, cache):
        """dbeta = Σ dy · x²·s′."""
        x, s = cache
        self.dbeta += (dy * x * x * s * (1 - s)).sum()

    def double_backward(self, ddx, dy, cache):
        """ddy = ddx · f, dx2 = ddx · dy · ∂f/∂x, and ∂P/∂β is added to dbeta."""
        self.check_second(ddx, dy, cache)
        x, s = cache
        # backward: dx = dy * f
        s1 = s * (1 - s)
        bracket = s1 * (2 + self._beta(x) * x * (1 - 2 * s))  # 2s′ + βx·s″
        self.dbeta += (ddx * dy * x * bracket).sum()
        return ddx * self._f(x, s), ddx * dy * self._beta(x) * bracket

    def shapes(self, cache):
        """The shapes of x and y."""
        x, _ = cache
        return x.shape, x.shape

    def _f(self, x, s):
        return s * (1 + self._beta(x) * x * (1 - s))  # s + βx·s′

    def _beta(self, x):
        return self.beta.astype(x.dtype, copy=False)  # float32 stays float32, float64 stays float64


# Three mistakes, which the checks must find.


class WithoutSecondDerivative(Swish):
    """Returns no dx2, as a piecewise linear activation may."""

    def double_backward(self, ddx, dy, cache):
        """The right ddy, but None for dx2."""
        return super().double_backward(ddx, dy, cache)[0], None


class BetaForgotten(Swish):
    """Has f = s + x·s′: the chain rule's factor β is missing, which is invisible at the initial β = 1."""

    def _f(self, x, s):
        return s * (1 + x * (1 - s))


class OverwritesItsGradient(Swish):
    """Writes `=` where `+=` belongs: a second pass through the layer loses the first one's gradient."""

    def backward_params(self, dy, cache):
        """Swish's, but the new gradient replaces what was there."""
        self.dbeta[...] = 0
        super().backward_params(dy, cache)


def property_test(layer_class, examples):
    """Let Hypothesis draw pictures (N, H, W, C), and check all derivatives of a layer with a random β at each."""

    @seed(0)  # the same search every time
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate, Phase.shrink])
    @given(pictures())
    def test(x):
        layer = shake(layer_class(), np.random.default_rng(0), amount=0.5)  # β = 1 would hide a forgotten factor β
        check_layer(layer, x)

    test()


def flatten_a_critic(steps):
    """Train a critic D: (N, 2) → (N, 1) to have a slope of length 1 everywhere: the penalty of WGAN-GP alone."""
    rng = np.random.default_rng(0)
    D = Sequential(Dense(2, 32, rng=rng), Swish(), Dense(32, 32, rng=rng), Swish(), Dense(32, 1, rng=rng))
    optimizer = Adam(D.parameters(), lr=3e-3)
    penalties = []
    for _ in range(steps):
        x = rng.standard_normal((128, 2), dtype=np.float32)
        logits, cache = D.forward(x)  # up
        ones = np.ones_like(logits)
        dx = D.backward(ones, cache, wrt="input")  # down: (N, 2), a slope for each sample
        norm = np.sqrt((dx * dx).sum(axis=1, keepdims=True))  # (N, 1)
        penalties.append(float(((norm - 1) ** 2).mean()))
        optimizer.zero_grad()
        D.double_backward((2 / len(x)) * (norm - 1) * dx / norm, ones, cache)  # up and down
        optimizer.step()
    return D, penalties


def draw(path, width=480, height=360):
    """Write a picture of Swish (red) and of its derivative (blue) for β = 0.5 (pale), 1 and 2, over x from -5 to 5."""
    image = Image.new("RGB", (2 * width, 2 * height), "white")  # twice the size, then reduced
    pen = ImageDraw.Draw(image)
    x = np.linspace(-5, 5, 400)

    def line(y, color, thickness):
        pen.line(list(zip((x + 5) * width / 5, (4 - y) * height / 2.5, strict=True)), color, thickness)

    for level in range(5):
        line(np.full_like(x, level), (150, 150, 150) if level == 0 else (225, 225, 225), 2)
    pen.line([(width, 0), (width, 2 * height)], (150, 150, 150), 2)
    for beta, dark in ((0.5, 190), (1.0, 110), (2.0, 0)):
        layer = Swish(beta)
        y, cache = layer.forward(x)
        line(layer.backward(np.ones_like(x), cache, wrt="input"), (dark, dark, 220), 5)
        line(y, (220, dark, dark), 5)
    image.resize((width, height), Image.Resampling.LANCZOS).save(path)


def main():
    parser = argparse.ArgumentParser(description="A layer of your own, property-tested.")
    parser.add_argument("--examples", type=int, default=60, help="inputs that Hypothesis tries on each layer")
    parser.add_argument("--steps", type=int, default=300, help="steps of the critic in the end")
    parser.add_argument("--out", type=Path, default=Path("runs/example-your-own-layer"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    x = np.random.default_rng(1).standard_normal((3, 4))
    report = check_layer(Swish(1.3), x)
    print("Swish, largest relative errors against differences")
    for order, errors in (("first order", report.first), ("second order", report.second)):
        print(f"  {order:13}" + "".join(f"  {name}: {error:.0e}" for name, error in errors.items()))
    property_test(Swish, args.examples)
    print(f"Swish: right at {args.examples} inputs that Hypothesis drew\n")

    for wrong in (WithoutSecondDerivative, BetaForgotten, OverwritesItsGradient):
        try:
            property_test(wrong, args.examples)
        except GradientError as error:
            print(f"{wrong.__name__}: caught\n  " + str(error).replace("\n", "\n  ") + "\n")
        else:
            raise SystemExit(f"{wrong.__name__} was not caught")

    D, penalties = flatten_a_critic(args.steps)
    betas = ", ".join(f"{float(layer.beta[0]):.2f}" for layer in D.layers if isinstance(layer, Swish))
    print(f"a critic with Swish, {args.steps} steps: penalty from {penalties[0]:.4f} to {penalties[-1]:.4f}, β {betas}")
    draw(args.out / "swish.png")
    print(f"a picture is in {args.out}")


if __name__ == "__main__":
    main()
