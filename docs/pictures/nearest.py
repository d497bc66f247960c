"""Draw samples of a run next to their nearest training pictures.

    python docs/pictures/nearest.py runs/dcgan-sunflowers sunflowers

Writes two pictures next to this file: sunflowers.jpg, the first nine samples of `minigan sample RUN --n 9`, and
sunflowers-nearest.jpg, each sample with its nearest neighbor on the right, by Euclidean distance of pixels among all
training pictures and their mirror images. Prints the file names with their distances and, for comparison, the median
distance from a training picture to its nearest neighbor.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from minigan.data import open_dataset
from minigan.metrics import nearest
from minigan.training import RunFolder, open_model
from minigan.training.pictures import grid

HERE = Path(__file__).parent
SIDE = 112  # minimum size of a picture in pixels


def draw(pictures, columns, path):
    """Save a grid of pictures, enlarged to SIDE."""
    times = max(1, SIDE // pictures.shape[1])
    sides = (pictures.shape[2] * times, pictures.shape[1] * times)
    bytes_ = np.clip(np.rint((pictures + 1) * 127.5), 0, 255).astype(np.uint8)
    larger = [np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BICUBIC)) for picture in bytes_]
    grid(np.stack(larger) / 127.5 - 1, columns).save(path, quality=88, optimize=True)


def main():
    """Save both pictures and print the file names."""
    parser = argparse.ArgumentParser(description="Samples of a run beside the nearest training pictures.")
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--n", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = RunFolder(args.run)
    config = folder.config()
    gan, _ = open_model(folder, config)
    dataset = open_dataset(config.data, config.img_size, config.channels, config.seed, limit=config.limit)
    samples = gan.generate(gan.latent(args.n, gan.device.rng(args.seed)))
    real = dataset.batch(np.arange(len(dataset)))
    both = np.concatenate([real, real[:, :, ::-1]])  # (2 N, H, W, C)
    indices, distances = nearest(samples.reshape(args.n, -1), both.reshape(len(both), -1))
    near, far = nearest(real.reshape(len(real), -1), both.reshape(len(both), -1), 3)
    other = near % len(real) != np.arange(len(real))[:, None]  # neither the picture itself nor its mirror image
    usual = np.median(far[np.arange(len(real)), other.argmax(axis=1)])
    pairs = np.stack([samples, both[indices[:, 0]]], axis=1).reshape(-1, *samples.shape[1:])
    draw(samples, 3, HERE / f"{args.name}.jpg")
    draw(pairs, 6, HERE / f"{args.name}-nearest.jpg")
    for index, distance in zip(indices[:, 0], distances[:, 0], strict=True):
        print(f"{distance:6.2f}  {dataset.paths[index % len(real)]}")
    print(f"{usual:6.2f}  from a training picture to the nearest other one, median")


if __name__ == "__main__":
    main()
