"""Ten steps of SRResNet and of the same in PyTorch stay together: small network and the paper's, all options."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from enlarging import assert_same_way, bicubic, copied, enlarger, in_torchs_layout, nchw  # noqa: E402

from minigan.layers.bicubic import enlarged  # noqa: E402
from minigan.model import Now  # noqa: E402
from minigan.optim import Adam  # noqa: E402
from minigan.translators.srresnet import SRResNet  # noqa: E402

pytestmark = pytest.mark.oracle
STEPS, BATCH, SIZE, F, BLOCKS = 10, 3, 12, 5, 2


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_bicubic_path(scale):
    x = np.random.default_rng(0).standard_normal((2, 5, 7, 3))
    np.testing.assert_allclose(nchw(enlarged(x, scale)), bicubic(nchw(x), scale), atol=1e-12)


@pytest.mark.parametrize(
    ("scale", "C", "options"),
    [
        (2, 1, {}),
        (3, 3, {"colors": "rgb", "loss": "l2"}),
        (4, 3, {"colors": "luminance", "norm": "batch"}),
        (4, 3, {"colors": "rgb", "norm": "batch", "preset": "paper", "residual": False, "loss": "l2"}),
        (3, 1, {"preset": "paper"}),
    ],
)
def test_ten_steps_in_float64(scale, C, options):
    model = SRResNet((SIZE, SIZE, C), scale, features=F, blocks=BLOCKS, **options, rng=np.random.default_rng(0))
    G, channels = model.networks["G"].to(dtype="float64"), 1 if model.luminance else C
    model.optimizers["G"] = Adam(G.parameters(), 1e-3)
    theirs = enlarger(
        channels,
        scale,
        F,
        BLOCKS,
        batch=options.get("norm") == "batch",
        residual=options.get("residual", True),
        as_in_paper=options.get("preset") == "paper",
    )
    start, theirs = in_torchs_layout(G), copied(G, theirs)
    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3)
    loss = {"l1": torch.nn.functional.l1_loss, "l2": torch.nn.functional.mse_loss}[options.get("loss", "l1")]
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        high = np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, C)))
        low = np.stack([model.damage({"high": one.astype(np.float32)}, rng)["low"] for one in high]).astype(np.float64)
        batch = {"high": high, "low": low}
        measured = model.step(lambda batch=batch: batch, rng, Now(0, 0, rng))
        x, t = (nchw(model.seen(a)) for a in (low, high))
        optimizer.zero_grad()
        error = loss(theirs(x), t)
        error.backward()
        optimizer.step()
        assert measured[options.get("loss", "l1")] == pytest.approx(error.item(), rel=1e-9)
    assert_same_way(G, start, theirs)
