"""`minigan evaluate … --protocol sr`: runs and folders, beside bicubic, and what doesn't apply."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics import protocol_scores

TRANSLATORS = Path(__file__).parents[1] / "training" / "translators.py"
TRAIN = "train my_models.py:Enlarger --data pictures --img-size 20 --n-steps 30 --batch-size 4 --quiet --out run"
OWN = "evaluate run --model my_models.py:Enlarger --protocol sr"


def photo(height, width, channels=3, seed=0):
    """Smooth waves with some noise, as bytes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 6
    waves = np.stack([np.sin((c + 1) * x + y) * np.cos(y - c * x + seed) for c in range(channels)], axis=-1)
    return np.clip(127 + 90 * waves + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def save(path, pixels):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)
    return pixels


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):  # noqa: F811
    Path("my_models.py").write_text(TRANSLATORS.read_text())
    for i in range(20):
        save(f"pictures/{i:02}.png", photo(24, 30, seed=i))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that tests copy: training takes longer than they do."""
    folder, before = tmp_path_factory.mktemp("enlarger"), os.getcwd()
    os.chdir(folder)
    Path("my_models.py").write_text(TRANSLATORS.read_text())
    for i in range(20):
        save(f"pictures/{i:02}.png", photo(24, 30, seed=i))
    assert run(TRAIN) == 0
    os.chdir(before)
    return folder / "run"


def evaluated(capsys, line):
    capsys.readouterr()
    assert run(f"{line} --json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_is_scored_beside_bicubic_on_pictures_of_any_size(capsys):
    """Also on such that are smaller than the crops of training, odd, or gray, which are scored in their own values."""
    run(TRAIN)
    pictures = {"a": save("set/a.png", photo(33, 40)), "b": save("set/b.png", photo(17, 16, 1))}
    found = evaluated(capsys, f"{OWN} --against set")
    assert json.loads(Path("run/evaluation/evaluation.json").read_text()) == found
    assert (found["n"], found["scale"]) == (2, 2) and found["source"] == "run at step 30"
    for row, high in zip(found["rows"], (pictures["a"][:32], pictures["b"][:16]), strict=True):
        wanted = protocol_scores(enlarged(shrunk(high, 2), 2), high, 2)
        assert {name: row[f"bicubic_{name}"] for name in wanted} == pytest.approx(wanted)
    for side, prefix in (("result", ""), ("bicubic", "bicubic_")):
        for name, value in found["mean"][side].items():
            assert value == pytest.approx(np.mean([row[prefix + name] for row in found["rows"]]))
    with Path("run/evaluation/enlarged.csv").open() as file:
        assert [row["picture"] for row in csv.DictReader(file)] == ["a", "b"]
    with Image.open("run/evaluation/enlarged.png") as table:
        assert table.width > 4 * 16 and table.height > 2 * 16


def test_a_run_is_scored_as_its_applied_pictures_are(capsys):
    """`apply` on the low pictures, then two folders, give the same numbers; names end in HR and LR, as published."""
    run(TRAIN)
    for i in range(3):
        high = save(f"set/p{i}_HR.png", photo(36, 40, seed=i)[:, : 40 - 2 * i])
        save(f"low/p{i}_LR.png", shrunk(high, 2))
        save(f"set/p{i}_LR.png", shrunk(high, 2))
    first = evaluated(capsys, f"{OWN} --against set")
    assert first["n"] == 3
    assert run("apply run low -o results --model my_models.py:Enlarger") == 0
    second = evaluated(capsys, "evaluate results set --protocol sr --scale 2 --out compared")
    assert second["mean"] == first["mean"] and Path("compared/enlarged.png").is_file()
    assert run("evaluate results set --protocol sr --scale 2") == 0
    out = capsys.readouterr().out
    assert "sr: luminance from 16 to 235, rounded" in out and "2 pixels cut at each side" in out
    assert f"{first['mean']['result']['psnr']:.2f}" in out and "beside bicubic" in out


def test_without_other_pictures_what_the_run_held_out_is_scored(capsys):
    run(TRAIN)
    found = evaluated(capsys, OWN)
    assert found["n"] == 2 and found["pictures"].endswith("held out")
    assert {row["picture"] for row in found["rows"]} < {f"{i:02}" for i in range(20)}
    assert evaluated(capsys, f"{OWN} --against pictures --n 5")["n"] == 5


def test_equal_pictures_have_an_infinite_psnr(capsys):
    save("a/x.png", photo(40, 40))
    save("b/x.png", photo(40, 40))
    found = evaluated(capsys, "evaluate a b --protocol sr --scale 3")
    assert found["rows"][0]["psnr"] is None and found["mean"]["result"]["ssim"] == pytest.approx(1)
    assert found["rows"][0]["detail"] == pytest.approx(0)
    assert run("evaluate a b --protocol sr --scale 3") == 0 and " inf" in capsys.readouterr().out


def test_the_usual_comparison_says_that_its_protocol_is_another(capsys):
    save("a/x.png", photo(40, 40))
    save("b/x.png", photo(40, 40, seed=1))
    assert "all channels of whole pictures" in evaluated(capsys, "evaluate a b --metrics psnr")["protocol"]
    assert run("evaluate a b --metrics psnr") == 0
    assert "protocol   all channels of whole pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("evaluate pictures --protocol sr", "compares with originals: give their folder as a second word"),
        ("evaluate pictures pictures --protocol sr", "it has to know it: add --scale 4"),
        ("evaluate pictures pictures --protocol sr --scale 0", "--scale: 0 is less than 1"),
        ("evaluate pictures pictures --protocol psnr", "--protocol"),
        ("evaluate pictures pictures --scale 2 --metrics psnr", "--scale is for --protocol sr"),
        ("evaluate pictures pictures --strength 0.5 --metrics psnr", "--strength is for --protocol sr"),
        ("evaluate pictures pictures --protocol sr --scale 2 --strength 1", "leave out --strength"),
        ("evaluate pictures pictures --protocol sr --scale 2 --metrics fid", "leave out --metrics"),
        ("evaluate pictures pictures --protocol sr --scale 2 --skip-bad", "leave out --skip-bad"),
        ("evaluate pictures pictures --protocol sr --scale 2 --img-size 8", "leave out --img-size"),
        ("evaluate pictures pictures --protocol sr --scale 8", "and the protocol at scale 8 takes 27x27 or more"),
        ("evaluate pictures nothing --protocol sr --scale 2", "nothing is not a folder"),
        (
            "evaluate pictures/00.png pictures --protocol sr --scale 2",
            "is a file, and no .zip archive that can be read",
        ),
        ("evaluate pictures few --protocol sr --scale 2", "few has no picture called 03"),
        ("evaluate few pictures --protocol sr --scale 2", "few has no picture called 03"),
        ("evaluate halves pictures --protocol sr --scale 2", "00.png is 12x15, but pictures/00.png 24x30"),
        ("evaluate twice few --protocol sr --scale 2", "have one name among the results"),
    ],
)
def test_folders_that_cannot_be_compared_are_a_sentence(capsys, line, said):
    for i in range(20):
        x = photo(24, 30, seed=i)
        save(f"halves/{i:02}.png", shrunk(x, 2))
        if i < 3:
            save(f"few/{i:02}.png", x)
            save(f"twice/{i:02}.png", x)
    save("twice/00_HR.png", photo(24, 30))
    assert said in refused(capsys, line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{OWN} --scale 4", "run enlarges by 2, not by 4: leave out --scale"),
        (f"{OWN} --metrics psnr", "leave out --metrics"),
        (f"{OWN} --features digits", "leave out --features"),
        (f"{OWN} --n-against 3", "leave out --n-against"),
        (f"{OWN} --save-stats a.npz", "leave out --save-stats"),
        (f"{OWN} --strength 0.5", "one stage of training, and nothing to blend: leave out --strength"),
        (f"{OWN} --strength -1", "is not a number of at least 0"),
        (f"{OWN} --against nothing", "nothing"),
        (f"{OWN} --against tiny", "is 9x9 in height x width, and the protocol at scale 2 takes 15x15 or more"),
        (f"{OWN} --against pictures --split test", "has no test split"),
        (f"{OWN} --against broken", "x.png is damaged or cut off"),
        ("apply run in.png -o out.png --model my_models.py:Enlarger --strength 0.5", "one stage of training"),
        ("apply run in.png -o out.png --model my_models.py:Enlarger --strength much", "is not a number"),
    ],
)
def test_what_does_not_apply_to_a_run_is_a_sentence(trained, capsys, line, said):
    shutil.copytree(trained, "run")
    save("tiny/x.png", photo(9, 9))
    save("in.png", photo(9, 9))
    save("broken/x.png", photo(90, 90))
    data = Path("broken/x.png").read_bytes()
    Path("broken/x.png").write_bytes(data[: len(data) // 2])
    assert said in refused(capsys, line)


def test_a_model_that_does_not_enlarge_has_no_such_scores(capsys):
    run(TRAIN.replace("Enlarger", "Denoiser"))
    assert "run doesn't enlarge" in refused(capsys, OWN.replace("Enlarger", "Denoiser"))


def test_damaged_pictures_are_left_out_if_asked(capsys):
    run(TRAIN)
    save("set/a.png", photo(33, 40))
    data = Path("set/a.png").read_bytes()
    Path("set/b.png").write_bytes(data[: len(data) // 2])
    assert evaluated(capsys, f"{OWN} --against set --skip-bad")["n"] == 1
