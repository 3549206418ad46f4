from dataclasses import replace

import pytest

from lightsernet_tf.config import Config, CorpusConfig, SplitConfig, TrainConfig
from lightsernet_tf.config_parser import config_parser, config_yaml, load_config, parse_config
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings

SPACE = {
    "train.learning_rate": {"min": "1e-5", "max": 1.0e-3, "scale": "log"},
    "train.loss": ["cross_entropy", "focal"],
    "train.gamma": {"min": 0.5, "max": 4.0, "step": 0.5, "when": {"train.loss": "focal"}},
    "train.balance": ["none", "class_weight"],
    "train.keep": ["all", "every 10"],
    "train.initial_weights": [None, "1e-3", "no", "[a]"],
    "corpus.merge_excited": [True, False],
    "corpus.label_map": [{}, {"no": ["愤怒", "sadness"]}],
}


@pytest.fixture
def write(tmp_path):
    def write_yaml(text, name="tune.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_yaml


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"space": {False: [1]}}, "search.space: expected keys of the configuration. Received: space={False: [1]}"),
        ({"trials": 0}, "search.trials: expected none, or 1 to 1000000. Received: trials=0"),
        ({"trials": 1_000_001}, "search.trials: expected none, or 1 to 1000000. Received: trials=1000001"),
        ({"folds": 0}, "search.folds: expected at least 1. Received: folds=0"),
        ({"seed": 0}, "search.seed: expected 1 or more and less than 2**31. Received: seed=0"),
        ({"seed": 2**31}, "search.seed: expected 1 or more and less than 2**31. Received: seed=2147483648"),
        ({"initial_trials": 0}, "search.initial_trials: expected none, or at least 1. Received: initial_trials=0"),
        ({"hyperband_factor": 1}, "search.hyperband_factor: expected at least 2. Received: hyperband_factor=1"),
        ({"hyperband_rounds": 0}, "search.hyperband_rounds: expected at least 1. Received: hyperband_rounds=0"),
        (
            {"strategy": "random", "initial_trials": 3},
            "search.initial_trials: expected none, but for bayesian. Received: initial_trials=3",
        ),
        (
            {"strategy": "hyperband", "trials": 3},
            "search.trials: expected none (null), for hyperband counts them itself. Received: trials=3",
        ),
    ],
)
def test_what_cannot_work_is_named_with_its_key(settings, message):
    with pytest.raises(ConfigError) as caught:
        SearchConfig(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "limits",
    [
        {"trials": 1, "seed": 1, "initial_trials": 1, "hyperband_factor": 2},
        {"trials": 1_000_000, "seed": 2**31 - 1},
        {"strategy": "hyperband", "hyperband_rounds": 2},
    ],
)
def test_the_limits_themselves_are_fine(limits):
    config = SearchConfig(**limits)
    assert {key: getattr(config, key) for key in limits} == limits


def test_a_search_never_chooses_on_the_test_data():
    with pytest.raises(ConfigError, match=r"^split\.protocol: expected one whose validation data is not tested\. Rec"):
        SearchSettings(split=SplitConfig(protocol="published"))


def test_final_has_one_fold():
    final = SplitConfig(protocol="final")
    with pytest.raises(ConfigError, match=r"^search\.folds: expected at most the 1 of final\. Received: 2$"):
        SearchSettings(split=final, search=SearchConfig(folds=2))
    assert SearchSettings(split=final).search.folds == 1


def test_the_other_sections_are_checked_as_ever():
    with pytest.raises(ConfigError, match=r"^audio\.duration_seconds: expected at least one frame"):
        SearchSettings(features=replace(Config().features, frame_length_samples=65536))


@pytest.mark.parametrize(
    "search",
    [
        SearchConfig(),
        SearchConfig(SPACE, "bayesian", trials=7, folds=2, seed=3, initial_trials=4),
        SearchConfig(SPACE, "hyperband", hyperband_factor=4, hyperband_rounds=2),
    ],
)
def test_what_is_written_reads_back_the_same(write, search):
    split = SplitConfig(protocol="leave_one_speaker_out")
    settings = SearchSettings(corpus=CorpusConfig("emodb", "a b/语"), split=split, search=search, run_name="123")
    found = load_config(write(config_yaml(settings)), SearchSettings)
    assert type(found) is SearchSettings
    assert found == settings
    assert list(found.search.space) == list(search.space)


def test_a_file_builds_on_another_and_replaces_its_space(write):
    write("train: {epochs: 7}\nsearch: {trials: 5, strategy: random, space: {model.dropout: [0.1]}}", "base.yaml")
    found = load_config(write("extends: base.yaml\nsearch: {trials: 9, space: {train.loss: [focal]}}"), SearchSettings)
    assert found.train == TrainConfig(epochs=7)
    assert found.search == SearchConfig({"train.loss": ["focal"]}, "random", trials=9)


def test_a_search_may_build_on_an_experiment(write):
    write("train: {epochs: 7}\nrun_name: base", "base.yaml")
    found = load_config(write("extends: base.yaml\nsearch: {trials: 9}"), SearchSettings)
    assert found == SearchSettings(train=TrainConfig(epochs=7), run_name="base", search=SearchConfig(trials=9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("search: {trial: 3}", "search.trial: no such key. Did you mean search.trials?"),
        ("serach: {trials: 3}", "serach: no such key. Did you mean search?"),
        ("search: 3", "search: expected keys and values. Received: search=3"),
        (
            "search: {strategy: tpe}",
            "search.strategy: expected one of random, bayesian, hyperband, grid. Received: tpe",
        ),
        ("search: {space: [train.loss]}", "search.space: expected keys and values. Received: ['train.loss']"),
        ("search: {space: }", "search.space: expected a value. Received: nothing"),
        (
            "search: {space: {no: [1]}}",
            "search.space: expected keys of the configuration. Received: space={False: [1]}",
        ),
        ("search: {trials: many}", "search.trials: expected a whole number or null. Received: many"),
        ("split: {protocol: published}", "split.protocol: expected one whose validation data is not tested."),
    ],
)
def test_a_file_that_cannot_work_is_named_with_its_key(write, text, message):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, SearchSettings)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_the_command_line_overrides_the_file(write):
    path = write("search: {trials: 5, space: {model.dropout: [0.1]}}")
    arguments = ["--config", str(path), "--search.trials", "9", "--search.strategy=random"]
    found, _ = parse_config(config_parser("tune", "Tune.", kind=SearchSettings), arguments, SearchSettings)
    assert found == SearchSettings(search=SearchConfig({"model.dropout": [0.1]}, "random", trials=9))


def test_what_trials_share_is_the_experiment_without_the_search():
    settings = SearchSettings(train=TrainConfig(epochs=3), run_name="x", search=SearchConfig(trials=9))
    assert type(settings.shared()) is Config
    assert settings.shared() == Config(train=TrainConfig(epochs=3), run_name="x")
    assert "search" not in settings.shared().to_dict()
