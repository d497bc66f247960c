"""Faults are planted wherever a number can come from; each must be found where it was planted, and at its time."""

import warnings

import numpy as np
import pytest
from failing import ARGS, build, data, ddy, dx, find, last_gradient, layers, now, output, place, plant, with_nan

from minigan.testing import STRICT
from minigan.training.failure import first_not_finite
from minigan.training.hooks import VERBS, LayerHooks


def leaves(model, network, having="forward"):
    found = [key for key, layer in layers(build(model)).items() if not layer.children() and key[0] == network]
    return [(model, *key) for key in found if having != "parameters" or layers(build(model))[key].parameter_names]


def cases(having="forward"):
    """Every leaf of both networks of every model; some models only in the long run."""
    found = [case for model in ARGS for network in "GD" for case in leaves(model, network, having)]
    return [c if c[0] == "sngan" else pytest.param(*c, marks=pytest.mark.slow) for c in found]


@pytest.mark.parametrize(("model", "network", "name"), cases())
def test_a_nan_is_found_in_the_layer_and_the_verb_that_made_it(model, network, name):
    for verb, spoil, part in (("forward", output, "the output"), ("backward", dx, "dx")):
        gan = build(model)
        calls = plant(layers(gan)[network, name], verb, spoil)
        finding = find(gan)
        if calls:
            assert place(finding) == (network, name, verb, part)
            assert f"(layer {network}.{name}) in {verb}" in finding.sentence
        else:  # nobody asks for the dx of a network's first layer
            assert finding is None


@pytest.mark.parametrize(("model", "network", "name"), cases("parameters"))
def test_an_infinite_gradient_of_a_parameter_is_found_in_its_layer(model, network, name):
    gan = build(model)
    layer = layers(gan)[network, name]
    parameter = layer.parameter_names[-1]
    plant(layer, "backward", last_gradient)
    assert place(find(gan)) == (network, name, "backward", f"d{parameter}")


@pytest.mark.parametrize(("model", "network", "name"), leaves("wgan-gp", "D"))
def test_a_nan_of_the_double_backward_of_a_gradient_penalty(model, network, name):
    gan = build(model)
    plant(layers(gan)[network, name], "double_backward", ddy)
    assert place(find(gan)) == ("D", name, "double backward", "ddy")


@pytest.mark.parametrize(("model", "network", "name"), leaves("wgan-gp", "D", "parameters"))
def test_a_parameters_gradient_in_double_backward(model, network, name):
    gan = build(model)
    plant(layers(gan)[network, name], "double_backward", last_gradient)
    parameter = layers(gan)[network, name].parameter_names[-1]
    assert place(find(gan)) == ("D", name, "double backward", f"d{parameter}")


def test_what_a_composite_layer_does_itself_is_found_there():
    """A projection adds the features' product with the embedding after its inner layers have done their work."""
    gan = build("sngan")
    (network, name), layer = next((k, v) for k, v in layers(gan).items() if type(v).__name__ == "Projection")
    plant(layer, "forward", output)
    finding = find(gan)
    assert place(finding) == ("D", name, "forward", "the output")
    assert finding.what.startswith("Projection(SpectralNorm(Dense(")


def test_a_normalized_weight_is_looked_at_through_the_copy_that_computes_with_it():
    gan = build("sngan")
    spectral = next(v for k, v in layers(gan).items() if type(v).__name__ == "SpectralNorm")
    spectral.layer.W[...] *= 1e-30
    spectral.u[...] = 0  # so σ = 0
    spectral.iterate = lambda n=1: None
    finding = find(gan)
    assert finding.layer.endswith(".layer")
    assert finding.verb == "forward"
    assert "its W reaches 0" in finding.detail  # the finite part of W/0


@pytest.mark.parametrize("network", ["G", "D"])
def test_what_an_optimizer_does_to_a_parameter(network):
    gan = build("dcgan")
    optimizer = gan.optimizers[network]
    optimizer.update = lambda p, g, m, v: p.__setitem__(-1, np.inf)
    finding = find(gan)
    (_, name), layer = [(k, v) for k, v in layers(gan).items() if k[0] == network and v.parameter_names][-1]
    assert place(finding) == (network, name, "update", layer.parameter_names[-1])
    assert "its gradient reaches" in finding.detail


def test_what_an_optimizer_does_to_its_own_vectors():
    """Adam squares gradients: those of 1e25 run over in v, while the parameters stay finite."""
    gan = build("dcgan")
    plant(layers(gan)["G", "1"], "backward", lambda layer, result: layer.dW.fill(1e25))
    finding = find(gan)
    assert place(finding) == ("G", "1", "update", "Adam's v for W")
    assert "its gradient reaches 1e25, and lr is 0.0002" in finding.sentence


def test_an_optimizers_vectors_come_before_the_parameters_that_they_move():
    gan = build("dcgan")
    gan.optimizers["D"].update = lambda p, g, m, v: [array.__setitem__(-1, np.nan) for array in (p, v)]
    assert find(gan).part == "Adam's v for b"


def test_an_optimizers_step_that_somebody_has_replaced_is_called_and_stays():
    gan, calls = build("dcgan"), []
    mine = gan.optimizers["G"].step = lambda: calls.append("mine")
    assert find(gan) is None
    assert calls == ["mine"]
    assert gan.optimizers["G"].step is mine


def test_a_loss_that_overflows_although_logits_and_gradients_are_finite():
    gan = build("dcgan")
    fake = gan.loss.fake
    gan.loss.fake = lambda logits: (fake(logits)[0] * np.inf, fake(logits)[1])
    finding = find(gan)
    assert place(finding) == ("D", "", "loss", "the value")
    assert "the value of the loss of D on fakes: its inputs reach " in finding.sentence


def test_a_measure_that_nobody_else_saw():
    gan = build("dcgan")
    step = gan.step
    gan.step = lambda *args: step(*args) | {"g_loss": np.float32(np.nan)}
    assert place(find(gan)) == ("", "", "step", "g_loss")


def test_data_noise_and_what_was_there_before():
    gan = build("dcgan")
    batch = {"real": with_nan(data(gan)()["real"])}
    finding = find(gan, lambda: batch)
    assert place(finding) == ("", "", "data", "real of batch 0")
    sentence = "is in real of batch 0 of the data: it is in the data set (1 NaN of 1,024 numbers)"
    assert finding.sentence.endswith(sentence)

    gan = build("dcgan")
    latent = gan.latent
    gan.latent = lambda n, rng: with_nan(latent(n, rng))
    assert place(find(gan)) == ("G", "", "forward", "the input")

    gan = build("dcgan")
    layers(gan)["D", "3"].running_var[0] = np.inf
    assert place(find(gan)) == ("D", "3", "start", "running_var")
    gan = build("dcgan")
    gan.optimizers["G"].v[-1] = np.nan
    assert place(find(gan)) == ("G", "7", "start", "Adam's v for b")


def test_running_statistics_that_overflow_are_found_although_the_output_is_finite():
    """With a variance of infinity x̂ is 0, and the layer's output its β: no loss would ever show it."""
    gan = build("dcgan")
    layers(gan)["D", "2"].W[...] *= 1e21
    finding = find(gan)
    assert place(finding) == ("D", "3", "forward", "running_var")
    assert "its input reaches" in finding.detail


def test_an_overflow_of_its_own_accord():
    gan = build("dcgan")
    layers(gan)["D", "0"].W[...] = 1e30
    layers(gan)["D", "2"].W[...] = 1e30
    finding = find(gan)
    assert place(finding) == ("D", "2", "forward", "the output")
    assert "its W reaches 1e30" in finding.sentence


def test_the_first_in_time_is_returned():
    """A NaN in the second pass through D comes after one in the backward of the first."""
    gan = build("dcgan")
    plant(layers(gan)["D", "0"], "forward", output, nth=2)
    plant(layers(gan)["D", "5"], "backward", dx, nth=1)
    assert place(find(gan))[:3] == ("D", "5", "backward")
    gan = build("dcgan")
    plant(layers(gan)["D", "0"], "forward", output, nth=1)
    plant(layers(gan)["D", "5"], "backward", dx, nth=1)
    assert place(find(gan))[:3] == ("D", "0", "forward")


class Interruption(Exception):
    """Of a step in its midst."""


def traces(gan):
    """Whatever a watcher could leave behind."""
    found = {key: (type(layer), {verb: vars(layer).get(verb) for verb in VERBS}) for key, layer in layers(gan).items()}
    watched = ["_hooks" in vars(layer) for layer in layers(gan).values()]
    return found, any(watched), [vars(o).get("step") for o in gan.optimizers.values()], vars(gan).get("loss")


def test_nothing_is_left_behind_whatever_happens():
    gan = build("sngan")
    hung = layers(gan)["D", "0.0.1"]
    forward = hung.forward
    hung.forward = lambda x, train=True, rng=None: forward(x, train, rng)  # by somebody else: it has to stay
    before = traces(gan)
    assert find(gan) is None
    assert traces(gan) == before
    with pytest.raises(Interruption):
        find(gan, next_batch=raising(Interruption))
    assert traces(gan) == before
    batch = data(gan)()
    assert find(gan, lambda: batch | {"real": with_nan(batch["real"])}) is not None
    assert traces(gan) == before


def raising(error):
    def next_batch():
        raise error

    return next_batch


def test_a_watched_network_is_given_back_if_the_watching_itself_fails():
    """A layer that stands twice is found out only when the second network is walked."""
    gan = build("dcgan")
    before = traces(gan)
    with pytest.raises(AttributeError):
        LayerHooks({"G": gan.networks["G"], "D": None})
    assert traces(gan) == before


@pytest.mark.parametrize("model", ARGS)
def test_a_step_that_is_looked_at_is_the_same_step(model):
    """Down to the last bit, with the copies of layers that spectral norm makes."""
    plain, looked_at = build(model), build(model)
    measured = plain.step(data(plain), np.random.default_rng(2), now())
    assert first_not_finite(looked_at, data(looked_at), np.random.default_rng(2), now()) == measured
    for network, other in zip(plain.networks.values(), looked_at.networks.values(), strict=True):
        for name, array in network.state_dict().items():
            assert np.array_equal(array, other.state_dict()[name]), name


def test_on_a_device():
    gan = build("wgan-gp", STRICT)
    assert find(gan) is None
    plant(layers(gan)["D", "3"], "double_backward", lambda layer, result: (result[0] * np.float32(np.inf), result[1]))
    assert place(find(gan)) == ("D", "3", "double backward", "ddy")


def test_without_warnings():
    gan = build("dcgan")
    layers(gan)["D", "0"].W[...] = 3e38
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find(gan) is not None
