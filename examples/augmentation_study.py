"""Measures whether samples of a GAN help a classifier that has few pictures, beside controls, and can be interrupted.

Shows the accuracy on test pictures of classifiers that differ only in what they are trained on. The GAN learns from the
same few pictures. All classifiers begin with the same weights and make the same number of steps on batches of the same
size; where two sets are named, each gives half of every batch:

    real                 the few real pictures
    repeated             real pictures, and the same ones again: what differs from `real` is chance
    classical            real pictures, shifted and rotated anew each time (--augment)
    gan                  real pictures, and samples of the GAN
    both                 real pictures and samples, shifted and rotated
    gan alone            samples only
    gan alone, filtered  those samples that the classifier of `classical` finds to be of their class (GaFi)
    more real            real pictures, and real ones that no other arm has: what a perfect GAN would bring

    python examples/augmentation_study.py DATA                      MNIST's folder; two cores need about 70 minutes
    python examples/augmentation_study.py DATA --per-class 10       only with ten pictures a class
    python examples/augmentation_study.py digits --rehearse         20 steps of everything: about ten seconds

The 70 minutes are computed from the time of single steps. DATA is a name or a path, as of `minigan train --data`, with
classes. Its test part is the test set, or else its last fifth. What decides is `both` against `classical`: people who
have few pictures shift and rotate them anyway.

What you should see: a line for each GAN and each classifier. In --out are results.md, with a table and a sentence for
each number of pictures, and results.json; both are written after each seed. A run that is repeated with the same --out
goes on where it was.
"""

import argparse
import json
from math import exp, lgamma, pi, sqrt
from pathlib import Path

import numpy as np

from minigan.backend import keep_freed_memory
from minigan.data import AUGMENTATIONS, ArrayDataset, Feeds, NoSplitError, open_dataset, open_feeds
from minigan.errors import DataError, MiniganError
from minigan.metrics import evaluate, observe, open_features
from minigan.metrics.picture_classifier import PictureClassifier, recognized
from minigan.model import LABEL, PICTURE
from minigan.training import RunFolder, train
from minigan.training.build import open_model
from minigan.training.evaluation import generated_pictures, usual_features
from minigan.training.files import replacing

BATCH = 64
# name: the sets that share every batch, and whether the batch is augmented
ARMS = {
    "real": (("real",), False),
    "repeated": (("real", "real"), False),
    "classical": (("real",), True),
    "gan": (("real", "samples"), False),
    "both": (("real", "samples"), True),
    "gan alone": (("samples",), False),
    "gan alone, filtered": (("accepted",), False),
    "more real": (("real", "others"), False),
}
KINDS = {"x": PICTURE, "label": LABEL}


def open_parts(spec, img_size):
    """Return the training set and the test set, with the same classes."""
    data = open_dataset(spec, img_size)
    if data.labels is None or not data.classes:
        raise DataError(f"{spec} has no classes: give a set that has some")
    try:
        test = open_dataset(spec, img_size, split="test")
    except NoSplitError:
        fifth = len(data) // 5
        return data.select(np.arange(len(data) - fifth)), data.select(np.arange(len(data) - fifth, len(data)))
    if test.classes != data.classes:
        raise DataError(f"the test part of {spec} has other classes: give each class pictures in both parts")
    return data, test


def choose(data, n, others, seed):
    """Draw n pictures of each class and, for `more real`, up to `others` different ones. Returns both sets.

    Smaller n are parts of larger ones. The second set is None if a class has too few pictures left.
    """
    few, more = [], []
    for k in range(len(data.classes)):
        order = np.random.default_rng([seed, k]).permutation(np.flatnonzero(data.labels == k))
        if len(order) < n:
            raise DataError(f"class {data.classes[k]} has only {len(order)} pictures: give a smaller --per-class")
        few.append(order[:n])
        more.append(order[::-1][: min(others, len(order) - n)])
    enough = min(map(len, more)) >= n
    return data.select(np.concatenate(few)), data.select(np.concatenate(more)) if enough else None


def trained_gan(real, run, seed, args):
    """Train cdcgan on the few pictures, or go on, unless that is done. Returns the model."""
    if (run / "checkpoints" / f"step-{args.gan_steps:06d}.npz").exists():
        return open_model(RunFolder(run), RunFolder(run).config())[0]
    settings = {"n_steps": args.gan_steps, "batch_size": BATCH, "features": args.gan_features, "seed": seed}
    settings |= {"ema": args.ema, "checkpoint_interval": 500, "sample_interval": args.gan_steps}
    if any((run / "checkpoints").glob("step-*.npz")):
        return train("cdcgan", real, run, resume=True, quiet=True, n_steps=args.gan_steps).model
    return train("cdcgan", real, run, quiet=True, **settings).model


def drawn(gan, n, seed, classes):
    """Draw n samples of each class as a data set."""
    found = list(generated_pictures(gan, n * len(classes), [seed, 1], "samples"))
    x, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    return ArrayDataset("samples", ((x + 1) * 127.5).round().astype(np.uint8), labels, classes)


def trained_classifier(sets, augment, shape, n_classes, seed, args):
    """Train a classifier on batches of which each data set gives an equal part."""
    classifier = PictureClassifier(shape, n_classes, rng=np.random.default_rng([seed, 2]))
    share = BATCH // len(sets)
    feeds = [Feeds(open_feeds(s, KINDS), KINDS, share, seed + 1000 * i, augment) for i, s in enumerate(sets)]

    def next_batch():
        batches = [feed.next() for feed in feeds]
        return tuple(np.concatenate([batch[name] for batch in batches]) for name in KINDS)

    try:
        classifier.train(next_batch, args.steps, seed)
    finally:
        for feed in feeds:
            feed.close()
    return classifier


def study_one(data, test, n, seed, reference, network, args):
    """Train a GAN and all classifiers on n pictures a class. Returns {arm: accuracy} and the FID of the GAN."""
    real, others = choose(data, n, args.samples, seed)
    gan = trained_gan(real, args.out / "gans" / f"{n}-{seed}", seed, args)
    samples = drawn(gan, args.samples, seed, data.classes)
    pictures = ((samples.batch(np.arange(i, min(i + 250, len(samples)))), None) for i in range(0, len(samples), 250))
    fid = evaluate(pictures, len(samples), "samples", network, reference, "fid")[0].values["fid"]
    print(f"{n} a class, seed {seed}: the GAN has an FID of {fid:.2f} ({network.name})", flush=True)

    sets = {"real": real, "samples": samples, "others": others}
    x, found = test.batch(np.arange(len(test))), {"fid": fid}
    for arm, (parts, augmented) in ARMS.items():
        if any(sets.get(part) is None for part in parts):
            continue
        augment = [AUGMENTATIONS[name] for name in args.augment] if augmented else []
        given = [sets[part] for part in parts]
        classifier = trained_classifier(given, augment, data.shape, len(data.classes), seed, args)
        found[arm] = classifier.accuracy(x, test.labels)
        print(f"{n} a class, seed {seed}: {arm:20}{found[arm]:7.2%}", flush=True)
        if arm == "classical":
            p = classifier.probabilities(samples.batch(np.arange(len(samples))))
            kept = np.flatnonzero(recognized(p, samples.labels))
            found["accepted"] = len(kept) / len(samples)
            sets["accepted"] = samples.select(kept) if len(kept) else None
    return found


def t_quantile(df):
    """Return the 97.5 % quantile of Student's t with `df` degrees of freedom: its density, summed up numerically."""
    t = np.linspace(0, 50, 1_000_001)
    scale = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * pi)
    density = scale * (1 + t**2 / df) ** (-(df + 1) / 2)
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2) * (t[1] - t[0])])
    return float(np.interp(0.475, below, t))


def interval(values):
    """Return the mean of values, one for each seed, and half the width of its 95 % interval (Student's t)."""
    half = t_quantile(len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)) if len(values) > 1 else np.inf
    return float(np.mean(values)), float(half)


def difference(seeds, arm, reference):
    """Return the mean paired difference of two arms in points, and half its interval: {seed: {arm: accuracy}}."""
    return interval([100 * (found[arm] - found[reference]) for found in seeds.values()])


def sentence(n, seeds):
    """Say what follows for n pictures a class."""
    mean, half = difference(seeds, "both", "classical")
    where = f"{mean:+.2f} points (95 % interval {mean - half:+.2f} to {mean + half:+.2f}, {len(seeds)} seeds)"
    verdict = "a gain" if mean > half else "a loss" if mean < -half else "no gain that this many seeds can show"
    instead, width = difference(seeds, "gan", "classical")
    beside = f"Instead of classical augmentation, they are {instead:+.2f} ± {width:.2f} points."
    return f"With {n} pictures a class, GAN samples besides classical augmentation are {where}: {verdict}. {beside}"


def lines_of(results, args):
    """Return the results as Markdown: a table and a sentence for each number of pictures."""
    lines = [f"# Augmentation of {args.data}", ""]
    lines += [f"Classifiers: {args.steps:,} steps of {BATCH} pictures. GAN: cdcgan, {args.gan_steps:,} steps."]
    lines += ["Accuracy in %, differences in points; ± is half a 95 % interval over seeds, paired for differences."]
    for n, seeds in results.items():
        fid, wide = interval([found["fid"] for found in seeds.values()])
        accepted = np.mean([found["accepted"] for found in seeds.values()])
        lines += ["", f"## {n} pictures a class", "", f"FID of the GAN: {fid:.1f} ± {wide:.1f}; the filter accepts"]
        lines[-1] += f" {accepted:.0%} of its samples."
        lines += ["", "| trained on | accuracy | against real | against classical |", "|---|---|---|---|"]
        for arm in (arm for arm in ARMS if all(arm in found for found in seeds.values())):
            mean, half = interval([100 * found[arm] for found in seeds.values()])
            cells = [f"{mean:.2f} ± {half:.2f}"]
            for other in ("real", "classical"):
                cells.append("" if arm == other else "{:+.2f} ± {:.2f}".format(*difference(seeds, arm, other)))
            lines.append(f"| {arm} | {' | '.join(cells)} |")
        lines += ["", sentence(n, seeds)]
    return lines


def settings_of(args):
    """Return what all results in one folder have in common: everything but the numbers of pictures and of seeds."""
    return {name: value for name, value in vars(args).items() if name not in ("out", "per_class", "seeds", "rehearse")}


def earlier_results(args):
    """Return the results in --out, {n: {seed: {arm: accuracy}}}. Raises DataError if they have other settings."""
    file = args.out / "results.json"
    if not file.exists():
        return {}
    found = json.loads(file.read_text())
    for name, value in settings_of(args).items():
        if found["settings"].get(name) != value:
            what = f"{file} was made with --{name.replace('_', '-')} {found['settings'].get(name)}"
            raise DataError(f"{what}, not {value}: use that, or give another --out")
    return found["results"]


def write(results, args):
    """Write results.json and results.md."""
    with replacing(args.out / "results.json") as file:
        file.write((json.dumps({"settings": settings_of(args), "results": results}, indent=1) + "\n").encode())
    with replacing(args.out / "results.md") as file:
        file.write(("\n".join(lines_of(results, args)) + "\n").encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a name or a path of pictures in classes, as for minigan train --data")
    parser.add_argument("--out", type=Path, default=Path("runs/augmentation-study"))
    parser.add_argument("--img-size", type=int, help="16, 28, 32 or 64 pixels (default: 28 for digits, else as it is)")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 50, 100], metavar="N")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="of each classifier")
    parser.add_argument("--gan-steps", type=int, default=2000)
    parser.add_argument("--gan-features", type=int, default=32, help="--features of cdcgan")
    parser.add_argument("--ema", type=float, default=0.999, help="of the GAN's weights")
    parser.add_argument("--samples", type=int, default=500, help="samples of each class; also of `more real`")
    parser.add_argument("--augment", nargs="+", default=["crop", "rotate"], choices=AUGMENTATIONS, metavar="NAME")
    parser.add_argument("--rehearse", action="store_true", help="20 steps of everything, to see that it works")
    args = parser.parse_args()
    if args.rehearse:
        args.per_class, args.seeds, args.steps, args.gan_steps = [5, 10], 2, 20, 20
        args.gan_features, args.samples, args.img_size = 8, 20, args.img_size or 16
    keep_freed_memory()
    try:
        data, test = open_parts(args.data, args.img_size or (28 if args.data == "digits" else None))
        print(f"{data.describe()}; {len(test):,} test pictures")
        network = open_features("digits" if data.classes == list("0123456789") else usual_features(data))
        reference = observe([(test.batch(np.arange(len(test))), None)], network, "test pictures")
        results = earlier_results(args)
        for seed in range(args.seeds):
            for n in args.per_class:
                done = results.setdefault(str(n), {})
                if str(seed) not in done:
                    done[str(seed)] = study_one(data, test, n, seed, reference, network, args)
                    args.out.mkdir(parents=True, exist_ok=True)
                    write(results, args)
    except MiniganError as error:
        parser.error(str(error))
    print("\n".join(lines_of(results, args)))


if __name__ == "__main__":
    main()
