"""Tables of translated held-out items: their pictures, the files of a run, and the page that turns their rows."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from browser import CHROMIUM, ask
from pages import DONE, Page, make_run, page
from test_report_browser import TEXTS, check_layout
from test_translation_judges import cycle, denoiser, painter
from translators import COLORS, Denoiser, denoiser_data

from minigan.backend import to_numpy
from minigan.model import Exhibit
from minigan.testing import STRICT
from minigan.training import train
from minigan.training.declared import Declared, Table
from minigan.training.pictures import draw_exhibit, table_layout, to_bytes
from minigan.training.translation_tables import ROWS, colors_of, in_color, translation_tables

TABLE = Table(("input", "result", "target"), 4)


def test_a_pair_is_shown_as_source_result_and_target():
    """Evenly spread items, as `translate` makes them, and the same every time."""
    model, items = denoiser(11)
    (exhibit,) = translation_tables(model, items).values()
    assert exhibit.captions == ("noisy", "result", "clean") and exhibit.columns == 3
    rows = exhibit.samples.reshape(ROWS, 3, 16, 16, 3)
    for row, i in zip(rows, (0, 2, 4, 6, 8, 10), strict=True):
        noisy, clean = items[i]["noisy"], items[i]["clean"]
        for shown, x in zip(row, (noisy, model.output(noisy), clean), strict=True):
            np.testing.assert_array_equal(shown, np.broadcast_to(np.clip(x[0], -1, 1), (16, 16, 3)))
    np.testing.assert_array_equal(translation_tables(model, items)["noisy-to-clean"].samples, exhibit.samples)


def test_sets_are_shown_there_and_back():
    model, items = cycle()
    tables = translation_tables(model, items)
    assert list(tables) == ["a-to-b", "b-to-a"]
    for name, networks in (("a", ("AB", "BA")), ("b", ("BA", "AB"))):
        exhibit = tables[f"{name}-to-{'b' if name == 'a' else 'a'}"]
        assert exhibit.captions == (name, f"as {'b' if name == 'a' else 'a'}", "and back")
        x = items[0][name]
        there = model.output(x, networks[0]).clip(-1, 1)
        again = model.output(there, networks[1]).clip(-1, 1)
        for shown, wanted in zip(exhibit.samples, (x, there, again), strict=False):
            np.testing.assert_array_equal(shown, np.broadcast_to(wanted[0], (16, 16, 3)))


def test_maps_are_shown_in_their_colors_and_what_is_not_known_in_gray():
    model, items = painter()
    target = items[0]["target"]
    shown = to_bytes(in_color(model, "target", target))[0]
    for place in np.ndindex(8, 8):
        known = target[0][place].any()
        np.testing.assert_array_equal(shown[place], COLORS[target[0][place].argmax()] if known else [128] * 3)
    (exhibit,) = translation_tables(model, items).values()
    np.testing.assert_array_equal(exhibit.samples[2], in_color(model, "target", target)[0])


def test_classes_without_colors_get_colors_that_differ():
    colors = colors_of(object(), "target", 32).astype(int)
    gaps = abs(colors[:, None] - colors).sum(axis=2)[~np.eye(32, dtype=bool)]
    assert colors.min() >= 0 and colors.max() <= 255 and gaps.min() > 10


def test_pictures_of_different_sizes_are_cut_to_a_common_one(monkeypatch):
    model, items = denoiser(3)
    items = [dict(items[i]) for i in range(3)]
    items[1] = {name: x[:, 2:12] for name, x in items[1].items()}
    (exhibit,) = translation_tables(model, items).values()
    assert exhibit.samples.shape == (9, 10, 16, 3)
    np.testing.assert_array_equal(exhibit.samples[2][..., :1], items[0]["clean"][0, 3:13])
    monkeypatch.setattr("minigan.training.translation_tables.MOST_SIDE", 6)
    assert translation_tables(model, items)["noisy-to-clean"].samples.shape == (9, 6, 6, 3)


@pytest.mark.parametrize("make", [denoiser, painter, cycle])
def test_a_gpu_makes_the_same_tables(make):
    host, device = (translation_tables(*make(device=device)) for device in ("cpu", STRICT))
    for name, exhibit in host.items():
        np.testing.assert_allclose(to_numpy(device[name].samples), exhibit.samples, atol=1e-6)


def test_without_held_out_items_there_is_no_table():
    model, items = denoiser(3)
    assert translation_tables(model, items[:0]) == {}


# Declarations


@pytest.mark.parametrize(
    ("exhibit", "table"),
    [
        (Exhibit(np.zeros((6, 8, 8, 3)), 3, captions=("a", "b", "c")), Table(("a", "b", "c"), 2)),
        (Exhibit(np.zeros((6, 8, 8, 3)), captions=("a", "b", "c")), Table(("a", "b", "c"), 2)),
        (Exhibit(np.zeros((6, 8, 8, 3)), 3), None),
        (Exhibit(np.zeros((6, 8, 8, 3)), 2, captions=("a", "b", "c")), None),
        (Exhibit(np.zeros((7, 8, 8, 3)), 3, captions=("a", "b", "c")), None),
        (Exhibit(np.zeros((6, 2)), captions=("a", "b", "c")), None),
    ],
)
def test_an_exhibit_with_a_caption_for_each_column_is_a_table(exhibit, table):
    assert Table.of(exhibit) == table
    assert Declared().showing({"x": exhibit}).tables == ({"x": table} if table else {})


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"rows": "2"}, {"rows": 10**9}, {"captions": []}, {"captions": [1]}])
def test_a_damaged_table_declares_nothing(tmp_path, wrong):
    declared = Declared(exhibits=("x",), tables={"x": TABLE})
    declared.write(tmp_path / "declared.json")
    assert Declared.read(tmp_path / "declared.json") == declared
    values = asdict(declared)
    values["tables"]["x"] |= wrong
    (tmp_path / "declared.json").write_text(json.dumps(values))
    assert Declared.read(tmp_path / "declared.json") == Declared()


@pytest.mark.parametrize("captions", [("a", "b", "c"), ("in", "a caption of several lines", "x" * 40)])
@pytest.mark.parametrize("size", [8, 70, 250])
def test_the_layout_says_where_the_pictures_of_a_drawing_are(size, captions):
    """Each picture has its own gray."""
    grays = np.linspace(-1, 1, 12)[:, None, None, None] * np.ones((12, size, size + 6, 1))
    drawn = draw_exhibit(Exhibit(grays, 3, captions=captions))
    (W, H), layout = drawn.size, table_layout(drawn.size, captions, 4)
    for i in range(12):
        x, y = layout["left"] + i % 3 * layout["right"], layout["top"] + i // 3 * layout["down"]
        box = [round(v) for v in (x * W, y * H, (x + layout["width"]) * W, (y + layout["height"]) * H)]
        assert set(np.unique(drawn.crop(box))) == {int(to_bytes(grays[i])[0, 0, 0])}


# Runs and pages


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return train(Denoiser, denoiser_data(40), path, n_steps=20, batch_size=4, sample_interval=10, quiet=True)


def test_a_run_draws_its_tables_and_declares_them(trained):
    assert trained.folder.exhibits() == ["noisy-to-clean"]
    assert [path.stem for path in trained.folder.pictures("noisy-to-clean")] == [f"step-{n:06}" for n in (0, 10, 20)]
    declared = Declared.read(trained.folder.declared)
    assert declared.tables == {"noisy-to-clean": Table(("noisy", "result", "clean"), 4)}
    drawn = Page(trained.folder.report.read_text())
    assert [image["alt"] for image in drawn.all("img")][0] == "noisy to clean at step 20"
    assert len(drawn.all("canvas")) == 3 and drawn.data["tables"][0]["rows"] == 4


def test_a_resumed_run_keeps_its_tables(trained):
    resumed = train(Denoiser, denoiser_data(40), trained.folder.path, n_steps=30, resume=True, quiet=True)
    assert resumed.declared.tables.keys() == {"noisy-to-clean"}
    assert "canvas" in resumed.folder.report.read_text()


def test_a_page_without_tables_has_no_viewer(tmp_path):
    folder = make_run(tmp_path / "run", 3, 2)
    drawn = Page(page(folder.path, (), folder.pictures("samples")))
    assert drawn.data["tables"] == [] and drawn.all("canvas") == []


@pytest.mark.parametrize("damaged", ["first", "last"])
def test_a_table_with_a_damaged_picture_is_laid_out_by_another(tmp_path, damaged):
    folder = make_run(tmp_path / "run", 3, 3)
    paths = folder.pictures("samples")
    paths[0 if damaged == "first" else -1].write_bytes(b"junk")
    drawn = Page(page(folder.path, (), paths, declared=Declared(exhibits=("samples",), tables={"samples": TABLE})))
    assert drawn.data["tables"][0]["rows"] == 4 and len(drawn.data["films"][0]) == 2


def tables_page(path):
    """A page with a table of four rows, whose picture (i, j) has gray 20 i + 5 j."""
    folder = make_run(path, 3, 0)
    grays = np.array([20 * i + 5 * j for i in range(4) for j in range(3)])[:, None, None, None] / 127.5 - 1
    for step in (0, 100):
        exhibit = Exhibit(grays * np.ones((1, 70, 90, 1)) + step / 127.5, 3, captions=TABLE.captions)
        folder.add_picture("x-to-y", step, draw_exhibit(exhibit))
    declared = Declared(exhibits=("x-to-y",), tables={"x-to-y": TABLE})
    return page(folder.path, (), {"x-to-y": folder.pictures("x-to-y")}, status=DONE, declared=declared)


browser = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


class TestBrowser:
    pytestmark = browser

    def test_a_person_clicks_through_the_rows_at_any_step(self, tmp_path):
        script = """
        const find = (name) => document.querySelector(".table " + name);
        const picture = find("img"), which = find(".turn output");
        const [previous, next] = document.querySelectorAll(".turn button");
        const settle = async () => { await picture.decode(); await new Promise((resolve) => setTimeout(resolve, 50)); };
        const seen = () => [which.textContent, [...document.querySelectorAll("canvas")].map((cell) =>
          [cell.width, cell.height, cell.getContext("2d").getImageData(45, 35, 1, 1).data[0]])];
        await settle();
        const first = seen();
        next.click();
        const second = seen();
        previous.click(); previous.click();
        const last = seen();
        const area = picture.getBoundingClientRect(), layout = data.tables[0];
        const clientY = area.top + (layout.top + 2.5 * layout.down) * area.height;
        picture.dispatchEvent(new MouseEvent("click", { clientY, clientX: area.left + 5, bubbles: true }));
        const chosen = seen(), slider = find("input");
        slider.value = 0;
        slider.dispatchEvent(new Event("input"));
        await settle();
        const earlier = seen();
        find(".cells").click();
        const mark = find(".chosen").getBoundingClientRect(), row = area.height * layout.down;
        return { first, second, last, chosen, earlier, after: seen(), mark: (mark.top - area.top) / row };
        """
        found, trouble = ask(tmp_path, tables_page(tmp_path / "run"), script)
        assert trouble == []
        rows = [[[90, 70, 20 * i + 5 * j + 100] for j in range(3)] for i in range(4)]
        assert found["first"] == ["1 of 4", rows[0]]
        assert found["second"] == ["2 of 4", rows[1]] and found["last"] == ["4 of 4", rows[3]]
        assert found["chosen"] == ["3 of 4", rows[2]]
        assert found["earlier"] == ["3 of 4", [[w, h, gray - 100] for w, h, gray in rows[2]]]
        assert found["after"][0] == "4 of 4" and found["mark"] == pytest.approx(3.2, abs=0.3)

    @pytest.mark.parametrize("width", [1280, 390, 320])
    def test_nothing_is_cut_off_or_overlaps(self, tmp_path, trained, width):
        found, trouble = ask(tmp_path, trained.folder.report.read_text(), TEXTS, width)
        assert trouble == []
        check_layout(found, width)
