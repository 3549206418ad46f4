"""A model file's card, in Markdown, made of nothing but the description that travels in the file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from lightsernet_tf.evaluate.sections import FIGURE_NAMES, HOW_TO_READ, confusion_table, interval
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.reporting.markdown import markdown_table, percent

_USES = """\
Emotion heard in a voice is uncertain: the same voice sounds different to different people, acted emotion is not felt
emotion, and how emotion sounds differs between languages, cultures, ages and recordings. The model gives a probability
for each label whatever it is given, also for silence, a cough, music, or a language that it was not trained on.

It was judged on recordings like those that it was trained on. Noise, a telephone's bandwidth or a lossy codec can bring
such a model down to chance: measure it on recordings like yours before you use it.

It is no basis for decisions about people. It must not be used to judge applicants, employees, pupils, patients or
suspects, to detect lies, or to watch people who do not know of it or have not agreed to it. In the European Union
recognising emotions at work and in schools is prohibited, but for medical and safety reasons (Regulation 2024/1689,
article 5)."""

_CITATION = """\
Aftab, Morsali, Ghaemmaghami and Champagne: Light-SERNet: a lightweight fully convolutional neural network for speech
emotion recognition, ICASSP 2022."""


def model_card(document: Mapping[str, Any], file_name: str, file_bytes: int) -> str:
    """Return the card.

    Parameters
    ----------
    document
        The description that the file carries.
    file_name
        What the card calls it.
    file_bytes
        Its size.
    """
    warnings = list(document["notes"])
    if not document["proof"]["passed"]:
        warnings.insert(0, "This file did not pass its check against Keras, see below.")
    sections = [
        f"# {file_name}",
        f"Light-SERNet, {len(document['labels'])} labels: {', '.join(document['labels'])}.",
        *(f"> **{warning}**" for warning in warnings),
        _table(_facts(document, file_bytes)),
        "## How good it is",
        *_expected(document),
        *_measured(document),
        "## What it must not be used for",
        _USES,
        "## What it was trained on",
        _table(document["training"]),
        "## This file against Keras",
        _proof(document),
        "## Speed",
        _speed(document),
        "## How to load it",
        _how_to_load(document, file_name),
        "## Licence and source",
        f"Licence of the model: {document['licence']}. Corpus: {document['corpus_terms']}.",
        _CITATION,
        "Made with " + ", ".join(f"{name} {version}" for name, version in document["versions"].items()) + ".",
    ]
    return "\n\n".join(sections) + "\n"


def _table(facts: Mapping[str, Any]) -> str:
    rows = [
        (name, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value)
        for name, value in facts.items()
    ]
    return markdown_table(("", ""), rows, "ll")


def _facts(document: Mapping[str, Any], file_bytes: int) -> dict[str, Any]:
    given, made = document["input"], document["output"]
    waveform = given["kind"] == "waveform"
    precision = document["precision"]
    if waveform and PRECISIONS[precision].recipe is not None:
        precision += " network, float32 front end"
    taken = (
        f"mono samples at {given['sample_rate_hz']} Hz, at any level; pad a shorter clip with zeros on either side"
        if waveform
        else f"{document['features']['kind']} of lightsernet_tf.features"
    )
    segments = {"centre": "the middle", "all": "every window, averaged"}[given["segments"]]
    return {
        "input": f"{given['dtype']} {given['shape']}: {taken}",
        "output": f"{made['dtype']} {made['shape']}: the probability of each label, in the order above",
        "level": given["normalization"],
        "window": f"{given['duration_seconds']:g} s; of a longer recording {segments}",
        "precision": "; ".join(filter(None, [precision, document["calibration"]])),
        "size": f"{file_bytes / 1024:.0f} KiB",
        "operators": ", ".join(document["operators"]),
    }


def _expected(document: Mapping[str, Any]) -> list[str]:
    expected = document["expected"]
    if expected is None:
        return [
            "No cross-validation was named at export: how good the model is for new speakers is known only as far as "
            "the figures below say."
        ]
    spread, scores = expected["spread"], expected["pooled"]
    choosing = expected["validation_speakers"]
    return [
        f"**For a new speaker expect a UA of about {percent(spread['ua']['mean'])} and a WA of about "
        f"{percent(spread['wa']['mean'])}: the means over the {expected['speakers']} speakers of a cross-validation** "
        f"({expected['protocol']}), each judged by networks that were trained the same way but not on that speaker. "
        f"Speakers differ: their UA ranged from {percent(spread['ua']['min'])} to {percent(spread['ua']['max'])}, and "
        f"a new one may lie outside. There the epoch was chosen by {choosing} speaker{'s' * (choosing != 1)}.",
        f"All {scores['utterances']} utterances pooled: UA {interval(scores['ua'], expected['intervals']['ua'])}, WA "
        f"{interval(scores['wa'], expected['intervals']['wa'])}. " + HOW_TO_READ,
        _confusion(scores),
    ]


def _measured(document: Mapping[str, Any]) -> list[str]:
    names = {"validation": "validation data (chose the epoch: optimistic)", "test": "test data"}
    rows = [
        (
            names[part],
            judged["scores"]["utterances"],
            *(interval(judged["scores"][key], judged["intervals"][key]) for key in FIGURE_NAMES),
        )
        for part, judged in document["measured"].items()
    ]
    table = markdown_table(("this file on", "utterances", *FIGURE_NAMES.values()), rows, "lrrrrr")
    if document["expected"] is not None:
        return [table]
    last = list(document["measured"])[-1]
    return [table, _confusion(document["measured"][last]["scores"])]


def _confusion(scores: Mapping[str, Any]) -> str:
    table = confusion_table(scores["labels"], np.array(scores["confusion"]))
    return f"Utterances, and percent of the true class (rows true, columns predicted):\n\n{table}"


def _proof(document: Mapping[str, Any]) -> str:
    proof, level = document["proof"], document["level"]
    largest, agreement = f"{proof['largest_difference']:.1e}", percent(proof["agreement"])
    rows = [
        ("Keras", percent(proof["keras_wa"]), percent(proof["keras_ua"]), "", ""),
        ("this file", percent(proof["file_wa"]), percent(proof["file_ua"]), largest, agreement),
    ]
    header = ("", "WA", "UA", "largest difference of a probability on the same input", "same decision")
    given = "raw audio" if document["input"]["kind"] == "waveform" else "the features"
    verdict = "Passed" if proof["passed"] else "**Not passed**"
    paragraphs = [
        f"On the {proof['utterances']} validation utterances of the run, from {given}. Expected: {proof['expected']}. "
        f"{verdict}.",
        markdown_table(header, rows, "lrrrr"),
    ]
    if level is not None:
        paragraphs.append(
            f"The file takes a clip's level after padding, training took it before: over {level['utterances']} "
            f"utterances of the corpus Keras decides the same either way for {percent(level['agreement'])}, and no "
            f"probability differs by more than {level['largest_difference']:.1e}."
        )
    return "\n\n".join(paragraphs)


def _speed(document: Mapping[str, Any]) -> str:
    latency = document["latency"]
    times = ", ".join(
        f"{value:.1f} ms on {threads} thread{'s' * (threads != '1')}"
        for threads, value in latency["milliseconds"].items()
    )
    return (
        f"Median of {latency['runs']} windows by LiteRT on a machine of {latency['machine']}: {times}. On another "
        "machine trust the ratios alone."
    )


def _how_to_load(document: Mapping[str, Any], file_name: str) -> str:
    quoted = json.dumps(file_name, ensure_ascii=False)
    given = document["input"]
    ours = f"""With this package (NumPy and LiteRT, no TensorFlow):

    from lightsernet_tf import EmotionRecognizer
    EmotionRecognizer({quoted}).predict(waveform, sample_rate_hz).label

"""
    integers = (
        "\nBoth are int8: a number is `scale * (integer - zero_point)`, as `get_input_details` and "
        "`get_output_details` say.\n"
    )
    return f"""{ours if given["kind"] == "waveform" else ""}With LiteRT alone, in any language; in Python:

    from ai_edge_litert.interpreter import Interpreter
    run = Interpreter({quoted}).get_signature_runner()
    run({given["kind"]}=window)["{document["output"]["name"]}"]
{integers if given["dtype"] == "int8" else ""}
Labels and everything above are in the file: `unzip -p {shlex.quote(file_name)} labels.txt` (or `lightsernet.json`)."""
