"""Shows runs of `restore` beside methods that need no training, on the same damaged pictures.

    python examples/restoration_compared.py RUN [RUN …]                  the held-out pictures of the first run
    python examples/restoration_compared.py RUN [RUN …] --data FOLDER    other pictures

The damage is that of the first run, with a fixed seed for each picture. For noise in gray pictures, the other methods
are non-local means of scikit-image, with its default settings and as it should be set for a known σ (h = 0.8 σ, fast
mode), and BM3D if its authors' package is installed (`pip install bm3d`; the license is for non-commercial use). For
holes, they are the filling that the model starts from, and scikit-image's biharmonic inpainting; the pictures are cut
into squares of --size pixels, and PSNR is that of the pixels in the hole. Results are clipped to the range of bytes,
and not rounded.

What you should see: a line for each method with mean PSNR and SSIM. A set such as Set14 takes about a minute, and
several with BM3D. In --out is a picture: in each row the clean one, then all methods in the order of the table.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from skimage.restoration import denoise_nl_means, inpaint_biharmonic

from minigan.data import HeldOut, open_dataset
from minigan.data.source import source_of
from minigan.metrics.similarity import psnr, ssim
from minigan.training import RunFolder, open_model
from minigan.training.pictures import grid, save_image
from minigan.training.session import plan_of_resumed
from minigan.translators.filling import filled

SHOWN, ROWS = 128, 12  # pixels of a side, and rows, of the picture in --out


def denoisers(sigma):
    """Methods by name, from pictures (H, W, 1) in [−1, 1] with noise of a known σ to restored ones."""
    h = 0.8 * sigma

    def default(x):
        return 2 * denoise_nl_means((x[..., 0] + 1) / 2)[..., None] - 1  # its defaults are for [0, 1]

    def tuned(x):
        return denoise_nl_means(x[..., 0], 5, 6, h=h, sigma=sigma, fast_mode=True)[..., None]

    methods = {
        "noisy": lambda x: x,
        "non-local means, default settings": default,
        "non-local means, h = 0.8 σ": tuned,
    }
    if find_spec("bm3d"):
        from bm3d import bm3d

        methods["BM3D"] = lambda x: 2 * bm3d((x[..., 0] + 1) / 2, sigma / 2)[..., None] - 1
    return methods


def fillers():
    """Methods by name, from pictures (H, W, C) and masks (H, W, 1) to pictures without holes."""
    return {
        "smooth filling": lambda x, mask: filled(x[None], 1 - mask[None].astype(x.dtype))[0],
        "biharmonic": lambda x, mask: inpaint_biharmonic(x, mask[..., 0] == 0, channel_axis=-1),
    }


def pictures_of(run, model, folder, size):
    """Yield {"clean", "damaged"[, "mask"]} of the held-out pictures of a run, or of all pictures of a folder."""
    sources = plan_of_resumed(RunFolder(run).config()).held_out
    if folder is not None:
        channels = next(iter(sources.values())).shapes["clean"][2]
        dataset = open_dataset(folder, img_size=8, channels=channels, crops=True)  # its items are whole pictures
        sources = {"data": source_of(dataset, model.arrays)}
    if not model.masked:
        for item in HeldOut(sources, model.arrays, damage=model.damage):
            yield {name: a[0] for name, a in item.items()}
        return
    n = 0
    for item in HeldOut(sources, model.arrays):
        height, width = item["clean"].shape[1:3]
        for top in range(0, height - size + 1, size):
            for left in range(0, width - size + 1, size):
                square = {"clean": item["clean"][0, top : top + size, left : left + size]}
                yield square | model.damage(square, np.random.default_rng(n))
                n += 1


def restored(item, models, methods):
    """Return the result of each method and model for an item."""
    given = [item[name] for name in ("damaged", "mask") if name in item]
    found = {name: method(*given) for name, method in methods.items()}
    return found | {name: model.apply(*(a[None] for a in given))[0] for name, model in models.items()}


def scores_of(y, item):
    """Return PSNR and SSIM; with a hole, PSNR is that of the pixels in it."""
    clean, mask = item["clean"], item.get("mask")
    if mask is None:
        return float(psnr(y, clean, 2)), float(ssim(y, clean, 2))
    error = ((y - clean)[mask[..., 0] == 0] ** 2).mean()
    return 10 * np.log10(4 / error), float(ssim(y, clean, 2))


def center(x):
    """Cut out the center of a picture (H, W, C)."""
    top, left = (max(0, n // 2 - SHOWN // 2) for n in x.shape[:2])
    return x[top : top + SHOWN, left : left + SHOWN]


def main():
    """Print the table, and save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--data", type=Path, help="a folder of pictures (default: the held-out pictures of the run)")
    parser.add_argument("--size", type=int, default=64, help="side of the squares with holes (default: 64)")
    parser.add_argument("--limit", type=int, help="use only the first N pictures (default: all)")
    parser.add_argument("--out", type=Path, help="folder for a picture of the results (default: none)")
    args = parser.parse_args()

    models = {str(run): open_model(RunFolder(run), RunFolder(run).config())[0] for run in args.runs}
    first = next(iter(models.values()))
    name, least, most = first.damages.parts[0] if first.damages.parts else ("hole", 0, 0)
    if name not in ("noise", "hole"):
        parser.error(f"the damage is {first.damages.text}: give runs for noise or for holes")
    methods = fillers() if first.masked else denoisers((least + most) / 2 / 127.5)
    scores, rows = {name: [] for name in [*methods, *models]}, []
    for n, item in enumerate(pictures_of(args.runs[0], first, args.data, args.size)):
        if n == args.limit:
            break
        found = {name: y if name == "noisy" else y.clip(-1, 1) for name, y in restored(item, models, methods).items()}
        for name, y in found.items():
            scores[name].append(scores_of(y, item))
        rows += [center(a) for a in (item["clean"], *([item["damaged"]] if first.masked else []), *found.values())]

    print(f"{'PSNR, dB':>9}{'SSIM':>8}   means of {len(rows) // (len(scores) + 1 + first.masked)} pictures")
    for name, values in scores.items():
        print("{:9.2f}{:8.4f}   {}".format(*np.mean(values, axis=0), name))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        columns = len(scores) + 1 + first.masked
        same = [row for row in rows[: ROWS * columns] if row.shape == rows[0].shape]
        save_image(grid(np.stack(same).clip(-1, 1), columns), args.out / "compared.png")


if __name__ == "__main__":
    main()
