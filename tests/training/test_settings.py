import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd import ODD
from tiny import CONFIG

from minigan.errors import CheckpointError
from minigan.training import RunConfig, TrainingError, build_model
from minigan.training.build import model_class
from minigan.training.settings import DECAYS, parse_config

FULL = replace(
    ODD,
    img_size=(24, 16),
    channels=1,
    classes=("cat", "dog"),
    own={"odd.py": "ab12"},
    changes=("lr was changed",),
    eval_features="digits",
    versions={"minigan": "1"},
)
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
JSON = JSON | st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=3), JSON, max_size=3)


def through_json(config):
    return json.loads(json.dumps(asdict(config)))


@pytest.mark.parametrize("config", [CONFIG, FULL], ids=["plain", "full"])
def test_settings_survive_json(config):
    assert parse_config(through_json(config)) == config


def test_what_has_a_default_may_be_missing_and_what_is_unknown_is_left_out():
    """Of a run of the next version, or of the one before."""
    values = through_json(CONFIG)
    known = {"model", "model_args", "data", "shapes", "samples", "batch_size", "n_steps"}
    few = {name: values[name] for name in known}
    assert parse_config(few | {"color": "blue"}) == RunConfig(**{name: getattr(CONFIG, name) for name in known})
    for name in known:
        with pytest.raises((KeyError, AttributeError)):
            parse_config({key: value for key, value in few.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_steps", "many"), ("shapes", 3), ("shapes", [16, 16, 1]), ("augment", None), ("seed", True), ("n_steps", 0)]
    + [("augment", ["x"]), ("seed", -1), ("shapes", {"real": [16, 1.5, 1]}), ("shapes", {"real": 3}), ("img_size", 0)]
    + [("img_size", [16]), ("img_size", [16, 0]), ("img_size", [16, 16, 1]), ("samples", 64), ("samples", {})]
    + [("samples", {"data": 0}), ("samples", {"data": "64"}), ("own", {"odd.py": 3}), ("own", []), ("ema", 1.0)]
    + [("eval_interval", 0.5), ("keep_checkpoints", 0), ("on_nan", "hope"), ("lr_decay", "slow"), ("limit", 0)],
    ids=str,
)
def test_settings_of_wrong_types_or_out_of_range_are_refused(name, value):
    with pytest.raises((TypeError, ValueError, AttributeError)):
        parse_config(through_json(CONFIG) | {name: value})


@given(st.sampled_from([field.name for field in fields(RunConfig)]), JSON)
def test_whatever_stands_in_a_field_it_is_taken_as_it_is_or_refused(name, value):
    """What is taken is a configuration that can be written and read again."""
    try:
        config = parse_config(through_json(FULL) | {name: value})
    except (TypeError, ValueError, KeyError, AttributeError):
        return
    assert parse_config(through_json(config)) == config


def test_settings_of_the_former_format_get_a_sentence():
    """Whose shape was one, of pictures in a square."""
    old = through_json(CONFIG) | {"shape": [16, 16, 1], "samples": 64, "img_size": 16}
    del old["shapes"]
    with pytest.raises(CheckpointError, match="was made by an older minigan, .*: start a new run"):
        parse_config(old)


def test_a_decay_ends_at_the_last_step_whatever_the_length():
    for n in (1, 7, 4000):
        assert DECAYS["none"](n)(n) == 1
        for name in DECAYS.keys() - {"none"}:
            assert DECAYS[name](n)(0) == 1
            assert DECAYS[name](n)(n) == pytest.approx(0)


# From settings to a model


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_args": {"label_smoothing": 2.0}}, "dcgan: .*label.smoothing"),
        ({"model_args": {"nope": 1}}, "dcgan: it has no argument nope, which this run began with"),
        ({"ema": 1.5}, "the decay of a moving average must be"),
        ({"shapes": {"real": (2,)}}, "dcgan"),
        ({"model": "dcgen"}, "there is no model called 'dcgen': did you mean dcgan"),
        ({"model": "my_gan.py:MyGAN"}, "this run's model is my_gan.py:MyGAN, a file of your own"),
    ],
    ids=str,
)
def test_what_a_model_cannot_take_is_a_sentence(changes, sentence):
    with pytest.raises((TrainingError, ValueError), match=sentence) as caught:
        build_model(replace(CONFIG, **changes))
    assert "\n" not in str(caught.value)


def test_a_configuration_never_loads_python(tmp_path, monkeypatch):
    """Neither a path in it, nor one where Python would look."""
    (tmp_path / "harm.py").write_text("raise SystemExit('executed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("harm.py:MyGAN", "harm:MyGAN", "./harm.py:MyGAN"):
        with pytest.raises(TrainingError):
            model_class(name)


def test_the_seed_decides_the_first_weights():
    one, same, other = (build_model(replace(CONFIG, seed=seed)).networks["G"].parameters().values for seed in (3, 3, 4))
    assert (one == same).all() and not (one == other).all()
