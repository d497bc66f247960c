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
    repeats    one photo in k, repeated k times: a generator with few different pictures; mean over ten choices
    classes    the photos of so many classes: a generator that loses modes; mean over ten choices

What you should see: each row grows from left to right. Under each KID is its standard error. In --out is a picture of
one photo with each damage.
"""

import argparse
from functools import partial
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
REPEATS = (1, 2, 4, 8, 16, 32)
SHARES = (1, 0.8, 0.6, 0.4, 0.2, 0.1, 0)  # of the classes, but at least one class
CHOICES, FEWEST, AT_ONCE = 10, 3, 50


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


def repeats(features, k, rng):
    """Return as many features (N, F), of N/k different photos that `rng` draws."""
    kept = features[rng.permutation(len(features))[: max(1, len(features) // k)]]
    return kept[np.arange(len(features)) % len(kept)]


def of_classes(features, n, rng, labels):
    """Return the features of the photos of n classes that `rng` draws. Labels are (N,)."""
    return features[np.isin(labels, rng.permutation(np.unique(labels))[:n])]


def lose_modes(features, labels, real):
    """Return {name: [(strength, KID, standard error), …]} of features that have lost modes."""
    ways = {"repeats": [(k, repeats) for k in REPEATS if len(features) >= FEWEST * k]}
    if labels is not None:
        K = len(np.unique(labels))
        counts = sorted({max(1, round(share * K)) for share in SHARES}, reverse=True)
        ways["classes"] = [(n, partial(of_classes, labels=labels)) for n in counts]
    found = {}
    for name, steps in ways.items():
        if len(steps) < FEWEST:
            continue
        found[name] = []
        for n, function in steps:
            draws = [function(features, n, np.random.default_rng(choice)) for choice in range(CHOICES)]
            pairs = [kernel_distance_error(fake, real) for fake in draws if len(fake) >= FEWEST]
            if pairs:
                found[name].append((n, *np.mean(pairs, axis=0)))
    return found


def distances(network, reference, other):
    """Return {damage: [(strength, KID, standard error), …]}, from the weakest damage to the strongest."""
    real, clean = features_of(network, reference), features_of(network, other)
    found = {}
    for name, strengths in STRENGTHS.items():
        damaged = [(strength, features_of(network, other, f"{name}:{strength}")) for strength in strengths]
        found[name] = [(s, *kernel_distance_error(fake, real)) for s, fake in [("none", clean), *damaged]]
    return found | lose_modes(clean, other.labels, real)


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
