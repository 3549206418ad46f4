"""What a cross-validation says of new speakers, and that it is one of the same training."""

import copy
import json
from dataclasses import field, make_dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightsernet_tf.config import Config, FeatureConfig
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.cross_validate.pooled_report import identity
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import RunError
from lightsernet_tf.export.expectations import read_cross_validation

REAL = Path(__file__).parents[2] / "docs/results/emodb_loso/scores.json"


def cross_validated(experiment):
    """Return the figures of a real cross-validation as if they were of an experiment of three classes."""
    scores = json.loads(REAL.read_text(encoding="utf-8"))
    scores |= identity(experiment, [])
    scores["pooled"]["labels"] = list(experiment.labels)
    scores["pooled"]["confusion"] = [row[:3] for row in scores["pooled"]["confusion"][:3]]
    return scores


@pytest.fixture(scope="module")
def experiment(tiny_config):
    return prepare(tiny_config)


def read(scores, experiment, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    return read_cross_validation(tmp_path, experiment)


def test_it_tells_the_figures_and_how_they_came_to_be(experiment, tmp_path):
    scores = cross_validated(experiment)
    told = read(scores, experiment, tmp_path)
    assert told["protocol"] == "leave_one_speaker_out, split seed 42"
    assert told["pooled"] == scores["pooled"]
    assert told["spread"] == scores["speakers"]["spread"]
    assert (told["speakers"], told["validation_speakers"]) == (10, 1)


def test_who_is_trained_on_and_which_epochs_are_kept_may_differ(experiment, tmp_path):
    scores = cross_validated(experiment)
    config = replace(
        experiment.config,
        split=replace(experiment.config.split, validation_speakers=2, seed=1),
        train=replace(experiment.config.train, keep="best_and_last"),
    )
    assert read(scores, replace(experiment, config=config), tmp_path)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("scores", "corpus", "demo"),
        ("scores", "utterances", 35),
        ("pooled", "labels", ["calm", "shrill", "loud"]),
        ("scores", "protocol", "random_hold_outs"),
        ("scores", "protocol", "published"),
        ("scores", "protocol", "final"),
        ("scores", "protocol", None),
        ("features", "kind", "spectrogram"),
        ("features", "mel_min_hz", 20.0),
        ("train", "epochs", 9),
        ("train", "balance", "oversample"),
        ("model", "dropout", 0.1),
        ("augment", "gain_max_db", 3.0),
        ("audio", "duration_seconds", 3.0),
    ],
)
def test_another_training_is_refused_by_name(experiment, tmp_path, section, key, value):
    scores = copy.deepcopy(cross_validated(experiment))
    (scores if section in scores else {"scores": scores} | scores["settings"])[section][key] = value
    name = key if section in ("scores", "pooled") else rf"{section}\.{key}"
    what = "a protocol that tests new speakers" if key == "protocol" else f"{name} as in the run"
    with pytest.raises(RunError, match=rf"scores\.json: expected {what}.*Received: "):
        read(scores, experiment, tmp_path)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"facts": []}', '{"facts": 3, "pooled": {}}', "\ud800"])
def test_a_folder_without_a_cross_validation_is_refused(experiment, tmp_path, text):
    if text is not None:
        (tmp_path / "scores.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(RunError, match=r"scores\.json: expected the figures of a cross-validation\. Received: .+"):
        read_cross_validation(tmp_path, experiment)


@pytest.fixture
def emodb():
    """What is compared of the experiment that the committed cross-validation is of, without its recordings."""
    config = load_config(REAL.parents[3] / "configs/emodb_final.yaml")
    labels = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
    return SimpleNamespace(config=config, corpus=SimpleNamespace(name="emodb"), num_used=535, labels=labels)


def test_the_committed_one_which_holds_sentences_alone_is_read(emodb):
    figures = read_cross_validation(REAL.parent, emodb)
    assert "protocol" not in json.loads(REAL.read_text(encoding="utf-8"))
    assert (figures["protocol"], figures["speakers"]) == ("leave_one_speaker_out, split seed 42", 10)


@pytest.mark.parametrize(("key", "value"), [("num_used", 534), ("labels", ("anger", "boredom"))])
def test_the_committed_one_is_of_its_own_data_alone(emodb, key, value):
    setattr(emodb, key, value)
    with pytest.raises(RunError, match=rf"expected {key.replace('num_used', 'utterances')} as in the run"):
        read_cross_validation(REAL.parent, emodb)


def test_the_committed_one_is_of_its_own_features_alone(emodb):
    emodb.config = replace(emodb.config, features=FeatureConfig(mel_bins=64))
    with pytest.raises(RunError, match=r"expected features\.mel_bins as in the run, 64\. Received: 128"):
        read_cross_validation(REAL.parent, emodb)


@pytest.mark.parametrize("section", ["audio", "features", "augment", "model", "train"])
def test_a_key_that_came_later_had_its_default(emodb, section):
    before = getattr(emodb.config, section)
    later = make_dataclass("Later", [("new_key", tuple, (1, 2))], bases=(type(before),), frozen=True)
    newer = make_dataclass("Newer", [(section, later, field(default_factory=later))], bases=(Config,), frozen=True)
    emodb.config = newer(**{**vars(emodb.config), section: later(**vars(before))})
    assert read_cross_validation(REAL.parent, emodb)
    emodb.config = replace(emodb.config, **{section: later(**vars(before), new_key=(3,))})
    with pytest.raises(RunError, match=rf"expected {section}\.new_key as in the run, \[3\]\. Received: \[1, 2\]"):
        read_cross_validation(REAL.parent, emodb)


def test_reports_may_word_their_facts_otherwise(experiment, tmp_path):
    scores = cross_validated(experiment)
    scores["facts"] = {"corpus": "EMO-DB", "protocol": "each speaker in turn"}
    assert read(scores, experiment, tmp_path)["protocol"] == "each speaker in turn"
