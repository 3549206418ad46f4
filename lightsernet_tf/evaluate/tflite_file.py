"""Judging a .tflite file as a run is judged: the same parts of a corpus, the same figures, the same report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightsernet_tf.config import AudioConfig, Config, FeatureConfig
from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import Fold, choose_fold, inherited_notes, protocol_in
from lightsernet_tf.errors import ConfigError, ModelError
from lightsernet_tf.evaluate.facts import fold_facts
from lightsernet_tf.evaluate.judgement import (
    Judgement,
    judge_parts,
    part_lines,
    part_sections,
    part_summary,
    write_judgements,
)
from lightsernet_tf.evaluate.predictors import Predictor, predictor_for
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import Description, ModelFile, read_model_file
from lightsernet_tf.reporting.markdown import report
from lightsernet_tf.runs.fold import describe_split
from lightsernet_tf.versions import versions


@dataclass(frozen=True)
class FileEvaluation:
    """A judged file: one ``Judgement`` for each part with utterances, and its report."""

    path: Path
    notes: list[str]
    parts: dict[str, Judgement]
    report_path: Path

    def summary(self) -> str:
        """Return what was reached and which files to open, for a terminal."""
        picture = self.report_path.parent / f"confusion_{list(self.parts)[-1]}.png"
        lines = [str(self.path), *(f"  {note}" for note in self.notes), *part_lines(self.parts)]
        return "\n".join([*lines, f"Report:   {self.report_path}", f"Picture:  {picture}"])


def evaluate_file(path: Path, config: Config, output: Path | None = None) -> FileEvaluation:
    """Judge a .tflite file on the fold of a corpus that a configuration names.

    Window and features are the file's own, whatever the configuration says of them.

    Parameters
    ----------
    path
        A file that ``exporting.export`` wrote.
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
    order = _order_of_labels(file, experiment.labels)
    fold = choose_fold(experiment.folds, config.split)
    predict = _predictor(file, experiment)
    parts = judge_parts(lambda positions: predict(positions)[:, order], experiment, fold)
    notes = _notes(file.description, experiment, fold)
    folder = output or path.with_name(f"{path.stem}_report")
    text = report(
        f"{path.name} on {experiment.corpus.name}",
        notes=notes,
        facts=_facts(file.description, experiment, fold),
        sections=[part_summary(parts), *part_sections(parts, folder, path.name, notes)],
        skipped=[f"{left_out}: {reason}" for left_out, reason in experiment.left_out],
    )
    return FileEvaluation(path, notes, parts, write_judgements(folder, text, experiment, parts, notes, file=path.name))


def _front_end(file: ModelFile) -> tuple[AudioConfig, FeatureConfig]:
    document = file.description.document
    try:
        features = FeatureConfig(**document["features"])
        audio = AudioConfig(
            file.description.window_samples / file.description.sample_rate_hz, file.description.segments
        )
    except (KeyError, TypeError, ConfigError) as error:
        raise ModelError(f"{file.path}: expected a description with the front end. Received: {error}") from error
    if features.sample_rate_hz != file.description.sample_rate_hz:
        raise ModelError(
            f"{file.path}: expected one sample rate for waveform and features. Received: "
            f"{file.description.sample_rate_hz} and {features.sample_rate_hz} Hz"
        )
    if not isinstance(document.get("training", {}), dict) or not isinstance(document.get("notes", []), list):
        raise ModelError(f"{file.path}: expected a description with training and notes. Received: others")
    return audio, features


def _order_of_labels(file: ModelFile, labels: Sequence[str]) -> list[int]:
    ours = file.description.labels
    if sorted(ours) != sorted(labels):
        raise ModelError(
            f"{file.path}: expected a model of the corpus's labels, {', '.join(labels)} (corpus.label_map merges "
            f"them, corpus.drop_labels leaves some out). Received: one of {', '.join(ours)}"
        )
    return [ours.index(label) for label in labels]


def _predictor(file: ModelFile, experiment: Experiment) -> Predictor:
    kind = file.description.input
    shape = (1, file.description.window_samples) if kind == "waveform" else (1, *experiment.store.input_shape)
    try:
        predict = LiteRTNetwork(file.content, shape, len(experiment.labels)).predict_batch
    except ModelError as error:
        raise ModelError(f"{file.path}: {error}") from error
    return predictor_for(experiment, predict, kind)


def _notes(description: Description, experiment: Experiment, fold: Fold) -> list[str]:
    trained = description.document.get("training", {})
    known = inherited_notes(protocol_in(str(trained.get("protocol"))), description.document.get("notes", []))
    notes = list(dict.fromkeys([*known, *experiment.notes(fold)]))
    if description.document.get("split_content") != describe_split(experiment, fold)["content"]:
        notes.append(
            f"the model was trained on another split ({trained.get('corpus')}; {trained.get('protocol')}; fold "
            f"{trained.get('fold')}): what it was trained on may be among what is judged here"
            + _heard(trained, experiment, fold)
        )
    return notes


def _heard(trained: Mapping[str, Any], experiment: Experiment, fold: Fold) -> str:
    """Say how many of the utterances that are judged as new are of speakers that the model was trained on."""
    if str(trained.get("corpus")).split(",")[0] != experiment.corpus.name:
        return ""
    speakers = set(trained.get("training speakers", []))
    told = [
        f"{sum(experiment.corpus.utterances[one].speaker in speakers for one in positions)} of {len(positions)} {part}"
        for part, positions in fold.parts().items()
        if positions and part != "training"
    ]
    return f"; of speakers that it was trained on are {' and '.join(told)} utterances"


def _facts(description: Description, experiment: Experiment, fold: Fold) -> dict[str, object]:
    facts = fold_facts(experiment, fold)
    told = {key: facts[key] for key in facts if key in ("corpus", "labels", "protocol", "features", "fold")}
    speakers = {key: value for key, value in facts.items() if key.endswith(" speakers")}
    trained = description.document.get("training", {})
    return {
        **told,
        **speakers,
        "file": f"{description.input}, {description.document.get('precision')}",
        "trained on": f"{trained.get('corpus')}; {trained.get('protocol')}; epoch {trained.get('epoch')}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
