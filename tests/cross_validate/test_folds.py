"""All folds of the tiny corpus: pooled, not trained twice, and gone on with; side by side in `test_main`."""

import csv
import json
import logging
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import Config, SplitConfig
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.cross_validate import folds as cross_validation
from lightsernet_tf.cross_validate.folds import _run_fold_on_worker, cross_validate, run_fold
from lightsernet_tf.cross_validate.pooled_report import CrossValidation
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.callbacks import Progress
from tests.cluster import eventually, started

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]

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
    begin = Progress.on_epoch_begin

    def stop_after_the_first_epoch(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "on_epoch_begin", stop_after_the_first_epoch)
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
    with pytest.raises(
        RunError, match=r"with train\.epochs=3\. Received: one with 2 \(in .*config\.yaml\).*--run_name"
    ):
        cross_validate(replace(config, train=replace(config.train, epochs=3)))
    assert (done.path / "config.yaml").read_bytes() == before


def test_a_moved_cross_validation_is_the_same(done, copied, tmp_path):
    before = states(Path(copied.runs_dir) / "copy")
    settings = Path(copied.runs_dir) / "copy" / "config.yaml"
    later_key = "  strategy: one_device\n"
    assert later_key in settings.read_text(encoding="utf-8")  # and not in one from before there was the key
    settings.write_text(settings.read_text(encoding="utf-8").replace(later_key, ""), encoding="utf-8")
    again = cross_validate(replace(copied, split=replace(copied.split, fold=2)))
    assert states(again.path) == before
    assert again.scores.to_dict() == done.scores.to_dict()


def test_the_folder_of_a_run_is_refused(done, config):
    with pytest.raises(RunError, match=r"expected the folder of this cross-validation, or none\. Received: a run"):
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


def test_a_protocol_that_tests_nobody_stops_before_anything_is_read(config, monkeypatch):
    monkeypatch.setattr(cross_validation, "prepare", lambda config: pytest.fail("the corpus was read"))
    final = replace(config, run_name="final", split=SplitConfig(protocol="final"))
    with pytest.raises(ConfigError, match=r"split\.protocol: expected one with test data .* protocol='final'"):
        cross_validate(final)
    assert not (Path(config.runs_dir) / "final").exists()


def test_a_fold_that_another_process_trains_is_waited_for(done, copied):
    path = Path(copied.runs_dir) / "copy" / FOLDS[1]
    with started(
        Path(copied.runs_dir) / "log",
        "-c",
        "import pathlib, sys, time\n"
        "from lightsernet_tf.runs.run import Run\n"
        "with Run(pathlib.Path(sys.argv[1])).held():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(1)\n"
        "    print('let go', flush=True)\n",
        str(path),
    ) as other:
        eventually(lambda: "held" in other.said())
        with pytest.raises(RunError, match="expected a run that nobody trains"):
            run_fold(copied, path)
        run_fold(copied, path, wait_seconds=60)
        assert "let go" in other.said()


def test_a_worker_without_the_shared_folder_trains_nothing(config, tmp_path):
    message = rf"{tmp_path / 'x'}: expected the folder that the command made.*Received: no such folder on .*runs_dir"
    with pytest.raises(RunError, match=message):
        _run_fold_on_worker(config, tmp_path / "x" / FOLDS[0])
    assert not (tmp_path / "x").exists()


def test_what_goes_to_a_cluster_means_the_same_in_other_folders(config, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(config.corpus.data_dir).parent)
    relative = replace(
        config,
        corpus=replace(config.corpus, data_dir=Path(config.corpus.data_dir).name),
        runs_dir=os.path.relpath(tmp_path),
        cache_dir=os.path.relpath(config.cache_dir),
    )
    sent = {}
    monkeypatch.setattr(cross_validation, "check_spreading", lambda jobs, threads, scheduler: None)

    def run_here(tasks, folder, *, jobs, threads, scheduler):
        assert (jobs, threads, scheduler) == (1, 3, "tcp://somewhere:1")
        sent.update(tasks)
        raise RunError("enough")

    monkeypatch.setattr(cross_validation, "run_trainings", run_here)
    with pytest.raises(RunError, match="enough"):
        cross_validate(relative, scheduler="tcp://somewhere:1", threads=3)
    assert list(sent) == list(FOLDS)
    for number, (fold, task) in enumerate(sent.items()):
        assert len(pickle.dumps(task)) < 10_000  # and not the experiment
        sent_config, run_path = task.args
        assert run_path == tmp_path / config.run_name / fold
        assert Path(sent_config.corpus.data_dir) == Path(config.corpus.data_dir)
        assert os.path.normpath(sent_config.cache_dir) == os.path.normpath(config.cache_dir)
        assert sent_config.split.fold == number


def test_threads_in_this_process_come_too_late_here(config):
    with pytest.raises(RunError, match=r"--threads: .* to give it 17"):
        cross_validate(replace(config, run_name="threads"), threads=17)
    assert not (Path(config.runs_dir) / "threads").exists()


def test_trainings_that_take_all_devices_are_not_spread(config):
    mirrored = replace(config, train=replace(config.train, strategy="mirrored"))
    with pytest.raises(ConfigError, match=r"--jobs: expected 1 with train\.strategy mirrored, .* Received: 2"):
        cross_validate(mirrored, jobs=2)
