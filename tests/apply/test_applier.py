"""Any size through a network, in tiles or whole, and memory that doesn't suffice."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from appliers import Changes, global_one, identity, photo, smoother, twice

from minigan.apply import Applier, applier, memory
from minigan.apply.picture import to_floats
from minigan.backend import CPU
from minigan.errors import DataError, ShapeError
from minigan.layers import (
    AvgPool2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    InstanceNorm,
    Reshape,
    Residual,
    Sequential,
    Tanh,
)
from minigan.model import Model, Translation
from minigan.testing import devices_under_test
from minigan.translators.restore import Restore

SIZES = [(75, 101), (300, 301), (257, 600), (513, 40)]
UNET = Residual(Sequential(Conv2D(3, 6, 4, 2, 1), Tanh(), Conv2D(6, 6, 4, 2, 1), ConvTranspose2D(6, 3, 8, 4, 2)))
NETWORKS = {
    "smoother": (smoother(depth=5), 1, 1),
    "twice": (twice(), 1, 2),
    "half": (Sequential(smoother(), AvgPool2D(2)), 2, 0.5),
    "hourglass": (UNET, 4, 1),
}


def in_one(model, x):
    """What the network makes of a padded picture, whole."""
    height, width = (-n % model.multiple for n in x.shape[:2])
    padded = np.pad(to_floats(x), ((0, height), (0, width), (0, 0)), mode="reflect")
    return model.networks["F"].output(padded[None], train=False)[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_size_gives_what_the_whole_gives(name, size):
    network, multiple, scale = NETWORKS[name]
    model, x = Changes(network, multiple=multiple), photo(*size)
    y = Applier(model)(to_floats(x))
    assert y.shape == (int(np.ceil(size[0] * scale)), int(np.ceil(size[1] * scale)), 3)
    np.testing.assert_allclose(y, in_one(model, x)[: y.shape[0], : y.shape[1]], atol=2e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_network_that_changes_nothing_changes_no_number(dtype):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    x = {"uint8": (every >> 8).astype(np.uint8), "uint16": every, "float32": to_floats(every)}[dtype]
    y = Applier(Changes(identity(1)))(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x)


def test_what_a_network_makes_of_a_picture_is_the_same_every_time():
    apply, x = Applier(Changes(smoother())), photo(700, 300)
    assert apply(x).tobytes() == apply(x).tobytes()


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_every_device(device):
    model, x = Changes(smoother()), photo(300, 300)
    on_host = Applier(model)(to_floats(x))
    model.device = device
    model.networks["F"].to(device)
    np.testing.assert_allclose(Applier(model)(to_floats(x)), on_host, atol=1e-5)


@pytest.mark.parametrize("network, channels", [(smoother(3), 3), (smoother(1), 1), (Conv2D(4, 4, 1), None)])
def test_channels_are_found(network, channels):
    assert Applier(Changes(network)).channels == channels


def test_memory_decides_how_many_tiles_at_once_and_no_bit(monkeypatch):
    x, results = to_floats(photo(700, 800)), []
    for gigabytes in (0.07, 100):
        monkeypatch.setattr(applier, "available", lambda _, gigabytes=gigabytes: int(gigabytes * 1e9))
        monkeypatch.setattr(applier, "count", lambda: 4)
        model, groups = Changes(smoother(width=32)), []
        results.append(Applier(model)(x, progress=lambda given, groups=groups: groups.extend(given) or given))
        assert [len(group) for group in groups] == ([1] * 12 if gigabytes < 1 else [4] * 3)
        assert {shape for shape in model.batches if shape[1] > 128} == {(1, 256, 256, 3)}
    np.testing.assert_array_equal(*results)


def test_the_number_of_threads_decides_no_bit_of_several_tiles():
    """In a picture of one tile, the threads share the products."""
    code = """if True:
        import hashlib, sys
        sys.path.insert(0, sys.argv[1])
        from appliers import Changes, photo, smoother
        from minigan.apply import Applier
        from minigan.apply.picture import to_floats
        print(hashlib.sha256(Applier(Changes(smoother(width=64)))(to_floats(photo(300, 300))).tobytes()).hexdigest())
    """
    digests = set()
    for threads in "12":
        environment = os.environ | {"OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", code, str(Path(__file__).parent)]
        digests.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(digests) == 1


@pytest.mark.parametrize(
    "network, applied, why",
    [
        (global_one(), ("F",), "has to see it whole: InstanceNorm depends on the whole picture"),
        (smoother(), (), "Changes names no networks in `applied`"),
    ],
)
def test_a_picture_that_memory_does_not_hold_is_refused(monkeypatch, network, applied, why):
    model = Changes(network, applied=applied)
    apply = Applier(model)
    monkeypatch.setattr(applier, "available", lambda _: 300_000_000)
    assert apply(photo(300, 300)).shape == (300, 300, 3)
    largest = max(np.prod(shape) for shape in model.batches)
    with pytest.raises(
        DataError, match=r"a picture of 3000x2000 pixels needs about [\d.]+ GB .* 0.3 GB are free"
    ) as refusal:
        apply(np.zeros((2000, 3000, 3), np.uint8))
    assert why in str(refusal.value)
    assert max(np.prod(shape) for shape in model.batches) == largest  # it was refused before it was tried


def test_a_tile_that_memory_does_not_hold_is_refused(monkeypatch):
    apply = Applier(Changes(smoother()))
    monkeypatch.setattr(applier, "available", lambda _: 1_000_000)
    with pytest.raises(DataError, match="a tile of 256x256 pixels needs about .* end other programs"):
        apply(photo(600, 600))


@pytest.mark.parametrize("layers", [(smoother(width=16),), (smoother(width=16), InstanceNorm(3))])
def test_what_memory_is_predicted_is_what_is_taken(layers):
    model = Changes(*layers)
    work = {
        side: memory.peak(lambda side=side: model.apply(np.zeros((1, side, side, 3), "f")), CPU)
        for side in applier.TRIED
    }
    predicted = memory.needed((600, 700), {(side, side): bytes_ for side, bytes_ in work.items()})
    taken = memory.peak(lambda: model.apply(np.zeros((1, 600, 700, 3), "f")), CPU)
    assert 0.9 * taken < predicted < 1.6 * taken


def test_attention_needs_memory_with_the_square_of_the_pixels():
    assert memory.needed((256, 256), {(64, 64): 1 << 20, (128, 128): 1 << 24}) == pytest.approx(1.1 * 2**28)


def test_a_wrong_declaration_of_what_is_applied_is_noticed():
    model = Changes(twice())
    model.networks["other"] = smoother()
    model.applied = ("other",)
    with pytest.raises(ShapeError, match="name those that `apply` uses"):
        Applier(model)(photo(600, 600))


def test_refusals():
    class WithLevel(Changes):
        def apply(self, x, strength, *, level=1.0):
            raise AssertionError

    with pytest.raises(DataError, match="needs more than a picture: strength;"):
        Applier(WithLevel(smoother()))
    with pytest.raises(DataError, match="Changes has one translation only: leave out `to`"):
        Applier(Changes(smoother()), to="b")
    with pytest.raises(DataError, match="Changes takes no mask"):
        Applier(Changes(smoother()))(photo(), mask=np.ones((75, 101, 1), np.uint8))
    with pytest.raises(DataError, match="Model has no apply"):
        Applier(Model())
    with pytest.raises(DataError, match="names 'H' in `applied`, and its networks are F"):
        Applier(Changes(smoother(), applied=("H",)))
    fixed = Sequential(Flatten(), Dense(64 * 64 * 3, 12), Reshape(2, 2, 3))
    with pytest.raises(ShapeError):
        Applier(Changes(fixed))(photo())
    broken = smoother()
    broken[0].b[...] = np.nan
    with pytest.raises(DataError, match="aren't finite"):
        Applier(Changes(broken))(photo())


class Filler(Changes):
    """Fills holes with what a network makes of the known pixels."""

    def apply(self, x, mask):
        return mask * x + (1 - mask) * self.networks["F"].output(mask * x, train=False)


@pytest.mark.parametrize("size", [(75, 101), (300, 301), (257, 600)])
@pytest.mark.parametrize("multiple", [1, 4])
def test_a_mask_is_padded_and_cut_as_the_picture_is(size, multiple):
    model, x = Filler(UNET if multiple == 4 else smoother(depth=5), multiple=multiple), to_floats(photo(*size))
    mask = (np.random.default_rng(0).random((*size, 1)) < 0.7).astype(np.uint8)
    height, width = (-n % multiple for n in size)
    padded, padded_mask = (np.pad(a, ((0, height), (0, width), (0, 0)), mode="reflect")[None] for a in (x, mask))
    whole = model.apply(padded, padded_mask)[0, : size[0], : size[1]]
    filled = Applier(model)(x, mask=mask)
    np.testing.assert_allclose(filled, whole, atol=2e-6)
    np.testing.assert_array_equal(filled * mask, x * mask)  # known pixels don't change
    with pytest.raises(DataError, match="Filler fills holes: give a mask"):
        Applier(model)(x)
    with pytest.raises(ShapeError, match=r"the mask is \(2, 2, 1\), and must be"):
        Applier(model)(x, mask=np.ones((2, 2, 1), np.uint8))


class Translator(Model):
    """From a to b one convolution, back another. Each is local, so that tiles show which of them is followed."""

    translations = (Translation("a", "b", False, ("AB",)), Translation("b", "a", False, ("BA",)))

    def __init__(self):
        self.device, self.networks = CPU, {"AB": smoother(3, depth=3), "BA": global_one()}

    def apply(self, x, to="b"):
        return self.networks["AB" if to == "b" else "BA"].output(x, train=False)


@pytest.mark.parametrize("to, network, whole", [("", "AB", False), ("b", "AB", False), ("a", "BA", True)])
def test_a_translation_has_its_own_networks(to, network, whole):
    model, x, seen = Translator(), to_floats(photo(300, 520)), []
    applier, output = Applier(model, to=to), model.networks[network].output
    model.networks[network].output = lambda x, train: (seen.append(x.shape), output(x, train=train))[1]
    np.testing.assert_allclose(applier(x), output(x[None], train=False)[0], atol=2e-6)
    assert (seen[-1] == (1, 300, 520, 3)) == whole
    with pytest.raises(DataError, match="Translator translates to b and a, not to 'zebra'"):
        Applier(model, to="zebra")


def test_a_whole_picture_advances_with_each_layer():
    model, told = Changes(global_one()), []

    def progress(parts):
        for i, part in enumerate(parts):
            told.append((i, len(parts)))
            yield part

    x = photo(300, 300)
    np.testing.assert_array_equal(Applier(model)(x, progress=progress), Applier(model)(x))
    layers = sum(not layer.children() for _, layer in model.networks["F"].walk())
    assert told == [(i, layers) for i in range(layers)]
    assert not any("_hooks" in vars(layer) for _, layer in model.networks["F"].walk())


@pytest.mark.parametrize("multiple", [64, 256, (8, 256)])
def test_memory_is_measured_on_two_sizes_whatever_the_multiple(multiple, monkeypatch):
    apply = Applier(Changes(global_one(), multiple=multiple))
    monkeypatch.setattr(applier, "available", lambda _: 300_000_000)
    with pytest.raises(DataError, match=r"3072x2048 pixels needs about [\d.]+ GB"):
        apply(np.zeros((2048, 3072, 3), np.uint8))


def test_restore_in_tiles_equals_the_whole():
    model, x = Restore((40, 40, 3), features=4, rng=np.random.default_rng(0)), to_floats(photo(300, 520))
    model.networks["G"][-1].W *= 100  # so that the result differs from x
    whole, taken = model.apply(x[None])[0], []
    assert np.abs(whole - x).mean() > 0.01
    apply = model.apply
    model.apply = lambda x, mask=None: (taken.append(x.shape), apply(x, mask))[1]
    np.testing.assert_allclose(Applier(model)(x), whole, atol=2e-6)
    assert {shape for shape in taken if shape[1] > 128} == {(1, 256, 256, 3)}


@pytest.mark.slow
def test_a_photo_of_3000_by_2000_pixels_through_restore_in_bounded_memory():
    """All ten layers, with fewer channels. The whole takes forty times as much memory."""
    model, x = Restore((40, 40, 3), features=6, rng=np.random.default_rng(0)), photo(2000, 3000)
    tiles, steps = Applier(model), []
    tiles(x[:600])  # measures memory
    taken = memory.peak(lambda: tiles(x, progress=lambda groups: steps.extend(groups) or groups), CPU)
    assert taken < x.nbytes + 30e6
    assert len(steps) > 50
    whole = model.apply(to_floats(x)[None])[0]
    np.testing.assert_allclose(tiles(to_floats(x)), whole, atol=2e-6)


@pytest.mark.slow
def test_six_megapixels_in_bounded_memory():
    """In tiles: a hundredth of the memory, and the whole's numbers. The whole takes a gigabyte here."""
    network = smoother(width=4)
    x = photo(2000, 3000)
    tiles = Applier(Changes(network))
    assert memory.peak(lambda: tiles(x), CPU) < x.nbytes + 60e6
    whole = network.output(to_floats(x)[None], train=False)[0]
    np.testing.assert_allclose(tiles(to_floats(x)), whole, atol=2e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 5), (64, 1)])
def test_the_smallest_pictures_are_padded_far(size):
    y = Applier(Changes(UNET, multiple=(64, 32)))(photo(*size))
    assert y.shape == (*size, 3)
