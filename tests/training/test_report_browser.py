"""The page in a browser: nothing cut, nothing on top of something else, legible, and all that moves works."""

import json
from dataclasses import replace

import pytest
from browser import CHROMIUM, ask
from pages import DONE, HOSTILE, make_run, page, picture, records
from saying import GAN, THREE
from test_run_page import hostile_run
from tiny import CONFIG

from minigan.training.build import build_model
from minigan.training.declared import Declared
from minigan.training.report import Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
NOTE = {
    "check": "collapse",
    "sentence": "the samples are alike since step 9,300: try another --seed, or --label-smoothing",
}
# All text that can be seen, with its box, its color and the color behind it
TEXTS = """
const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const paper = (element) => rgb(getComputedStyle(element).backgroundColor);
const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement, range = document.createRange();
  if (!node.data.trim() || ["SCRIPT", "STYLE"].includes(element.tagName) || !element.checkVisibility()) continue;
  range.selectNodeContents(node);
  let ground = element;
  while (ground.parentElement && (paper(ground)[3] ?? 1) === 0) ground = ground.parentElement;
  const frame = (element.closest(".card, .chart") ?? document.documentElement).getBoundingClientRect();
  const style = getComputedStyle(element), text = node.data.trim().slice(0, 60), size = parseFloat(style.fontSize);
  for (const { left, right, top, bottom, width } of range.getClientRects()) {
    const inside = left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom;
    const colors = { ink: rgb(style.color), paper: paper(ground) };
    if (width > 1) texts.push({ text, left, right, top, bottom, size, inside, ...colors });
  }
}
return { texts, width: innerWidth, scroll: document.documentElement.scrollWidth };
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A page with everything on it."""
    folder = make_run(tmp_path_factory.mktemp("run"), 0, 5)
    declared = replace(GAN, layers=Declared.of(build_model(CONFIG)).layers)
    made = records(300, every=40, layers=[name for name, what in declared.layers.items() if "ReLU" not in what])
    made[30]["notes"] = made[200]["notes"] = [NOTE]
    made[50]["g_loss"] = 1e4
    for record in made[::10]:
        record |= {"modes": 7, "quality": 0.8, "penalty": 12345.678}
    status = Status(
        "running", 12_000, 8000.0, 2**30, "It was told to end.", "minigan train --resume /some/where/dcgan-digits"
    )
    return page(folder.path, made, folder.pictures("samples"), status=status, declared=declared)


def contrast(ink, paper):
    """WCAG's contrast ratio of two colors."""
    light = []
    for color in (ink, paper):
        parts = [c / 255 for c in color[:3]]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        light.append(0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05)
    return max(light) / min(light)


def overlaps(texts):
    """Pairs of texts whose boxes share more than a sliver: line boxes are taller than letters."""
    pairs = []
    for i, a in enumerate(texts):
        for b in texts[i + 1 :]:
            wide = min(a["right"], b["right"]) - max(a["left"], b["left"])
            high = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
            if wide > 1 and high > 0.35 * min(a["size"], b["size"]):
                pairs.append((a["text"], b["text"]))
    return pairs


def check_layout(found, width):
    """Nothing is cut off or written over something else; letters are large enough and stand out."""
    texts = found["texts"]
    assert found["width"] == width >= found["scroll"]
    assert len(texts) > 30
    assert [t for t in texts if t["left"] < -0.5 or t["right"] > width + 0.5] == []
    assert [t["text"] for t in texts if not t["inside"]] == []
    assert overlaps(texts) == []
    assert [t["text"] for t in texts if t["size"] < 9] == []  # exponents; all else is 12 pixels at least
    assert [(t["text"], t["ink"], t["paper"]) for t in texts if contrast(t["ink"], t["paper"]) < 4.5] == []


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A page with three networks, two exhibits and two phases; some measures came only now and then, some late."""
    folder = make_run(tmp_path_factory.mktemp("three"), 0, 5)
    made = records(300, every=40, layers=["encoder.0", "decoder.0", "critic.0"])
    for i, record in enumerate(made):
        record |= {"encoder": 1.0, "decoder": 2.0, "phase": "autoencoder" if i < 150 else "with the critic"}
        record |= {"kl": 3.0 + i} if i % 3 == 0 else {}
        record |= {"critic": 2 + i / 300} if i >= 150 else {}
    pictures = folder.pictures("samples")
    films = {"samples": pictures, "reconstructions": pictures[:3]}
    return page(folder.path, made, films, status=Status("running", 12_000, 8000.0), declared=THREE)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_a_page_with_more_of_everything(tmp_path, three, width):
    found, trouble = ask(tmp_path, three, TEXTS, width, height=6000)
    assert trouble == []
    check_layout(found, width)


def test_each_exhibit_has_a_slider_and_each_curve_its_own_steps(tmp_path, three):
    """A press on a curve turns all exhibits; a measure has no value before its first one."""
    script = """
    const films = [...document.querySelectorAll(".film")], plot = document.querySelector(".plot");
    const steps = () => films.map((film) => film.querySelector("output").textContent);
    const before = steps(), slider = films[1].querySelector("input"), box = plot.getBoundingClientRect();
    slider.value = 0;
    slider.dispatchEvent(new Event("input"));
    const moved = steps(), clientX = box.left + 0.0085 * box.width;
    plot.dispatchEvent(new PointerEvent("pointerdown", { clientX, pointerType: "mouse", bubbles: true }));
    const legend = document.querySelector(".legend").innerText.replace(/\\s+/g, " ");
    return { before, moved, pressed: steps(), legend };
    """
    found, trouble = ask(tmp_path, three, script)
    assert trouble == []
    assert found["before"] == ["step 400, autoencoder", "step 200, autoencoder"]
    assert found["moved"] == ["step 400, autoencoder", "step 0, autoencoder"]
    assert found["pressed"] == ["step 100, autoencoder", "step 100, autoencoder"]
    assert found["legend"] == "encoder 1 decoder 2 critic — step 80"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_nothing_is_cut_off_or_overlaps_and_all_can_be_read(tmp_path, run, width, dark):
    found, trouble = ask(tmp_path, run, TEXTS, width, dark=dark)
    assert trouble == []
    check_layout(found, width)
    paper = next(t["paper"] for t in found["texts"])
    assert (sum(paper[:3]) < 200) == dark


def test_the_measurement_finds_what_is_wrong(tmp_path, run):
    """A page that is too wide, has text on text, and gray on gray."""
    spoiled = run.replace(
        "</style>", ".small { width: 500px } .x span { left: 0 !important } .legend .at { color: #999 }</style>"
    )
    found, _ = ask(tmp_path, spoiled, TEXTS, 390)
    assert found["scroll"] > 390
    assert overlaps(found["texts"])
    assert any(contrast(t["ink"], t["paper"]) < 4.5 for t in found["texts"])


def test_a_page_of_a_run_that_has_just_begun(tmp_path):
    text = page(tmp_path, records(1), status=Status("running", 10, 0.5))
    for width in (1280, 390):
        found, trouble = ask(tmp_path, text, TEXTS, width)
        assert trouble == []
        check_layout(found, width)


def test_without_javascript_everything_is_there_but_what_moves(tmp_path, run):
    """The page's script is taken away; the test's own may run."""
    start = run.rindex("<script>")
    still = run[:start] + run[run.index("</script>", start) :].removeprefix("</script>")
    found, trouble = ask(tmp_path, still, TEXTS, 1280)
    assert trouble == []
    check_layout(found, 1280)
    shown = {t["text"] for t in found["texts"]}
    assert {"Losses", "Output of D", "G.0", "D.0", "FID", "Configuration"} <= shown
    assert not {"Play", "Dark"} & shown


def test_the_slider_turns_to_pictures_and_plays(tmp_path, run):
    script = """
    const find = (name) => document.querySelector(".film " + name);
    const slider = find("input"), picture = find("img"), label = find("output"), play = find("button");
    const seen = () => [picture.src === data.films[0][slider.value].src, label.textContent, picture.alt];
    const before = seen();
    slider.value = 1;
    slider.dispatchEvent(new Event("input"));
    const moved = seen(), cursors = [...document.querySelectorAll(".cursor")].filter((line) => !line.hidden).length;
    slider.value = slider.max;
    play.click();
    const begun = [slider.value, play.textContent];
    await new Promise((resolve) => setTimeout(resolve, 3000));
    while (!picture.complete) await new Promise((resolve) => setTimeout(resolve, 100));
    const end = [slider.value, play.textContent];
    return { before, moved, cursors, begun, after: seen(), end, real: picture.naturalWidth, views: views.length };
    """
    found, trouble = ask(tmp_path, run, script)
    assert trouble == []
    assert found["before"] == found["after"] == [True, "step 400", "samples at step 400"]
    assert found["moved"] == [True, "step 100", "samples at step 100"]
    assert found["cursors"] == found["views"] > 8
    assert found["begun"] == ["0", "Pause"] and found["end"] == ["4", "Play"]
    assert found["real"] == 530


def test_a_cursor_shows_the_values_of_all_curves(tmp_path, run):
    """By pointer and by keys; a press turns to the picture of that time; when it leaves, the last values come back."""
    script = """
    const plot = document.querySelector(".plot"), box = plot.getBoundingClientRect();
    const all = () => [...document.querySelectorAll(".legend")].map((entry) => entry.innerText.replace(/\\s+/g, " "));
    const before = all();
    const move = (type, share) => {
      const clientX = box.left + share * box.width;
      plot.dispatchEvent(new PointerEvent(type, { clientX, pointerType: "mouse", bubbles: true }));
    };
    move("pointermove", 0.5);
    const half = all(), line = plot.querySelector(".cursor").getBoundingClientRect().left - box.left;
    const dots = [...plot.querySelectorAll(".point")].map((dot) => dot.getBoundingClientRect());
    const inside = dots.every((dot) => dot.top >= box.top - 6 && dot.bottom <= box.bottom + 6);
    const heat = document.querySelector(".heat .value").textContent;
    move("pointerdown", 0.008);
    const frame = document.querySelector(".film output").textContent;
    move("pointerleave", 0.5);
    const after = all();
    const press = (key) => plot.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
    plot.focus();
    press("Home"); press("ArrowRight");
    const keyed = [plot.ariaValueNow, plot.ariaValueText, all()[0], plot.tabIndex, plot.role];
    press("Escape");
    const shown = { before, half, line: line / box.width, inside, heat, frame, after, keyed, ends: all() };
    return { ...shown, data: data.charts[0], row: data.maps[0].rows[0] };
    """
    found, trouble = ask(tmp_path, run, script)
    assert trouble == []
    d, g = (curve["values"] for curve in found["data"]["curves"])
    i = found["data"]["curves"][0]["steps"].index(6000)
    assert found["half"][0] == f"D {d[i]:.4g} G {g[i]:.4g} step 6,000"
    assert (
        all(text.endswith("step 6,000") for text in found["half"][:2])
        and found["line"] == pytest.approx(0.5, abs=0.01)
        and found["inside"]
    )
    assert found["before"] == found["after"] == found["ends"] != found["half"]
    assert float(found["heat"]) in [pytest.approx(v, rel=1e-3) for v in found["row"][58:62]]
    assert found["frame"] == "step 100"
    assert found["keyed"] == [
        "80",
        f"step 80: D {d[1]:.4g}, G {g[1]:.4g}",
        f"D {d[1]:.4g} G {g[1]:.4g} step 80",
        0,
        "slider",
    ]


def test_the_script_writes_numbers_as_the_page_does(tmp_path, run):
    from minigan.training.report.markup import number

    values = [0.0, 1.0, 0.98765, -1234.6, 999.96, 1.5e6, -0.00012, 123456.7, 3.4e38, 1e-30, 2.5e-3, 12.3456]
    found, _ = ask(tmp_path, run, f"return {json.dumps(values)}.map(number);")
    assert found == [number(value) for value in values]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_toggle_changes_the_colors(tmp_path, run, dark):
    script = """
    const button = document.getElementById("theme");
    const seen = () => [getComputedStyle(document.body).backgroundColor, button.textContent];
    const found = [seen()];
    for (let i = 0; i < 2; i++) { button.click(); found.push(seen()); }
    return found;
    """
    (first, second, third), trouble = ask(tmp_path, run, script, dark=dark)
    assert trouble == [] and first == third != second
    assert [first[1], second[1]] == (["Light", "Dark"] if dark else ["Dark", "Light"])


def test_hostile_text_does_nothing(tmp_path):
    """Neither with the page's policy, which would forbid it, nor without: the text isn't markup at all."""
    config, made, status, declared = hostile_run()
    picture().save(tmp_path / "step-000001.png")
    text = page(tmp_path, made, [tmp_path / "step-000001.png"], config, status, declared)
    script = """
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { images, scripts, body } = document;
    return { owned: typeof owned, images: images.length, scripts: scripts.length, shown: body.innerText };
    """
    open_to_all = text.replace("default-src 'none'", "default-src * 'unsafe-inline'").replace(
        "; script-src", "; x-src", 1
    )
    assert open_to_all != text
    for variant in (text, open_to_all):
        found, trouble = ask(tmp_path, variant, script)
        assert trouble == []
        assert found["owned"] == "undefined" and found["scripts"] == 4
        assert found["images"] == 1 + 2  # the samples, and two rows of gradients
        assert HOSTILE[:60] in found["shown"]


def test_a_script_from_outside_would_not_run(tmp_path):
    """The second line of defense: even markup that got in couldn't do anything."""
    text = page(tmp_path, records(3)).replace(
        "<footer>", "<script>owned = 1</script><img src=x onerror='owned = 2'><footer>"
    )
    script = "await new Promise((resolve) => setTimeout(resolve, 500)); return typeof owned;"
    found, trouble = ask(tmp_path, text, script)
    assert found == "undefined"
    assert any("not allowed: script-src" in words for words in trouble)


def test_phases_are_told_in_words_and_in_colors_of_their_own(tmp_path):
    script = """
    const phase = document.querySelector(".phase");
    return [phase.innerText, getComputedStyle(phase).color];
    """
    colors = {}
    for phase in ("running", "finished", "interrupted", "stopped"):
        (word, colors[phase]), _ = ask(tmp_path, page(tmp_path, status=Status(phase, DONE.step, 1.0)), script)
        assert word == phase
    assert len(set(colors.values())) == 4
