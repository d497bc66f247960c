"""The kernel distance (KID) between photos and other photos of the same kind, which are damaged more and more.

Shows whether a feature network is fit for a set of photos: its KID should grow with the strength of each damage. The
last column is Spearman's rank correlation of KID with the strength; it is 1 if KID grows at every step.

    python examples/what_kid_sees.py --limit 200                        pictures that are drawn; about a minute
    python examples/what_kid_sees.py --data FOLDER --img-size 128       your photos; a few minutes
    python examples/what_kid_sees.py --data FOLDER --features inception

Photos of the test split are compared with the train split, or one half of a folder without splits with the other half.
The damages are these:

    noise      Gaussian, standard deviation on the scale of bytes
    blur       Gaussian, standard deviation in pixels
    jpeg       quality
    salt       share of the pixels that become black or white
    fade       share of color and contrast that is lost
    repeats    only every k-th photo, repeated k times: a generator with few different pictures
    classes    four fifths of the classes lose this share of their photos: a generator that loses modes; mean over ten
               choices of these classes

What you should see: each row grows from left to right. Under each KID is its standard error. In --out is a picture of
one photo with each damage.
"""

import argparse
from pathlib import Path

import numpy as np

from minigan.data import open_dataset
from minigan.errors import DataError, MiniganError
from minigan.metrics import FEATURE_NETWORKS, kernel_distance_error, open_features
from minigan.training.pictures import grid, save_image
from minigan.translators.damages import Damages

STRENGTHS = {
    "noise": (2, 5, 10, 20, 40, 80),
    "blur": (0.5, 1, 1.5, 2, 3, 5),
    "jpeg": (90, 70, 50, 30, 15, 5),
    "salt": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
    "fade": (0.1, 0.2, 0.3, 0.45, 0.6, 0.9),
}
KEPT = (1, 2, 4, 8, 16, 32)  # every k-th photo
LOST = (0, 0.2, 0.4, 0.6, 0.8, 1)  # share of the photos of a class
CHOICES, AT_ONCE = 10, 50


def open_two(spec, img_size, seed, limit=None):
    """Return the photos to compare with, and those to damage: two splits, or two halves of a set without splits."""
    data = open_dataset(spec, img_size, seed=seed, limit=limit)
    try:
        return data, open_dataset(spec, img_size, seed=seed, split="test", limit=limit)
    except DataError:
        order = np.random.default_rng(seed).permutation(len(data))
        return tuple(data.select(half) for half in np.array_split(order, 2))


def features_of(network, data, text=""):
    """Return the features (N, F) of the photos, damaged as `text` says, as if they were read from files."""
    damage, found = Damages(text, clip=True) if text else None, []
    for i in range(0, len(data), AT_ONCE):
        x = data.batch(np.arange(i, min(i + AT_ONCE, len(data))))
        if damage:
            rngs = (np.random.default_rng([1, i + j]) for j in range(len(x)))
            x = np.stack([damage(photo, rng)["damaged"] for photo, rng in zip(x, rngs, strict=True)])
        levels = np.rint((x + 1) * 127.5)
        found.append(network((levels / 127.5 - 1).astype(np.float32))[0])
    return np.concatenate(found)


def repeats(features, every):
    """Return as many features (N, F), but only every k-th is different."""
    kept = features[::every]
    return kept[np.arange(len(features)) % len(kept)]


def lose(features, labels, share, rng):
    """Return features without a share of those of four fifths of the classes, which `rng` draws. Labels are (N,)."""
    classes = rng.permutation(np.unique(labels))
    losers = classes[max(1, len(classes) // 5) :]
    kept = ~np.isin(labels, losers)
    for k in losers:
        members = np.flatnonzero(labels == k)
        kept[members[round(share * len(members)) :]] = True
    return features[kept]


def distances(network, reference, other):
    """Return {damage: [(strength, KID, standard error), …]}, with the strengths in ascending order of the damage."""
    real, clean = features_of(network, reference), features_of(network, other)
    found = {}
    for name, strengths in STRENGTHS.items():
        damaged = [(strength, features_of(network, other, f"{name}:{strength}")) for strength in strengths]
        found[name] = [(s, *kernel_distance_error(fake, real)) for s, fake in [("none", clean), *damaged]]
    if len(other) > 2 * max(KEPT):
        found["repeats"] = [(k, *kernel_distance_error(repeats(clean, k), real)) for k in KEPT]
    if other.labels is not None:
        found["classes"] = []
        for share in LOST:
            draws = (lose(clean, other.labels, share, np.random.default_rng(choice)) for choice in range(CHOICES))
            values = np.array([kernel_distance_error(fake, real) for fake in draws])
            found["classes"].append((share, *values.mean(axis=0)))
    return found


def spearman(values):
    """Return the rank correlation of values with their position."""
    ranks = np.argsort(np.argsort(values))
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def draw(photo):
    """Draw the damages of a photo (H, W, C): one row for each, one column for each strength."""
    texts = [f"{name}:{strength}" for name, strengths in STRENGTHS.items() for strength in strengths]
    damaged = [Damages(text, clip=True)(photo, np.random.default_rng(1))["damaged"] for text in texts]
    return grid(np.stack(damaged), columns=len(STRENGTHS["noise"]))


def main():
    parser = argparse.ArgumentParser(description="How KID grows with the strength of a damage")
    parser.add_argument("--data", default="shapes", help="a folder of photos, or the name of a data set")
    parser.add_argument("--features", default="photos", choices=FEATURE_NETWORKS)
    parser.add_argument("--img-size", type=int, metavar="N", help="side in pixels (default: 64 for folders)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N photos of each split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-what-kid-sees"))
    args = parser.parse_args()
    try:
        reference, other = open_two(args.data, args.img_size, args.seed, args.limit)
        print(f"{other.describe()}, against {len(reference):,} others")
        found = distances(open_features(args.features), reference, other)
    except MiniganError as error:
        parser.error(str(error))
    for what, results in found.items():
        print(f"\n{what:10}" + "".join(f"{strength:>9}" for strength, _, _ in results) + "   Spearman")
        shown = spearman([value for _, value, _ in results])
        print(f"{'  KID':10}" + "".join(f"{value:9.4f}" for _, value, _ in results) + f"   {shown:.3f}")
        print(f"{'  error':10}" + "".join(f"{error:9.4f}" for _, _, error in results))
    args.out.mkdir(parents=True, exist_ok=True)
    save_image(draw(other.batch(np.arange(1))[0]), args.out / "damaged.png")


if __name__ == "__main__":
    main()
