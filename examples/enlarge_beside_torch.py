"""Enlarges 512 × 512 pixels to 2048 × 2048 with minigan and with PyTorch: time, memory, and whether they agree.

Shows that tiles equal the whole picture, and that both compute the same. The network is the default of `srresnet`, in
color, with random weights: neither time nor memory depends on what they are. Each way runs in a process of its own.

    python examples/enlarge_beside_torch.py                  about a minute on two cores; needs torch
    python examples/enlarge_beside_torch.py --side 128       smaller

    minigan, tiles      as `minigan apply` does it
    minigan, whole      the network on the whole picture
    PyTorch             the same network and weights, whole, without gradients

What you should see: three lines with seconds (the best of --rounds), the peak memory that the enlargement added, and
the largest difference from the first result. The differences are rounding errors.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

WAYS = ("tiles", "whole", "torch")
WORDS = {"tiles": "minigan, tiles", "whole": "minigan, whole", "torch": "PyTorch"}
SCALE = 4


def model():
    """Return SRResNet with its default network, for pictures in color."""
    from minigan.translators import MODELS

    return MODELS["srresnet"]((96, 96, 3), scale=SCALE, colors="rgb", rng=np.random.default_rng(0))


def bicubic_matrix(n):
    """Return A (SCALE·n, n): A @ x enlarges a column of n pixels, as layers/bicubic.py says."""
    from minigan.layers.bicubic import enlarged

    return enlarged(np.eye(n, dtype=np.float32)[:, None, :], (SCALE, 1))[:, 0, :]  # the columns are the channels


def in_torch(G, side):
    """Return a function of arrays (1, H, W, 3) that computes the same as `G` in PyTorch."""
    import torch
    from torch.nn import functional as F

    A = torch.from_numpy(np.ascontiguousarray(bicubic_matrix(side)))
    weights = {}
    for prefix, layer in G.walk():
        prefix = prefix.rstrip(".")
        if type(layer).__name__ == "Conv2D":
            weights[prefix] = [torch.from_numpy(np.ascontiguousarray(layer.W.transpose(3, 2, 0, 1))), layer.b]
        elif type(layer).__name__ == "PReLU":
            weights[prefix] = [torch.from_numpy(np.array(layer.slope))]
    order = np.arange(3 * SCALE**2).reshape(SCALE**2, 3).T.ravel()  # of channels: PyTorch's pixel shuffle

    def run(layer, name, x):
        """Follow the layers of minigan, with PyTorch's functions."""
        kind, children = type(layer).__name__, layer.children()
        if kind == "Sequential":
            for key, inner in children.items():
                x = run(inner, f"{name}.{key}" if name else key, x)
            return x
        if kind == "Residual":
            (first, body), *rest = children.items()
            other = A @ x @ A.T if rest else x
            return run(body, f"{name}.{first}" if name else first, x) + other
        if kind == "Conv2D":
            W, b = weights[name]
            return F.conv2d(x, W, torch.from_numpy(np.array(b)), padding=W.shape[2] // 2)
        if kind == "PReLU":
            return F.prelu(x, weights[name][0])
        return F.pixel_shuffle(x[:, order], SCALE)

    def enlarge(x):
        with torch.no_grad():
            y = run(G, "", torch.from_numpy(x.transpose(0, 3, 1, 2)))
        return y.clamp(-1, 1).numpy().transpose(0, 2, 3, 1)

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return enlarge


def measure(way, side, rounds, out):
    """Enlarge in one way, print seconds and bytes as JSON, and save the result."""
    from minigan.apply import Applier

    x = np.random.default_rng(1).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)
    srresnet = model()
    G = srresnet.networks["G"]
    if way == "tiles":
        applier = Applier(srresnet, channels=3)

        def enlarge(x):
            return applier(x[0])[None]
    else:
        enlarge = srresnet.apply if way == "whole" else in_torch(G, side)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(rounds):
        began = perf_counter()
        y = enlarge(x)
        times.append(perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    np.save(out / f"{way}.npy", y)
    print(json.dumps({"seconds": min(times), "bytes": 1024 * (peak - before)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=512, help="pixels of the small picture's side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("runs/example-enlarge-beside-torch"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.only:
        measure(args.only, args.side, args.rounds, args.out)
        return
    first = None
    for way in WAYS:
        words = [sys.executable, __file__, "--only", way, "--side", str(args.side), "--rounds", str(args.rounds)]
        done = subprocess.run([*words, "--out", str(args.out)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{WORDS[way]} failed")
        found, y = json.loads(done.stdout), np.load(args.out / f"{way}.npy")
        first = y if first is None else first
        difference = f"difference {np.abs(y - first).max():.1e}"
        print(f"{WORDS[way]:16}{found['seconds']:8.2f} s {found['bytes'] / 1e6:8.0f} MB   {difference}", flush=True)


if __name__ == "__main__":
    main()
