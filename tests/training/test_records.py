import json

import pytest

from minigan.training.records import RecordFile

NOTE = {"check": "collapse", "sentence": "all samples are the same"}
WHOLE = {
    "step": 10,
    "epoch": 0.5,
    "loss": 1,
    "phase": "first",
    "gradients": {"G.0": 0.1},
    "weights": {},
    "notes": [NOTE],
}


@pytest.fixture
def records(tmp_path):
    return RecordFile(tmp_path / "metrics.jsonl")


def test_what_is_added_is_read_and_before_that_there_is_none(records):
    assert records.read() == []
    records.flush()  # nothing to be flushed yet
    records.add({"step": 0})
    records.add(WHOLE)
    records.flush()
    assert records.read() == [{"step": 0}, WHOLE]


@pytest.mark.parametrize(
    "line",
    [b"3", b"null", b"{}", b'{"step": "x"}', b'{"step": 1, "d_loss": "a"}', b'{"step": 5, "d_lo', b"\xff", b""]
    + [b'{"step": true}', b'{"step": 1, "d_loss": NaN}', b'{"step": 1' + b"0" * 400 + b"}", b"[" * 100_000]
    + [b'{"step": -1}', b'{"step": 1.5}', b'{"step": 1, "phase": 3}', b'{"step": 1, "gradients": [1]}']
    + [b'{"step": 1, "gradients": {"G": "x"}}', b'{"step": 1, "weights": {"G": [1]}}', b'{"step": 1, "notes": {}}']
    + [b'{"step": 1, "notes": [{"check": "x"}]}', b'{"step": 1, "notes": [{"check": "x", "sentence": 3}]}']
    + [b'{"step": 1, "loss": 1e300}', b'{"step": 1, "loss": true}'],
    ids=lambda line: line[:30].decode("latin1"),
)
def test_a_line_that_is_no_record_is_left_out(records, line):
    records.path.write_bytes(b"\n".join([json.dumps(WHOLE).encode(), line, b'{"step": 20}']) + b"\n")
    assert records.read() == [WHOLE, {"step": 20}]


def test_what_is_forgotten_is_gone_with_what_was_cut_off(records):
    for step in (10, 20, 30):
        records.add({"step": step})
    with records.path.open("a") as file:
        file.write('{"step": 4')
    records.forget_after(20)
    assert records.path.read_text() == '{"step": 10}\n{"step": 20}\n'
    records.add({"step": 30})
    assert [record["step"] for record in records.read()] == [10, 20, 30]


def test_the_file_is_named_when_it_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        RecordFile(tmp_path / "gone" / "metrics.jsonl").add({"step": 1})
    assert caught.value.filename == str(tmp_path / "gone" / "metrics.jsonl")
