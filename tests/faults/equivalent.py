"""Planted faults that change nothing, by the reason: (file, function, change)."""

LEFT, OPPOSITE, COMPARED, CONDITION = (
    " → its left side",
    " → with the opposite operation",
    " → with the opposite comparison",
    " → the opposite condition",
)
KERNELS, NORMALIZE = "layers/kernels.py", "layers/normalize.py"
Name = tuple[str, str, str]

REASONS: dict[str, list[Name]] = {
    "zeros are divided by 1 or by −1": [("penalties.py", "norm_and_direction", "largest + (largest == 0)" + OPPOSITE)],
    "at 0 both branches are the same": [
        ("layers/activations.py", "sigmoid", "x >= 0" + COMPARED),
        ("layers/activations.py", "PReLU.forward", "x > 0" + COMPARED),
    ],
    "two ways of computing the same, each the faster one on its device": [
        ("layers/activations.py", "_times_step", "if xp is not np:" + CONDITION),
        ("layers/activations.py", "_times_step", "xp is not np" + COMPARED),
    ],
    "height and width are the same there": [("gans/dcgan.py", "check_shape", "0 → 1 (2)")],
    "of a transposed convolution's four axes, 2 is the one before the last": [
        ("layers/spectral_norm.py", "SpectralNorm._to_last", "-2 → without its sign"),
    ],
    "Branches has looked at them": [
        ("layers/branches.py", "_Unchanged.backward", "self.check_dy(dy, cache, wrt) → left out"),
        ("layers/branches.py", "_Unchanged.double_backward", "self.check_ddx(ddx, cache, dy, cache) → left out"),
    ],
    "how many pictures are in a block decides the time alone": [
        *(
            (KERNELS, name, f"{size}{LEFT}")
            for name in ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
            for size in ("R * S * C", "R * S")
        ),
        (KERNELS, "blocks_of_pictures", "if OH == OW == 1:" + CONDITION),
        (KERNELS, "blocks_of_pictures", "1 → 2"),
        (KERNELS, "blocks_of_pictures", "1 → 2 (2)"),
        (KERNELS, "blocks_of_pictures", "OH * OW * patch_size * y.dtype.itemsize" + LEFT),
    ],
    "which threads compute decides the time alone": [
        (KERNELS, "conv2d", "xp is np" + COMPARED),
        (KERNELS, "conv2d_input_grad", "xp is np" + COMPARED),
        (KERNELS, "conv2d_weight_grad", "shares(blocks) if xp is np else [blocks]" + CONDITION),
        (KERNELS, "conv2d_weight_grad", "xp is np" + COMPARED),
        (KERNELS, "conv2d_weight_grad", "xp is np" + COMPARED + " (2)"),
    ],
    "gathering and scattering give the same": [
        (KERNELS, "conv2d_input_grad", change)
        for change in (
            "K <= C" + COMPARED,
            "xp is not np or N * OH * OW >= 16 * K" + OPPOSITE,
            "xp is not np" + COMPARED,
            "N * OH * OW >= 16 * K" + COMPARED,
            "N * OH * OW" + LEFT,
            "N * OH * OW" + OPPOSITE,
            "N * OH" + LEFT,
            "N * OH" + OPPOSITE,
            "16 * K" + LEFT,
            "16 * K" + OPPOSITE,
            "16 → 17",
            "stride == (1, 1)" + COMPARED,  # with another stride, only a single pixel keeps its size
            "1 → 2",
            "1 → 2 (2)",
        )
    ],
    "more is set to zero than has to be": [
        (KERNELS, "scatter_patches", "stride[0] <= R" + COMPARED),
        (KERNELS, "scatter_patches", "stride[1] <= S" + COMPARED),
        (KERNELS, "scatter_patches", "OH * stride[0]" + LEFT),
        (KERNELS, "scatter_patches", "OW * stride[1]" + LEFT),
    ],
    "any number near the mean will do": [
        (NORMALIZE, "centre", "(slice(None),) * axes[0] + (slice(None, None, 4),)" + LEFT),
        (NORMALIZE, "centre", "4 → 5"),
    ],
    "which axes are summed first decides the time, and the last bits": [
        (NORMALIZE, "_partial_sum", "axis >= max(1, x.ndim - 2)" + COMPARED),
        (NORMALIZE, "_partial_sum", "x.ndim - 2" + LEFT),
        (NORMALIZE, "_partial_sum", "x.ndim - 2" + OPPOSITE),
        (NORMALIZE, "_partial_sum", "1 → 2"),
        (NORMALIZE, "_partial_sum", "2 → 3"),
    ],
    "both arrays are of the same kind": [
        (NORMALIZE, "_total", "0 → 1 (4)"),
        ("layers/norms.py", "_Norm._sum", "0 → 1"),
    ],
}
EQUIVALENT: dict[Name, str] = {name: reason for reason, names in REASONS.items() for name in names}
