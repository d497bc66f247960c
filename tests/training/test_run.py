import json
from dataclasses import replace

import pytest
from PIL import Image
from tiny import CONFIG

from minigan.errors import CheckpointError
from minigan.training import RunFolder, TrainingError
from minigan.training.pictures import save_image


def test_config_survives_the_file(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(CONFIG)
    assert folder.config() == CONFIG


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ("[" * 100_000, "is damaged"),
        (None, "is not the folder of a run"),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path, text, what):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=what):
        RunFolder(tmp_path).config()


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_steps", "many"), ("shape", 3), ("augment", None), ("seed", True), ("n_steps", 0), ("augment", ["x"])]
    + [("seed", -1), ("shape", [16, 1.5, 1]), ("shape", []), ("img_size", 0)],
)
def test_a_config_of_wrong_types(tmp_path, name, value):
    RunFolder(tmp_path).create(CONFIG)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(CheckpointError, match="is damaged"):
        RunFolder(tmp_path).config()


def test_the_next_free_folder(tmp_path):
    wish = tmp_path / "dcgan-digits"
    assert RunFolder.free(wish).path == wish
    wish.mkdir()
    assert RunFolder.free(wish).path == wish  # an empty folder is free
    for name in ("dcgan-digits", "dcgan-digits-2"):
        RunFolder(tmp_path / name).create(CONFIG)
    assert RunFolder.free(wish).path == tmp_path / "dcgan-digits-3"


def test_what_came_after_the_checkpoint_is_dropped(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(CONFIG)
    for step in (10, 20, 30):
        folder.add_record({"step": step})
        (tmp_path / "samples" / f"step-{step:06d}.png").touch()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4')  # the crash
    folder.forget_after(20)
    assert [r["step"] for r in folder.records()] == [10, 20]
    assert [path.name for path in folder.samples()] == ["step-000010.png", "step-000020.png"]


def test_lines_and_files_that_are_not_ours_are_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create(CONFIG)
    whole = {"d_loss": 1.0, "g_loss": 2.0, "d_real": 0.7, "d_fake": 0.3}
    bad = [b"3", b"null", b"{}", b'{"step": "x"}', b'{"step": 1, "d_loss": "a"}', b'{"step": 5, "d_lo', b"\xff", b""]
    bad += [b'{"step": true}', b'{"step": 1, "d_loss": NaN}', b'{"step": 1' + b"0" * 400 + b"}", b"[" * 100_000]
    lines = [json.dumps({"step": 0} | whole).encode(), *bad, json.dumps({"step": 10} | whole).encode()]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    folder.add_record({"step": 20})
    save_image(Image.new("RGB", (8, 8)), tmp_path / "samples" / "step-000010.png")
    for name in ("step-foo.png", "step-.png", "step-000020.png"):
        (tmp_path / "samples" / name).write_text("no picture")
    folder.draw("a run")
    with Image.open(folder.film) as film:
        assert film.n_frames == 1
    folder.forget_after(10)
    assert [r["step"] for r in folder.records()] == [0, 10]
    left = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert left == ["step-.png", "step-000010.png", "step-foo.png"]


def test_a_file_is_not_the_folder_of_a_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file is a file: give the folder of the run"):
        RunFolder(tmp_path / "file").config()


def test_only_a_run_of_ours_without_a_checkpoint_is_replaced(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    with pytest.raises(TrainingError, match="give another --out"):
        folder.check_unused()
    folder.create(CONFIG)
    folder.add_record({"step": 1})
    (tmp_path / ".checkpoint.npz.77.tmp").touch()  # killed while it was written
    folder.unlock()
    folder.check_unused()
    folder.create(CONFIG)
    folder.unlock()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "config.json", "samples"]


def test_data_of_another_shape_than_at_the_beginning_is_refused():
    with pytest.raises(TrainingError, match=r"samples of shape \(16, 16, 1\), but this run began with \(8, 8, 1\)"):
        replace(CONFIG, shape=(8, 8, 1)).open_data()


def test_arguments_that_a_model_cannot_take_are_a_sentence():
    for arguments, what in (
        ({"label_smoothing": 2.0}, "dcgan: label smoothing"),
        ({"nope": 1}, "dcgan: it takes no nope"),
    ):
        with pytest.raises(TrainingError, match=what):
            replace(CONFIG, model_args=arguments).build_gan()
