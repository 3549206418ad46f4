"""Judging a .tflite file as the run that it was made of."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import ConfigError, ModelError
from lightsernet_tf.evaluate.__main__ import main
from lightsernet_tf.evaluate.run import evaluate_run
from lightsernet_tf.evaluate.tflite_file import evaluate_file
from lightsernet_tf.export.files import ExportOptions, export
from lightsernet_tf.predict.model_file import read_model_file, with_description
from lightsernet_tf.train.fold import train

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("runs to judge as files"))
    return train(replace(tiny_config, runs_dir=folder, run_name="judged", train=replace(tiny_config.train, epochs=1)))


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """The run as a file of waveforms and one of features, both exact."""
    folder = tmp_path_factory.mktemp("files")
    experiment = prepare(run.config)
    return {
        kind: export(run, options=ExportOptions(kind, ["float32"]), output=folder, experiment=experiment)[0].path
        for kind in ("waveform", "features")
    }


def _held_out_speakers(config):
    experiment = prepare(config)
    fold = experiment.folds[config.split.fold]
    return [experiment.speakers(part)[0] for part in (fold.validation, fold.test)]


@pytest.mark.parametrize("kind", ["waveform", "features"])
def test_a_file_is_judged_as_its_run(run, files, kind, tmp_path):
    by_run, by_file = evaluate_run(run), evaluate_file(files[kind], run.config, tmp_path / "report")
    assert list(by_file.parts) == list(by_run.parts)
    for part, judged in by_file.parts.items():
        assert judged.positions == by_run.parts[part].positions
        np.testing.assert_allclose(judged.probabilities, by_run.parts[part].probabilities, atol=1e-4)
    assert by_file.notes == run.notes
    assert by_file.report_path == tmp_path / "report" / "report.md"
    assert "## Test" in by_file.report_path.read_text(encoding="utf-8")
    assert by_file.report_path.parent.joinpath("confusion_test.png").exists()
    scores = json.loads(by_file.report_path.with_name("scores.json").read_text())
    assert scores["test"]["wa"] == by_run.parts["test"].scores.wa


def test_the_report_lies_beside_the_file_by_default(run, files):
    found = evaluate_file(files["features"], run.config)
    assert found.report_path == files["features"].with_name("judged_features_float32_report") / "report.md"


def test_window_and_features_are_the_files_own(run, files, tmp_path):
    other = replace(
        run.config,
        audio=replace(run.config.audio, duration_seconds=0.5),
        features=replace(run.config.features, kind="spectrogram"),
    )
    ours, theirs = (evaluate_file(files["features"], one, tmp_path) for one in (run.config, other))
    np.testing.assert_array_equal(ours.parts["test"].probabilities, theirs.parts["test"].probabilities)


def test_another_split_is_noted(run, files, tmp_path):
    other = replace(run.config, split=replace(run.config.split, fold=1))
    found = evaluate_file(files["features"], other, tmp_path)
    (note,) = (note for note in found.notes if "was trained on another split" in note)
    document = read_model_file(files["features"]).description.document
    known = document["training"]["training speakers"]
    counts = [f"{12 * (speaker in known)} of 12" for speaker in _held_out_speakers(other)]
    ending = f"; of speakers that it was trained on are {counts[0]} validation and {counts[1]} test utterances"
    assert note.endswith(ending)
    assert "was trained on another split" in found.report_path.read_text(encoding="utf-8")
    assert "was trained on another split" in found.summary()


def test_a_file_of_before_that_names_its_corpus_only_in_a_fact_is_judged_alike(run, files, tmp_path):
    file = read_model_file(files["features"])
    document = {key: value for key, value in file.description.document.items() if key != "corpus"}
    path = tmp_path / files["features"].name
    path.write_bytes(with_description(file.content[: document["model_bytes"]], document))
    other = replace(run.config, split=replace(run.config.split, fold=1))
    assert evaluate_file(path, other, tmp_path).notes == evaluate_file(files["features"], other, tmp_path).notes


def test_notes_of_another_training_are_marked_as_such(run, files, tmp_path):
    file = read_model_file(files["features"])
    document = {**file.description.document, "notes": ["no test data"], "split_content": "another"}
    path = tmp_path / "noted.tflite"
    path.write_bytes(with_description(file.content[: document["model_bytes"]], document))
    assert evaluate_file(path, run.config, tmp_path).notes[0] == "of its training: no test data"


def test_labels_in_another_order_are_the_same_labels(run, files, tmp_path):
    labels = tuple(reversed(run.labels))
    other = replace(run.config, corpus=replace(run.config.corpus, labels=labels))
    ours, theirs = (evaluate_file(files["waveform"], one, tmp_path) for one in (run.config, other))
    np.testing.assert_array_equal(theirs.parts["test"].probabilities[:, ::-1], ours.parts["test"].probabilities)
    assert theirs.parts["test"].scores.wa == ours.parts["test"].scores.wa


def test_other_labels_are_an_error(run, files, tmp_path):
    merged = {"soft": [run.labels[0]], "hard": list(run.labels[1:])}
    other = replace(run.config, corpus=replace(run.config.corpus, label_map=merged))
    with pytest.raises(ModelError, match=r"expected a model of the corpus's labels, soft, hard .* Received: one of"):
        evaluate_file(files["waveform"], other, tmp_path)


def test_a_description_without_the_front_end_is_an_error(run, files, tmp_path):
    file = read_model_file(files["waveform"])
    document = {key: value for key, value in file.description.document.items() if key != "features"}
    path = tmp_path / "bare.tflite"
    path.write_bytes(with_description(file.content[: document["model_bytes"]], document))
    with pytest.raises(ModelError, match=r"bare\.tflite: expected a description with the front end"):
        evaluate_file(path, run.config, tmp_path)


def test_the_command_judges_a_file(run, files, tmp_path, capsys):
    options = ["--config", str(run.path / "config.yaml"), "--output", str(tmp_path / "out")]
    assert main([str(files["waveform"]), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(files["waveform"])
    assert [line.split()[0] for line in lines[1:4]] == ["training", "validation", "test"]
    assert lines[4] == f"Report:   {tmp_path / 'out' / 'report.md'}"
    assert lines[5] == f"Pictures: {tmp_path / 'out' / 'confusion_test.png'}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected --config or --corpus.name"),
        (["--epoch", "3", "--corpus.name", "demo"], "--epoch: expected with a run"),
        (["--corpus.nme", "demo"], "nme"),
    ],
)
def test_what_a_file_does_not_take_is_an_error(files, options, message):
    with pytest.raises(ConfigError, match=message):
        main([str(files["waveform"]), *options])


def test_a_file_that_is_not_there_is_an_error(run, tmp_path):
    with pytest.raises(ModelError, match=r"gone\.tflite: expected a \.tflite file. Received: No such file"):
        evaluate_file(tmp_path / "gone.tflite", run.config)


def test_a_run_takes_no_settings(run, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(run.path), "--train.epochs", "3"])
    assert left.value.code == 2
    assert "unrecognized arguments: --train.epochs 3" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"--output: expected with a \.tflite file"):
        main([str(run.path), "--output", "there"])
