import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import DONE, HOSTILE, Page, make_run, page, records
from saying import GAN, THREE
from tiny import CONFIG

from minigan.training import RunFolder
from minigan.training.curves import RecordTable
from minigan.training.declared import Declared
from minigan.training.report import Report, Status, frames
from minigan.training.report.markup import memory, number, tag, tick
from minigan.training.report.page import time_left
from minigan.training.report.tables import settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["step", "seconds", "epoch", "d_loss", "g_loss", "d_real", "fid", "gradients", "weights", "notes", "phase"]


def test_a_page_is_whole_and_can_be_read_aloud(tmp_path):
    """Elements are nested well, ids are unique, headings skip no level, pictures and inputs say what they are."""
    folder = make_run(tmp_path)
    parsed = Page(page(tmp_path, folder.records.read(), folder.pictures("samples")))
    del parsed.ids[None]
    assert set(parsed.ids.values()) == {1}
    levels = [int(name[1]) for name, _ in parsed.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels[1:], levels[2:], strict=False))
    assert all(image["alt"] for image in parsed.all("img"))
    assert all(drawing["aria-label"] for drawing in parsed.all("svg"))
    assert all("aria-label" in given or given["type"] == "checkbox" for given in parsed.all("input"))
    assert all(cell["scope"] in ("row", "col") for cell in parsed.all("th"))


def test_everything_can_be_seen_without_javascript(tmp_path):
    """Curves, the last picture, gradients and tables are in the markup itself."""
    folder = make_run(tmp_path)
    parsed = Page(page(tmp_path, folder.records.read(), folder.pictures("samples")))
    titles = [text.strip() for tag, text in parsed.texts if tag in ("h2", "h3")]
    for title in ("Samples", "Losses", "Output of D", "FID", "Inception Score", "Diversity", "Weights"):
        assert title in titles
    for title in ("Samples per second", "Gradients", "Generator", "Discriminator", "Configuration", "Judgements"):
        assert title in titles
    assert parsed.all("img")[0]["src"] == parsed.data["films"][0][-1]["src"]
    assert all(path["d"].startswith("M") for path in parsed.all("path"))
    assert len(parsed.all("path")) > 8


def test_nothing_is_fetched_from_anywhere(tmp_path):
    folder = make_run(tmp_path)
    text = page(tmp_path, folder.records.read(), folder.pictures("samples"))
    parsed = Page(text)
    for _, attributes in parsed.elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"https?:|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|import\(", text)
    policy = next(meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_header_says_how_the_run_stands(tmp_path):
    status = Status("interrupted", 6, 7300.0, 3 * 2**30, "Somebody pressed Ctrl-C.", "minigan train --resume 'a b'")
    text = Page(page(tmp_path, records(4, every=1), status=status)).text
    for words in ("dcgan on digits", "interrupted", "6 of 12", "2 h 2 min", "3.00 GiB", status.reason, status.go_on):
        assert words in text
    assert "about 1 s" in text  # six steps of 0.1 s each
    with pytest.raises(ValueError, match="phase is 'asleep': use running"):
        Status("asleep", 0, 0.0)


def test_a_finished_run_has_no_time_left_and_only_a_running_one_is_looked_at_again(tmp_path):
    for phase, again in (("running", True), ("finished", False), ("stopped", False)):
        text = page(tmp_path, records(4, every=1), status=Status(phase, 4, 1.0))
        assert ("time left" in text) == (phase != "finished")
        assert ('id="follow"' in text) == again


def test_the_time_left_is_reckoned_at_the_present_speed():
    """A slow beginning doesn't count."""
    slow = [{"step": step, "seconds": 10.0 * step} for step in range(1, 31)]
    fast = [{"step": 30 + step, "seconds": 300 + 0.5 * step} for step in range(1, 31)]
    assert time_left(RecordTable(slow + fast), 100) == pytest.approx(50)
    assert time_left(RecordTable(slow + fast), 0) is None
    assert time_left(RecordTable(slow[:1]), 100) is None


def test_notes_come_first(tmp_path):
    made = records(30)
    made[3]["notes"] = [{"check": "collapse", "sentence": "all samples are alike: try --seed 1"}]
    made[7]["notes"] = [{"check": "vanishing", "sentence": "no gradient"}]
    text = page(tmp_path, made)
    read = Page(text).text
    assert "Nothing looks wrong" not in read
    at = [read.index(words) for words in ("step 40", "collapse", "all samples are alike", "step 80", "no gradient")]
    assert at == sorted(at) and at[-1] < read.index("Samples")
    assert '<span class="flag">--seed</span>' in text
    assert "Nothing looks wrong" in Page(page(tmp_path, records(30))).text


def test_that_a_run_is_short_is_forgotten_when_it_goes_on(tmp_path):
    made = records(2)
    made[1]["notes"] = [{"check": "steps", "sentence": "20 steps are few"}]
    for n_steps, said in ((20, True), (4000, False)):
        text = Page(page(tmp_path, made, config=replace(CONFIG, n_steps=n_steps))).text
        assert ("20 steps are few" in text, "Nothing looks wrong" in text) == (said, not said)


def test_a_run_that_stopped_is_not_said_to_be_well(tmp_path):
    status = Status("stopped", 3, 1.0, None, "the generator's loss became nan at step 4: try a smaller --lr")
    text = Page(page(tmp_path, records(3), status=status)).text
    assert "became nan" in text and "Nothing looks wrong" not in text


def test_of_very_many_notes_the_last_are_shown(tmp_path):
    made = [{"step": i, "notes": [{"check": "c", "sentence": f"sentence {i}."}]} for i in range(200)]
    text = Page(page(tmp_path, made)).text
    assert "sentence 199." in text and "sentence 150." in text and "sentence 149." not in text
    assert "and 150 earlier" in text


def test_what_nobody_declared_is_drawn_under_its_name(tmp_path):
    """As after declared.json was lost: every number of the records has a chart of its own."""
    titles = [chart["title"] for chart in Page(page(tmp_path, records(30), declared=Declared())).data["charts"]]
    assert sorted(titles) == sorted(
        ["Diversity", "Weights", "Samples per second", "d loss", "g loss", "d real", "d fake", "fid", "is"]
    )


def test_three_networks_two_exhibits_and_two_phases(tmp_path):
    folder = make_run(tmp_path, 0)
    made = [{"step": 10 * i, "encoder": 1.0, "decoder": 2.0, "kl": 3.0, "share": 0.5, "psnr": i} for i in range(40)]
    for i, record in enumerate(made):
        record["phase"] = "with the critic" if i >= 20 else "autoencoder"
        record["weights"] = {"encoder": 0.1, "critic": 0.1}
        record |= {"critic": 4.0, "diversity": 0.5, "diversity.a": 0.7} if i >= 20 else {}
    pictures = {"a": folder.pictures("samples")[1:], "samples": folder.pictures("samples"), "reconstructions": []}
    parsed = Page(page(tmp_path, made, pictures, declared=THREE))
    titles = [chart["title"] for chart in parsed.data["charts"]]
    assert titles == ["Losses", "Divergence", "PSNR", "Diversity", "Diversity of a", "Active units", "Weights"]
    assert [len(curve["steps"]) for curve in parsed.chart("Losses")["curves"]] == [40, 40, 20]
    assert [[frame["step"] for frame in film] for film in parsed.data["films"]] == [[0, 100, 200], [100, 200]]
    assert [film["aria-label"] for film in parsed.all("input")] == ["samples over time", "a over time"]
    assert RecordTable(made).phases == [(190, "with the critic")]
    assert (
        parsed.text.count("with the critic") == len(titles) + 3
    )  # charts, both exhibits, the last picture of the phase
    assert "Growth the last picture of each phase autoencoder, step 100 with the critic, step 200" in parsed.text
    assert [frame["phase"] for frame in parsed.data["films"][0]] == ["autoencoder"] * 2 + ["with the critic"]
    assert "PSNR 39 step 390 39 step 390" in parsed.text


def hostile_run():
    """A run in which every text that isn't ours tries to become markup, and to become a script."""
    config = replace(
        CONFIG,
        model=HOSTILE,
        model_args={HOSTILE: HOSTILE},
        data=f"/tmp/{HOSTILE}",
        command=HOSTILE,
        started=HOSTILE,
        versions={HOSTILE: HOSTILE},
        classes=(HOSTILE, HOSTILE),
        device=HOSTILE,
    )
    made = records(30, layers=(f"G.{HOSTILE}", f"{HOSTILE}.1"))
    made[5] |= {HOSTILE: 1.0, "notes": [{"check": HOSTILE, "sentence": HOSTILE}]}
    words = {
        name: replace(measure, words=HOSTILE, chart=HOSTILE, note=HOSTILE) for name, measure in GAN.measures.items()
    }
    judgements = {name: replace(judgement, words=HOSTILE, note=HOSTILE) for name, judgement in GAN.judgements.items()}
    declared = Declared(words, judgements, {"G": HOSTILE, HOSTILE: HOSTILE}, {f"G.{HOSTILE}": HOSTILE}, (HOSTILE,))
    made[7]["phase"], made[9]["phase"] = "first", HOSTILE
    return config, made, Status("stopped", 3, 1.0, None, HOSTILE, HOSTILE), declared


def test_text_from_outside_stays_text(tmp_path):
    config, made, status, declared = hostile_run()
    pictures = {HOSTILE: make_run(tmp_path / "run", 0).pictures("samples")}
    text = page(tmp_path, made, pictures, config, status, declared)
    parsed = Page(text)
    assert len(parsed.all("script")) == 2 and text.count("</script>") == 2 and "<!--" not in text
    assert all(image["src"].startswith("data:") for image in parsed.all("img"))
    assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    seen = HOSTILE.replace("\u202e", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert parsed.text.count(seen) >= 10
    assert not re.search("[\x00-\x08\u202e\ud800]", text)
    text.encode()  # as it is written


@given(st.lists(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=6), max_size=6))
def test_whatever_is_in_the_records_there_is_a_page(tmp_path_factory, made):
    folder = RunFolder(tmp_path_factory.getbasetemp())
    folder.records.path.write_text("".join(json.dumps({"step": i} | record) + "\n" for i, record in enumerate(made)))
    text = page(folder.path, folder.records.read())
    Page(text).data  # noqa: B018
    text.encode()


def test_records_out_of_order_and_twice():
    made = [
        {"step": 20, "d_loss": 2},
        {"step": 10, "d_loss": 1},
        {"step": 20, "d_loss": 3},
        {"step": 2**53, "d_loss": 1},
    ]
    found = RecordTable([*made, {"step": 30}])
    steps, values = found.series("d_loss")
    assert steps.tolist() == [10, 20] and values.tolist() == [1, 3]
    assert found.last_step == 30 and found.last("d_loss") == 3 and found.last("g_loss") is None


def test_a_run_of_which_nothing_is_known_yet(tmp_path):
    text = Page(page(tmp_path, status=Status("running", 0, 0.0))).text
    for words in ("0 of 12", "No picture has been drawn yet", "Nothing looks wrong", "Configuration"):
        assert words in text


def test_the_page_is_written_from_the_files_of_the_folder(tmp_path):
    """Damaged lines and pictures don't stop it, and nothing else is left behind."""
    folder = make_run(tmp_path)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 310, "d_lo')
    (tmp_path / "samples" / "step-000300.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    before = sorted(tmp_path.iterdir())
    Report(folder, CONFIG, GAN).write(DONE)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "report.html"])
    parsed = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert parsed.chart("Losses")["curves"][0]["steps"] == list(range(10, 301, 10))
    assert [frame["step"] for frame in parsed.data["films"][0]] == [0, 100, 200]


def test_settings_that_the_user_changed_are_marked_and_first(tmp_path):
    config = replace(CONFIG, lr_decay="linear", batch_size=64, sample_interval=300)
    config = replace(config, given=("lr_decay", "batch_size", "latent_dim", "features"))
    rows = settings(config)
    changed = {name: (value, default) for name, value, default, differs in rows if differs}
    assert list(changed) == [name for name, *_ in rows][: len(changed)]
    assert (
        changed["latent_dim"] == (4, "100") and changed["features"] == (2, "64") and changed["lr_decay"][0] == "linear"
    )
    assert "seed" not in changed and "batch_size" not in changed  # 64 is the model's own
    assert "sample_interval" not in changed  # it follows from the length of the run
    assert page(tmp_path, config=config).count(">changed<") == len(changed)


def test_a_default_that_depends_is_told_in_words():
    config = replace(CONFIG, model="gan", model_args={"lr": None, "latent_dim": 2}, given=("lr", "latent_dim"))
    rows = {row[0]: row for row in settings(config)}
    assert rows["lr"][1:] == (None, "0.1 for pictures, 0.0005 for points", False)
    assert rows["latent_dim"][3]


def test_data_are_described(tmp_path):
    assert "64 pictures of 16×16×1" in Page(page(tmp_path)).text
    assert "64 points" in Page(page(tmp_path, config=replace(CONFIG, shapes={"real": (2,)}))).text


def test_judgements_tell_the_last_and_the_best(tmp_path):
    made = [{"step": s, "fid": f, "is": i} for s, f, i in ((10, 30.5, 2.0), (20, 9.25, 6.5), (30, 12.75, 5.5))]
    text = Page(page(tmp_path, made)).text
    assert "FID 12.75 step 30 9.25 step 20" in text
    assert "Inception Score 5.5 step 30 6.5 step 20" in text


@pytest.mark.slow
def test_a_page_of_a_long_run_is_small(tmp_path, monkeypatch):
    """5,000 records with the gradients of twenty layers, and as many pictures as fit, as large as any may be."""
    made = records(5000, layers=[f"{net}.{i}" for net in "GD" for i in range(10)])
    alone = len(page(tmp_path, made))
    assert alone < 6e5
    folder = make_run(tmp_path, 0, 1)
    paths = [
        shutil.copy(folder.pictures("samples")[0], tmp_path / f"samples/step-{100 * i:06d}.png") for i in range(1, 200)
    ]
    largest = "data:image/webp;base64," + "A" * (frames.MOST_BYTES * 4 // 3)
    monkeypatch.setattr(frames, "encode", lambda path, side, most_bytes: largest)
    text = page(tmp_path, made, folder.pictures("samples"))
    assert 26 <= len(Page(text).data["films"][0]) <= frames.MOST < len(paths)
    assert len(text) < 5e6


def test_attributes_and_text_are_escaped_and_markup_is_not():
    inner = tag("b", "<i>")
    assert tag("p", inner, "&", class_="'\"") == '<p class="&#39;&quot;"><b>&lt;i&gt;</b>&amp;</p>'
    assert tag("input", type="range", hidden=True, id=None) == '<input type="range" hidden>'


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.98765, "0.9877"), (-1234.6, "−1,235"), (1.5e6, "1.50e6"), (-0.00012, "−1.20e−4"), (999.96, "1000")],
)
def test_numbers_for_people(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.25, "0.25"), (2000, "2,000"), (50_000, "50k"), (2.5e6, "2.5M"), (2e9, "2e9"), (-2e-5, "−2e−5")],
)
def test_ticks_for_people(value, shown):
    assert tick(value) == shown


def test_memory_for_people():
    assert memory(2**20) == "1 MiB" and memory(3 * 2**29) == "1.50 GiB"


def test_data_for_the_script_can_be_read_back(tmp_path):
    """What page.js reads are the records, to six figures."""
    made = records(30)
    chart = Page(page(tmp_path, made)).chart("Losses")
    np.testing.assert_allclose(chart["curves"][0]["values"], [r["d_loss"] for r in made], rtol=5e-6)
    assert json.loads(json.dumps(chart["range"])) == chart["range"]
