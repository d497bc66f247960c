"""Planted faults that change nothing, with the reason: (file, function, change) → why."""

EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "penalties.py",
        "norm_and_direction",
        "largest + (largest == 0) → with the opposite operation",
    ): "zeros are divided by 1 or by −1",
    (
        "layers/activations.py",
        "sigmoid",
        "x >= 0 → with the opposite comparison",
    ): "at 0 both branches are 1, for e is 1 there",
    (
        "layers/activations.py",
        "_times_step",
        "if xp is not np: → the opposite condition",
    ): "two ways of computing the same, each the faster one on its device",
    (
        "layers/activations.py",
        "_times_step",
        "xp is not np → with the opposite comparison",
    ): "two ways of computing the same, each the faster one on its device",
    (
        "gans/dcgan.py",
        "check_shape",
        "0 → 1 (2)",
    ): "height and width are the same there",
    (
        "layers/activations.py",
        "PReLU.forward",
        "x > 0 → with the opposite comparison",
    ): "at 0 both branches are 0",
    (
        "layers/spectral_norm.py",
        "SpectralNorm._to_last",
        "-2 → without its sign",
    ): "of a transposed convolution's four axes, 2 is the one before the last",
    (
        "layers/branches.py",
        "_Unchanged.backward",
        "self.check_dy(dy, cache, wrt) → left out",
    ): "Branches has looked at them",
    (
        "layers/branches.py",
        "_Unchanged.double_backward",
        "self.check_ddx(ddx, cache, dy, cache) → left out",
    ): "Branches has looked at them",
    (
        "layers/kernels.py",
        "conv2d",
        "R * S * C → its left side",
    ): "how many pictures are in a block decides the time alone",
    (
        "layers/kernels.py",
        "conv2d",
        "R * S → its left side",
    ): "how many pictures are in a block decides the time alone",
    (
        "layers/kernels.py",
        "conv2d",
        "xp is np → with the opposite comparison",
    ): "which threads compute decides the time alone",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "stride == (1, 1) → with the opposite comparison",
    ): "gathering and scattering give the same, and so does a single pixel with a stride",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "K <= C → with the opposite comparison",
    ): "gathering and scattering give the same",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "xp is np → with the opposite comparison",
    ): "which way is taken decides the time alone",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "xp is np → with the opposite comparison (2)",
    ): "which threads compute decides the time alone",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "1 → 2",
    ): "another stride than 1 that keeps the size: a single pixel",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "1 → 2 (2)",
    ): "another stride than 1 that keeps the size: a single pixel",
    (
        "layers/kernels.py",
        "conv2d_input_grad",
        "N * OH * OW → its left side",
    ): "gathering and scattering give the same",
    (
        "layers/normalize.py",
        "centre",
        "(slice(None),) * axes[0] + (slice(None, None, 4),) → its left side",
    ): "any number near the mean will do",
    (
        "layers/normalize.py",
        "centre",
        "4 → 5",
    ): "any number near the mean will do",
}
