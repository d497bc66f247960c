import base64
import io
import re
import struct
import zlib
from math import isfinite

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pages import Page, page, picture, records
from PIL import Image
from saying import GAN, THREE

from minigan.training.curves import RecordTable, thin
from minigan.training.report import charts, frames, layers
from minigan.training.report.charts import NO_NOTE, NOTES
from minigan.training.report.frames import MOST, encode, read, spread

CURVE = hnp.arrays(float, st.integers(1, 400), elements=st.floats(-1e30, 1e30))


@given(CURVE, st.integers(1, 50))
def test_thinning_keeps_the_extremes_of_every_part(y, buckets):
    kept, n = thin(y, buckets), len(y)
    assert len(kept) <= 2 * buckets + 2
    assert kept[0] == 0 and kept[-1] == n - 1 and (np.diff(kept) > 0).all()
    edges = np.linspace(0, n, buckets + 1).astype(int)
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        part, left = y[start:end], y[kept[(kept >= start) & (kept < end)]]
        if len(part):
            assert left.min() == part.min() and left.max() == part.max()


def test_one_peak_among_very_many_records_stays(tmp_path):
    made = [{"step": i, "d_loss": 1.0, "g_loss": 2.0} for i in range(20_000)]
    made[12_345]["g_loss"] = 77.0
    curve = Page(page(tmp_path, made)).chart("Losses")["curves"][1]
    assert curve["values"][curve["steps"].index(12_345)] == 77.0
    assert len(curve["steps"]) <= 602


@pytest.mark.parametrize("kind", ["any", "opinion", "positive", "share"])
@given(hnp.arrays(float, st.integers(1, 30), elements=st.floats(-1e38, 1e38)))
def test_an_axis_holds_its_ticks_and_nearly_all_values(kind, values):
    low, high = charts.value_range(values, kind)
    assert isfinite(low) and isfinite(high) and low < high
    marks = charts.ticks(low, high, 4)
    assert 2 <= len(marks) <= 8
    slack = 1e-9 * (high - low)
    assert low - slack <= marks[0] and marks[-1] <= high + slack
    middle = np.median(values)
    assert low - slack <= middle <= high + slack


def test_axes_of_each_kind():
    y = np.array([0.2, 0.8])
    assert charts.value_range(y, "opinion") == (0, 1) and charts.value_range(y, "share") == (0, 1)
    assert charts.value_range(y, "positive")[1] == pytest.approx(0.84)
    assert charts.value_range(y, "any")[1] < 1  # a loss isn't a probability
    assert charts.value_range(np.array([-3.0, 3.0]), "opinion")[0] < -3  # logits
    assert charts.value_range(np.zeros(3), "positive") == (0, 1)


def test_points_stand_where_their_values_are():
    """FID is 1, 2, 4 at steps 0, 25, 100: on an axis from 0 to 4.2, drawn 2000 wide and 1000 high."""
    made = RecordTable([{"step": s, "fid": v} for s, v in ((0, 1.0), (25, 2.0), (100, 4.0))])
    chart = next(chart for chart in charts.charts_of(GAN, made)[1] if chart.title == "FID")
    figure, data = charts.draw(chart, made, 100)
    assert data["range"] == [0, pytest.approx(4.2)]
    assert "M0 762L500 524L2000 48" in figure


def test_measures_that_nobody_told_of_get_a_chart(tmp_path):
    made = records(20)
    for i, record in enumerate(made):
        record["slope_of_the_critic"] = float(i)
    assert "slope of the critic" in Page(page(tmp_path, made)).text


def test_below_each_chart_is_a_line_on_how_to_read_it(tmp_path):
    """The note that the model declares, else one by the title, else that it is a mean."""
    made = [{"step": 10 * i, "kl": 1.0, "encoder": 2.0, "share": 0.5, "psnr": 20.0} for i in range(3)]
    text = page(tmp_path, made, declared=THREE)
    lines = re.findall(r'<h3>([^<]*)</h3>.*?<p class="how">(.*?)</p>', text)
    assert dict(lines) == {
        "Losses": NOTES["Losses"],
        "Divergence": "per latent",
        "PSNR": "higher is better",
        "Active units": NO_NOTE,
    }


def test_values_beyond_the_axis_are_counted(tmp_path):
    made = [{"step": i, "d_loss": 1.0, "g_loss": 2.0} for i in range(1000)]
    made[500]["g_loss"] = 1e6
    assert "1 of 2,000 points lie beyond the axis" in Page(page(tmp_path, made)).text


def test_a_column_of_gradients_holds_the_largest_of_its_steps():
    made = [{"step": i + 1, "gradients": {"G.0": 1e-3, "D.0": 1e-3}} for i in range(1200)]
    made[605]["gradients"]["G.0"] = 10.0
    *_, data = layers.draw(RecordTable(made), 1200, GAN)
    row = data[0]["rows"][0]
    assert len(row) == 120 and row[60] == 10.0 and row[:60] == [1e-3] * 60 and row[61:] == [1e-3] * 59
    assert data[1]["rows"] == [[1e-3] * 120]
    assert data[0]["steps"][60] == 610


def test_colors_of_gradients_are_logarithmic_and_a_zero_has_none():
    made = [{"step": s, "gradients": {"G.0": v}} for s, v in ((10, 1e-4), (20, 1e-2), (30, 1.0), (40, 0.0))]
    (figure,), key, data = layers.draw(RecordTable(made), 40, GAN)
    source = dict(Page(figure).all("img")[0])["src"]
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
    wanted = [[*layers.ANCHORS[0], 255], [*layers.ANCHORS[4], 255], [*layers.ANCHORS[8], 255]]
    assert pixels[0, :3].tolist() == wanted and pixels[0, 3, 3] == 0
    assert data[0]["rows"] == [[1e-4, 1e-2, 1, 0]]
    assert "Dense" in figure and 'title="Dense(4, 8)"' in figure and "−4" in key


def test_a_column_without_a_record_is_like_the_one_before_it():
    made = [{"step": s, "gradients": {"G.0": float(s)}} for s in (10, 20, 30, 200)]
    *_, data = layers.draw(RecordTable(made), 200, GAN)
    assert data[0]["rows"] == [[30, 30, 30, 200]]


@given(st.integers(1, 2000), st.integers(2, 60))
def test_pictures_are_spread_evenly_with_first_and_last(n, most):
    chosen = spread(n, most)
    assert chosen[0] == 0 and chosen[-1] == n - 1 and len(chosen) == len(set(chosen)) <= most
    assert len(chosen) >= min(n, most // 2)
    gaps = np.diff(chosen)
    assert (gaps[:-1] == gaps[:1]).all() and (gaps[-1:] <= gaps[:1]).all()


def test_as_pictures_come_hardly_any_is_encoded_anew():
    """Of n + 1 pictures all chosen ones were chosen among n, but for the newest."""
    before = set(spread(1, MOST))
    for n in range(2, 1000):
        chosen = set(spread(n, MOST))
        assert len(chosen - before) <= 1
        before = chosen
    assert spread(0, MOST) == []


def test_a_picture_is_encoded_once(tmp_path, monkeypatch):
    paths = [tmp_path / f"step-{i:06d}.png" for i in range(4)]
    for i, path in enumerate(paths[:3]):
        picture(i).save(path)
    encoded = []
    monkeypatch.setattr(frames, "encode", lambda path, *limits: encoded.append(path.name) or encode(path, *limits))
    first = read(paths[:3])
    assert read(paths[:3]) == first and len(encoded) == 3
    picture(3).save(paths[3])
    assert read(paths)[:3] == first and encoded[3:] == [paths[3].name]
    picture(9).save(paths[1])  # another picture of the same name
    assert read(paths)[1] != first[1] and encoded[4:] == [paths[1].name]


def decoded(uri):
    assert uri.startswith("data:image/")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_pictures_keep_every_pixel_and_large_ones_are_reduced(tmp_path):
    path = tmp_path / "step-000001.png"
    small = picture(0, 16, n=16)
    small.save(path)
    assert np.array_equal(np.array(decoded(encode(path)).convert("RGB")), np.array(small))
    Image.linear_gradient("L").resize((1500, 750)).save(path)
    assert decoded(encode(path)).size == (640, 320)


@pytest.mark.parametrize(("size", "channels"), [(16, 1), (64, 3), (128, 3)])
def test_no_picture_takes_much_room(tmp_path, size, channels):
    """Noise in color, which no quality makes small, loses pixels instead."""
    path = tmp_path / "step-000001.png"
    picture(0, size, channels).save(path)
    assert len(encode(path)) <= 4 / 3 * frames.MOST_BYTES + 30
    assert max(decoded(encode(path)).size) >= 160


def test_without_webp_there_is_jpeg(tmp_path, monkeypatch):
    monkeypatch.setattr(frames.features, "check", lambda name: False)
    path = tmp_path / "step-000001.png"
    picture(0, 64, 3).save(path)
    assert decoded(encode(path)).format == "JPEG"


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", "cut", "crc", "gif", "large", 10_000, 10**6])
def test_a_damaged_picture_is_left_out(tmp_path, recwarn, content):
    good, bad = tmp_path / "step-000001.png", tmp_path / "step-000002.png"
    picture(0).save(good)
    if content == "gif":
        picture(0).save(bad, "GIF")
    elif content == "large":
        Image.new("1", (5000, 4000)).save(bad)
    elif isinstance(content, int):
        whole = good.read_bytes()  # the header: length, "IHDR", width, height and five more bytes, checksum
        header = b"IHDR" + struct.pack(">II", 10_000, content) + whole[24:29]
        bad.write_bytes(whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:])
    elif isinstance(content, str):
        whole = good.read_bytes()
        middle = len(whole) // 2
        bad.write_bytes(whole[:middle] if content == "cut" else whole[:middle] + b"\x00\xff\x00" + whole[middle + 3 :])
    else:
        bad.write_bytes(content)
    found = read([good, bad, tmp_path / "step-000003.png", tmp_path])
    assert [step for step, _ in found] == [1] and not recwarn.list
