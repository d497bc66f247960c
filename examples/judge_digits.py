"""Are a GAN's digits digits, and are all ten there? A classifier answers.

Shows how a classifier is trained with the layers of a GAN, a cross-entropy in the place of the game, and how it then
judges generators: how many samples it is sure of, which classes they are of, and, where a GAN is told what to draw,
whether it drew that.

    python examples/judge_digits.py                    trains a small DCGAN to judge; about a minute on one core
    python examples/judge_digits.py runs/dcgan-digits runs/gan-digits        judges runs of `minigan train`
    python examples/judge_digits.py runs/dcgan-mnist --data FOLDER           with other data than the run names

There is a classifier for each kind of data and each size that the runs have. It stays in --out for the next time.
That for MNIST is right about 99 % of the test digits, after about 80 seconds on one core.

A classifier that has seen nothing but digits takes anything for a digit, even noise. So this one learns a class more,
"none": noise, digits with their quarters exchanged, and two digits on top of each other. Two lines above the verdicts
say what they can be compared with: real digits that it wasn't trained on, and pictures of the upper half of one digit
above the lower half of another, a kind of no digit that it hasn't seen (though the two halves of a 4 and a 9 may well
make a 9).

What you should see, with seed 0: the classifier is right about 99 % of the digits that were held out and sure of 98 %
of them; of the halves it is sure of 45 %. The DCGAN of 400 steps comes to 40 %, with all ten classes: blurred digits
next to shapes that are none.

None of this is about variety within a class: a generator that copied the data set would pass. In --out are a picture of
the real digits that were held out and one for each generator. They have a column for each class, in which the samples
that the classifier is surest of stand on top and those that it is least sure of at the bottom, and one for "none".
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from minigan.backend import CPU, keep_freed_memory
from minigan.data import Batches, open_dataset, random_crop
from minigan.errors import DataError, MiniganError
from minigan.gans import DCGAN
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, ReLU, Sequential, he_normal
from minigan.losses import softmax_cross_entropy
from minigan.optim import Adam, cosine_decay
from minigan.training.checkpoint import load_checkpoint
from minigan.training.files import replacing
from minigan.training.pictures import grid, save_image
from minigan.training.run import RunFolder

SURE = 0.95  # the classifier is sure of a sample if it gives one class this probability
PRESENT = 0.01  # a class is there if this share of all samples are surely of it
AT_ONCE = 250  # samples


def build_classifier(shape, n_classes, rng):
    """Pictures (N, H, W, C) → logits (N, K + 1). The last class is "none"."""
    W = {"init": he_normal(), "rng": rng}
    side = -(-shape[0] // 8)  # after three strides of 2: 28 → 14 → 7 → 4
    return Sequential(
        *(Conv2D(shape[2], 32, 5, stride=2, padding=2, bias=False, **W), BatchNorm(32), ReLU()),
        *(Conv2D(32, 64, 3, stride=2, padding=1, bias=False, **W), BatchNorm(64), ReLU()),
        *(Conv2D(64, 128, 3, stride=2, padding=1, bias=False, **W), BatchNorm(128), ReLU()),
        Flatten(),
        Dropout(0.5),
        Dense(side * side * 128, n_classes + 1, rng=rng),
    )


def no_digits(x, labels, rng):
    """Make pictures (M, H, W, C) of no digit out of digits x (N, H, W, C), M ≤ N."""
    noise, turned, below = np.array_split(np.arange(len(x)), 3)
    other = rng.permutation(len(x))[below]
    differ = labels[below] != labels[other]
    half = (x.shape[1] // 2, x.shape[2] // 2)
    return np.concatenate(
        [
            rng.uniform(-1, 1, x[noise].shape).astype(x.dtype),
            np.roll(x[turned], half, axis=(1, 2)),  # the quarters change places
            np.maximum(x[below], x[other])[differ],  # light strokes on black: both are to be seen
        ]
    )


def train(classifier, data, steps, seed, batch_size=64, lr=2e-3):
    """Minimise the cross-entropy on digits, shifted by up to a pixel, and on a quarter as many pictures of none."""
    rng = np.random.default_rng([seed, 1])
    optimizer, decay = Adam(classifier.parameters(), lr), cosine_decay(steps)
    shift = partial(random_crop, padding=1)
    with Batches(data, batch_size, seed=seed, augment=[shift]) as batches:
        for step in range(steps):
            x, labels = batches.next_with_labels()  # (N, H, W, C), (N,)
            nothing = no_digits(x[: batch_size // 4], labels[: batch_size // 4], rng)
            x = np.concatenate([x, nothing])
            labels = np.concatenate([labels, np.full(len(nothing), len(data.classes))])

            optimizer.zero_grad()
            logits, cache = classifier.forward(x, rng=rng)  # (N + M, K + 1)
            loss, dlogits = softmax_cross_entropy(logits, labels)
            classifier.backward(dlogits, cache, wrt="params")
            optimizer.lr = lr * decay(step)
            optimizer.step()
            if (step + 1) % 200 == 0:
                print(f"  step {step + 1:5d}  cross-entropy {float(loss):.3f}")


def probabilities(classifier, x):
    """The softmax of the logits: pictures (N, H, W, C) → p (N, K + 1)."""
    parts = [classifier.forward(x[i : i + AT_ONCE], train=False)[0] for i in range(0, len(x), AT_ONCE)]
    logits = np.concatenate(parts)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def verdict(p, asked=None):
    """Numbers from p (N, K + 1): the share of sure samples, classes present, the share of each class (K + 1,).

    With the labels (N,) that a generator was asked for: the share that became what it should, of each class and of all.
    """
    K = p.shape[1] - 1
    called, sure = p.argmax(axis=1), p[:, :K].max(axis=1) >= SURE
    found = {
        "sure": sure.mean(),
        "present": int((np.bincount(called[sure], minlength=K) >= PRESENT * len(p)).sum()),
        "shares": np.bincount(called, minlength=K + 1) / len(p),
    }
    if asked is not None:
        times = np.bincount(asked, minlength=K)
        found["right"] = np.bincount(asked, called == asked, K) / np.maximum(times, 1)
        found["all right"] = (called == asked).mean()
    return found


def draw(gan, n, rng):
    """Generate `n` samples; return them and, of a conditional GAN, what it was asked for: each class in turn."""
    asked = np.arange(n) % gan.n_classes if gan.n_classes else None
    parts = [slice(i, i + AT_ONCE) for i in range(0, n, AT_ONCE)]
    z = gan.latent(n, rng)
    return np.concatenate([gan.generate(z[part], None if asked is None else asked[part]) for part in parts]), asked


def in_columns(x, p, rows=8):
    """A picture with a column for each of the K + 1 classes: what it is called, the surest on top; white: no more."""
    cells = np.ones((rows, p.shape[1], *x.shape[1:]), x.dtype)
    for k in range(p.shape[1]):
        called = np.flatnonzero(p.argmax(axis=1) == k)
        called = called[np.argsort(-p[called, k], kind="stable")]
        chosen = called[np.unique(np.linspace(0, len(called) - 1, min(rows, len(called))).round().astype(int))]
        cells[: len(chosen), k] = x[chosen]
    return grid(cells.reshape(-1, *x.shape[1:]), columns=p.shape[1])


def open_halves(spec, shape, seed):
    """Open a labelled data set at a size: what to train with, and what to hold out (the test split, or a fifth)."""
    data = open_dataset(spec, shape[0], shape[2])
    if data.labels is None:
        raise DataError(f"{data.name} has no labels: a classifier needs a data set that has, such as digits or mnist")
    try:
        return data, open_dataset(spec, shape[0], shape[2], split="test")
    except DataError:
        order, fifth = np.random.default_rng(seed).permutation(len(data)), len(data) // 5
        return data.select(order[fifth:]), data.select(order[:fifth])


def get_classifier(spec, shape, steps, seed, folder):
    """Load the classifier for a data set at a size, or train and keep it; then say how good it is."""
    data, held_out = open_halves(spec, shape, seed)
    classifier = build_classifier(shape, len(data.classes), np.random.default_rng([seed, 0]))
    size = "x".join(map(str, shape))
    path = folder / f"classifier-{data.name}-{size}-{steps}-steps-seed-{seed}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            classifier.load_state_dict(dict(file))
    else:
        print(f"training a classifier with {len(data):,} pictures of {data.name}")
        train(classifier, data, steps, seed)
        with replacing(path) as file:
            np.savez(file, **classifier.state_dict())

    x, labels = held_out.batch(np.arange(len(held_out))), held_out.labels
    p = probabilities(classifier, x)
    right = (p[:, :-1].argmax(axis=1) == labels).mean()  # among the real classes
    print(f"{path}: {right:.2%} of {len(x):,} held-out pictures are right")
    save_image(in_columns(x, p), folder / f"real-{data.name}-{size}.png")
    other = np.random.default_rng([seed, 2]).permutation(len(x))
    upper = np.arange(shape[0])[:, None, None] < shape[0] // 2  # (H, 1, 1)
    mixed = np.where(upper, x, x[other])[labels != labels[other]]
    print_table_head(len(data.classes))
    print_row("real, held out", verdict(p))
    print_row("halves of two", verdict(probabilities(classifier, mixed)))
    return classifier


def print_table_head(K):
    print(f"{'% of samples':24}  sure  classes  " + "".join(f"{k:>6}" for k in [*range(K), "none"]))


def print_row(name, found):
    shares = "".join(f"{100 * share:6.1f}" for share in found["shares"])
    print(f"{name:24} {100 * found['sure']:5.1f}  {found['present']:4}     {shares}")
    if "right" in found:
        right = "".join(f"{100 * share:6.1f}" for share in found["right"])
        print(f"{'  as it was asked':24} {100 * found['all right']:5.1f}           {right}")


def load_run(folder):
    """Return the GAN of a run at its last checkpoint, and the run's configuration."""
    run = RunFolder(folder)
    config = run.config()
    if len(config.shape) != 3:
        raise DataError(f"{folder} draws points: give runs that draw digits")
    gan = config.build_gan(CPU)
    load_checkpoint(run.checkpoint, config.model).restore(gan)
    return gan, config


def small_gan(data, steps, seed):
    """Train a DCGAN for a short time, as examples/dcgan_digits.py does in slow motion."""
    rng = np.random.default_rng(seed)
    gan = DCGAN(data.shape, features=16, lr=1e-3, rng=rng)
    gan.average_weights(0.98)
    with Batches(data, 64, seed=seed) as batches:
        for _ in range(steps):
            gan.step(lambda: next(batches), rng)
            gan.average.update()
    return gan


def main():
    parser = argparse.ArgumentParser(description="Are a GAN's digits digits, and are all ten there?")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of runs; without, one is trained")
    parser.add_argument("--data", help="a labelled data set for the classifier (default: that of the run)")
    parser.add_argument("--samples", type=int, default=2000, help="samples of each generator")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of the classifier")
    parser.add_argument("--gan-steps", type=int, default=400, help="training steps of the DCGAN if there are no runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/example-judge-digits"))
    args = parser.parse_args()
    if len({run.resolve().name for run in args.runs}) < len(args.runs):
        parser.error("two of the runs have the same name: judge them one after the other, with another --out")
    keep_freed_memory()
    try:
        judge_all(args)
    except MiniganError as error:
        parser.error(str(error))


def judge_all(args):
    args.out.mkdir(parents=True, exist_ok=True)
    if args.runs:
        loaded = [(run.resolve().name, *load_run(run)) for run in args.runs]
        suspects = [(name, gan, args.data or config.data) for name, gan, config in loaded]
    else:
        data = open_dataset(args.data or "digits")
        print(f"training a DCGAN with {data.describe()}")
        gan = small_gan(data, args.gan_steps, args.seed)
        suspects = [(f"dcgan-{args.gan_steps}-steps", gan, args.data or "digits")]
    suspects.sort(key=lambda suspect: (suspect[2], suspect[1].shape))  # those of one classifier under each other

    classifiers = {}
    for name, gan, spec in suspects:
        key = (spec, gan.shape)
        if key not in classifiers:
            classifiers[key] = get_classifier(spec, gan.shape, args.steps, args.seed, args.out)
        x, asked = draw(gan, args.samples, np.random.default_rng(args.seed))
        p = probabilities(classifiers[key], x)
        if gan.n_classes not in (0, p.shape[1] - 1):
            raise DataError(
                f"{name} draws {gan.n_classes} classes, {spec} has {p.shape[1] - 1}: give the run's own data"
            )
        print_row(name, verdict(p, asked))
        save_image(in_columns(x, p), args.out / f"{name}.png")
    print(f"pictures are in {args.out}")


if __name__ == "__main__":
    main()
