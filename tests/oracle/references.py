"""Other people's implementations, made importable, with weights that are drawn instead of downloaded."""

import numpy as np
import pytest


def torchvision_importable():
    """Import torchvision, also beside a PyTorch for the CPU alone, which lacks two operators that it wants declared."""
    torch = pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision = pytest.importorskip("torchvision")
        torchvision.kept = library  # its declarations end with it
        return torchvision


def fid_inception(monkeypatch):
    """pytorch-fid's network as `fid_inception_v3` builds it, its wrapper `InceptionV3`, and the weights drawn for them.

    Every weight is random, also those of the batch norms and their running statistics. They keep the activations of
    about the same size through all layers, as trained ones do.
    """
    torchvision = torchvision_importable()
    theirs = pytest.importorskip("pytorch_fid.inception")
    import torch

    drawn = drawn_weights()
    tensors = {name: torch.tensor(array) for name, array in drawn.items()}
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *args, **kwargs: tensors)
    load = torchvision.models.Inception3.load_state_dict
    monkeypatch.setattr(
        torchvision.models.Inception3, "load_state_dict", lambda net, state: load(net, complete(net, state))
    )
    network = theirs.fid_inception_v3().eval()
    return network, theirs.InceptionV3().eval(), drawn


def complete(network, state):
    """The state with the counters of batches, which are not drawn."""
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    return state | counters


def drawn_weights(seed=0):
    """Random arrays by the names of the FID's Inception network, kernels with variance 2/(C·R·S)."""
    from minigan.metrics.inception_v3 import weight_shapes

    rng, arrays = np.random.default_rng(seed), {}
    for name, shape in weight_shapes().items():
        draw = rng.standard_normal(shape, np.float32)
        if name.endswith(("conv.weight", "fc.weight")):
            arrays[name] = draw * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        elif name.endswith(("bn.weight", "running_var")):
            arrays[name] = 1 + np.float32(0.3) * np.tanh(draw)
        else:
            arrays[name] = np.float32(0.2) * draw
    return arrays
