"""Every layer against PyTorch: outputs and gradients in float32, second-order gradients in float64.

PyTorch has channels first and (K, C, R, S) weights; the functions below turn its layers into ours.
"""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import layers as L
from minigan.testing import shake
from minigan.testing.strategies import LAYERS, Case, networks

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module", autouse=True)
def own_kernels():
    """PyTorch's own convolutions instead of oneDNN's.

    With oneDNN, PyTorch 2.13's weight gradient of conv_transpose2d(kernel 1, stride (1, 3), output padding (0, 2)) was
    wrong in 371 of 20,000 calls, by as much as its own size; without oneDNN, or without output padding, in none.
    """
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def conv2d(layer, x, p, train):
    weight = p["W"].permute(3, 2, 0, 1).contiguous()  # (R, S, C/groups, K) → (K, C/groups, R, S)
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, p.get("b"), layer.stride, layer.padding, layer.dilation, layer.groups)
    return y.permute(0, 2, 3, 1)


def conv_transpose2d(layer, x, p, train):
    weight = p["W"].permute(3, 2, 0, 1).contiguous()  # (R, S, K/groups, C) → (C, K/groups, R, S)
    geometry = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return F.conv_transpose2d(x.permute(0, 3, 1, 2), weight, p.get("b"), *geometry).permute(0, 2, 3, 1)


def batch_norm(layer, x, p, train):
    mean, var = (torch.tensor(a.astype(np.float64)).to(x.dtype) for a in (layer.running_mean, layer.running_var))
    rows = x.reshape(-1, x.shape[-1])
    return F.batch_norm(rows, mean, var, p.get("gamma"), p.get("beta"), train, 0.1, layer.eps).reshape(x.shape)


def instance_norm(layer, x, p, train):
    # by layer_norm over the pixels: F.instance_norm of PyTorch 2.13 takes a gradient with permuted axes for another
    pixels = x.flatten(1, 2).transpose(1, 2)  # (N, C, H·W)
    y = F.layer_norm(pixels, pixels.shape[2:], eps=layer.eps).transpose(1, 2).reshape(x.shape)
    return y * p["gamma"] + p["beta"] if layer.affine else y


def sequential(layer, x, p, train):
    for i, inner in enumerate(layer.layers):
        x = as_torch(inner, x, inside(p, i), train)
    return x


def residual(layer, x, p, train):
    short = x if layer.shortcut is None else as_torch(layer.shortcut, x, inside(p, "shortcut"), train)
    return as_torch(layer.body, x, inside(p, "body"), train) + short


def spectral_norm(layer, x, p, train):
    W, u, v = p["layer.W"], *(torch.tensor(a).to(x.dtype) for a in (layer.u, layer.v))
    M = (W.movedim(-2, -1) if isinstance(layer.layer, L.ConvTranspose2D) else W).flatten(0, -2).T
    for _ in range(layer.n_power_iterations if train else 0):
        u = F.normalize(M.detach() @ v, dim=0)
        v = F.normalize(M.detach().T @ u, dim=0)
    return as_torch(layer.layer, x, inside(p, "layer") | {"W": W / (u @ M @ v)}, train)


def equalized(layer, x, p, train):
    inner = inside(p, "layer")
    inner["W"] = inner["W"] * layer.scale
    if "b" in inner:
        inner["b"] = inner["b"] * layer.lr_multiplier
    return as_torch(layer.layer, x, inner, train)


def fade(layer, x, p, train):
    old, new = (
        as_torch(inner, x, inside(inside(p, which), 0), train)
        for inner, which in ((layer.old, "shortcut"), (layer.new, "body"))
    )
    return torch.lerp(old, new, layer.alpha)


def avg_pool(layer, x, p, train):
    geometry = (layer.kernel_size, layer.stride, layer.padding)
    y = F.avg_pool2d(x.permute(0, 3, 1, 2), *geometry, count_include_pad=layer.count_include_pad)
    return y.permute(0, 2, 3, 1)


def max_pool(layer, x, p, train):
    return F.max_pool2d(x.permute(0, 3, 1, 2), layer.kernel_size, layer.stride, layer.padding).permute(0, 2, 3, 1)


def parallel(layer, x, p, train):
    return torch.cat([as_torch(inner, x, inside(p, i), train) for i, inner in enumerate(layer.layers)], dim=-1)


def upsample(layer, x, p, train):
    return F.interpolate(x.permute(0, 3, 1, 2), scale_factor=layer.scale_factor).permute(0, 2, 3, 1)


def framed(layer, x, mode):
    (ph, pw), x = layer.padding, x.permute(0, 3, 1, 2)
    return F.pad(x, (pw, pw, ph, ph), mode).permute(0, 2, 3, 1)


def bilinear(layer, x, p, train):
    factor = {"scale_factor": layer.scale_factor, "mode": "bilinear", "align_corners": False}
    return F.interpolate(x.permute(0, 3, 1, 2), **factor).permute(0, 2, 3, 1)


def bicubic_up(layer, x, p, train):
    """Of a picture in a frame of its own pixels, because PyTorch leaves out pixels outside. antialias means a = −½."""
    (fh, fw), frame = L.bicubic.pair(layer.scale_factor, 1), 3
    x = F.pad(x.permute(0, 3, 1, 2), (frame,) * 4, "replicate")
    y = F.interpolate(x, scale_factor=(fh, fw), mode="bicubic", antialias=True).permute(0, 2, 3, 1)
    return y[:, frame * fh : y.shape[1] - frame * fh, frame * fw : y.shape[2] - frame * fw]


def bicubic_down(layer, x, p, train):
    """As above; without antialiasing, a new pixel lies on an old one (odd factor), or amid two on each side."""
    (fh, fw), frame = L.bicubic.pair(layer.scale_factor, 1), 3
    x = F.pad(x.permute(0, 3, 1, 2), (frame * fw, frame * fw, frame * fh, frame * fh), "replicate")
    if layer.antialias:
        y = F.interpolate(x, scale_factor=(1 / fh, 1 / fw), mode="bicubic", antialias=True)
        return y[:, :, frame:-frame, frame:-frame].permute(0, 2, 3, 1)
    for axis, f in ((2, fh), (3, fw)):
        at = torch.arange(x.shape[axis] // f - 2 * frame) * f + frame * f + (f - 1) // 2
        before, left, right, behind = (x.index_select(axis, at + d) for d in (-1, 0, 1, 2))
        x = left if f % 2 else (9 * (left + right) - before - behind) / 16
    return x.permute(0, 2, 3, 1)


def filtered(layer, x, padding, stride=1, gain=1.0):
    """`upfirdn2d` of StyleGAN2's authors, without the zeros that it puts between pixels."""
    taps = torch.tensor(layer.taps, dtype=x.dtype)
    h = torch.outer(taps, taps) * (gain * layer.gain / taps.sum() ** 2)
    x = F.pad(x.permute(0, 3, 1, 2), padding)
    y = F.conv2d(x, h.flip(0, 1).expand(x.shape[1], 1, *h.shape), stride=stride, groups=x.shape[1])
    return y.permute(0, 2, 3, 1)


def filtered_up(layer, x, p, train):
    """Zeros between the pixels, two at the beginning and one at the end of each line, and a gain of 4."""
    N, H, W, C = x.shape
    zeros = x.reshape(N, H, 1, W, 1, C)
    return filtered(layer, F.pad(zeros, (0, 0, 0, 1, 0, 0, 0, 1)).reshape(N, 2 * H, 2 * W, C), (2, 1, 2, 1), gain=4)


def pixel_shuffle(x, r):
    """Our channel (r·i + j)·C + c is PyTorch's c·r² + r·i + j."""
    theirs = x.unflatten(-1, (r * r, -1)).transpose(-1, -2).flatten(-2)
    return F.pixel_shuffle(theirs.permute(0, 3, 1, 2), r).permute(0, 2, 3, 1)


def pixel_unshuffle(x, r):
    y = F.pixel_unshuffle(x.permute(0, 3, 1, 2), r).permute(0, 2, 3, 1)
    return y.unflatten(-1, (-1, r * r)).transpose(-1, -2).flatten(-2)


def minibatch_std_dev(layer, x, p, train):
    """Progressive growing's `minibatch_stddev_layer`, line by line, with channels last."""
    N, H, W, C = x.shape
    G = min(layer.group_size, N)
    y = x.reshape(G, -1, H, W, C)
    y = y - y.mean(dim=0, keepdim=True)
    y = (y.square().mean(dim=0) + layer.eps).sqrt()  # (M, H, W, C)
    y = y.mean(dim=(1, 2, 3), keepdim=True)
    return torch.cat([x, y.tile(G, H, W, 1)], dim=3)


def self_attention(layer, x, p, train):
    """BigGAN's `Attention.forward`, line by line. The weights are ours by their places in the network."""
    x = x.permute(0, 3, 1, 2)
    N, C, H, W = x.shape
    weights = (p[f"body.{place}.W"][0, 0].T[:, :, None, None] for place in ("0.0", "0.1.0", "0.2.0", "2"))
    convs = [lambda a, kernel=kernel: F.conv2d(a, kernel) for kernel in weights]
    theta, phi, g = convs[0](x), F.max_pool2d(convs[1](x), [2, 2]), F.max_pool2d(convs[2](x), [2, 2])
    theta, phi, g = theta.flatten(2), phi.flatten(2), g.flatten(2)
    beta = F.softmax(torch.bmm(theta.transpose(1, 2), phi), -1)
    o = convs[3](torch.bmm(g, beta.transpose(1, 2)).view(N, -1, H, W))
    return (p["body.3.gamma"] * o + x).permute(0, 2, 3, 1)


def inside(parameters, name):
    return {key.removeprefix(f"{name}."): p for key, p in parameters.items() if key.startswith(f"{name}.")}


TORCH = {
    "Dense": lambda layer, x, p, train: F.linear(x, p["W"].T, p.get("b")),
    "Conv2D": conv2d,
    "ConvTranspose2D": conv_transpose2d,
    "BatchNorm": batch_norm,
    "LayerNorm": lambda layer, x, p, train: F.layer_norm(
        x, layer.normalized_shape, p.get("gamma"), p.get("beta"), layer.eps
    ),
    "InstanceNorm": instance_norm,
    "ReLU": lambda layer, x, p, train: F.relu(x),
    "LeakyReLU": lambda layer, x, p, train: F.leaky_relu(x, layer.negative_slope),
    "PReLU": lambda layer, x, p, train: F.prelu(x.movedim(-1, 1), p["slope"]).movedim(1, -1),
    "Tanh": lambda layer, x, p, train: torch.tanh(x),
    "Sigmoid": lambda layer, x, p, train: torch.sigmoid(x),
    "Softplus": lambda layer, x, p, train: F.softplus(x, layer.beta),
    "Maxout": lambda layer, x, p, train: x.unflatten(-1, (-1, layer.pieces)).max(-1).values,
    "Reshape": lambda layer, x, p, train: x.reshape(len(x), *layer.shape),
    "Flatten": lambda layer, x, p, train: x.flatten(1),
    "AvgPool2D": avg_pool,
    "MaxPool2D": max_pool,
    "Parallel": parallel,
    "GlobalSumPool": lambda layer, x, p, train: x.sum((1, 2)),
    "BilinearUpsample": bilinear,
    "BicubicUpsample": bicubic_up,
    "BicubicDownsample": bicubic_down,
    "ScaledLeakyReLU": lambda layer, x, p, train: layer.gain * F.leaky_relu(x, layer.negative_slope),
    "Blur": lambda layer, x, p, train: filtered(layer, x, (layer.padding,) * 4),
    "DownsampleFIR": lambda layer, x, p, train: filtered(layer, x, (1, 1, 1, 1), 2),
    "UpsampleFIR": filtered_up,
    "PixelShuffle": lambda layer, x, p, train: pixel_shuffle(x, layer.upscale_factor),
    "PixelUnshuffle": lambda layer, x, p, train: pixel_unshuffle(x, layer.downscale_factor),
    "Skip": lambda layer, x, p, train: torch.cat([x, as_torch(layer.body, x, inside(p, "body"), train)], dim=-1),
    "Softmax": lambda layer, x, p, train: x.softmax(-1),
    "GlobalAvgPool": lambda layer, x, p, train: x.mean((1, 2)),
    "Upsample": upsample,
    "Columns": lambda layer, x, p, train: torch.cat([x[..., start:stop] for start, stop in layer.slices], dim=-1),
    "Gain": lambda layer, x, p, train: p["gamma"] * x,
    "ReflectionPad2D": lambda layer, x, p, train: framed(layer, x, "reflect"),
    "ReplicationPad2D": lambda layer, x, p, train: framed(layer, x, "replicate"),
    "MinibatchStdDev": minibatch_std_dev,
    "SelfAttention": self_attention,
    "Sequential": sequential,
    "Residual": residual,
    "SpectralNorm": spectral_norm,
    "Equalized": equalized,
    "Fade": fade,
    "PixelNorm": lambda layer, x, p, train: x * (x.square().mean(-1, keepdim=True) + layer.eps).rsqrt(),
}


def as_torch(layer, x, parameters, train):
    """The output of PyTorch's own layer for ours, with our parameters."""
    return TORCH[type(layer).__name__](layer, x, parameters, train)


def leaf(array):
    return torch.tensor(array, requires_grad=True)


def assert_close(found, expected, tolerance):
    """Relative to the largest magnitude. None is zero, here as in PyTorch.

    A sum that cancels (γ's gradient, say) keeps the rounding of its terms: if it is small, it is measured against a
    tenth of the largest magnitude of all arrays.
    """
    expected = {name: theirs.detach().numpy() for name, theirs in expected.items() if theirs is not None}
    assert not any(found[name].any() for name in found.keys() - expected.keys() if found[name] is not None)
    largest = max(abs(theirs).max(initial=0) for theirs in expected.values())
    for name, theirs in expected.items():
        ours = np.zeros_like(theirs) if found[name] is None else found[name]
        assert ours.shape == theirs.shape, name
        assert ours.dtype == theirs.dtype, name
        error = abs(ours - theirs).max(initial=0) / (max(abs(theirs).max(initial=0), 0.1 * largest) or 1)
        assert error <= tolerance, f"{name} is off by {error:.1e}"


def check_first_order(case, train, dtype, tolerance):
    layer, x = copy.deepcopy(case.layer).to(dtype=dtype), case.x.astype(dtype)
    named = layer.parameters().named()
    xt, pt = leaf(x), {name: leaf(value) for name, (value, _) in named.items()}
    yt = as_torch(layer, xt, pt, train)  # first: our forward moves the running statistics
    y, cache = layer.forward(x, train)
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    found = {"y": y, "dx": dx} | {name: grad for name, (_, grad) in named.items()}
    gradients = torch.autograd.grad(yt, [xt, *pt.values()], torch.tensor(dy))
    assert_close(found, dict(zip(found, [yt, *gradients], strict=True)), tolerance)


def check_second_order(case, train, tolerance):
    layer, x = copy.deepcopy(case.layer).to(dtype=np.float64), case.x
    named = layer.parameters().named()
    xt, pt = leaf(x), {name: leaf(value) for name, (value, _) in named.items()}
    yt = as_torch(layer, xt, pt, train)
    y, cache = layer.forward(x, train)
    rng = np.random.default_rng(0)
    dy, ddx = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    ddy, dx2 = layer.double_backward(ddx, dy, cache)
    found = {"ddy": ddy, "dx2": dx2} | {name: grad for name, (_, grad) in named.items()}

    dyt = leaf(dy)
    (dxt,) = torch.autograd.grad(yt, xt, dyt, create_graph=True)
    gradients = torch.autograd.grad((dxt * torch.tensor(ddx)).sum(), [dyt, xt, *pt.values()], allow_unused=True)
    assert_close(found, dict(zip(found, gradients, strict=True)), tolerance)


@pytest.mark.parametrize("name", sorted(TORCH.keys() & LAYERS.keys()))
@given(data=st.data(), train=st.booleans())
def test_layer(name, data, train):
    case = data.draw(LAYERS[name])
    check_first_order(case, train, np.float32, 1e-5)
    check_second_order(case, train, 1e-9)


@pytest.mark.parametrize("channels", [1, 8, 16])
def test_self_attention(channels):
    rng = np.random.default_rng(channels)
    case = Case(shake(L.SelfAttention(channels, rng=rng), rng), rng.standard_normal((2, 4, 5, channels)), channels)
    check_first_order(case, True, np.float32, 1e-5)
    check_second_order(case, True, 1e-9)


@given(case=networks(), train=st.booleans())
def test_network(case, train):
    check_first_order(case, train, np.float64, 1e-9)
    check_second_order(case, train, 1e-9)


@given(LAYERS["BatchNorm"])
def test_running_statistics(case):
    layer, x = case
    ours = torch.nn.BatchNorm1d(layer.channels)
    ours.running_mean[...], ours.running_var[...] = (torch.tensor(a) for a in (layer.running_mean, layer.running_var))
    for batch in (x, 2 * x + 1):
        ours(torch.tensor(batch.reshape(-1, layer.channels).astype(np.float32)))
        layer.forward(batch.astype(np.float32))
    np.testing.assert_allclose(layer.running_mean, ours.running_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.running_var, ours.running_var, rtol=1e-5)
