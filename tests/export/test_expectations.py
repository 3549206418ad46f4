"""What a cross-validation says of new speakers, and that it is one of the same training."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config_identity import PLACES, differing_keys
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.export.expectations import read_cross_validation, settings_of_training

REAL = Path(__file__).parents[2] / "docs/results/emodb_loso/scores.json"


def cross_validated(experiment):
    """Return the figures of a real cross-validation as if they were of an experiment of three classes."""
    scores = json.loads(REAL.read_text(encoding="utf-8"))
    scores["facts"] = {**experiment_facts(experiment), "protocol": scores["facts"]["protocol"]}
    scores["settings"] = settings_of_training(experiment.config)
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
        ("facts", "corpus", "folders, 35 utterances"),
        ("pooled", "labels", ["calm", "shrill", "loud"]),
        ("facts", "protocol", "random_hold_outs, split seed 42"),
        ("facts", "protocol", "published, split seed 42"),
        ("facts", "protocol", "final, split seed 42"),
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
    (scores if section in scores else scores["settings"])[section][key] = value
    name = key if section in scores else rf"{section}\.{key}"
    what = "a protocol that tests new speakers" if key == "protocol" else f"{name} as in the run"
    with pytest.raises(RunError, match=rf"scores\.json: expected {what}.*Received: "):
        read(scores, experiment, tmp_path)


def test_one_from_before_there_was_a_key_is_of_the_same_training_while_the_key_has_its_default(experiment, tmp_path):
    scores = cross_validated(experiment)
    del scores["settings"]["train"]["gamma"], scores["settings"]["augment"]
    assert read(scores, experiment, tmp_path)
    changed = replace(experiment.config, train=replace(experiment.config.train, gamma=1.0))
    with pytest.raises(RunError, match=r"scores\.json: expected train\.gamma as in the run, 1\.0\. Received: 2\.0"):
        read(scores, replace(experiment, config=changed), tmp_path)


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"facts": []}', '{"facts": 3, "pooled": {}}', "\ud800"])
def test_a_folder_without_a_cross_validation_is_refused(experiment, tmp_path, text):
    if text is not None:
        (tmp_path / "scores.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(RunError, match=r"scores\.json: expected the figures of a cross-validation\. Received: .+"):
        read_cross_validation(tmp_path, experiment)


def test_the_one_that_comes_with_the_project_is_of_its_configuration():
    config = load_config(REAL.parents[3] / "configs/emodb_final.yaml")
    scores = json.loads(REAL.read_text(encoding="utf-8"))
    ignore = [*PLACES, "corpus", "split", "train.keep", "train.strategy"]
    assert differing_keys(scores["settings"], config, ignore=ignore) == {}
