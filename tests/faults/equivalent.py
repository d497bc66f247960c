"""Planted faults that change nothing, by the reason: (file, function, change)."""

LEFT, OPPOSITE, COMPARED, CONDITION = (
    " → its left side",
    " → with the opposite operation",
    " → with the opposite comparison",
    " → the opposite condition",
)
DEPTHWISE, MINIMAL, PATCHES, TILES = (f"kernels/fast/{w}.py" for w in ("depthwise", "minimal", "patches", "tiles"))
PLANES, LINES = "kernels/fast/planes.py", "kernels/fast/lines.py"
ELEMENTWISE, NORMALIZE, REDUCTIONS = (f"kernels/fast/{name}.py" for name in ("elementwise", "normalize", "reductions"))
ONE = "[slice(0, len(out))]"  # all of it in one part
THREE = ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
ANY = "*"  # whatever survives in this function: it decides how work is cut, and a wrong cut is found
Name = tuple[str, str, str]

REASONS: dict[str, list[Name]] = {
    "zeros are divided by 1 or by −1": [("penalties.py", "norm_and_direction", "largest + (largest == 0)" + OPPOSITE)],
    "of a result with all channels, the bicubic enlargement is added and taken away again": [
        ("translators/super_resolution.py", "SuperResolution.enlarge", "x.shape[3] > y.shape[3]" + COMPARED),
    ],
    "at 0 both branches are the same": [
        ("layers/activations.py", "sigmoid", "x >= 0" + COMPARED),
    ],
    "two ways of computing the same, each the faster one on its device": [
        (ELEMENTWISE, "step", "if xp is not np:" + CONDITION),
        (ELEMENTWISE, "step", "xp is not np" + COMPARED),
    ],
    "of a transposed convolution's four axes, 2 is the one before the last": [
        ("layers/spectral_norm.py", "SpectralNorm._to_last", "-2 → without its sign"),
    ],
    "how many pictures are in a block decides the time alone": [
        *((PATCHES, name, f"{size}{LEFT}") for name in THREE for size in ("R * S * C", "R * S")),
        *((PATCHES, name, "R * S * C" + OPPOSITE) for name in THREE),
        (PATCHES, "blocks_of_pictures", ANY),
        (PATCHES, "blocks_of_rows", ANY),
        *((PLANES, "conv2d", change) for change in ("R * S * K" + LEFT, "R * S * K" + OPPOSITE, "R * S" + LEFT)),
        (PLANES, "conv2d", "R * S" + OPPOSITE),
        (DEPTHWISE, "_blocks", ANY),
        (MINIMAL, "_blocks", ANY),
        (MINIMAL, "_parts_of_weights", ANY),
        (MINIMAL, "_tiles_of_a_block", ANY),
    ],
    "which of two ways is taken decides the time, and the last bits": [
        (LINES, "_products", "if C <= FEW_CHANNELS:" + CONDITION),
        (LINES, "_products", "C <= FEW_CHANNELS" + COMPARED),
        (LINES, "_multiply", f"{ONE} if out.nbytes <= partition.ROWS_BYTES else pieces(len(out))" + CONDITION),
        (LINES, "_multiply", "out.nbytes <= partition.ROWS_BYTES" + COMPARED),
        (MINIMAL, "pays", ANY),
        (MINIMAL, "_tiling", ANY),
        (PATCHES, "_turning_pays", ANY),
        (PLANES, "pays", ANY),
        (PLANES, "conv2d", "if not _few(K, C):" + CONDITION),
        (PLANES, "conv2d_weight_grad", "if not _few(dy.shape[3], x.shape[3]):" + CONDITION),
    ],
    "what is beyond the last pixel is cut off": [
        (LINES, "line_spread", change)
        for size in ("m + J - 1", "J - 1")
        for change in (f"{size}{LEFT} (2)", f"{size}{OPPOSITE} (2)")
    ],
    "a kernel has two sides, and these are the first two numbers": [(PLANES, "conv2d_input_grad", "2 → 3")],
    "how many rows are in a piece, and which products are cut, decides the time, and the last bits of a product": [
        (ELEMENTWISE, "change_by_rows", "2 → 3"),
        *(
            (ELEMENTWISE, name, size + change)
            for name, size in (("product_into", "a.size * b.shape[-1]"), ("add_product", "a.size * b.shape[1]"))
            for change in (LEFT, OPPOSITE, " < partition.LEAST_PRODUCT" + COMPARED)
        ),
        (ELEMENTWISE, "product_into", "-1 → without its sign"),
        (ELEMENTWISE, "product_into", "len(a) > b.shape[1]" + COMPARED),
        (ELEMENTWISE, "product_into", "if len(a) > b.shape[1]:" + CONDITION),
        (ELEMENTWISE, "add_product", "PRODUCT_BYTES * len(c)" + LEFT),
    ],
    "which threads compute decides the time alone": [
        (ELEMENTWISE, "product_into", "xp is np" + COMPARED),
        (ELEMENTWISE, "add_product", "xp is np" + COMPARED),
        *((file, name, "xp is np" + COMPARED) for file in (DEPTHWISE, MINIMAL) for name in THREE),
        (PATCHES, "conv2d", "xp is np" + COMPARED),
        (PLANES, "conv2d", "xp is np" + COMPARED),
        (PATCHES, "conv2d_input_grad", "xp is np" + COMPARED),
        (PATCHES, "conv2d_weight_grad", "shares(blocks) if xp is np else [blocks]" + CONDITION),
        (PATCHES, "conv2d_weight_grad", "xp is np" + COMPARED),
        (PATCHES, "conv2d_weight_grad", "xp is np" + COMPARED + " (2)"),
    ],
    "gathering and scattering give the same": [
        (PATCHES, "conv2d_input_grad", change)
        for change in (
            "stride == (1, 1)" + COMPARED,  # with another stride, only a single pixel keeps its size
            "1 → 2",
            "1 → 2 (2)",
        )
    ],
    "more is set to zero than has to be": [
        (PATCHES, "scatter_patches", "stride[0] <= R" + COMPARED),
        (PATCHES, "scatter_patches", "stride[1] <= S" + COMPARED),
        (PATCHES, "scatter_patches", "OH * stride[0]" + LEFT),
        (PATCHES, "scatter_patches", "OW * stride[1]" + LEFT),
    ],
    "only height and width are looked at, or a picture has a channel": [
        ("layers/pooling.py", "_Windows._check_x", "3 → 4"),
        ("layers/pooling.py", "AvgPool2D.backward_input", "3 → 4"),
        ("layers/pooling.py", "MaxPool2D.backward_input", "3 → 4"),
        ("layers/pooling.py", "Upsample._repeat", "3 → 4"),
    ],
    "the larger numbers hold the smaller ones": [
        ("kernels/windows.py", "window_max", "R * S <= 256" + COMPARED),
    ],
    "one more pixel of zeros, which is not read": [("layers/bilinear.py", "_gathered", "2 → 3")],
    "a larger frame around tiles has more zeros, which no tile sees": [
        (TILES, "Tiling._framed", "rows.stop - rows.start" + LEFT),
        (TILES, "Tiling._framed", "rows.stop - rows.start" + OPPOSITE),
        (TILES, "Tiling._framed_shape", "self.m * tiles + self.taps - 1" + LEFT),
        (TILES, "Tiling._framed_shape", "self.m * tiles + self.taps - 1" + OPPOSITE),
    ],
    "more rows than are looked at": [(PATCHES, "_padded_rows", f"R - 1{way}") for way in (LEFT, OPPOSITE)],
    "any number near the mean will do": [
        (NORMALIZE, "normalize", "(slice(None),) * axes[0] + (slice(None, None, 4),)" + LEFT),
        (NORMALIZE, "normalize", "4 → 5"),
    ],
    "which axes are summed first decides the time, and the last bits": [
        (REDUCTIONS, "_partial_sum", "axis >= max(1, x.ndim - 2)" + COMPARED),
        (REDUCTIONS, "_partial_sum", "x.ndim - 2" + LEFT),
        (REDUCTIONS, "_partial_sum", "x.ndim - 2" + OPPOSITE),
        (REDUCTIONS, "_partial_sum", "1 → 2"),
        (REDUCTIONS, "_partial_sum", "2 → 3"),
    ],
    "kernel and stride are square here": [
        (MINIMAL, "conv2d", "0 → 1"),
        (MINIMAL, "conv2d_input_grad", "0 → 1"),
        (MINIMAL, "conv2d_weight_grad", "0 → 1"),
        (MINIMAL, "conv2d_weight_grad", "0 → 1 (2)"),
    ],
    "all parts are of the same kind": [(REDUCTIONS, "_total", "0 → 1 (4)")],
    "the critic's own update clears these gradients first": [
        ("translators/restore.py", "Restore.step", "wrt='input' → 'both'")
    ],
    "a pixel of exactly 1 is between two slopes": [("gans/lapgan.py", "LAPGAN.trace", "abs(x) <= 1" + COMPARED)],
    "no random number is exactly that": [
        ("gans/stylegan2.py", "StyleGAN2.mixed_styles", "now.rng.random() < self.mixing" + COMPARED)
    ],
    "each step sets another decay": [("gans/half_life.py", "HalfLifeGAN.start_averages", "0.0 → 0.5")],
    "the first two arrays have the same shape": [(REDUCTIONS, "sums_by_rows", "0 → 1")],
}
EQUIVALENT: dict[Name, str] = {name: reason for reason, names in REASONS.items() for name in names}
