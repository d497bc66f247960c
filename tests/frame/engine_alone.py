"""A GAN by hand on nothing but the engine: three steps of WGAN-GP, in float64. Prints the losses and a checksum of G.

tests/frame/test_engine.py runs it, with the engine's files alone in a folder.
"""

import sys

import numpy as np

for blocked in ("PIL", "tqdm"):
    sys.modules[blocked] = None  # an import of it fails

from minigan.layers import (  # noqa: E402
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    LayerNorm,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Softplus,
    Tanh,
)
from minigan.losses import Wasserstein  # noqa: E402
from minigan.optim import Adam  # noqa: E402
from minigan.penalties import GradientPenalty  # noqa: E402

rng = np.random.default_rng(0)
G = Sequential(
    Dense(8, 4 * 4 * 16, bias=False, rng=rng),
    BatchNorm(4 * 4 * 16),
    ReLU(),
    Reshape(4, 4, 16),
    ConvTranspose2D(16, 8, 4, stride=2, padding=1, rng=rng),  # 4² → 8²
    ReLU(),
    ConvTranspose2D(8, 1, 4, stride=2, padding=1, rng=rng),  # 8² → 16²
    Tanh(),
).to(dtype="float64")
D = Sequential(
    Conv2D(1, 8, 4, stride=2, padding=1, rng=rng),  # 16² → 8²
    LeakyReLU(0.2),
    Conv2D(8, 16, 3, stride=1, padding=1, rng=rng),
    LayerNorm((8, 8, 16)),
    Softplus(),
    AvgPool2D(2),  # 8² → 4²
    Flatten(),
    Dense(4 * 4 * 16, 1, rng=rng),
).to(dtype="float64")
loss, penalty = Wasserstein(), GradientPenalty()
optimize_G, optimize_D = Adam(G.parameters(), 1e-3), Adam(D.parameters(), 1e-3)
real = np.tanh(rng.standard_normal((12, 16, 16, 1)))

for _ in range(3):
    fake, G_cache = G.forward(rng.standard_normal((12, 8)), rng=rng)

    optimize_D.zero_grad()
    logits, cache = D.forward(real, rng=rng)
    loss_real, dlogits = loss.real(logits)
    D.backward(dlogits, cache, wrt="params")
    logits, cache = D.forward(fake, rng=rng)
    loss_fake, dlogits = loss.fake(logits)
    D.backward(dlogits, cache, wrt="params")
    slope = penalty(D, real, fake, rng)
    optimize_D.step()

    optimize_G.zero_grad()
    logits, cache = D.forward(fake, rng=rng)
    g_loss, dlogits = loss.generator(logits)
    G.backward(D.backward(dlogits, cache, wrt="input"), G_cache, wrt="params")
    optimize_G.step()
    print(float(loss_real + loss_fake), float(slope), float(g_loss))

print(float(np.abs(G.parameters().values).sum()))
foreign = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(*sorted(name for name in foreign if name in ("minigan", "cupy", "numpy", "PIL", "tqdm") and sys.modules[name]))
print(*sorted(name for name in sys.modules if name.startswith("minigan.")), sep=",")
