from dataclasses import replace

import pytest

from lightsernet_tf.config import Config, FeatureConfig
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.settings import SearchSettings
from lightsernet_tf.tune.space import Parameter
from lightsernet_tf.tune.space_reader import make_space

LOSS = {"train.loss": ["cross_entropy", "focal"]}


def read(space, config=None):
    return make_space(space, config or Config(), {"runs_dir": "it changes nothing"}).parameters


def problem(space, config=None):
    with pytest.raises(ConfigError) as caught:
        read(space, config)
    return str(caught.value)


# What arrives


def test_a_list_is_short_for_a_choice():
    assert read({"train.loss": ["focal"]}) == read({"train.loss": {"choice": ["focal"]}})
    assert read({"train.loss": ["focal"]}) == (Parameter("train.loss", values=("focal",)),)


def test_a_range_a_step_and_a_condition():
    gamma = {"min": 0.5, "max": 4, "step": 0.5, "when": {"train.loss": "focal"}}
    assert read(LOSS | {"train.gamma": gamma, "train.batch_size": {"min": 8, "max": 32, "scale": "log"}}) == (
        Parameter("train.loss", values=("cross_entropy", "focal")),
        Parameter("train.gamma", low=0.5, high=4.0, step=0.5, when={"train.loss": ("focal",)}),
        Parameter("train.batch_size", low=8, high=32, log=True),
    )


def test_a_key_comes_after_those_that_its_condition_names():
    space = {
        "train.gamma": {"choice": [1], "when": {"train.loss": ["focal"]}},
        "train.loss": {"choice": ["cross_entropy", "focal"], "when": {"features.kind": "mfcc"}},
        "features.kind": ["mfcc", "spectrogram"],
    }
    assert [parameter.key for parameter in read(space)] == ["features.kind", "train.loss", "train.gamma"]


def test_numbers_as_yaml_reads_them(tmp_path):
    path = tmp_path / "tune.yaml"
    path.write_text(
        "search: {space: {train.learning_rate: {min: 1e-5, max: 1e-3, scale: log, step: 1e1}, "
        "features.log_offset: [1e-8, 1e-6], train.gamma: [1, 2.5]}}"
    )
    settings = load_config(path, SearchSettings)
    assert settings.search.space["train.learning_rate"]["min"] == "1e-5"  # YAML 1.1 takes it for text
    rate, offset, gamma = read(settings.search.space)
    assert (rate.low, rate.high, rate.step) == (1e-5, 1e-3, 10.0)
    assert offset.values == (1e-8, 1e-6)
    assert gamma.values == (1.0, 2.5)
    assert all(isinstance(value, float) for value in (rate.low, rate.step, *offset.values, *gamma.values))


def test_values_become_what_the_configuration_holds():
    space = read({"corpus.drop_labels": [["fear"], []], "features.max_frequency_hz": [None, 4000]})
    assert space[0].values == (("fear",), ())
    assert space[1].values == (None, 4000.0)
    assert isinstance(space[1].values[1], float)


def test_the_values_of_a_condition_become_so_too():
    space = {
        "model.dropout": [0, 0.3],
        "corpus.drop_labels": [["fear"], ["anger"]],
        "train.gamma": {"choice": [1], "when": {"model.dropout": 0, "corpus.drop_labels": [["fear"]]}},
    }
    assert read(space)[2].when == {"model.dropout": (0.0,), "corpus.drop_labels": (("fear",),)}


# Values that fit beside others


def test_a_value_that_fits_beside_another_of_the_space_is_taken():
    assert "expected 4 up to mel_bins. Received: mfcc_coefficients=40" in problem({"features.mel_bins": [20]})
    assert read({"features.mel_bins": [20], "features.mfcc_coefficients": [13, 40]})[0].values == (20,)
    assert read({"train.class_weights": [{}, {"fear": 2}], "train.balance": ["none", "class_weight"]})


def test_a_number_that_fits_only_beside_another_is_read_as_one_too():
    rates = {"features.sample_rate_hz": [16000, 32000]}
    assert read({"features.mel_max_hz": {"min": "7e3", "max": "1e4"}} | rates)[0].high == 10000.0
    high = read({"features.max_frequency_hz": {"min": 9000, "max": 12000}} | rates)[0]
    assert not high.integer


def test_a_value_that_never_fits_is_refused_however_much_is_searched():
    space = {"features.mel_bins": [12], "features.mfcc_coefficients": [13, 40]}
    assert problem(space).startswith("search.space.features.mel_bins: features.mfcc_coefficients: expected 4 up to mel")


def test_a_value_may_fit_under_one_value_of_its_condition_alone():
    under = {"choice": [20], "when": {"features.mfcc_coefficients": [40, 13]}}
    assert read({"features.mfcc_coefficients": [40, 13], "features.mel_bins": under})
    under["when"] = {"features.mfcc_coefficients": [40]}
    assert problem({"features.mfcc_coefficients": [40, 13], "features.mel_bins": under}).startswith(
        "search.space.features.mel_bins: features.mfcc_coefficients: expected 4 up to mel_bins"
    )


def test_only_values_that_the_step_reaches_stand_beside_others():
    """A frame's length must be a power of two; other numbers of the range are none."""
    config = Config(features=FeatureConfig(frame_length_samples=256))
    space = {
        "features.frame_length_samples": {"min": 256, "max": 8192, "scale": "log", "step": 2},
        "features.frame_step_samples": [4096],
    }
    assert read(space, config)[0].checked == (256, 512, 1024, 2048, 8192)


@pytest.mark.parametrize("entry", [{"min": 256, "max": 1024}, {"min": 256, "max": 1024, "step": 256}])
def test_a_range_with_values_between_its_ends_that_never_fit_is_refused(entry):
    assert "expected a power of two of at least 16" in problem({"features.frame_length_samples": entry})


# What is refused


@pytest.mark.parametrize("space", [{}, None, [], ["train.loss"], "train.loss"])
def test_a_space_without_keys(space):
    assert problem(space).startswith("search.space: expected at least one key of the configuration. Received: ")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("train.epoch", "no such key. Did you mean train.epochs?"),
        ("learning_rate", "no such key. Did you mean train.learning_rate?"),
        ("model.learning_rate", "no such key. Did you mean train.learning_rate?"),
        ("model", "no such key. Expected one of model.dropout, model.l2"),
        ("model.number_of_blocks", "no such key. Expected one of model.dropout, model.l2"),
        (
            "zzz",
            "no such key. Expected one such as train.epochs, of corpus, audio, features, augment, split, model, tr",
        ),
        (3, "no such key. Expected one such as train.epochs, of corpus"),
        ("search.trials", "no such key. "),
        ("runs_dir", "expected a key that trials may differ in: it changes nothing"),
    ],
)
def test_a_key_that_cannot_be_searched(key, message):
    assert problem({key: ["x"]}).startswith(f"search.space.{key}: {message}")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (3, ": expected a list of values, {choice: [...]} or {min: ..., max: ...}. Received: 3"),
        (None, ": expected a list of values, {choice: [...]} or {min: ..., max: ...}. Received: None"),
        ("3", ": expected a list of values, {choice: [...]} or {min: ..., max: ...}. Received: '3'"),
        ({}, ": expected a list of values, {choice: [...]} or {min: ..., max: ...}. Received: {}"),
        ({"when": {}}, ": expected a list of values, "),
        ({"choice": [1], "min": 1}, ": expected a list of values, "),
        ([], ".choice: expected a list of at least one value. Received: []"),
        ({"choice": 3}, ".choice: expected a list of at least one value. Received: 3"),
        ({"choice": [3], "step": 1}, ".step: no such key. Expected one of choice, when"),
        ({"min": 1, "max": 2, "sclae": "log"}, ".sclae: no such key. Expected one of min, max, scale, step, when"),
        ([3, 3], ".choice: expected each value once. Received: [3, 3]"),
        ([3, "x"], ".choice: expected a whole number. Received: x"),
        ([3, 2.5], ".choice: expected a whole number. Received: 2.5"),
        ([True], ".choice: expected a whole number. Received: True"),
        ([None], ".choice: expected a value. Received: nothing"),
        ([[3]], ".choice: expected a whole number. Received: [3]"),
        ([3, 0], ": train.epochs: expected at least 1. Received: epochs=0"),
        ({"min": 1}, ".max: expected a value. Received: nothing"),
        ({"max": 1}, ".min: expected a value. Received: nothing"),
        ({"min": True, "max": 2}, ".min: expected a whole number. Received: True"),
        ({"min": "one", "max": 2}, ".min: expected a whole number. Received: one"),
        ({"min": [1], "max": 2}, ".min: expected a whole number. Received: [1]"),
        ({"min": 1, "max": float("inf")}, ".max: expected a whole number. Received: inf"),
        ({"min": 1.5, "max": 8}, ".min: expected a whole number. Received: 1.5"),
        ({"min": 0, "max": 8}, ": train.epochs: expected at least 1. Received: epochs=0"),
        ({"min": 1, "max": 2**31}, ": train.epochs: expected less than 2**31. Received: epochs=2147483648"),
        ({"min": 2, "max": 2}, ": expected a min below max. Received: min=2, max=2"),
        ({"min": 3, "max": 2}, ": expected a min below max. Received: min=3, max=2"),
        ({"min": 1, "max": 2, "scale": "ln"}, ".scale: expected linear or log. Received: scale='ln'"),
        ({"min": 1, "max": 2, "scale": None}, ".scale: expected linear or log. Received: scale=None"),
        ({"min": 0, "max": 2, "scale": "log"}, ".min: expected more than 0 on a logarithmic scale. Received: min=0"),
        ({"min": 1, "max": 9, "step": 0}, ".step: expected more than 0. Received: step=0"),
        ({"min": 1, "max": 9, "step": 1.5}, ".step: expected a whole number. Received: 1.5"),
        ({"min": 1, "max": 9, "step": "x"}, ".step: expected a whole number. Received: x"),
        (
            {"min": 1, "max": 9, "step": 1, "scale": "log"},
            ".step: expected more than 1. Received: step=1",
        ),
    ],
)
def test_an_entry_that_cannot_work_is_named_with_its_key(entry, message):
    assert problem({"train.epochs": entry}).startswith(f"search.space.train.epochs{message}")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"train.loss": ["focal", "hinge"]},
            "train.loss.choice: expected one of cross_entropy, focal. Received: hi",
        ),
        (
            {"train.loss": {"min": 1, "max": 2}},
            "train.loss: expected a choice, for the key holds no number. Received: {",
        ),
        (
            {"corpus.merge_excited": {"min": 0, "max": 1}},
            "corpus.merge_excited: expected a choice, for the key holds no",
        ),
        (
            {"train.balance": [False]},
            "train.balance.choice: expected one of none, class_weight, oversample. Rec",
        ),
        (
            {"model.dropout": {"min": 0, "max": 1}},
            "model.dropout: model.dropout: expected 0 up to below 1. Received: dr",
        ),
        ({"model.dropout": [0, 0.0]}, "model.dropout.choice: expected each value once. Received: [0, 0.0]"),
        ({"model.dropout": ["1e-1", 0.1]}, "model.dropout.choice: expected each value once. Received: ['1e-1', 0.1]"),
        (
            {"model.l2": {"min": 0, "max": 1, "step": 0}},
            "model.l2.step: expected more than 0. Received: step=0.0",
        ),
        ({"model.l2": [float("nan")]}, "model.l2: model.l2: expected 0 or more. Received: l2=nan"),
        ({"corpus.label_map": [{False: ["fear"]}]}, "corpus.label_map: corpus.label_map: expected text as keys"),
        ({"train.class_weights": [{"fear": 2}]}, "train.class_weights: train.class_weights: expected none, or balance"),
    ],
)
def test_a_value_that_does_not_fit_its_key(space, message):
    assert problem(space).startswith(f"search.space.{message}")


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (["train.loss"], ": expected keys and their values. Received: ['train.loss']"),
        ("train.loss", ": expected keys and their values. Received: 'train.loss'"),
        ({"train.loss": []}, ".train.loss: expected at least one value. Received: []"),
        (
            {"train.loss": "focus"},
            ".train.loss: expected one of cross_entropy, focal. Received: focus",
        ),
        (
            {"train.loss": None},
            ".train.loss: expected a value. Received: nothing",
        ),
        (
            {"train.schedule": "cosine"},
            ".train.schedule: expected a key with a choice in this space. Received: one that is not in it",
        ),
        ({3: "cosine"}, ".3: expected a key with a choice in this space. Received: one that is not in it"),
        (
            {"model.dropout": 0.2},
            ".model.dropout: expected a key with a choice in this space. Received: one with a range",
        ),
    ],
)
def test_a_condition_that_cannot_work_is_named_with_its_key(when, message):
    space = LOSS | {"model.dropout": {"min": 0, "max": 0.5}, "train.gamma": {"choice": [1], "when": when}}
    assert problem(space).startswith(f"search.space.train.gamma.when{message}")


def test_a_condition_on_a_value_that_is_not_tried():
    gamma = {"choice": [1], "when": {"train.loss": "cross_entropy"}}
    assert problem({"train.loss": ["focal"], "train.gamma": gamma}) == (
        "search.space.train.gamma.when.train.loss: expected values of its choice ['focal']. Received: ['cross_entropy']"
    )


def test_conditions_in_a_circle():
    gamma = {"choice": [1], "when": {"train.loss": "focal"}}
    loss = {"choice": ["focal"], "when": {"train.gamma": 1}}
    assert problem({"model.l2": [0], "train.gamma": gamma, "train.loss": loss}) == (
        "search.space: expected conditions without a circle. Received: one through train.gamma, train.loss"
    )
    itself = {"choice": [1], "when": {"train.gamma": 1}}
    assert problem({"train.gamma": itself}).endswith("Received: one through train.gamma")


def test_conditions_that_exclude_each_other():
    space = {
        "features.kind": ["mfcc", "spectrogram"],
        "train.loss": {"choice": ["cross_entropy", "focal"], "when": {"features.kind": "mfcc"}},
        "train.gamma": {"choice": [1], "when": {"train.loss": "focal", "features.kind": "spectrogram"}},
    }
    assert problem(space).startswith("search.space.train.gamma.when: expected conditions that hold together")


def test_the_settings_that_trials_share_are_those_that_values_stand_beside():
    config = Config()
    narrow = replace(config, features=FeatureConfig(mfcc_coefficients=13))
    assert read({"features.mel_bins": [20]}, narrow)[0].values == (20,)
