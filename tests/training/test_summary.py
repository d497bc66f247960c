from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG

from minigan.training.summary import Watch, summarize

DCGAN16 = replace(CONFIG, model_args={}, batch_size=64)


def test_a_step_is_counted_as_it_is_made():
    config = replace(DCGAN16, model_args={"features": 4, "latent_dim": 5, "n_critic": 2})
    gan, rng = config.build_gan(), np.random.default_rng(0)
    watch = Watch(gan)
    gan.step(lambda: np.zeros((8, 16, 16, 1), np.float32), rng)
    watch.close()
    assert watch.passes["D", "forward"] == 2 * 2 + 1
    assert watch.passes["D", "backward (params)"] == 2 * 2
    assert watch.passes["D", "backward (input)"] == 1
    assert watch.passes["G", "forward"] == 2
    assert watch.passes["G", "backward (params)"] == 1
    # D: 16² → 8²·4 → 4²·8 → 1 with 4×4 kernels; its first layer makes one product in backward (params), the others two
    first, others = 64 * 4 * 16, 16 * 8 * 4 * 16 + 8 * 16
    assert watch.macs["D", "forward"] == 8 * 5 * (first + others)
    assert watch.macs["D", "backward (params)"] == 8 * 4 * (first + 2 * others)
    assert watch.macs["D", "backward (input)"] == 8 * (first + others)
    assert "forward" not in vars(gan.networks["D"])


def test_the_tables_have_every_layer_and_the_totals():
    gan = DCGAN16.build_gan()
    text = summarize(gan, DCGAN16)
    assert "G: 100 → 16×16×1, 337,281 parameters" in text
    assert text.count("ConvTranspose2D(") == 3
    assert text.count("Conv2D(") == 3 + 0
    assert "64 GFLOP" not in text
    assert "activations, batch of 64" in text


def test_memory_is_near_that_of_a_real_step():
    import tracemalloc

    gan, rng = DCGAN16.build_gan(), np.random.default_rng(0)
    x = np.zeros((64, 16, 16, 1), np.float32)
    tracemalloc.start()
    gan.step(lambda: x.copy(), rng)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    row = next(line for line in summarize(gan, DCGAN16).splitlines() if "activations, batch" in line)
    assert float(row.split()[-2]) == pytest.approx(peak, rel=0.25)
