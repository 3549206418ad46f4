"""A model file's card, made of its description alone."""

import copy
from pathlib import Path

import pytest

from lightsernet_tf.export.card import model_card
from lightsernet_tf.predict.model_file import read_model_file

SCORES = {"utterances": 40, "wa": 0.75, "ua": 0.7, "macro_f1": 0.72, "weighted_f1": 0.74}
SCORES |= {"labels": ["calm", "lo|ud"], "confusion": [[20, 5], [5, 10]]}
INTERVALS = {"wa": [0.6, 0.9], "ua": [0.55, 0.85], "macro_f1": [0.5, 0.8], "weighted_f1": [0.5, 0.8]}
JUDGED = {"scores": SCORES, "intervals": INTERVALS}
DOCUMENT = {
    "labels": ["calm", "lo|ud"],
    "notes": ["synthetic: says nothing about people"],
    "input": {
        "kind": "waveform",
        "dtype": "float32",
        "shape": [1, 48000],
        "sample_rate_hz": 16000,
        "duration_seconds": 3.0,
        "segments": "centre",
        "normalization": "in the graph",
    },
    "output": {"name": "probabilities", "dtype": "float32", "shape": [1, 2]},
    "features": {"kind": "mfcc"},
    "training": {"corpus": "folders, 99 utterances", "training speakers": ["Änne", "a|b"], "epoch": "3 of 9"},
    "expected": None,
    "measured": {"validation": JUDGED, "test": JUDGED},
    "proof": {
        "utterances": 40,
        "largest_difference": 0.012,
        "agreement": 0.975,
        "keras_wa": 0.76,
        "keras_ua": 0.71,
        "file_wa": 0.75,
        "file_ua": 0.7,
        "expected": "at most 1 point of UA lost",
        "passed": True,
    },
    "level": {"utterances": 99, "agreement": 0.99, "largest_difference": 0.003},
    "precision": "int8",
    "calibration": "calibrated on 7 training utterances, seed 1",
    "operators": ["CONV_2D", "SOFTMAX"],
    "latency": {"milliseconds": {"1": 2.61, "2": 1.4}, "runs": 30, "machine": "2 cores, x86_64"},
    "licence": "Apache-2.0",
    "corpus_terms": "CC0 1.0",
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
}


def card(name="my model_int8.tflite", **changes):
    return model_card({**copy.deepcopy(DOCUMENT), **changes}, name, 600 * 1024)


def test_it_says_what_the_file_takes_gives_and_weighs():
    lines = card().splitlines()
    assert lines[0] == "# my model_int8.tflite"
    assert lines[2] == "Light-SERNet, 2 labels: calm, lo|ud."
    assert "> **synthetic: says nothing about people**" in lines
    assert (
        "| input | float32 [1, 48000]: mono samples at 16000 Hz, at any level; pad a shorter clip with zeros on either "
        "side |" in lines
    )
    assert "| output | float32 [1, 2]: the probability of each label, in the order above |" in lines
    assert "| window | 3 s; of a longer recording the middle |" in lines
    told = "int8 network, float32 front end; calibrated on 7 training utterances, seed 1"
    assert f"| precision | {told} |" in lines
    assert "| size | 600 KiB |" in lines
    assert "| operators | CONV_2D, SOFTMAX |" in lines
    assert "| training speakers | Änne, a\\|b |" in lines


def test_headings_come_once_and_in_order():
    headings = [line for line in card().splitlines() if line.startswith("## ")]
    assert headings == [
        "## How good it is",
        "## What it must not be used for",
        "## What it was trained on",
        "## This file against Keras",
        "## Speed",
        "## How to load it",
        "## Licence and source",
    ]


def test_without_a_cross_validation_it_says_so_and_shows_the_test_data():
    text = card()
    assert "No cross-validation was named at export" in text
    figures = "40 | 75.0 % [60.0, 90.0] | 70.0 % [55.0, 85.0] | 72.0 % [50.0, 80.0] | 74.0 % [50.0, 80.0] |"
    assert f"| validation data (chose the epoch: optimistic) | {figures}" in text
    assert f"| test data | {figures}" in text
    assert "| 2 lo\\|ud | 5 (33 %) | 10 (67 %) |" in text


def test_a_cross_validation_comes_first():
    spread = {"ua": {"mean": 0.68, "std": 0.1, "min": 0.5, "max": 0.8}, "wa": {"mean": 0.73, "min": 0.6, "max": 0.8}}
    protocol = "leave_one_speaker_out, split seed 42"
    expected = {"protocol": protocol, "pooled": SCORES, "intervals": INTERVALS, "spread": spread}
    expected |= {"validation_speakers": 1, "speakers": 9}
    text = card(expected=expected, measured={"validation": JUDGED})
    assert (
        "**For a new speaker expect a UA of about 68.0 % and a WA of about 73.0 %: the means over the 9 speakers of a "
        "cross-validation** (leave_one_speaker_out, split seed 42)" in text
    )
    assert "their UA ranged from 50.0 % to 80.0 %" in text
    assert "There the epoch was chosen by 1 speaker." in text
    assert "All 40 utterances pooled: UA 70.0 % [55.0, 85.0], WA 75.0 % [60.0, 90.0]." in text
    assert text.index("For a new speaker") < text.index("this file on")
    assert text.count("rows true, columns predicted") == 1


@pytest.mark.parametrize(("passed", "verdict"), [(True, "Passed"), (False, "**Not passed**")])
def test_the_proof(passed, verdict):
    text = card(proof={**DOCUMENT["proof"], "passed": passed})
    assert ("did not pass its check" in text) is not passed
    assert (
        f"On the 40 validation utterances of the run, from raw audio. Expected: at most 1 point of UA lost. {verdict}."
        in text
    )
    assert "| this file | 75.0 % | 70.0 % | 1.2e-02 | 97.5 % |" in text
    assert "Keras decides the same either way for 99.0 %, and no probability differs by more than 3.0e-03." in text
    assert "2 cores, x86_64: 2.6 ms on 1 thread, 1.4 ms on 2 threads." in text


def test_how_to_load_it_survives_odd_names():
    text = card('it\'s "mine" ü.tflite')
    assert 'Interpreter("it\'s \\"mine\\" ü.tflite")' in text
    assert 'EmotionRecognizer("it\'s \\"mine\\" ü.tflite")' in text
    assert "unzip -p 'it'\"'\"'s \"mine\" ü.tflite' labels.txt" in text
    assert "scale * (integer" not in text


def test_features_alone_in_integers():
    given = {**DOCUMENT["input"], "kind": "features", "dtype": "int8", "shape": [1, 184, 40, 1], "segments": "all"}
    given["normalization"] = "before the features"
    text = card(input=given, output={**DOCUMENT["output"], "dtype": "int8"}, level=None)
    assert "| input | int8 [1, 184, 40, 1]: mfcc of lightsernet_tf.features |" in text
    assert "| level | before the features |" in text
    assert "| precision | int8; calibrated" in text
    assert "every window, averaged" in text
    assert "from the features. Expected" in text
    assert "after padding" not in text
    assert "EmotionRecognizer" not in text
    assert "run(features=window)" in text
    assert "a number is `scale * (integer - zero_point)`" in text


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_shipped_cards_are_those_of_the_shipped_files(precision):
    file = read_model_file(Path(__file__).parents[2] / f"tflite/light_sernet_emodb_{precision}.tflite")
    text = model_card(file.description.document, file.path.name, len(file.content))
    assert file.path.with_suffix(".md").read_text(encoding="utf-8") == text
