"""Five tasks on your own folders of pictures, each by one command: it trains a model and applies it.

    python examples/translate_my_pictures.py denoise photos noisy.jpg
    python examples/translate_my_pictures.py fill photos scratched.jpg --mask scratches.png
    python examples/translate_my_pictures.py photo-to-label pairs street.jpg
    python examples/translate_my_pictures.py label-to-photo pairs drawn.png
    python examples/translate_my_pictures.py horse-to-zebra animals horse.jpg
    python examples/translate_my_pictures.py monet paintings-and-photos beach.jpg

Shows which data and which `minigan train` command each task needs. The first folder is the training data; the pictures
after it, or folders of them, are translated into --out.

    denoise, fill        a folder of good photos, of any size; 50 are enough. The damage is made by the program. In the
                         mask, a picture as large as yours, what is to be filled is white
    photo-to-label, …    a folder of files with the photo on the left and its label map on the right; some hundred pairs
    horse-to-zebra       a folder with trainA (horses) and trainB (zebras), hundreds of each; a thousand in the paper
    monet                the same, with paintings in trainA and photos in trainB

What you should see: progress of the training, which can be interrupted (Ctrl-C) and goes on with the same command, then
the names of the results. In RUN, which is printed, report.html shows what the model makes of pictures that it wasn't
trained on. Training takes about 20 minutes on two cores, with unpaired pictures an hour; --steps changes that. More
steps are better, up to ten times as many.
"""

import argparse
import subprocess
import sys
from pathlib import Path

PAIRS = "pix2pix --data {data} --augment jitter,flip"
SETS = "cyclegan --data {data} --augment flip"
# The training command of each task, its steps, and the options of minigan apply
TASKS = {
    "denoise": ("restore --data {data} --damage noise:5-50 --img-size 40 --augment flip", 4500, ""),
    "fill": ("restore --data {data} --damage hole:blobs --img-size 64 --augment flip", 8500, ""),
    "photo-to-label": (f"{PAIRS} --labels target", 4000, ""),
    "label-to-photo": (f"{PAIRS} --labels input --swap", 4000, ""),
    "horse-to-zebra": (SETS, 15000, "--to b"),
    "monet": (SETS, 15000, "--to a"),
}


def minigan(*words):
    """Run a command, and end this program if it fails."""
    done = subprocess.run([sys.executable, "-m", "minigan", *map(str, words)])
    if done.returncode:
        sys.exit(done.returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("data", type=Path, help="a folder of pictures to train on")
    parser.add_argument("pictures", type=Path, nargs="*", help="pictures or folders to translate")
    parser.add_argument("--mask", type=Path, help="fill: a picture in which the holes are white, or a folder of those")
    parser.add_argument("--steps", type=int, help="training steps (default: by the task)")
    parser.add_argument("--train", default="", help="more words for minigan train, such as '--features 32'")
    parser.add_argument("--out", type=Path, help="folder of the run, and in it of the results (default: runs/TASK)")
    args = parser.parse_args()
    words, steps, apply_words = TASKS[args.task]
    run, steps = args.out or Path("runs") / args.task, args.steps or steps
    if args.task == "fill" and args.pictures and args.mask is None:
        parser.error("fill needs --mask FILE: a picture as large as yours in which the holes are white")

    if not (run / "checkpoints" / f"step-{steps:06d}.npz").exists():
        begun = any((run / "checkpoints").glob("step-*.npz"))
        new = [*(word.format(data=args.data) for word in words.split()), *args.train.split(), "--out", run]
        minigan("train", *(["--resume", run] if begun else new), "--n-steps", steps)
    print(f"the model is in {run}; its page is {run / 'report.html'}")
    if args.pictures:
        mask = [] if args.mask is None else ["--mask", args.mask]
        minigan("apply", run, *args.pictures, *apply_words.split(), *mask, "-o", run / "results")
        print(f"the results are in {run / 'results'}")


if __name__ == "__main__":
    main()
