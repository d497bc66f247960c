"""Bad inputs to the commands about super-resolution: each ends in one sentence that says what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from PIL import Image

TINY = "--preset small --features 4 --blocks 1 --n-steps 2 --batch-size 2 --quiet"
SRRESNET = f"train srresnet --img-size 16 {TINY} --out new --data"
SRGAN = f"train srgan --img-size 32 --critic-features 2 {TINY} --out new --data"


@pytest.fixture(autouse=True)
def files(in_an_empty_folder):  # noqa: F811
    rng = np.random.default_rng(0)
    for folder, n, size in (("photos", 6, (40, 48)), ("small", 3, (12, 15)), ("one", 1, (40, 48))):
        Path(folder).mkdir()
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(f"{folder}/{i}.png")
    Path("empty").mkdir()
    Path("note.txt").write_text("no picture")
    np.savez("vgg.npz", something=np.zeros(3))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{SRRESNET} photos --scale 5", "--scale: 5 is not 2, 3 or 4"),
        (f"{SRRESNET} photos --scale two", "'two' is not a whole number"),
        (f"{SRRESNET} photos --colors blue", "--colors"),
        (f"{SRRESNET} photos --damage hole:blobs", "an enlargement undoes blur, noise and compression, no holes"),
        (f"{SRRESNET} photos --damage gray", "an enlargement undoes blur, noise and compression"),
        (f"{SRRESNET} photos --damage noise", "noise takes σ from 0 to 255"),
        (f"{SRRESNET} photos --features 0", "--features: 0 is less than 1"),
        (f"{SRRESNET} photos --lr 0", "--lr"),
        (f"{SRRESNET} photos --augment turn --img-size 16x24", "use a square --img-size, or leave turn out"),
        (f"{SRRESNET} small", "smaller than 16x16: use --img-size 12 or less"),
        (f"{SRRESNET} one", "one has to be held out: give more of them"),
        (f"{SRRESNET} empty", "empty has no pictures in it"),
        (f"{SRRESNET} note.txt", "note.txt is a file, and not"),
        (f"{SRRESNET} nowhere", "no data set or folder called 'nowhere'"),
        (f"{SRRESNET} photos --init-from nowhere", "nowhere"),
        (f"{SRGAN} photos --content nowhere.pth", "nowhere.pth"),
        (f"{SRGAN} photos --content vgg.npz", "vgg.npz"),
        (f"{SRGAN} photos --content-layer 9", "--content-layer is '9': choose from 1, 2, 3, 4"),
        (f"{SRGAN} photos --pretrain-steps -1", "--pretrain-steps: -1 is negative"),
        (f"{SRGAN} photos --adversarial -1", "--adversarial: -1 is not a number of at least 0"),
        (f"{SRGAN} photos --loss hinge", "--loss"),
        (f"{SRGAN} photos --pixel-weight 0 --content none --adversarial 0", "are all 0: leave one of them on"),
        (f"{SRGAN} photos --pretrain-steps 2", "or a smaller --pretrain-steps or --pretrain-samples"),
    ],
)
def test_a_run_that_cannot_be_made_is_a_sentence(capsys, line, said):
    assert said in refused(capsys, line)


def test_a_faithful_network_has_no_strength_and_is_no_second_stage_of_another_size(capsys):
    run(SRRESNET.replace("new", "first") + " photos")
    Image.fromarray(np.zeros((9, 11, 3), np.uint8)).save("in.png")
    assert "one stage of training" in refused(capsys, "apply first in.png -o out.png --strength 0.5")
    wider = SRGAN.replace("--features 4", "--features 5").replace("--critic-features 5", "--critic-features 2")
    assert "of another model or size" in refused(capsys, f"{wider} photos --scale 2 --init-from first")
    assert "is a checkpoint of srresnet" in refused(
        capsys, f"{SRRESNET} photos --init-from first".replace("srresnet", "restore").replace(TINY, "--n-steps 2")
    )


def test_a_run_of_both_stages_is_applied_in_any_mixture(capsys):
    assert run(SRGAN.replace("--n-steps 2", "--n-steps 4").replace("new", "both") + " photos --scale 2") == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 11, 4), dtype=np.uint8)).save("in.png")
    results = []
    for strength in ("0", "0.5", "1"):
        assert run(f"apply both in.png -o out-{strength}.png --strength {strength}") == 0
        with Image.open(f"out-{strength}.png") as image:
            assert (image.size, image.mode) == ((22, 18), "RGBA")
            results.append(np.asarray(image))
    assert (results[0] != results[2]).any() and (results[0][..., 3] == results[2][..., 3]).all()
    capsys.readouterr()
    assert run("evaluate both photos --protocol sr --strength 0.5 --json") == 0
    assert json.loads(capsys.readouterr().out)["source"] == "both at step 4, strength 0.5"
