"""`minigan sample` of chosen seeds: lists, truncation, mixing, interpolation in z and in w, and what is refused."""

import json
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401
from my_styles import Styles
from PIL import Image

from minigan.commands.cli import UsageError
from minigan.commands.codes import Codes, seeds
from minigan.commands.walks import mixing
from minigan.data.decode import decode_whole
from minigan.gans import CDCGAN, DCGAN, BigGAN
from minigan.training.build import open_model
from minigan.training.folder import RunFolder
from minigan.training.pictures import to_bytes

OWN = f"--model {Path(__file__).with_name('my_styles.py')}:Styles"


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """The folder of a run of a model with styles."""
    folder = tmp_path_factory.mktemp("styles") / "run"
    own = OWN.removeprefix("--model ")
    assert run(f"train {own} --data digits --limit 64 --img-size 8 --n-steps 3 --out {folder} --quiet") == 0
    return folder


def codes_of(**more):
    """Codes of a model that has not learned anything."""
    return Codes(Styles((8, 8, 1), rng=np.random.default_rng(0)), "styles", **more)


def test_lists_of_seeds():
    assert seeds("7") == 7
    assert seeds("3,17, 20-22,me.npz") == (3, 17, 20, 21, 22, Path("me.npz"))
    assert seeds("4-4") == (4,)
    for text, why in (("3,x", "'x' in"), ("9-7", "write 7-9"), ("0-5000", "more than 4,096"), ("3,", "'' in")):
        with pytest.raises(ArgumentTypeError, match=why):
            seeds(text)


def test_the_sample_of_a_seed_is_the_first_one_of_that_seed(styled):
    assert run(f"sample {styled} --seed 3,9 --separate --out list {OWN}") == 0
    assert run(f"sample {styled} --seed 9 --n 1 --separate --out one {OWN}") == 0
    assert sorted(path.name for path in Path("list").iterdir()) == ["seed-3.png", "seed-9.png"]
    assert Path("list/seed-9.png").read_bytes() == Path("one/00000.png").read_bytes()
    assert Path("list/seed-3.png").read_bytes() != Path("one/00000.png").read_bytes()


def test_a_conditional_model_draws_each_seed_in_each_class():
    model = CDCGAN((16, 16, 1), latent_dim=3, features=2, n_classes=3, rng=np.random.default_rng(0))
    [(z, labels, names)] = Codes(model, "cdcgan").batches((5, 6), 0, None, 256)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2] and names == ["seed-5"] * 3 + ["seed-6"] * 3
    assert (z[:3] == z[0]).all() and (z[3:] == z[3]).all() and (z[0] != z[3]).all()


def test_truncation_moves_w_towards_its_mean(styled):
    whole, half = (codes_of(truncation=t).of((1, 2)) for t in (None, 0.5))
    mean = codes_of().mean()
    np.testing.assert_allclose(half, mean + 0.5 * (whole - mean), rtol=1e-6)
    assert run(f"sample {styled} --seed 1-4 --truncation 0 --separate --out mean {OWN}") == 0
    assert len({path.read_bytes() for path in Path("mean").iterdir()}) == 1


def test_an_evaluation_of_truncated_samples(styled, capsys):
    """With ψ = 0 all samples are alike: the Inception Score is 1."""
    more = f"--n 12 --features digits --metrics is --json {OWN}"
    assert run(f"evaluate {styled} --truncation 0 --out out {more}") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["values"]["is"] == pytest.approx(1, abs=1e-4) and "truncation 0" in found["source"]
    assert "--truncation is for a run" in refused(capsys, f"evaluate digits --truncation 0 {more}".replace(OWN, ""))


def test_a_mixed_picture_has_the_coarse_styles_of_its_row_and_the_fine_ones_of_its_column(styled, capsys):
    assert run(f"sample {styled} --seed 3,4 --mix 4,5,6 --coarse 1 {OWN}") == 0
    assert capsys.readouterr().out == f"{styled}/mixing.png\n"
    table = decode_whole(styled / "mixing.png", 1)[2:, 2:]
    assert table.shape == (3 * 66, 4 * 66, 1)
    cells = table.reshape(3, 66, 4, 66)[:, :64:8, :, :64:8].transpose(0, 2, 1, 3)
    assert (cells[0, 0] == 255).all()
    np.testing.assert_array_equal(cells[2, 0], cells[0, 1])  # seed 4
    np.testing.assert_array_equal(cells[2, 1], cells[2, 0])  # seed 4 with itself
    folder = RunFolder(styled)
    made = Codes(open_model(folder, folder.config(), cls=Styles)[0], "styles")
    a, b = made.of((3, 5))
    mixed = made.samples(np.concatenate([a[:1], b[1:]])[None])  # w of the first layer, and of the other three
    np.testing.assert_array_equal(cells[1, 2], to_bytes(mixed)[0, ..., 0])


def test_a_walk_from_seed_to_seed_is_a_grid_and_a_film(styled, capsys):
    for space in ("w", "z"):
        assert run(f"sample {styled} --seed 3,4,9 --interpolate --space {space} --out {space}.png {OWN}") == 0
        assert capsys.readouterr().out == f"{space}.gif\n{space}.png\n"
        with Image.open(f"{space}.gif") as film, Image.open(f"{space}.png") as grid:
            assert film.n_frames == 2 * 24 + 1 and film.size == (256, 256)
            assert grid.size == (10 * 66 + 2, 2 * 66 + 2)
    assert Path("w.png").read_bytes() != Path("z.png").read_bytes()


def test_the_middle_of_a_line_in_w_and_of_an_arc_in_z():
    in_w, in_z = codes_of(), codes_of(space="z")
    a, b = in_w.of((1, 2))
    np.testing.assert_allclose(in_w.between(a, b, 0.5), (a + b) / 2, rtol=1e-6)
    a, b = in_z.of((1,)), in_z.of((2,))
    lengths = [np.linalg.norm(z) for z in (a, in_z.between(a, b, 0.5), b)]
    assert lengths[1] == pytest.approx((lengths[0] + lengths[2]) / 2, rel=1e-5)
    np.testing.assert_allclose(in_z.between(a, b, 1.0), b, rtol=1e-5)


def test_a_model_without_styles_has_no_truncation_and_no_mixing():
    model = DCGAN((16, 16, 1), latent_dim=3, features=2, rng=np.random.default_rng(0))
    why = "is of models that compute styles w of z, such as stylegan2, and dcgan has none: leave it out$"
    with pytest.raises(UsageError, match="^--truncation .*or truncate z, such as biggan, and dcgan does neither"):
        Codes(model, "dcgan", truncation=0.5)
    with pytest.raises(UsageError, match=f"^--space w {why}"):
        Codes(model, "dcgan", space="w")
    with pytest.raises(UsageError, match=f"^--mix {why}"):
        mixing(Codes(model, "dcgan"), (1,), (2,), None, None)


def test_the_truncation_of_z_is_that_of_generate():
    """biggan has no styles: codes are z as it was drawn, and `generate` truncates it."""
    model = BigGAN((32, 32, 1), latent_dim=4, features=1, rng=np.random.default_rng(0))
    codes = Codes(model, "biggan", truncation=0.5)
    z = codes.of((1, 2))
    np.testing.assert_array_equal(codes.samples(z), model.generate(z, truncation=0.5))
    assert (codes.samples(z) != model.generate(z)).any()


def test_what_is_refused(styled, capsys):
    np.savez("other.npz", w=np.zeros((9, 3), np.float32))
    np.savez("infinite.npz", w=np.full((4, 3), np.inf, np.float32))
    Path("note.npz").write_text("no archive")
    for line, said in (
        ("--seed 3,x", "'x' in '3,x' is no seed: write numbers, ranges and files"),
        ("--seed 9-7", "the range 9-7 is empty: write 7-9"),
        ("--seed 0-5000", "more than 4,096 seeds"),
        ("--seed -1", "-1 is negative"),
        ("--seed 3,4 --n 5", "a list of seeds says how many samples there are: leave out --n"),
        ("--seed 3,none.npz", "there is no file none.npz: give one that minigan project wrote"),
        ("--seed 3,note.npz", "note.npz is damaged, or no file that minigan project wrote"),
        (
            "--seed 3,other.npz",
            "other.npz has w (9, 3), and this run takes w (4, 3): project the picture with this run",
        ),
        ("--seed 3,infinite.npz", "infinite.npz holds numbers that aren't finite: project the picture again"),
        ("--truncation x", "'x' is not a number"),
        ("--truncation inf", "inf is not finite"),
        ("--mix 3 --separate", "it doesn't go with --mix"),
        ("--mix 3 --interpolate", "leave out one of them"),
        ("--mix 3 --n 4", "--mix draws a picture for each pair of seeds: leave out --n"),
        ("--mix 3 --coarse 4", "the generator has 4 layers with styles, and --coarse is 4: use 1 to 3"),
        ("--mix 0-2000 --seed 3-9", "is too large: use fewer seeds"),
        ("--coarse 2", "--coarse says which layers --mix takes: add --mix"),
        ("--space z", "--space says where --interpolate walks: add --interpolate"),
        ("--interpolate --seed 3-3", "give two or more to --seed, such as 3,17"),
        ("--interpolate --seed 0-99", "a film of 100 seeds is too long: use 64 at most"),
    ):
        assert said in refused(capsys, f"sample {styled} {line} {OWN}"), line
