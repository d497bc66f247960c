"""What the doctor remembers of a run, in a checkpoint and over the boundary of a phase."""

import json

import numpy as np
import pytest
from doctored import KINDS, OTHERS, REAL, doctor_of, exhibit, gray, healthy, make, sick
from hypothesis import given
from hypothesis import strategies as st


@given(st.data())
def test_a_resumed_doctor_says_what_an_unbroken_one_says(data):
    whole, before, after = (make("wgan-gp") for _ in range(3))
    after.context.model.networks["D"].parameters().values[...] *= 7  # the initial size must come from the state
    after = doctor_of(after.context.model, after.context.config, REAL)
    spans = data.draw(st.lists(st.tuples(st.sampled_from((None, *KINDS)), st.integers(1, 70)), min_size=1, max_size=8))
    kinds = [kind for kind, length in spans for _ in range(length)]
    cut = data.draw(st.integers(0, len(kinds)))
    pictures = (OTHERS, gray(0.1), np.zeros_like(REAL))
    shown = data.draw(st.lists(st.sampled_from(pictures), min_size=1, max_size=8))

    def live(doctor, i):
        record = healthy(10 * i, whole)
        notes = doctor.check(sick(record, kinds[i]) if kinds[i] else record)
        return notes + doctor.inspect(10 * i, exhibit(shown[i % len(shown)]))[1] if i % 5 == 0 else notes

    unbroken = [live(whole, i) for i in range(len(kinds))]
    first = [live(before, i) for i in range(cut)]
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert first + [live(after, i) for i in range(cut, len(kinds))] == unbroken


@pytest.mark.parametrize("cut", [1, 35, 42, 45, 60, 100])
def test_nothing_that_a_check_remembers_is_lost(cut):
    """G's gradient vanishes, and its samples, which have been as diverse as real ones, become alike."""

    def live(doctor, i):
        record = healthy(5 * i, whole)
        notes = doctor.check(record if i < 40 else sick(record, "vanishing"))
        return notes + (doctor.inspect(5 * i, exhibit(OTHERS if i < 40 else gray(0.1)))[1] if i % 10 == 0 else [])

    whole, before, after = (make() for _ in range(3))
    unbroken = [live(whole, i) for i in range(120)]
    assert sorted(note.check for notes in unbroken for note in notes) == ["collapse", "vanishing"]
    for i in range(cut):
        live(before, i)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert [live(after, i) for i in range(cut, 120)] == unbroken[cut:]


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_a_damaged_memory_is_refused_or_harmless_and_changes_nothing(data):
    doctor = make()
    doctor.check(healthy(10, doctor))
    doctor.inspect(10, exhibit(REAL))
    good = doctor.state_dict()
    bad = good | {data.draw(st.sampled_from(sorted(good))): data.draw(GARBAGE)}
    other = make()
    before = other.state_dict()
    try:
        other.load_state_dict(bad)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        assert other.state_dict() == before
    other.check(healthy(20, other))
    other.inspect(20, exhibit(REAL))
