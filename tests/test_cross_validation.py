"""All folds of the tiny corpus: pooled, not trained twice, gone on with, and side by side."""

import csv
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn import metrics

from lightsernet_tf import cross_validation
from lightsernet_tf.callbacks import Progress
from lightsernet_tf.config import Config, SplitConfig
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.cross_validation import CrossValidation, cross_validate, pool, run_fold
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.evaluation import evaluate_run
from lightsernet_tf.experiment import prepare
from lightsernet_tf.run_folder import Run
from lightsernet_tf.splits import OPTIMISTIC_NOTE

FOLDS = ("speaker_ben b", "speaker_Änne", "speaker_声")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("cross validations")
    train = replace(tiny_config.train, epochs=2)
    return replace(tiny_config, runs_dir=str(folder), run_name="alle Sprecher ü", train=train)


@pytest.fixture(scope="module")
def done(config) -> CrossValidation:
    return cross_validate(config)


@pytest.fixture
def copied(done, config, tmp_path) -> Config:
    """The settings of a copy to spoil."""
    shutil.copytree(done.path, tmp_path / "copy")
    return replace(config, runs_dir=str(tmp_path), run_name="copy")


def states(path: Path) -> dict[str, int]:
    return {fold: (path / fold / "state.npz").stat().st_mtime_ns for fold in FOLDS}


def test_every_speaker_is_tested_once_and_the_pool_is_the_sum_of_the_folds(done):
    folds = [json.loads((Run.open(done.path / fold).report_dir(epoch) / "scores.json").read_text(encoding="utf-8"))
             for fold in FOLDS for epoch in [Run.open(done.path / fold).resolve_epoch("best")]]  # fmt: skip
    assert done.scores.confusion.tolist() == np.sum([fold["test"]["confusion"] for fold in folds], axis=0).tolist()
    assert done.scores.utterances == 36
    rows = read_csv(done.path / "predictions.csv")
    assert len({row["utterance"] for row in rows}) == 36
    assert {(row["fold"], row["speaker"]) for row in rows} == {(fold, fold.removeprefix("speaker_")) for fold in FOLDS}


def test_the_pooled_figures_are_those_of_scikit_learn(done):
    rows = read_csv(done.path / "predictions.csv")
    true, predicted = [row["true"] for row in rows], [row["predicted"] for row in rows]
    scores = json.loads((done.path / "scores.json").read_text(encoding="utf-8"))
    assert scores["pooled"]["wa"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert scores["pooled"]["ua"] == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0)
    assert scores["pooled"]["macro_f1"] == pytest.approx(f1)
    by_speaker = []
    for fold in FOLDS:
        mine = [(row["true"], row["predicted"]) for row in rows if row["fold"] == fold]
        by_speaker.append(metrics.balanced_accuracy_score(*zip(*mine, strict=True)))
    spread = scores["speakers"]["spread"]["ua"]
    assert spread["mean"] == pytest.approx(np.mean(by_speaker))
    assert spread["std"] == pytest.approx(np.std(by_speaker, ddof=1))
    for name, (low, high) in scores["intervals"].items():
        assert low <= scores["pooled"][name] <= high


def test_the_report_shows_folds_speakers_and_picture(done):
    text = done.report_path.read_text(encoding="utf-8")
    for part in ("## All test data, pooled", "## By test speaker", "## Folds", "(confusion.png)", "95 % intervals"):
        assert part in text
    for fold in FOLDS:
        run = Run.open(done.path / fold)
        speakers = [run.split[part]["speakers"][0] for part in ("test", "validation")]
        assert f"| {fold} | {speakers[0]} | {speakers[1]} | {run.resolve_epoch('best')} |" in text
    assert (done.path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert done.notes == []
    assert "optimistic" not in text
    lines = done.summary().splitlines()
    assert lines[0] == f"{done.path}: 36 test utterances of 3 speakers"
    assert Path(lines[-2].removeprefix("Report:   ")).exists()
    assert Path(lines[-1].removeprefix("Picture:  ")).exists()


def test_a_finished_cross_validation_is_not_trained_again(done, config, caplog):
    before = states(done.path)
    with caplog.at_level(logging.INFO):
        again = cross_validate(config)
    assert states(done.path) == before
    assert [message for message in caplog.messages if message.endswith("is finished")] == [
        f"{done.path / fold} is finished" for fold in FOLDS
    ]
    assert again.scores.to_dict() == done.scores.to_dict()


def test_a_stopped_one_goes_on_and_ends_the_same(done, copied, monkeypatch):
    path = Path(copied.runs_dir) / "copy"
    shutil.rmtree(path / FOLDS[1])
    before = {fold: (path / fold / "state.npz").stat().st_mtime_ns for fold in (FOLDS[0], FOLDS[2])}
    line = Progress.on_epoch_end

    def stop_after_the_first_epoch(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        line(self, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "on_epoch_end", stop_after_the_first_epoch)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(copied)
    assert len(Run.open(path / FOLDS[1]).history()) == 1

    again = cross_validate(copied)
    after = states(path)
    assert {fold: after[fold] for fold in before} == before
    assert read_csv(path / "predictions.csv") == read_csv(done.path / "predictions.csv")
    assert again.scores.to_dict() == done.scores.to_dict()


def test_a_fold_that_is_trained_but_not_judged_is_judged(copied):
    path = Path(copied.runs_dir) / "copy"
    run = Run.open(path / FOLDS[1])
    before = states(path)
    scores = run.report_dir(run.resolve_epoch("best")) / "scores.json"
    scores.unlink()
    experiment = prepare(copied)
    fold_config = replace(copied, split=replace(copied.split, fold=1))
    run_fold(fold_config, run.path, replace(experiment, config=fold_config))
    assert scores.exists()
    assert states(path) == before


def test_other_settings_in_the_same_folder_are_refused_and_nothing_is_touched(done, config):
    before = (done.path / "config.yaml").read_bytes()
    with pytest.raises(RunError, match=r"a cross-validation with other settings.*config\.yaml.*--run_name"):
        cross_validate(replace(config, train=replace(config.train, epochs=3)))
    assert (done.path / "config.yaml").read_bytes() == before


def test_a_moved_cross_validation_is_the_same(done, copied, tmp_path):
    before = states(Path(copied.runs_dir) / "copy")
    again = cross_validate(replace(copied, split=replace(copied.split, fold=2)))
    assert states(again.path) == before
    assert again.scores.to_dict() == done.scores.to_dict()


def test_the_folder_of_a_run_is_refused(done, config):
    with pytest.raises(RunError, match=r"expected the folder of a cross-validation\. Received: a run"):
        cross_validate(replace(config, runs_dir=str(done.path), run_name=FOLDS[0]))


def test_a_changed_corpus_is_not_mixed_with_finished_folds(copied, tiny_corpus, tmp_path):
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    soundfile.write(corpus / "声" / "calm" / "one more.wav", 0.1 * np.cos(np.arange(4800)), 16000)
    changed = replace(copied, corpus=replace(copied.corpus, data_dir=str(corpus)))
    (tmp_path / "copy" / "config.yaml").write_text(config_yaml(changed), encoding="utf-8")
    shutil.rmtree(tmp_path / "copy" / FOLDS[2])
    with pytest.raises(RunError, match=rf"{FOLDS[0]}: expected the corpus that the run was trained on"):
        cross_validate(changed)
    assert not (tmp_path / "copy" / FOLDS[2]).exists()


@pytest.mark.parametrize("damage", ["gone", "other label", "a line less", "no column", "no text"])
def test_damaged_predictions_are_named(copied, damage):
    run = Run.open(Path(copied.runs_dir) / "copy" / FOLDS[1])
    path = run.report_dir(run.resolve_epoch("best")) / "predictions.csv"
    text = path.read_text(encoding="utf-8")
    spoilt = {
        "other label": text.replace("calm", "tame"),
        "a line less": "\n".join(text.splitlines()[:-1]) + "\n",
        "no column": text.replace("part,", "side,", 1),
    }
    path.unlink()
    if damage == "no text":
        path.write_bytes(b"\xff\xfe\x00part")
    elif damage != "gone":
        path.write_text(spoilt[damage], encoding="utf-8")
    with pytest.raises(RunError, match=r"predictions\.csv: expected"):
        pool(run.path.parent, prepare(copied))


def test_side_by_side_is_as_good_as_one_by_one(done, config, tmp_path):
    beside = cross_validate(replace(config, runs_dir=str(tmp_path / "zwei zugleich"), run_name="x y"), jobs=2)
    ours, theirs = read_csv(beside.path / "predictions.csv"), read_csv(done.path / "predictions.csv")
    for row, other in zip(ours, theirs, strict=True):
        # The number of threads changes the order of sums, and with it the last digits.
        assert {key: row[key] for key in ("fold", "utterance", "true")} == {
            key: other[key] for key in ("fold", "utterance", "true")
        }
        for key in (key for key in row if key.startswith("p(")):
            assert float(row[key]) == pytest.approx(float(other[key]), abs=0.02)
    assert beside.scores.utterances == 36
    for fold in FOLDS:
        assert len(Run.open(beside.path / fold).history()) == 2


def test_an_error_in_a_process_beside_keeps_its_words(config, tmp_path):
    bad = replace(config, runs_dir=str(tmp_path), train=replace(config.train, initial_weights="nowhere.weights.h5"))
    with pytest.raises(RunError, match=r"nowhere\.weights\.h5: expected a file of weights"):
        cross_validate(bad, jobs=2)


def test_the_published_protocol_is_called_optimistic_everywhere(config, tmp_path, monkeypatch):
    published = replace(
        config,
        runs_dir=str(tmp_path),
        split=SplitConfig(protocol="published", folds=2, test_fraction=0.4),
        train=replace(config.train, epochs=1),
    )
    drawn = []
    draw = cross_validation.draw_confusion

    def recording(scores, path, title, notes):
        drawn.append(notes)
        draw(scores, path, title, notes)

    monkeypatch.setattr(cross_validation, "draw_confusion", recording)
    done = cross_validate(published)
    assert done.notes[0] == OPTIMISTIC_NOTE
    assert done.notes[1].startswith("speaker-dependent: 3 of the 3 test speakers")
    rows = read_csv(done.path / "predictions.csv")
    repeated = len(rows) - len({row["utterance"] for row in rows})
    assert repeated > 0
    assert done.notes[2].startswith(f"test data overlaps: {repeated} of the {len(rows)} predictions")
    assert drawn == [done.notes]
    assert json.loads((done.path / "scores.json").read_text(encoding="utf-8"))["notes"] == done.notes
    text = done.report_path.read_text(encoding="utf-8")
    for note in done.notes:
        assert f"> **{note}**" in text
        assert f"  {note}" in done.summary().splitlines()
    assert evaluate_run(Run.open(done.path / "published_01")).run.notes[0] == OPTIMISTIC_NOTE


def test_a_protocol_that_tests_nobody_stops_before_anything_is_read(config, monkeypatch):
    monkeypatch.setattr(cross_validation, "prepare", lambda config: pytest.fail("the corpus was read"))
    final = replace(config, run_name="final", split=SplitConfig(protocol="final"))
    with pytest.raises(ConfigError, match=r"split\.protocol: expected one with test data .* protocol='final'"):
        cross_validate(final)
    assert not (Path(config.runs_dir) / "final").exists()
