"""Judging a .tflite file as a run is judged: the same parts of a corpus, the same figures, the same report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightsernet_tf.config import AudioConfig, Config, FeatureConfig
from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import Fold, choose_fold
from lightsernet_tf.errors import ConfigError, ModelError
from lightsernet_tf.evaluate.facts import data_facts
from lightsernet_tf.evaluate.judgement import judge_parts
from lightsernet_tf.evaluate.predictors import Predictor, predictor_for
from lightsernet_tf.evaluate.report import Evaluation, write_report
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import ModelFile, read_model_file
from lightsernet_tf.runs.fold import describe_split
from lightsernet_tf.versions import versions


def evaluate_file(path: Path, config: Config, output: Path | None = None) -> Evaluation:
    """Judge a .tflite file on the fold of a corpus that a configuration names.

    Window and features are the file's own, whatever the configuration has.

    Parameters
    ----------
    path
        A file that ``export.files.export`` wrote.
    config
        Corpus and split.
    output
        Folder of the report; none: ``NAME_report`` beside the file.

    Raises
    ------
    ModelError
        If the file is damaged, or its labels are not those of the corpus.
    InputError
        If anything that the configuration names cannot work.
    """
    file = read_model_file(path)
    audio, features = _front_end(file)
    experiment = prepare(replace(config, audio=audio, features=features))
    predict = _predictor(file, experiment)
    fold = choose_fold(experiment.folds, config.split)
    parts = judge_parts(predict, experiment, fold)
    document = file.description.document
    notes, trained = _notes(document, experiment, fold), document.get("training", {})
    report_path = write_report(
        output or path.with_name(f"{path.stem}_report"),
        path.name,
        experiment,
        parts,
        notes,
        facts={
            **data_facts(experiment, fold),
            "file": f"{file.description.input}, {document.get('precision')}",
            "trained on": f"{trained.get('corpus')}; {trained.get('protocol')}; epoch {trained.get('epoch')}",
            "versions": versions(),
        },
        file=path.name,
    )
    return Evaluation(str(path), notes, parts, report_path)


def _front_end(file: ModelFile) -> tuple[AudioConfig, FeatureConfig]:
    description = file.description
    document = description.document
    try:
        features = FeatureConfig(**document["features"])
        audio = AudioConfig(description.window_samples / description.sample_rate_hz, description.segments)
    except (KeyError, TypeError, ConfigError) as error:
        raise ModelError(f"{file.path}: expected a description with the front end. Received: {error}") from error
    if features.sample_rate_hz != description.sample_rate_hz:
        raise ModelError(
            f"{file.path}: expected one sample rate for waveform and features. Received: "
            f"{description.sample_rate_hz} and {features.sample_rate_hz} Hz"
        )
    if not isinstance(document.get("training", {}), dict) or not isinstance(document.get("notes", []), list):
        raise ModelError(f"{file.path}: expected a description with training and notes. Received: others")
    return audio, features


def _predictor(file: ModelFile, experiment: Experiment) -> Predictor:
    """Return the file as a function of utterances, its outputs in the order of the experiment's labels."""
    description, labels = file.description, experiment.labels
    if sorted(description.labels) != sorted(labels):
        raise ModelError(
            f"{file.path}: expected a model of the corpus's labels, {', '.join(labels)} (corpus.label_map merges "
            f"them, corpus.drop_labels leaves some out). Received: one of {', '.join(description.labels)}"
        )
    order = [description.labels.index(label) for label in labels]
    waveform = description.input == "waveform"
    shape = (1, description.window_samples) if waveform else (1, *experiment.store.input_shape)
    try:
        network = LiteRTNetwork(file.content, shape, len(labels))
    except ModelError as error:
        raise ModelError(f"{file.path}: {error}") from error
    return predictor_for(experiment, lambda batch: network.predict_batch(batch)[:, order], description.input)


def _notes(document: Mapping[str, Any], experiment: Experiment, fold: Fold) -> list[str]:
    of_training, of_data = document.get("notes", []), experiment.notes(fold)
    if document.get("split_content") == describe_split(experiment, fold)["content"]:
        return list(dict.fromkeys([*of_training, *of_data]))
    trained = document.get("training", {})
    another = (
        f"the model was trained on another split ({trained.get('corpus')}; {trained.get('protocol')}; fold "
        f"{trained.get('fold')}): what it was trained on may be among what is judged here"
    )
    return [
        *(f"of its training: {note}" for note in of_training),
        *of_data,
        another + _known_speakers(document, experiment, fold),
    ]


def _known_speakers(document: Mapping[str, Any], experiment: Experiment, fold: Fold) -> str:
    """Say how many of the utterances that are judged as new are of speakers that the model was trained on."""
    trained = document.get("training", {})
    # Files exported before the description had a corpus name it only at the beginning of this fact.
    if document.get("corpus", str(trained.get("corpus")).partition(",")[0]) != experiment.corpus.name:
        return ""
    known, speaker_of = trained.get("training speakers", []), [one.speaker for one in experiment.corpus.utterances]
    counts = [
        f"{sum(speaker_of[position] in known for position in positions)} of {len(positions)} {part}"
        for part, positions in fold.parts().items()
        if positions and part != "training"
    ]
    return f"; of speakers that it was trained on are {' and '.join(counts)} utterances"
