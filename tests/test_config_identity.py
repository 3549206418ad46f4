import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lightsernet_tf.config import Config, CorpusConfig, SplitConfig, TrainConfig, demo_config
from lightsernet_tf.config_identity import PLACES, differing_keys, with_whole_paths, without_keys
from lightsernet_tf.config_parser import config_from, config_yaml, load_config

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class LaterTrainConfig(TrainConfig):
    """The section as a later version may have it, with one more key."""

    warm_up_epochs: int = 0


@dataclass(frozen=True)
class LaterConfig(Config):
    """The settings of that version, which has one more section too."""

    train: LaterTrainConfig = field(default_factory=LaterTrainConfig)
    later: LaterTrainConfig = field(default_factory=LaterTrainConfig)


def test_each_key_that_differs_comes_with_both_values():
    found = Config(train=TrainConfig(epochs=3, balance="class_weight", class_weights={"anger": 2.0}))
    expected = Config(train=TrainConfig(epochs=4, balance="class_weight"), cache_dir="cache")
    assert differing_keys(found, found) == {}
    assert differing_keys(found, expected) == {
        "train.epochs": (3, 4),
        "train.class_weights": ({"anger": 2.0}, {}),
        "cache_dir": (None, "cache"),
    }


def test_keys_and_sections_that_do_not_matter_are_left_out():
    found = Config(CorpusConfig("emodb", "a"), split=SplitConfig(fold=1), runs_dir="b", run_name="c", cache_dir="d")
    expected = Config(CorpusConfig("emodb", "e"), train=TrainConfig(epochs=3))
    assert list(differing_keys(found, expected, ignore=PLACES)) == ["split.fold", "train.epochs"]
    assert list(differing_keys(found, expected, ignore=[*PLACES, "split.fold"])) == ["train.epochs"]
    assert differing_keys(found, expected, ignore=[*PLACES, "split", "train"]) == {}
    assert list(differing_keys(found, expected, only=["train", "split"], ignore=["split.fold"])) == ["train.epochs"]


def test_plain_data_that_lacks_keys_means_their_defaults():
    assert differing_keys({}, Config()) == {}
    assert differing_keys({"train": {"epochs": 300}, "model": {}}, Config()) == {}
    assert differing_keys(Config(), {"train": {"epochs": 3}}) == {"train.epochs": (300, 3)}
    assert differing_keys(json.loads(json.dumps(demo_config().to_dict())), demo_config()) == {}


@pytest.mark.parametrize("value", [0, None])
def test_a_key_of_a_later_version_differs_whatever_its_value(value):
    later = {"train": {"warm_up_epochs": value}}
    assert differing_keys(later, Config()) == {"train.warm_up_epochs": (value, "no such key")}


def test_a_cross_validation_from_before_a_key_stays_one_of_the_same_training():
    saved = json.loads((ROOT / "docs/results/emodb_loso/scores.json").read_text(encoding="utf-8"))["settings"]
    config = load_config(ROOT / "configs/emodb_final.yaml", LaterConfig)
    ignore = [*PLACES, "corpus", "split", "train.keep", "train.strategy"]
    assert differing_keys(saved, config, ignore=ignore) == {}
    assert config_from({**without_keys(config, ["train"]), "train": saved["train"]}, LaterConfig).train.epochs == 80
    warmed_up = replace(config, train=replace(config.train, warm_up_epochs=5))
    assert differing_keys(saved, warmed_up, ignore=ignore) == {"train.warm_up_epochs": (0, 5)}


def test_saved_settings_from_before_a_key_open_with_its_default(tmp_path):
    (tmp_path / "config.yaml").write_text(config_yaml(demo_config()), encoding="utf-8")
    opened = load_config(tmp_path / "config.yaml", LaterConfig)
    assert (opened.train.warm_up_epochs, opened.train.epochs) == (0, 40)
    assert differing_keys(demo_config(), opened) == {}


def test_left_out_keys_and_sections():
    plain = without_keys(Config(), ["split", "train.seed", "runs_dir"])
    assert "split" not in plain
    assert "runs_dir" not in plain
    assert plain["train"] == {key: value for key, value in Config().to_dict()["train"].items() if key != "seed"}


def test_whole_paths_mean_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = with_whole_paths(Config(CorpusConfig("emodb", "data"), train=TrainConfig(initial_weights="a.weights.h5")))
    assert config.corpus.data_dir == str(tmp_path / "data")
    assert config.train.initial_weights == str(tmp_path / "a.weights.h5")
    assert config.cache_dir is None
