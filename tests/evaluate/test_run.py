"""Judging a trained run: its figures against scikit-learn, its epochs, its report, and what may be wrong with it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn import metrics

from lightsernet_tf.config import Config, CorpusConfig, SplitConfig
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate import report
from lightsernet_tf.evaluate import run as evaluation
from lightsernet_tf.evaluate.predictors import predictor_for
from lightsernet_tf.evaluate.report import Evaluation
from lightsernet_tf.evaluate.run import evaluate_run, sweep_epochs
from lightsernet_tf.runs.run import Run, choose_epoch
from lightsernet_tf.train.fold import train

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]

NO_TEST_NOTE = PROTOCOLS["final"].note
OPTIMISTIC_NOTE = PROTOCOLS["published"].note

PARTS = ("training", "validation", "test")


def settings(config: Config, folder: Path, name: str, **changes) -> Config:
    return replace(config, runs_dir=str(folder), run_name=name, train=replace(config.train, **{"epochs": 2, **changes}))


@pytest.fixture(scope="module")
def experiment(tiny_config):
    return prepare(tiny_config)


@pytest.fixture(scope="module")
def trained(tiny_config, experiment, tmp_path_factory) -> Run:
    return train(settings(tiny_config, tmp_path_factory.mktemp("judged runs"), "run ü", epochs=4), experiment)


@pytest.fixture(scope="module")
def judged(trained, experiment) -> Evaluation:
    return evaluate_run(trained, "best", experiment)


@pytest.fixture
def run(trained, tmp_path) -> Run:
    """A copy to spoil."""
    return Run.open(Path(shutil.copytree(trained.path, tmp_path / "run ü", ignore=shutil.ignore_patterns("reports"))))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_figures_are_those_that_scikit_learn_makes_of_the_predictions(trained, judged):
    folder = judged.report_path.parent
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    rows = read_csv(folder / "predictions.csv")
    assert scores["epoch"] == judged.epoch == trained.resolve_epoch("best")
    labels = list(trained.labels)
    for part in PARTS:
        mine = [row for row in rows if row["part"] == part]
        assert [row["utterance"] for row in mine] == trained.split[part]["utterances"]
        assert [row["utterance"].split("/")[:2] for row in mine] == [[row["speaker"], row["true"]] for row in mine]
        true, predicted = [row["true"] for row in mine], [row["predicted"] for row in mine]
        probabilities = np.array([[float(row[f"p({label})"]) for label in labels] for row in mine])
        assert [labels[best] for best in probabilities.argmax(axis=1)] == predicted
        figures = scores[part]
        assert figures["utterances"] == 12
        assert figures["wa"] == pytest.approx(metrics.accuracy_score(true, predicted))
        assert figures["ua"] == pytest.approx(metrics.recall_score(true, predicted, labels=labels, average="macro"))
        for average in ("macro", "weighted"):
            f1 = metrics.f1_score(true, predicted, labels=labels, average=average, zero_division=0)
            assert figures[f"{average}_f1"] == pytest.approx(f1)
        loss = metrics.log_loss(true, probabilities / probabilities.sum(axis=1, keepdims=True), labels=labels)
        assert figures["loss"] == pytest.approx(loss, abs=1e-4)
        assert figures["confusion"] == metrics.confusion_matrix(true, predicted, labels=labels).tolist()
        low, high = judged.parts[part].intervals["ua"]
        assert low <= figures["ua"] <= high


def test_validation_figures_are_those_of_the_training(trained, judged):
    row = trained.history()[judged.epoch - 1]
    found = judged.parts["validation"].scores
    assert (row["val_ua"], row["val_wa"], row["val_macro_f1"]) == (found.ua, found.wa, found.macro_f1)
    assert row["val_loss"] == pytest.approx(found.loss, rel=1e-4)


def test_the_report_keeps_the_parts_apart_and_shows_its_pictures(judged):
    text = judged.report_path.read_text(encoding="utf-8")
    for heading in ("## Figures", "## Test", "## Validation", "## Training", "## Over the epochs", "## Diagnosis"):
        assert text.count(f"\n{heading}\n") == 1
    for name in ("confusion_test", "confusion_validation", "confusion_training", "curves"):
        assert f"({name}.png)" in text
        assert (judged.report_path.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "Änne" in text
    assert "36 utterances" in text
    assert OPTIMISTIC_NOTE not in text
    assert "by hand" not in text


def test_the_summary_names_files_that_exist(trained, judged):
    lines = judged.summary().splitlines()
    assert lines[0] == f"{trained.path}, epoch {judged.epoch} of 4"
    for line in lines[-3:]:
        for name in line.split(": ", 1)[1].split(", "):
            assert Path(name.strip().removeprefix("tensorboard --logdir ")).exists()


def test_the_sweep_judges_every_kept_epoch_on_validation_data_alone(run, experiment, monkeypatch):
    asked = []

    def recording(experiment, predict):
        predict_positions = predictor_for(experiment, predict)
        return lambda positions: asked.append(tuple(positions)) or predict_positions(positions)

    monkeypatch.setattr(evaluation, "predictor_for", recording)
    fold = experiment.folds[0]
    rows = sweep_epochs(run, experiment, fold)
    assert asked == [fold.validation] * 4
    assert not set(fold.validation) & set(fold.test)
    for row, trained in zip(rows, run.history(), strict=True):
        assert row["val_ua_low"] <= row["val_ua"] <= row["val_ua_high"]
        assert {key: row[key] for key in row if key in trained} == {key: trained[key] for key in row if key in trained}

    asked.clear()
    judged = evaluate_run(run, "all", experiment)
    assert judged.epoch == run.resolve_epoch("best")
    assert asked[:4] == [fold.validation] * 4
    assert asked[4:] == [fold.train, fold.validation, fold.test]
    text = judged.report_path.read_text(encoding="utf-8")
    assert f"Of 4 kept epochs, epoch {judged.epoch} was chosen" in text
    assert "The last, epoch 4, would have given" in text
    assert "(sweep.png)" in text
    assert (judged.report_path.parent / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_epochs_that_are_not_kept_are_not_swept(run, experiment):
    best = run.resolve_epoch("best")
    removed = 2 if best != 2 else 3
    run.weights_path(removed).unlink()
    rows = sweep_epochs(run, experiment, experiment.folds[0])
    assert [row["epoch"] for row in rows] == [epoch for epoch in (1, 2, 3, 4) if epoch != removed]
    assert choose_epoch(rows, "ua") == best


def test_an_epoch_named_by_hand_is_not_called_chosen(run, experiment):
    best = run.resolve_epoch("best")
    by_hand = 4 if best != 4 else 3
    judged = evaluate_run(run, str(by_hand), experiment)
    assert judged.epoch == by_hand
    text = judged.report_path.read_text(encoding="utf-8")
    assert f"epoch {by_hand} was named by hand: comparing epochs by their test figures would be optimistic" in text
    assert f"| {by_hand} of 4, named by hand |" in text
    assert f"chosen epoch, {by_hand}" not in text
    scores = json.loads((judged.report_path.parent / "scores.json").read_text(encoding="utf-8"))
    assert "named by hand" in scores["notes"][0]


@pytest.fixture(scope="module")
def published(tiny_config, tmp_path_factory) -> Run:
    """The published practice; with the focal loss, by which its epoch is chosen."""
    config = settings(
        tiny_config, tmp_path_factory.mktemp("published"), "run", loss="focal", choose_by="loss", epochs=3
    )
    return train(replace(config, split=SplitConfig(protocol="published", folds=2, test_fraction=0.3)))


def test_every_artefact_of_the_published_protocol_says_that_it_is_optimistic(published, monkeypatch):
    drawn = {}

    def recording(draw):
        def draw_and_record(*arguments, **names):
            path = next(argument for argument in arguments if isinstance(argument, Path))
            drawn[path.name] = arguments[-1]
            draw(*arguments, **names)

        return draw_and_record

    for module, name in ((report, "draw_confusion"), (evaluation, "draw_curves"), (evaluation, "draw_sweep")):
        monkeypatch.setattr(module, name, recording(getattr(module, name)))
    judged = evaluate_run(published, "all")
    folder = judged.report_path.parent
    assert drawn.keys() == {path.name for path in folder.glob("*.png")}
    assert len(drawn) == 5
    for notes in drawn.values():
        assert OPTIMISTIC_NOTE in notes
    text = judged.report_path.read_text(encoding="utf-8")
    assert text.splitlines()[2] == f"> **{OPTIMISTIC_NOTE}**"
    assert "by loss on the test data" in text
    assert OPTIMISTIC_NOTE in json.loads((folder / "scores.json").read_text(encoding="utf-8"))["notes"]
    assert OPTIMISTIC_NOTE in json.loads((published.path / "run.json").read_text(encoding="utf-8"))["notes"]
    assert OPTIMISTIC_NOTE in judged.summary()


def test_the_sweep_chooses_by_the_loss_that_was_trained(published):
    experiment = prepare(published.config)
    rows = sweep_epochs(published, experiment, experiment.folds[0])
    assert [row["val_loss"] for row in rows] == pytest.approx(
        [row["val_loss"] for row in published.history()], rel=1e-6
    )
    assert choose_epoch(rows, "loss") == published.resolve_epoch("best")


def test_a_final_run_is_judged_without_test_data_and_says_so(tiny_config, tmp_path):
    config = settings(tiny_config, tmp_path, "run")
    run = train(replace(config, split=SplitConfig(protocol="final")))
    judged = evaluate_run(run, "all")
    folder = judged.report_path.parent
    text = judged.report_path.read_text(encoding="utf-8")
    assert text.splitlines()[2] == f"> **{NO_TEST_NOTE}**"
    assert "| test speakers | none |" in text
    for word in ("## Test", "confusion_test", "test data (", "speaker-dependent"):
        assert word not in text
    for name in ("confusion_validation.png", "confusion_training.png", "sweep.png"):
        assert f"({name})" in text
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert scores.keys() == {"epoch", "notes", "training", "validation"}
    assert scores["notes"] == run.notes == [NO_TEST_NOTE]
    rows = read_csv(folder / "predictions.csv")
    assert [row["part"] for row in rows] == ["training"] * 24 + ["validation"] * 12
    assert {row["note"] for row in rows} == {NO_TEST_NOTE}
    lines = judged.summary().splitlines()
    assert lines[1] == f"  {NO_TEST_NOTE}"
    assert [line.split()[0] for line in lines[3:5]] == ["training", "validation"]
    for name in lines[-2].removeprefix("Pictures: ").split(", "):
        assert Path(name).exists()
    assert not list(folder.glob("*test*"))
    by_hand = evaluate_run(run, "1").report_path.read_text(encoding="utf-8")
    assert "| 1 of 2, named by hand |" in by_hand
    assert "test figures" not in by_hand


def write_list(corpus: Path, path: Path, names: dict[str, str]) -> None:
    """List the corpus, one speaker a part, without a shrill test utterance and with a file that cannot be read."""
    speakers = sorted(folder.name for folder in corpus.iterdir())
    part = dict(zip(speakers, ("train", "validation", "test"), strict=True))
    (path.parent / "empty.wav").write_bytes(b"")
    rows = ["path,label,speaker,split", f"empty.wav,{names.get('calm', 'calm')},nobody,train"]
    for audio in sorted(corpus.rglob("*.wav")):
        speaker, label = audio.parts[-3:-1]
        if (part[speaker], label) != ("test", "shrill"):
            rows.append(f"{audio},{names.get(label, label)},{speaker},{part[speaker]}")
    path.write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def listed(tiny_config, tiny_corpus, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("listed")
    write_list(tiny_corpus, folder / "list.csv", {})
    corpus = CorpusConfig(name="manifest", data_dir=str(folder / "list.csv"), on_error="skip")
    config = replace(tiny_config, corpus=corpus, split=SplitConfig(protocol="manifest"))
    return train(settings(config, folder, "run", epochs=1))


def test_an_absent_class_and_a_skipped_file_are_said_and_not_counted(listed):
    judged = evaluate_run(listed)
    rows = [row for row in read_csv(judged.report_path.parent / "predictions.csv") if row["part"] == "test"]
    assert len(rows) == 8
    true, predicted = [row["true"] for row in rows], [row["predicted"] for row in rows]
    ua = metrics.recall_score(true, predicted, labels=["calm", "loud"], average="macro", zero_division=0)
    assert judged.parts["test"].scores.ua == pytest.approx(ua)
    text = judged.report_path.read_text(encoding="utf-8")
    assert "Without an utterance: shrill. UA and macro F1 are means over the 2 classes present." in text
    assert "(8 utterances, none of shrill)" in judged.summary()
    assert "## Files left out (1)" in text
    assert f"- {listed.path.parent / 'empty.wav'}: " in text
    assert "32 utterances" in text


def test_renamed_labels_are_not_judged(listed, tiny_corpus):
    path = listed.path.parent / "list.csv"
    before = path.read_text(encoding="utf-8")
    write_list(tiny_corpus, path, {"calm": "zzz"})
    with pytest.raises(RunError, match="other files, contents or labels"):
        evaluate_run(listed)
    path.write_text(before, encoding="utf-8")


def test_a_damaged_checkpoint_is_named_and_nothing_is_written(run, experiment):
    path = run.weights_path(run.resolve_epoch("best"))
    path.write_bytes(path.read_bytes()[:-1000])
    for epoch in ("best", "all"):
        with pytest.raises(RunError, match=rf"{path.name}: expected the weights of this network"):
            evaluate_run(run, epoch, experiment)
    assert not (run.path / "reports").exists()


@pytest.mark.parametrize("epoch", ["0", "5", "first", "²", ""])
def test_an_epoch_that_is_not_kept_is_named(run, experiment, epoch):
    with pytest.raises(RunError, match=rf"one of the kept epochs 1-4\. Received: epoch={epoch}"):
        evaluate_run(run, epoch, experiment)


def test_a_run_without_checkpoints_says_so(run, experiment):
    shutil.rmtree(run.path / "checkpoints")
    for epoch in ("best", "last", "all"):
        with pytest.raises(RunError, match=r"Received: (none|no such file)"):
            evaluate_run(run, epoch, experiment)


def test_a_folder_that_is_no_run_and_a_run_of_another_format_are_named(run, tmp_path):
    with pytest.raises(RunError, match=r"expected a run's folder\. Received: no run\.json in it"):
        Run.open(tmp_path)
    about = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    (run.path / "run.json").write_text(json.dumps({**about, "format": 99}), encoding="utf-8")
    with pytest.raises(RunError, match=r"expected a run of format 1\. Received: format=99"):
        Run.open(run.path)


def test_a_corpus_with_other_content_is_not_judged(tiny_config, tiny_corpus, trained, tmp_path):
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    soundfile.write(corpus / "声" / "calm" / "take 1.wav", 0.1 * np.cos(np.arange(4800)), 16000)
    config = replace(tiny_config, corpus=replace(tiny_config.corpus, data_dir=str(corpus)))
    with pytest.raises(RunError, match=r"run ü: expected the corpus that the run was trained on.*split\.json"):
        evaluate_run(trained, "best", prepare(config))
