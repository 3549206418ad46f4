"""The settings that come with the project: each loads, and says what its name says."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from lightsernet_tf.config import Config, FeatureConfig, ModelConfig, demo_config
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.corpora import READERS
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.settings import SearchSettings

OPTIMISTIC_NOTE = PROTOCOLS["published"].note

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
CHANGES = {
    "balanced": {"train.balance": "class_weight"},
    "balanced_focal": {"train.balance": "class_weight", "train.loss": "focal"},
    "batch_8": {"train.batch_size": 8},
    "dropout_0": {"model.dropout": 0.0},
    "focal": {"train.loss": "focal"},
    "learning_rate_1e-3": {"train.learning_rate": 1e-3},
    "learning_rate_1e-5": {"train.learning_rate": 1e-5},
    "learning_rate_1e-6": {"train.learning_rate": 1e-6},
    "low": {"features.max_frequency_hz": 4000.0},
    "oversampled": {"train.balance": "oversample"},
    "validation_0.1": {"split.validation_fraction": 0.1},
}


def loaded(name: str) -> Config:
    return load_config(CONFIGS / name, SearchSettings if name.startswith("tune_") else Config)


def flat(config: Config) -> dict:
    settings = config.to_dict()
    return {
        **{f"{section}.{key}": value for section, keys in settings.items() if isinstance(keys, dict)
           for key, value in keys.items()},
        **{key: value for key, value in settings.items() if not isinstance(value, dict)},
    }  # fmt: skip


def difference(name: str, base: str) -> dict:
    ours, theirs = flat(loaded(name)), flat(loaded(base))
    return {key: value for key, value in ours.items() if value != theirs[key]}


@pytest.mark.parametrize("name", FILES)
def test_every_file_loads_and_begins_with_what_it_is_for(name):
    config = loaded(name)
    assert (CONFIGS / name).read_text(encoding="utf-8").startswith("# ")
    assert config.run_name is None
    labels = set(READERS[config.corpus.name].labels)
    named = {*config.corpus.labels, *config.corpus.drop_labels, *chain.from_iterable(config.corpus.label_map.values())}
    assert named <= labels


def test_the_demo_is_what_a_command_trains_without_arguments():
    assert loaded("demo.yaml") == demo_config()


def test_emodb_has_the_hyperparameters_of_the_paper():
    config = loaded("emodb.yaml")
    assert config.split.protocol == "leave_one_speaker_out"
    assert config.features == FeatureConfig(
        kind="mfcc", sample_rate_hz=16000, frame_length_samples=1024, frame_step_samples=256, mfcc_coefficients=40
    )
    assert config.audio.duration_seconds == 3.0
    assert config.model == ModelConfig(dropout=0.3, l2=1e-6)
    train = config.train
    assert (train.epochs, train.batch_size, train.learning_rate) == (300, 32, 1e-4)
    assert (train.schedule, train.loss, train.balance) == ("published", "cross_entropy", "none")


def test_the_published_protocol_differs_in_its_split_alone_and_says_optimistic(tiny_config):
    assert difference("emodb_published.yaml", "emodb.yaml") == {"split.protocol": "published", "train.choose_by": "wa"}
    config = loaded("emodb_published.yaml")
    assert (config.split.folds, config.split.test_fraction) == (10, 0.2)
    assert "Optimistic" in (CONFIGS / "emodb_published.yaml").read_text(encoding="utf-8")
    experiment = prepare(replace(tiny_config, split=config.split))
    assert OPTIMISTIC_NOTE in experiment.notes(experiment.folds[0])


def test_the_final_settings_test_nobody():
    changed = {"split.protocol": "final", "split.validation_speakers": 2, "train.epochs": 80}
    assert difference("emodb_final.yaml", "emodb.yaml") == changed


def test_ravdess_reduces_its_identical_pair():
    config = loaded("ravdess.yaml")
    assert config.corpus.duplicates == "drop"
    assert (config.split.protocol, config.split.folds) == ("group_k_fold", 6)


def test_iemocap_is_the_papers_window_loss_and_classes():
    config = loaded("iemocap_all.yaml")
    assert (config.audio.duration_seconds, config.train.loss, config.train.gamma) == (7.0, "focal", 2.0)
    assert config.corpus.labels == ("anger", "happiness", "neutral", "sadness")
    assert config.corpus.merge_excited
    assert difference("iemocap_improvised.yaml", "iemocap_all.yaml") == {"corpus.part": "improvised"}


def test_three_classes_are_made_of_every_label():
    config = loaded("three_class/base.yaml")
    assert list(config.corpus.label_map) == ["positive", "neutral", "negative"]
    assert sorted(chain.from_iterable(config.corpus.label_map.values())) == sorted(READERS["emodb"].labels)
    assert (config.train.epochs, config.train.batch_size, config.train.learning_rate) == (500, 16, 1e-4)
    assert (config.model.dropout, config.split.validation_fraction) == (0.2, 0.15)
    assert loaded("three_class/mfcc.yaml") == config
    assert difference("three_class/spectrogram.yaml", "three_class/base.yaml") == {"features.kind": "spectrogram"}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["mfcc", "spectrogram"])
def test_an_experiment_changes_what_its_name_says(kind, change):
    assert difference(f"three_class/{kind}_{change}.yaml", f"three_class/{kind}.yaml") == CHANGES[change]


def test_no_experiment_of_three_classes_is_missing_or_unknown():
    names = {
        "base",
        *(kind + change for kind in ("mfcc", "spectrogram") for change in ("", *(f"_{c}" for c in CHANGES))),
    }
    assert {Path(name).stem for name in FILES if name.startswith("three_class/")} == names


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("tune_")])
def test_every_search_has_a_space_that_can_be_searched(name, tmp_path):
    settings = replace(loaded(name), runs_dir=str(tmp_path))
    assert [parameter.key for parameter in Search.begin(settings).space.parameters]


def test_the_search_of_three_classes_is_the_grid_of_their_experiments():
    space = Search(Path(), loaded("tune_three_class.yaml")).space
    assert {parameter.key: parameter.values for parameter in space.parameters} == {
        "features.kind": ("mfcc", "spectrogram"),
        "features.max_frequency_hz": (None, 4000.0),
        "train.balance": ("none", "class_weight"),
        "train.loss": ("cross_entropy", "focal"),
        "train.learning_rate": (1e-3, 1e-4, 1e-5, 1e-6),
    }
    assert loaded("tune_three_class.yaml").search.strategy == "grid"
    labels = loaded("tune_three_class.yaml").corpus.label_map
    assert labels == loaded("three_class/base.yaml").corpus.label_map
