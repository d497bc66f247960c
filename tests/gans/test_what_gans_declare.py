"""What the GANs tell of themselves: measures, games, exhibits, options, and the words of `minigan models`."""

import numpy as np
import pytest
from family import MEMBERS, make, real_data
from steps import make_step

from minigan.common.model_checks import check_measures, check_model
from minigan.gans import CGAN, MODELS, SNGAN
from minigan.gans.dcgan import SIZES
from minigan.model import LABEL, SAMPLES
from minigan.options import arguments_of


@pytest.mark.parametrize("name", MEMBERS)
def test_measures_games_and_averages_keep_to_the_contract(name):
    gan = make(name)
    gan.average_weights(0.9)
    check_model(gan)
    measured = make_step(gan, real_data(gan), np.random.default_rng(0))
    check_measures(gan, measured)
    assert measured.keys() == gan.measures.keys()
    assert [game.objective for game in gan.games] == [gan.loss] == list(gan.losses.values())
    assert list(gan.averages) == ["G"]
    assert gan.batches_per_step == gan.n_critic


def test_the_penalty_belongs_to_the_game():
    game = make("wgan-gp-points").games[0]
    assert (game.penalty, game.penalty_weight) == ("penalty", 0.2)
    assert make("wgan-points").games[0].penalty == ""


@pytest.mark.parametrize(
    ("name", "options", "shape", "columns"),
    [
        ("lsgan-16", {}, (64, 16, 16, 1), None),
        ("lsgan-points", {}, (1000, 2), None),
        ("cgan-pictures", {"n_classes": 3}, (24, 6, 5, 1), 3),
        ("cgan-pictures", {"n_classes": 16}, (128, 6, 5, 1), 16),
        ("cgan-pictures", {"n_classes": 17}, (64, 6, 5, 1), None),
        ("cgan-points", {"n_classes": 3}, (1000, 2), None),
    ],
)
def test_what_it_shows(name, options, shape, columns):
    """The same every time, with a column for each class where they are few; and nothing of the model changes."""
    gan = make(name, **options)
    before = [network.state_dict() for network in gan.networks.values()]
    (one,), (again,) = (gan.show([], np.random.default_rng(5)).values() for _ in range(2))
    assert (one.samples.shape, one.columns, one.like) == (shape, columns, "real")
    np.testing.assert_array_equal(one.samples, again.samples)
    for network, arrays in zip(gan.networks.values(), before, strict=True):
        for key, array in network.state_dict().items():
            np.testing.assert_array_equal(array, arrays[key])
    if columns:
        first = gan.latent(len(one.samples), np.random.default_rng(5))[:columns]
        np.testing.assert_allclose(gan.generate(first, np.arange(columns)), one.samples[:columns], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_help_stands_beside_every_argument(name):
    for argument in arguments_of(MODELS[name]).values():
        assert argument.option.help not in ("", argument.name.replace("_", " "))
        assert argument.default is not None or argument.option.default
        assert argument.check(argument.default) == ""


@pytest.mark.parametrize("name", MODELS)
def test_words_for_people(name):
    cls = MODELS[name]
    assert cls.paper.endswith(")")
    assert cls.suits.startswith(("for ", "where ", "to "))
    assert ("points" in cls.makes) == (cls.arrays["real"] == SAMPLES)
    if not any(words in cls.makes for words in ("any size", "256 … pixels", "pictures of 32 pixels")):
        assert f"{', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels" in cls.makes


def test_who_needs_labels():
    assert SNGAN.needs() == SNGAN.needs(labels=False, lr=0.1) == {"real": SAMPLES}
    assert SNGAN.needs(labels=True, lr=0.1) == CGAN.needs() == {"real": SAMPLES, "label": LABEL}
    assert "label" in make("sngan-16", labels=True, n_classes=2).arrays
    assert "label" not in make("sngan-16").arrays
