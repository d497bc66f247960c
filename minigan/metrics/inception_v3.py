"""The layers of the Inception network that defines the FID, from pictures of 299×299 pixels to 2,048 features.

The graph is the one that Google published in December 2015, and is related to the one in C. Szegedy et al., "Rethinking
the Inception Architecture for Computer Vision", 2015, https://arxiv.org/abs/1512.00567, whose figures show the idea of
each block. `inception_v3` lists the layers from top to bottom, with the names of pytorch-fid. The usual Inception-v3 of
today has another pooling branch in its blocks:

* Here means are over the pixels inside the picture only; padding isn't counted.
* In the very last block, that branch takes the maximum instead of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan.layers import AvgPool2D, Flatten, Layer, MaxPool2D, Parallel, ReLU, Sequential

FEATURES, CLASSES = 2048, 1008

# conv("name", channels in, channels out, kernel, stride=1, padding=0) returns a convolution with batch norm and ReLU
MakeConv = Callable[..., Layer]


def inception_v3(conv: MakeConv) -> list[Layer]:
    """Return the layers and blocks, in order, from pictures (N, 299, 299, 3) in [-1, 1] to features (N, 2048)."""
    return [
        conv("Conv2d_1a_3x3", 3, 32, 3, stride=2),  # 299 → 149
        conv("Conv2d_2a_3x3", 32, 32, 3),  # → 147
        conv("Conv2d_2b_3x3", 32, 64, 3, padding=1),
        MaxPool2D(3, stride=2),  # → 73
        conv("Conv2d_3b_1x1", 64, 80, 1),
        conv("Conv2d_4a_3x3", 80, 192, 3),  # → 71
        MaxPool2D(3, stride=2),  # → 35
        _block_a(conv, "Mixed_5b", 192, pooled=32),  # → 256 channels
        _block_a(conv, "Mixed_5c", 256, pooled=64),  # → 288
        _block_a(conv, "Mixed_5d", 288, pooled=64),
        _block_b(conv, "Mixed_6a", 288),  # → 17 pixels, 768 channels
        _block_c(conv, "Mixed_6b", 768, inner=128),
        _block_c(conv, "Mixed_6c", 768, inner=160),
        _block_c(conv, "Mixed_6d", 768, inner=160),
        _block_c(conv, "Mixed_6e", 768, inner=192),
        _block_d(conv, "Mixed_7a", 768),  # → 8 pixels, 1280 channels
        _block_e(conv, "Mixed_7b", 1280, _mean()),  # → 2048
        _block_e(conv, "Mixed_7c", 2048, MaxPool2D(3, stride=1, padding=1)),
        Sequential(AvgPool2D(8), Flatten()),
    ]


def _mean() -> Layer:
    """Return mean pooling over 3×3 pixels, at the border over those inside the picture, as in the graph of 2015."""
    return AvgPool2D(3, stride=1, padding=1, count_include_pad=False)


def _block_a(conv: MakeConv, name: str, C: int, pooled: int) -> Layer:
    """Figure 5: a 5×5 receptive field, from one 5×5 convolution and from two of 3×3."""
    return Parallel(
        conv(f"{name}.branch1x1", C, 64, 1),
        Sequential(conv(f"{name}.branch5x5_1", C, 48, 1), conv(f"{name}.branch5x5_2", 48, 64, 5, padding=2)),
        Sequential(
            conv(f"{name}.branch3x3dbl_1", C, 64, 1),
            conv(f"{name}.branch3x3dbl_2", 64, 96, 3, padding=1),
            conv(f"{name}.branch3x3dbl_3", 96, 96, 3, padding=1),
        ),
        Sequential(_mean(), conv(f"{name}.branch_pool", C, pooled, 1)),
    )


def _block_b(conv: MakeConv, name: str, C: int) -> Layer:
    """Figure 10: halve the resolution, by convolutions and by pooling in parallel."""
    return Parallel(
        conv(f"{name}.branch3x3", C, 384, 3, stride=2),
        Sequential(
            conv(f"{name}.branch3x3dbl_1", C, 64, 1),
            conv(f"{name}.branch3x3dbl_2", 64, 96, 3, padding=1),
            conv(f"{name}.branch3x3dbl_3", 96, 96, 3, stride=2),
        ),
        MaxPool2D(3, stride=2),
    )


def _block_c(conv: MakeConv, name: str, C: int, inner: int) -> Layer:
    """Figure 6 with n = 7: a 7×7 convolution factored into a row and a column."""
    row, column = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
    return Parallel(
        conv(f"{name}.branch1x1", C, 192, 1),
        Sequential(
            conv(f"{name}.branch7x7_1", C, inner, 1),
            conv(f"{name}.branch7x7_2", inner, inner, **row),
            conv(f"{name}.branch7x7_3", inner, 192, **column),
        ),
        Sequential(
            conv(f"{name}.branch7x7dbl_1", C, inner, 1),
            conv(f"{name}.branch7x7dbl_2", inner, inner, **column),
            conv(f"{name}.branch7x7dbl_3", inner, inner, **row),
            conv(f"{name}.branch7x7dbl_4", inner, inner, **column),
            conv(f"{name}.branch7x7dbl_5", inner, 192, **row),
        ),
        Sequential(_mean(), conv(f"{name}.branch_pool", C, 192, 1)),
    )


def _block_d(conv: MakeConv, name: str, C: int) -> Layer:
    """Halve the resolution again."""
    return Parallel(
        Sequential(conv(f"{name}.branch3x3_1", C, 192, 1), conv(f"{name}.branch3x3_2", 192, 320, 3, stride=2)),
        Sequential(
            conv(f"{name}.branch7x7x3_1", C, 192, 1),
            conv(f"{name}.branch7x7x3_2", 192, 192, (1, 7), padding=(0, 3)),
            conv(f"{name}.branch7x7x3_3", 192, 192, (7, 1), padding=(3, 0)),
            conv(f"{name}.branch7x7x3_4", 192, 192, 3, stride=2),
        ),
        MaxPool2D(3, stride=2),
    )


def _block_e(conv: MakeConv, name: str, C: int, pool: Layer) -> Layer:
    """Figure 7: a row and a column in parallel, for many features on few pixels."""

    def row_and_column(branch: str) -> Layer:
        return Parallel(
            conv(f"{name}.{branch}a", 384, 384, (1, 3), padding=(0, 1)),
            conv(f"{name}.{branch}b", 384, 384, (3, 1), padding=(1, 0)),
        )

    return Parallel(
        conv(f"{name}.branch1x1", C, 320, 1),
        Sequential(conv(f"{name}.branch3x3_1", C, 384, 1), row_and_column("branch3x3_2")),
        Sequential(
            conv(f"{name}.branch3x3dbl_1", C, 448, 1),
            conv(f"{name}.branch3x3dbl_2", 448, 384, 3, padding=1),
            row_and_column("branch3x3dbl_3"),
        ),
        Sequential(pool, conv(f"{name}.branch_pool", C, 192, 1)),
    )


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return the shapes of the network's arrays, named and with axes as in the PyTorch file: kernels (K, C, R, S)."""
    shapes = {}

    def note(name: str, C: int, K: int, kernel: Any, **geometry: Any) -> Layer:
        shapes[f"{name}.conv.weight"] = (K, C, *(kernel if isinstance(kernel, tuple) else (kernel, kernel)))
        shapes.update({f"{name}.bn.{part}": (K,) for part in ("weight", "bias", "running_mean", "running_var")})
        return ReLU()

    inception_v3(note)
    return shapes | {"fc.weight": (CLASSES, FEATURES), "fc.bias": (CLASSES,)}
