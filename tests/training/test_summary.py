import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from crews import number_of_threads
from tiny import CONFIG

from minigan.common.small_models import moments, random_batch
from minigan.layers import Dense, Reshape, Sequential
from minigan.model import Kind, Model, Phase
from minigan.optim import SGD, WeightAverage
from minigan.training.build import build_model
from minigan.training.summary import PassCounter, step_macs, summarize

DCGAN16 = replace(CONFIG, model_args={}, batch_size=64)
SHAPES = DCGAN16.shapes


def step(model, n):
    """A function that makes a step on a batch."""
    batch, rng = random_batch(model, SHAPES, n, np.random.default_rng(0)), np.random.default_rng(0)
    return lambda: model.step(lambda: batch, rng, next(moments(model)))


def test_a_step_is_counted_as_it_is_made():
    config = replace(DCGAN16, model_args={"features": 4, "latent_dim": 5, "n_critic": 2})
    gan = build_model(config)
    watch = PassCounter(gan)
    step(gan, 8)()
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
    gan = build_model(DCGAN16)
    text = summarize(gan, DCGAN16, SHAPES)
    assert "G: 100 → 16×16×1, 337,281 parameters" in text
    assert text.count("ConvTranspose2D(") == 3
    assert text.count("Conv2D(") == 3 + 0
    assert "64 GFLOP" not in text
    assert "activations, batch of 64" in text


def test_memory_is_near_that_of_a_real_step():
    """With one thread: with several, it is the load of the machine that decides how many have scratch space at once."""
    gan = build_model(DCGAN16)
    make_step = step(gan, 64)
    with number_of_threads(1):
        tracemalloc.start()
        make_step()
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        text = summarize(gan, DCGAN16, SHAPES)
    row = next(line for line in text.splitlines() if "activations, batch" in line)
    assert float(row.split()[-2]) == pytest.approx(peak, rel=0.25)


@pytest.mark.slow
def test_the_memory_of_each_phase_is_near_that_of_a_real_step():
    """Of progan, whose phases differ in the size of their pictures."""
    config = replace(DCGAN16, model="progan", model_args={"features": 8, "growth_samples": 400}, batch_size=16)
    model, peaks, rng = build_model(config), {}, np.random.default_rng(0)
    batch = random_batch(model, SHAPES, 16, rng)
    with number_of_threads(1):
        for now in moments(model):
            tracemalloc.start()
            model.step(lambda: batch, rng, now)
            peaks[now.phase.name] = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
        rows = [line.split() for line in summarize(model, config, SHAPES).splitlines() if "activations, batch" in line]
    predicted = {row[1].rstrip(","): float(row[-2]) for row in rows}
    assert list(predicted) == ["4px", "fade-8px", "8px", "fade-16px", "16px"]
    assert predicted["16px"] > 2 * predicted["8px"] > 2 * predicted["4px"]
    for phase, peak in peaks.items():
        assert predicted[phase] == pytest.approx(peak, rel=0.2, abs=0.1), phase


class Three(Model):
    """Two networks, of which one is averaged, and a frozen one; the second phase leaves the second network out."""

    arrays = {
        "a": Kind("picture", "one"),
        "b": Kind("picture", "other"),
        "label": Kind("label", "other"),
        "m": Kind("mask"),
    }
    phases = (Phase("long"), Phase("short", 100, 4))
    n_classes = 2

    def __init__(self):
        nets = [Sequential(Reshape(6), Dense(6, 6), Reshape(2, 3, 1)) for _ in range(3)]
        self.networks, self.frozen = {"one": nets[0], "two": nets[1]}, {"still": nets[2]}
        self.optimizers = {name: SGD(net.parameters(), 0.1) for name, net in self.networks.items()}
        self.averages = {"two": WeightAverage(nets[1], 0.9)}
        self.seen = []

    def step(self, next_batch, rng, now):
        batch = next_batch()
        self.seen.append((now.phase.name, now.samples, {name: array.shape for name, array in batch.items()}))
        assert batch["m"].dtype == np.uint8 and set(batch["label"]) <= {0, 1}
        y, cache = self.networks["one"].forward(batch["a"])
        self.frozen["still"].output(y)
        self.networks["one"].backward(y, cache)
        if now.phase.name == "long":
            self.networks["two"].output(batch["b"])
        return {}


def test_any_networks_arrays_and_phases():
    model, shapes = Three(), {"a": (2, 3, 1), "b": (2, 3, 1), "m": (2, 3, 1)}
    text = summarize(model, DCGAN16, shapes)
    for words in (
        "one: 2×3×1 → 2×3×1, 42 parameters",
        "two: 2×3×1",
        "still, frozen: 2×3×1",
        "average of two's weights",
    ):
        assert words in text
    assert "phase long, activations, batch of 64" in text and "phase short, activations, batch of 4" in text
    assert "phase long, a step on batches of 64" in text and "phase short, a step on batches of 4:" in text
    assert {seen[:2] for seen in model.seen} == {("long", 0), ("short", 100)}
    assert model.seen[0][2] == {"a": (8, 2, 3, 1), "b": (8, 2, 3, 1), "label": (8,), "m": (8, 2, 3, 1)}
    assert step_macs(model, shapes) == 36 * (1 + 2 + 1 + 1)  # forward and backward of one, forward of the others


def test_another_step_may_be_counted():
    def twice(model, next_batch, rng, now):
        for _ in range(2):
            model.networks["one"].output(next_batch()["a"])

    assert step_macs(Three(), {"a": (2, 3, 1), "b": (2, 3, 1), "m": (2, 3, 1)}, twice) == 2 * 36


class Lazy(Three):
    """Every 16th step makes another forward pass, on a hundred times as many numbers."""

    every = 16

    def step(self, next_batch, rng, now):
        if now.step % self.every == 0:
            self.networks["two"].output(np.tile(next_batch()["b"], (100, 1, 1, 1)))
        return super().step(next_batch, rng, now)


def test_a_step_with_a_rare_penalty_has_a_table_of_its_own_and_decides_the_memory():
    shapes = {"a": (2, 3, 1), "b": (2, 3, 1), "m": (2, 3, 1)}
    texts = [summarize(model, DCGAN16, shapes) for model in (Lazy(), Three())]
    words = "phase long, a step with all of its penalties on batches of 64"
    assert [text.count(words) for text in texts] == [1, 0]
    assert texts[0].count("phase long, a step on batches of 64") == 1
    rows = [next(line for line in text.splitlines() if "phase long, activations" in line) for text in texts]
    lazy, usual = (float(row.split()[-2]) for row in rows)
    assert lazy > usual + 0.1  # 64 · 100 · 6 numbers of 4 bytes are 0.15 MiB
