"""`minigan apply`: a run of a user's own model, files and folders, what fails, and Ctrl-C."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

from minigan.apply import Applier
from minigan.commands import apply as command

MODEL = Path(__file__).parents[1] / "apply" / "my_denoiser.py"
OWN = f"--model {MODEL}:Denoiser"


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("apply") / "run"
    assert run(f"train {MODEL}:Denoiser --data shapes --limit 64 --n-steps 20 --out {folder} --quiet") == 0
    return folder


def picture(path, height=75, width=101, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def test_one_picture(denoiser, capsys):
    picture("in.png")
    assert run(f"apply {denoiser} in.png -o out.png {OWN}") == 0
    assert capsys.readouterr().out == "out.png\n"
    assert Image.open("out.png").size == (101, 75)
    assert not np.array_equal(np.asarray(Image.open("out.png")), np.asarray(Image.open("in.png")))


def test_a_folder_of_200_files_of_which_one_is_damaged(denoiser, capsys):
    for i in range(200):
        picture(f"in/{'sub/' if i % 2 else ''}{i:03}.png", 20, 30, seed=i)
    os.truncate("in/100.png", 900)
    assert run(f"apply {denoiser} in -o out {OWN}") == 2
    out, err = capsys.readouterr()
    assert out == "199 of 200 files are in out\n"
    assert err.count("\n") == 1 and "in/100.png is damaged" in err
    written = {path.relative_to("out") for path in Path("out").rglob("*.png")}
    assert written == {path.relative_to("in") for path in Path("in").rglob("*.png")} - {Path("100.png")}
    assert not [path for path in Path("out").rglob("*") if path.is_file() and path.suffix != ".png"]


def test_the_result_of_one_file_is_named_after_the_run(denoiser, capsys):
    Path("deeper").mkdir()
    for name in ("deeper/in.jpg", "in.png"):
        picture(name, 9, 11)
        assert run(f"apply {denoiser} {name} {OWN}") == 0
    np.save("array.npy", np.zeros((4, 4, 3), np.float32))
    assert run(f"apply {denoiser} array.npy {OWN}") == 0
    assert capsys.readouterr().out.split() == ["in-run.png", "in-run.png", "array-run.npy"]


def test_notes_are_told(denoiser, capsys):
    np.save("in.npy", np.full((20, 30, 3), 200, np.float32))
    assert run(f"apply {denoiser} in.npy -o out.npy {OWN}") == 0
    assert "note: in.npy: it has values from 200 to 200" in capsys.readouterr().err
    assert np.load("out.npy").shape == (20, 30, 3)


@pytest.mark.parametrize(
    "line, why",
    [
        ("in.png -o in.png", "in.png is the input in.png, which is never overwritten"),
        ("in.png -o link.png", "never overwritten"),
        ("nothing.png -o out", "there is no file nothing.png"),
        ("broken.png -o out", "broken.png is damaged"),
        ("five.npy -o out", "five.npy: the network takes 3 channels, and this has 5"),
        ("in.png link.png", "the results of several files need a folder: add -o FOLDER"),
        (".", "add -o FOLDER"),
        ("in.png -o in.png/out.png", "is not a folder"),
    ],
)
def test_what_is_refused(denoiser, capsys, line, why):
    picture("in.png")
    os.symlink("in.png", "link.png")
    Path("broken.png").write_bytes(Path("in.png").read_bytes()[:500])
    np.save("five.npy", np.zeros((4, 4, 5), np.float32))
    assert why in refused(capsys, f"apply {denoiser} {line} {OWN}")


def test_a_model_without_apply_is_refused(tmp_path, capsys):
    assert run("train gan --data ring --n-steps 1 --out ring --quiet") == 0
    picture("in.png")
    capsys.readouterr()
    assert "has no apply" in refused(capsys, "apply ring in.png -o out.png")


def test_python_is_not_loaded_from_a_run(denoiser, capsys):
    picture("in.png")
    assert "never loads Python" in refused(capsys, f"apply {denoiser} in.png -o out.png")


def test_ctrl_c_leaves_whole_files_only(denoiser, capsys, monkeypatch):
    for i in range(5):
        picture(f"in/{i}.png", 20, 30)
    work = Applier._apply

    def interrupted(self, *args):
        if Path("out/1.png").exists():
            raise KeyboardInterrupt
        return work(self, *args)

    monkeypatch.setattr(Applier, "_apply", interrupted)
    assert run(f"apply {denoiser} in -o out {OWN}") == 130
    assert capsys.readouterr().err == "interrupted: 2 of 5 files are in out\n"
    assert sorted(os.listdir("out")) == ["0.png", "1.png"]
    for name in os.listdir("out"):
        Image.open(f"out/{name}").load()


def test_many_failures_are_counted(denoiser, capsys):
    Path("in").mkdir()
    for i in range(command.SHOWN + 3):
        Path(f"in/{i}.png").write_bytes(b"nothing")
    assert run(f"apply {denoiser} in -o out {OWN}") == 2
    out, err = capsys.readouterr()
    assert out.startswith("0 of 23") and "and 3 other files failed" in err
    shutil.rmtree("in")


def test_holes_are_filled_by_a_mask_and_nothing_else_changes(capsys):
    for i in range(8):
        picture(f"photos/{i}.png", 32, 32, seed=i)
    small = "--img-size 16 --features 2 --depth 2 --batch-size 2 --n-steps 2 --quiet"
    assert run(f"train restore --data photos --damage hole:blobs {small} --out filler") == 0
    Path("masks").mkdir()
    holes = np.zeros((32, 32), bool)
    holes[8:20, 5:15] = True
    for i in (1, 2):
        Image.fromarray((255 * holes).astype(np.uint8)).save(f"masks/{i}.png")
    capsys.readouterr()
    assert run("apply filler photos/1.png photos/2.png --mask masks -o out") == 0
    for i in (1, 2):
        before, after = (np.asarray(Image.open(f"{folder}/{i}.png")).astype(int) for folder in ("photos", "out"))
        np.testing.assert_array_equal(before[~holes], after[~holes])
        assert np.abs(before - after)[holes].mean() > 5
    capsys.readouterr()
    assert "add --mask FILE" in refused(capsys, "apply filler photos/1.png -o out.png")
    assert "masks has no mask called 3.png" in refused(capsys, "apply filler photos/3.png --mask masks -o out.png")
    assert "there is no mask m.png" in refused(capsys, "apply filler photos/3.png --mask m.png -o out.png")


def test_each_direction_of_a_translator_and_its_colors(capsys):
    for side in "ab":
        for i in range(4):
            picture(f"{side}/{i}.png", 16, 16, seed=i + ord(side))
    Image.fromarray(np.zeros((20, 30), np.uint8)).save("gray.png")
    small = "--img-size 16 --features 2 --blocks 1 --field 1 --n-steps 1 --quiet"
    assert run(f"train cyclegan --data a=a,b=b {small} --out run") == 0
    for to in "ab":
        assert run(f"apply run gray.png --to {to} -o {to}.png") == 0
        assert Image.open(f"{to}.png").size == (30, 20)
        assert Image.open(f"{to}.png").mode == "RGB"  # a translation of a gray picture has colors
    assert run("apply run gray.png -o default.png") == 0
    pictures = [Path(f"{name}.png").read_bytes() for name in ("a", "b", "default")]
    assert pictures[2] == pictures[1] != pictures[0]
    capsys.readouterr()
    assert "CycleGAN translates to b and a, not to 'c'" in refused(capsys, "apply run gray.png --to c -o c.png")
    assert "doesn't fill holes: leave out --mask" in refused(capsys, "apply run gray.png --mask a/0.png -o c.png")
