import random

import keras_tuner
import numpy as np
import pytest

from lightsernet_tf.config import Config, FeatureConfig, ModelConfig, TrainConfig
from lightsernet_tf.tune.space import Parameter, SearchSpace, value_text

LOSS = Parameter("train.loss", values=("cross_entropy", "focal"))
GAMMA = Parameter("train.gamma", low=0.5, high=4.0, when={"train.loss": ("focal",)})


def declared(*parameters, config=None):
    hyperparameters = keras_tuner.HyperParameters()
    SearchSpace(parameters).declare(hyperparameters, config or Config())
    return hyperparameters


def with_chosen(hyperparameters, **chosen):
    hyperparameters.values |= {key.replace("__", "."): value for key, value in chosen.items()}
    hyperparameters.ensure_active_values()
    return hyperparameters


# As Keras Tuner has it


def test_every_kind_of_parameter_is_declared():
    found = declared(
        Parameter("train.batch_size", low=8, high=32, step=8),
        Parameter("train.epochs", low=1, high=100, log=True),
        Parameter("model.dropout", low=0.1, high=0.5),
        Parameter("train.learning_rate", low=1e-5, high=1e-3, step=10.0, log=True),
        LOSS,
    )
    batch, epochs, dropout, rate, loss = found.space
    assert isinstance(batch, keras_tuner.engine.hyperparameters.Int)
    assert list(batch.values) == [8, 16, 24, 32]
    assert isinstance(epochs, keras_tuner.engine.hyperparameters.Int)
    assert (epochs.min_value, epochs.max_value, epochs.sampling, epochs.step) == (1, 100, "log", None)
    assert isinstance(dropout, keras_tuner.engine.hyperparameters.Float)
    assert (dropout.min_value, dropout.max_value, dropout.sampling, dropout.step) == (0.1, 0.5, "linear", None)
    assert list(rate.values) == pytest.approx([1e-5, 1e-4, 1e-3])
    assert loss.values == ["cross_entropy", "focal"]


@pytest.mark.parametrize(("low", "high", "step", "count"), [(0.0, 0.3, 0.1, 4), (0.1, 0.7, 0.1, 7), (0.0, 0.5, 0.2, 3)])
def test_both_ends_of_a_range_are_reached_though_sums_of_steps_are_rounded(low, high, step, count):
    parameter = Parameter("model.dropout", low=low, high=high, step=step)
    values = [parameter.decoded(value) for value in declared(parameter).space[0].values]
    assert values == pytest.approx([low + index * step for index in range(count)])
    assert max(values) <= high
    assert set(parameter.checked) <= set(values)


def test_a_key_is_active_only_where_its_condition_holds():
    space, found = SearchSpace((LOSS, GAMMA)), declared(LOSS, GAMMA)
    assert found.values == {"train.loss": "cross_entropy"}
    assert space.values_of(found.values) == {"train.loss": "cross_entropy"}
    with_chosen(found, train__loss="focal", train__gamma=1.5)
    assert space.values_of(found.values) == {"train.loss": "focal", "train.gamma": 1.5}
    # Keras Tuner may leave a value behind that is not active any more
    assert space.values_of({"train.loss": "cross_entropy", "train.gamma": 1.5}) == {"train.loss": "cross_entropy"}
    assert space.values_of({"train.gamma": 1.5}) == {}


NESTED = (
    Parameter("features.kind", values=("mfcc", "spectrogram")),
    Parameter("train.loss", values=("cross_entropy", "focal"), when={"features.kind": ("spectrogram",)}),
    Parameter("train.gamma", low=0.5, high=4.0, when={"train.loss": ("focal",)}),
)


@pytest.mark.parametrize(
    ("kind", "loss", "active"), [("mfcc", "focal", 1), ("spectrogram", "cross_entropy", 2), ("spectrogram", "focal", 3)]
)
def test_a_condition_under_a_condition(kind, loss, active):
    found = with_chosen(declared(*NESTED), features__kind=kind, train__loss=loss, train__gamma=1.0)
    assert list(found.values) == [parameter.key for parameter in NESTED[:active]]
    assert SearchSpace(NESTED).values_of({"features.kind": kind, "train.loss": loss, "train.gamma": 1.0}) == (
        SearchSpace(NESTED).values_of(found.values)
    )


def test_a_key_is_declared_under_all_that_must_hold_for_it():
    """As Keras Tuner wants it: from one condition alone it would not find a way to make the key active."""
    assert [(one.name, one.values) for one in declared(*NESTED).space[2].conditions] == [
        ("features.kind", ["spectrogram"]),
        ("train.loss", ["focal"]),
    ]


def test_conditions_on_the_same_key_are_taken_together():
    kinds = Parameter("features.kind", values=("mfcc", "log_mel_spectrogram", "spectrogram"))
    loss = Parameter("train.loss", values=("cross_entropy", "focal"), when={"features.kind": ("spectrogram", "mfcc")})
    both = {"features.kind": ("log_mel_spectrogram", "mfcc"), "train.loss": ("focal",)}
    gamma = Parameter("train.gamma", low=0.5, high=4.0, when=both)
    space = SearchSpace((kinds, loss, gamma))
    assert space.conditions_of(gamma) == {"features.kind": ("mfcc",), "train.loss": ("focal",)}
    never = Parameter("train.gamma", low=1.0, high=2.0, when=both | {"features.kind": ("log_mel_spectrogram",)})
    assert SearchSpace((kinds, loss, never)).conditions_of(never)["features.kind"] == ()


# Values as Keras Tuner takes them, and back

CHOICES = [
    ("train.loss", ("cross_entropy", "focal"), True),
    ("train.batch_size", (8, 32), True),
    ("model.dropout", (0.0, 0.3, 1e-7), True),
    ("features.max_frequency_hz", (None, 4000.0), False),
    ("corpus.merge_excited", (True, False), False),
    ("corpus.drop_labels", ((), ("fear", "悲")), False),
    ("corpus.label_map", ({}, {"no": ["fear"], "积极": ["b"]}), False),
    ("train.gamma", (1, 2.5), False),
    ("train.initial_weights", (None, "null", "runs/x"), False),
]


@pytest.mark.parametrize(("key", "values", "as_they_are"), CHOICES)
def test_a_choice_of_anything_comes_back_as_it_was(key, values, as_they_are):
    parameter = Parameter(key, values=values)
    assert (parameter.codes == list(values)) == as_they_are
    assert len({type(code) for code in parameter.codes}) == 1  # as Keras Tuner wants it
    assert len(set(parameter.codes)) == len(values)
    found = declared(parameter)
    for code, value in zip(found.space[0].values, values, strict=True):
        back = SearchSpace((parameter,)).values_of({key: code})[key]
        assert back == value
        assert type(back) is type(value)


def test_any_kind_of_choice_may_be_a_condition():
    for key, values, _ in CHOICES:
        parent = Parameter(key, values=values)
        child = Parameter("train.seed", values=(1, 2), when={key: values[1:]})
        found = declared(parent, child)
        for code in parent.codes:
            found.values[key] = code
            found.ensure_active_values()
            assert ("train.seed" in found.values) == (parent.decoded(code) in values[1:])


def test_a_value_that_keras_tuner_rounds_stays_in_its_range():
    assert Parameter("model.l2", low=0.1, high=0.3).decoded(0.30000000000000004) == 0.3
    assert Parameter("train.epochs", low=1, high=3).decoded(3) == 3


def test_what_travels_to_a_worker_arrives_equal(capsys):
    parameters = [Parameter(key, values=values) for key, values, _ in CHOICES]
    parameters[-2] = Parameter("train.gamma", low=0.1, high=0.7, step=0.1, when={"train.loss": ("focal",)})
    parameters += [
        Parameter("train.learning_rate", low=1e-5, high=1e-3, log=True, when={"corpus.label_map": ({},)}),
        Parameter("train.seed", low=1, high=2**31 - 1),
        Parameter("train.epochs", low=1, high=64, step=2, log=True, when={"features.max_frequency_hz": (4000.0,)}),
    ]
    space, chance = SearchSpace(tuple(parameters)), random.Random(1)
    for _ in range(20):
        here = declared(*parameters)
        for one in here.space:
            if one.name in here.values:
                here.values[one.name] = one.random_sample(chance.random())
        here.ensure_active_values()
        there = keras_tuner.HyperParameters.from_proto(here.to_proto())
        assert space.values_of(there.values) == space.values_of(here.values)
        there.ensure_active_values()
        assert there.values == here.values
        for one in here.space:
            assert there._exists(one.name, one.conditions)  # else the oracle takes it for a new one
    capsys.readouterr()  # Keras Tuner prints conditions


# Defaults


def test_the_default_is_what_is_configured():
    config = Config(
        train=TrainConfig(loss="focal", gamma=1.25, batch_size=16),
        model=ModelConfig(dropout=0.2),
        features=FeatureConfig(max_frequency_hz=4000.0),
    )
    found = declared(
        LOSS,
        GAMMA,
        Parameter("train.batch_size", values=(8, 16)),
        Parameter("features.max_frequency_hz", values=(None, 4000.0)),
        Parameter("corpus.label_map", values=({"a": ["b"]}, {})),
        config=config,
    )
    assert SearchSpace((LOSS, GAMMA)).values_of(found.values) == {"train.loss": "focal", "train.gamma": 1.25}
    assert found.values["train.batch_size"] == 16
    assert found.values["features.max_frequency_hz"] == "4000.0"
    assert found.values["corpus.label_map"] == "{}"


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        (Parameter("train.gamma", low=3.0, high=4.0), 3.0),
        (Parameter("train.gamma", low=1.0, high=4.0, step=0.3), 1.0),
        (Parameter("train.batch_size", values=(8, 16)), 8),
        (Parameter("features.max_frequency_hz", low=3000.0, high=4000.0), 3000.0),
        (Parameter("features.max_frequency_hz", values=(4000.0, 5000.0)), 4000.0),
    ],
)
def test_the_default_is_the_first_value_where_the_configured_one_is_not_among_them(parameter, default):
    assert declared(parameter).space[0].default == default


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Parameter("train.epochs", low=1, high=4), {1, 2, 3, 4}),
        (Parameter("train.epochs", low=1, high=10, step=3), {1, 4, 7, 10}),
        (Parameter("train.epochs", low=16, high=130, step=2, log=True), {16, 32, 64, 128}),
    ],
)
def test_values_of_a_range_with_gaps_are_those_that_keras_tuner_tries(parameter, values):
    assert set(map(int, declared(parameter).space[0].values)) == set(parameter.checked) == values
    assert parameter.num_values() == len(values)


def test_how_many_settings_there_are():
    step = Parameter("model.dropout", low=0.0, high=0.3, step=0.1)
    assert SearchSpace((LOSS, step, Parameter("train.epochs", low=1, high=10))).num_settings() == 2 * 4 * 10
    assert SearchSpace((LOSS, GAMMA)).num_settings() == np.inf


# For people


def test_the_lines_say_what_is_searched():
    space = SearchSpace(
        (
            LOSS,
            Parameter("train.gamma", low=0.5, high=4.0, when={"train.loss": ("focal",)}),
            Parameter("train.learning_rate", low=1e-5, high=1e-3, log=True),
            Parameter("train.batch_size", low=8, high=32, step=2, log=True),
            Parameter("train.epochs", low=10, high=30, step=5),
            Parameter(
                "features.max_frequency_hz",
                values=(None, 4000.0),
                when={"train.loss": ("cross_entropy", "focal"), "corpus.merge_excited": (True,)},
            ),
            Parameter("corpus.label_map", values=({}, {"积极": ["b"]})),
        )
    )
    assert list(map(str, space.parameters)) == [
        "train.loss: cross_entropy, focal",
        "train.gamma: 0.5 to 4 (where train.loss focal)",
        "train.learning_rate: 1e-05 to 0.001, logarithmic",
        "train.batch_size: 8 to 32, logarithmic, factor 2",
        "train.epochs: 10 to 30, step 5",
        "features.max_frequency_hz: none, 4000 (where train.loss cross_entropy or focal and corpus.merge_excited true)",
        'corpus.label_map: {}, {"积极": ["b"]}',
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), (True, "true"), (0.30000000000000004, "0.3"), (3, "3"), ("x", "x"), ((), "[]")]
)
def test_values_are_shown_as_text(value, text):
    assert value_text(value) == text


def test_numbers_are_pythons_own_whatever_chose_them():
    real, whole = Parameter("train.gamma", low=0.5, high=4.0), Parameter("train.batch_size", low=8, high=32)
    assert [type(real.decoded(np.float64(2.5))), type(whole.decoded(np.int64(9)))] == [float, int]
