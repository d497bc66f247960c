"""Data of translators on the command line: `minigan data --for`, training on every layout, wrong folders and flags."""

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

from minigan.training import RunFolder

SMALL = "--img-size 16 --features 4"
PIX = f"pix2pix {SMALL}"
TRAIN = "--batch-size 2 --n-steps 1 --quiet"


def photo(k, size=(24, 24)):
    return np.random.default_rng(k).integers(0, 256, (*size, 3), dtype=np.uint8)


def labels(k, size=(24, 24)):
    """Classes 0, 1 and 3."""
    return (
        np.random.default_rng(k)
        .choice(np.array([0, 1, 3], np.uint8), (size[0] // 8, size[1] // 8))
        .repeat(8, 0)
        .repeat(8, 1)
    )


def save(path, pixels, **options):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def data():
    """Folders of every kind."""
    for k in range(6):
        save(f"wide/{k}.png", np.concatenate([photo(k), 255 - photo(k)], axis=1))
        save(f"maps/photos/{k}.png", photo(k))
        save(f"maps/labels/{k}.png", labels(k))
        for split in ("train", "test"):
            save(f"sets/{split}A/{k}.png", photo(k))
            save(f"sets/{split}B/{k + 1}.png", photo(k + 9))
        save(f"single/{k}.png", photo(k, (24, 32)))
        save(f"noisy/{k}_clean.png", photo(k))
        save(f"noisy/{k}_noisy.png", photo(k))


def said(capsys, line):
    assert run(line) == 0
    return capsys.readouterr().out


def test_pairs_are_shown_as_a_model_gets_them(data, capsys):
    out = said(capsys, f"data wide --for {PIX} --out wide.png --n 3")
    assert "wide: 5 samples of input 16x16x3 and target 16x16x3; 1 more are held out\n" in out
    assert "note: input is the left half of each file, target the right one: --swap exchanges them\n" in out
    shown = np.asarray(Image.open("wide.png"))
    assert shown.shape[0] > shown.shape[1] > 0  # three rows of two
    assert said(capsys, f"data wide --for {PIX} --swap").count("note: target is the left half of each file, input") == 1


def test_classes_are_listed_with_their_share(data, capsys):
    out = said(capsys, f"data maps --for {PIX} --labels target --held-out 4,5 --out maps.png")
    assert "maps: 4 samples of input 16x16x3 and target 16x16 in 3 classes; 2 more are held out\n" in out
    assert "input is the folder photos, target the folder labels" in out  # not in the order of their names
    shares = [float(share) for share in re.findall(r"^  \d +\d +([\d.]+)%$", out, re.MULTILINE)]
    assert len(shares) == 3 and sum(shares) == pytest.approx(100, abs=0.02)
    out = said(capsys, f"data maps --for {PIX} --labels target --ignore 3")
    assert re.search(r"^  unknown +[\d.]+%$", out, re.MULTILINE) and "; ignored: 3\n" in out


def test_two_sets_and_crops_and_damage_are_shown(data, capsys):
    out = said(capsys, f"data sets --for=cyclegan {SMALL} --blocks 1 --out sets.png")
    assert "sets/A: 6 pictures of 16x16x3; 6 more are held out\nsets/B: 6 pictures" in out
    assert "note: a is the folder trainA\n" in out and "note: b is the folder trainB\n" in out
    out = said(capsys, "data single --for restore --img-size 16 --features 4 --damage hole:center --out holes.png")
    assert "training takes random crops of 16x16, of the pictures (24x32 in height x width)" in out
    assert all(Path(f"{name}.png").is_file() for name in ("sets", "holes"))


def test_bad_files_of_pairs_are_listed(data, capsys):
    Path("maps/labels/2.png").write_text("no picture")
    save("maps/photos/4.png", photo(4, (12, 12)))
    assert run(f"data maps --for {PIX} --labels target") == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(r"bad: \S+photos/4.png is 12x12, smaller .*\nbad: \S+labels/2.png is not a picture.*\n", out)
    assert "this is one of 2 bad files, all listed above" in err
    out = said(capsys, f"data maps --for {PIX} --labels target --skip-bad")
    assert "note: 2 pairs are left out, because of 2 bad files such as:" in out


@pytest.mark.parametrize(
    "line",
    [
        "--data wide --swap",
        "--data maps --labels target --ignore 1 --augment jitter,flip",
        "--data maps --labels input --held-out 1,2",
        "--data maps --labels target --crops --held-out 1*",
        "--data input=maps/photos,target=maps/labels",
        "--data input=sets/trainB,target=sets/testB --held-out input=sets/testB,target=sets/trainB",
        "--data noisy --swap --crops",
    ],
)
def test_every_layout_trains_and_goes_on(data, line):
    assert run(f"train {PIX} {TRAIN} {line} --out run") == 0
    config = RunFolder("run").config()
    assert run("train --resume run --n-steps 2 --quiet") == 0
    assert RunFolder("run").config().changes == config.changes == ()


# (command line, sentence)
WRONG = [
    (
        f"{PIX} --data single",
        "isn't twice as wide as high, and has no edge in the middle, so that it isn't taken for two",
    ),
    (f"{PIX} --data nowhere", "there is no data set or folder called 'nowhere'"),
    (f"{PIX}", "pix2pix takes input, target: give a folder of pairs by --data, side by side in each file or in two"),
    (f"{PIX} --data digits", 'digits has one array of samples, but "input" and "target" belong together'),
    (f"{PIX} --data sets", "1.png has no picture of its name|0.png has no picture of its name in the folder trainB"),
    (f"{PIX} --data input=maps/photos", 'the data has no array "target", which the model takes, only input: add it'),
    (
        f"{PIX} --data input=maps/photos,target=single",
        "0.png is 24x24, but single/0.png 24x32 in height x width: a pair",
    ),
    (f"{PIX} --data input=maps/photos,target=empty", "empty has no pictures in it"),
    (f"{PIX} --data maps --img-size 32", "is 24x24, smaller than 32x32: use --img-size 24 or less"),
    (
        f"{PIX} --data maps --labels input --swap",
        "the class maps have no areas, only 0% of the pixels .*, --swap exchanges the sides",
    ),
    (f"{PIX} --data maps --labels target --ignore 7", "--ignore 7 doesn't occur in the class maps, which have 0, 1, 3"),
    (
        f"{PIX} --data maps --labels target --ignore sky",
        "--ignore sky is no value of these class maps: their pixels are num",
    ),
    (
        f"{PIX} --data maps --labels target --ignore 0,1",
        "the class maps have a single value, and there are 2 to 254 classes",
    ),
    (
        f"{PIX} --data maps --ignore 0",
        "--ignore is for class maps, and the model takes none with these options: leave it",
    ),
    (
        f"{PIX} --data maps --held-out tree*",
        r"--held-out tree\* matches none of 6 files, and some are needed: names of files",
    ),
    (f"{PIX} --data maps --held-out *", r"--held-out \* matches all of 6 files"),
    (f"{PIX} --data maps --held-out single", "isn't twice as wide as high"),
    (f"{PIX} --data maps --augment jiter", "did you mean jitter?"),
    (f"{PIX} --data maps --labels both", "invalid choice: 'both'"),
    (f"{PIX} --data maps --labels target --damage gray", "pix2pix: --damage makes inputs .*, and --labels takes pairs"),
    (f"{PIX} --data maps --loss l2", r"invalid choice: 'l2' \(choose from 'l1', 'cross-entropy'\)"),
    (f"{PIX} --data maps --no-gan --weight 0", "without --gan and with --weight 0, nothing is learned"),
    (f"{PIX} --data input=,target=maps/labels", "there is nothing after input= in input=,target=maps/labels"),
    (f"{PIX} --data maps --held-out=", "argument --held-out: the name is empty"),
    (f"{PIX} --data=", "argument --data: the name is empty"),
    (
        f"{PIX} --data half",
        "half has no pictures in trainB, only in trainA: add them, or let the model damage .* --damage",
    ),
    (f"cyclegan {SMALL} --data half", "half has no pictures in trainB, only in trainA: add them, or give two"),
    (f"cyclegan {SMALL} --data sets --labels target", "cyclegan has no --labels"),
    (
        f"cyclegan {SMALL} --data single",
        "single has one set of pictures, and two sets of them are needed: name them trainA",
    ),
    (f"cyclegan {SMALL} --data a=single", 'the data has no array "b", which the model takes, only "a": add it'),
    (
        f"cyclegan {SMALL} --data digits",
        "2 sets of data, a and b: give one for each of them, as a=DATA,b=DATA",
    ),
    (
        f"cyclegan {SMALL}",
        "cyclegan takes a, b: give them by --data, as a=DATA,b=DATA, or as one folder with trainA and",
    ),
    (
        "restore --data single --img-size 40",
        "is 24x32 in height x width, smaller than 40x40: use --img-size 24 or less",
    ),
    (
        "restore --data digits --img-size 40",
        "digits has pictures of 16x16, and no crops of 40x40: use a smaller --img-size",
    ),
    (
        "restore --data digits --swap",
        "--swap exchanges the two sides of one folder: leave it out",
    ),
    ("srgan --data single --lr-decay half", "srgan lowers its learning rates itself: leave --lr-decay out"),
    ("dcgan --data digits --held-out 1*", r"--held-out 1\* isn't used, since dcgan holds nothing out"),
    ("dcgan --data digits --ignore 1", "--ignore is for class maps, and the model takes none"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG)
def test_wrong_folders_and_flags_are_one_sentence(data, capsys, line, sentence):
    Path("empty").mkdir()
    save("half/trainA/0.png", photo(0))
    assert re.search(sentence, refused(capsys, f"train {line} --n-steps 1"))
    assert not Path("runs").exists()


def test_gray_pictures_are_held_out_and_judged_in_color(data, capsys):
    for k in range(3):
        save(f"gray/{k}.png", photo(k)[..., 0])
        save(f"grays/trainA/{k}.png", photo(k)[..., 0])
        save(f"grays/trainB/{k}.png", photo(k))
    small = "--n-steps 1 --batch-size 2 --img-size 16 --features 4 --depth 2"
    said(capsys, f"train restore --data single --held-out gray {small} --out run")
    assert "gray: 3 pictures of 16x16x3" in said(capsys, "evaluate run --against gray")


@pytest.mark.slow
def test_gray_and_color_in_one_model_are_held_out_and_judged_as_in_training(data, capsys):
    """The channels of each array follow from the pictures of training; others become gray or get three channels."""
    for k in range(4):
        save(f"grays/trainA/{k}.png", photo(k)[..., 0])
        save(f"grays/trainB/{k}.png", photo(k))
        for folder in ("grays/test", "others/"):
            save(f"{folder}A/{k}.png", photo(k))
            save(f"{folder}B/{k}.png", photo(k)[..., 0])
    said(capsys, f"train cyclegan {SMALL} --data grays --n-steps 1 --out run")
    assert re.search("of 16x16x1.*of 16x16x3", said(capsys, "evaluate run"))
    said(capsys, f"train cyclegan {SMALL} --data grays --held-out others --n-steps 1 --out other")
    for against in ("", "--against others", "--against a=sets/trainB,b=grays/trainA"):
        out = said(capsys, f"evaluate other {against}")
        assert re.search("of 16x16x1.*of 16x16x3", out), out
    said(capsys, f"train {PIX} --data grays --n-steps 1 --out pairs")
    assert "input 16x16x1 and target 16x16x3" in said(capsys, "evaluate pairs")


def test_maps_in_color_have_none_of_the_classes_of_numbers(data, capsys):
    for k in range(3):
        save(f"colored/photos/{k}.png", photo(k))
        save(f"colored/labels/{k}.png", np.repeat(labels(k)[..., None], 3, axis=2))
    sentence = refused(capsys, f"train {PIX} --data maps --labels target --held-out colored --n-steps 1")
    assert "labels/0.png is a class map in color, and the classes are the numbers of pixels" in sentence


def test_the_folder_of_a_run_is_called_as_that_of_its_two_sets(data, capsys):
    out = said(capsys, f"train cyclegan {SMALL} --data sets --n-steps 1 --limit 2")
    assert "note: KID takes 4 held-out pictures of each set" in out and "best.npz" not in out
    assert [path.name for path in Path("runs").iterdir()] == ["cyclegan-sets"]
    assert Path("runs/cyclegan-sets/config.json").is_file()
    assert "which began without it" in refused(capsys, "train --resume runs/cyclegan-sets --held-out single")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("data wide --for pix", "did you mean pix2pix?"),
        (f"data single --for {PIX}", "isn't twice as wide as high"),
        (f"data wide --for {PIX} --split val", "--split is of one set of pictures: leave it out"),
        ("data wide --swap", "minigan data has no --swap"),
    ],
)
def test_wrong_words_of_the_data_command(data, capsys, line, sentence):
    assert sentence in refused(capsys, line)
