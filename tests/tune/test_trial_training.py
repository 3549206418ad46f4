"""Trials trained in processes of their own: what they come to, and what happens to those that fail or are killed."""

import os
import pickle
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.config import Config
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import ConfigError, CorpusError, RunError, WriteError
from lightsernet_tf.evaluate.run import evaluate_run
from lightsernet_tf.model.network import build_network
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train import fold as training
from lightsernet_tf.train.fold import train
from lightsernet_tf.tune.trial import Trial, read_trial, trial_path, write_trial
from lightsernet_tf.tune.trial_training import TrialTrainer, train_fold

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(tiny_config) -> Config:
    return replace(tiny_config, train=replace(tiny_config.train, epochs=4, schedule="cosine"))


def trial(name: str, epochs: int = 4, **more) -> Trial:
    return Trial(name, "running", {"train.loss": "focal"}, epochs, **more)


def with_focal(config: Config) -> Config:
    return replace(config, train=replace(config.train, loss="focal"))


@pytest.fixture(scope="module")
def trainer(config, tmp_path_factory):
    with TrialTrainer(tmp_path_factory.mktemp("search ü"), config, folds=2, processes=2, threads=1) as trainer:
        yield trainer


@pytest.fixture(scope="module")
def search_path(trainer) -> Path:
    return trainer._search_path


@pytest.fixture(scope="module")
def completed(trainer) -> Trial:
    return trainer.train(trial("0", num_folds=2))


def test_a_trial_is_ordinary_runs_judged_on_validation_data_alone(completed, search_path):
    assert completed.status == "completed"
    assert read_trial(search_path, "0").folds == completed.folds
    for outcome in completed.folds:
        run = Run.open(trial_path(search_path, "0") / outcome.fold)
        assert run.config.train.loss == "focal"
        assert not (run.path / "reports").exists()
        judged = evaluate_run(run).parts["validation"]
        assert outcome.epoch == run.resolve_epoch("best")
        assert (outcome.ua, outcome.wa) == (judged.scores.ua, judged.scores.wa)
        assert (outcome.ua_low, outcome.ua_high) == judged.intervals["ua"]
        assert outcome.ua == pytest.approx(run.history()[outcome.epoch - 1]["val_ua"])
    assert completed.objective == np.mean([outcome.ua for outcome in completed.folds])


def test_a_trial_trains_what_train_does(completed, search_path, config, tmp_path):
    name = completed.folds[1].fold
    theirs = Run.open(trial_path(search_path, "0") / name)
    assert theirs.about["threads"] == 1
    ours = train(replace(theirs.config, split=replace(config.split, fold=1)), run_path=tmp_path / "alone")
    for row, other in zip(ours.history(), theirs.history(), strict=True):
        # The number of threads changes the order of sums, and with it the last digits.
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-3)


def test_what_is_finished_is_not_trained_again(completed, trainer, search_path, monkeypatch):
    monkeypatch.setattr(trainer, "_train_folds", lambda *given: pytest.fail("trained again"))
    assert trainer.train(trial("0", num_folds=2)).folds == completed.folds
    write_trial(search_path, replace(trial("1"), status="failed", reason="as before"))
    assert trainer.train(trial("1")).reason == "as before"


def test_a_loss_that_is_no_number_fails_the_trial_with_its_reason(trainer, config, search_path, tmp_path):
    network = build_network(prepare(config))
    network.set_weights([np.full_like(value, np.nan) for value in network.get_weights()])
    network.save_weights(tmp_path / "nan.weights.h5")
    values = {"train.initial_weights": str(tmp_path / "nan.weights.h5")}
    ended = trainer.train(replace(trial("2"), values=values))
    assert ended.status == "failed"
    assert "expected a finite loss. Received: loss=nan in epoch 1" in ended.reason
    assert read_trial(search_path, "2").reason == ended.reason


def test_settings_that_do_not_fit_each_other_fail_the_trial(trainer):
    ended = trainer.train(replace(trial("3"), values={"features.mel_bins": 20}))
    assert ended.status == "failed"
    assert ended.reason.startswith("features.mfcc_coefficients: expected 4 up to mel_bins")


def test_a_killed_process_fails_its_trial_and_the_next_one_is_trained(config, tmp_path):
    with TrialTrainer(tmp_path, replace(config, train=replace(config.train, epochs=10000)), folds=1, processes=1,
                      threads=1) as trainer:  # fmt: skip

        def kill() -> None:
            while not list(tmp_path.glob("trial_0/*/epochs.csv")):
                time.sleep(0.1)
            (process,) = trainer._pool._processes.values()
            os.kill(process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        ended = trainer.train(trial("0", 10000))
        killer.join()
        assert (ended.status, ended.reason) == ("failed", "its process was killed, perhaps for want of memory")
        assert trainer.train(trial("1", 1)).status == "completed"


def test_a_process_that_is_killed_between_trials_is_no_fault_of_the_next(config, tmp_path):
    with TrialTrainer(tmp_path, config, folds=1, processes=1, threads=1) as trainer:
        trainer.check_data()
        (process,) = trainer._pool._processes.values()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert trainer.train(trial("0", 1)).status == "completed"


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")])
def test_too_little_memory_outside_of_an_epoch_fails_the_trial_as_well(config, tmp_path, monkeypatch, error):
    def too_large(*given, **more):
        raise error

    monkeypatch.setattr(training, "train_or_resume", too_large)
    with pytest.raises(
        RunError, match=r"trial 0: expected to train\. Received: (MemoryError|ResourceExhaustedError)"
    ) as told:
        train_fold(tmp_path, trial("0"), config)
    assert "memory" in str(told.value) or "OOM" in str(told.value)
    assert isinstance(pickle.loads(pickle.dumps(told.value)), RunError)


def test_a_corpus_that_is_gone_is_no_fault_of_a_trial(config, tmp_path):
    gone = replace(config, corpus=replace(config.corpus, data_dir=str(tmp_path / "gone")))
    with (
        TrialTrainer(tmp_path, gone, folds=1, processes=1, threads=1) as trainer,
        pytest.raises(CorpusError, match="gone"),
    ):
        trainer.train(trial("0"))
    assert read_trial(tmp_path, "0") is None


def test_a_full_disk_is_no_fault_of_the_trial(config, tmp_path, monkeypatch):
    def full(*given):
        raise WriteError("state.npz: could not write: No space left on device")

    with TrialTrainer(tmp_path, config, folds=1, processes=1, threads=1) as trainer:
        monkeypatch.setattr(trainer, "_train_folds", full)
        with pytest.raises(WriteError):
            trainer.train(trial("0"))
    assert read_trial(tmp_path, "0").status == "running"


def test_more_folds_than_there_are_stop_before_the_first_trial(config, trainer, monkeypatch):
    monkeypatch.setattr(trainer, "_checked", False)
    trainer.check_data()
    monkeypatch.setattr(trainer, "_checked", False)
    monkeypatch.setattr(trainer, "_folds", 4)
    with pytest.raises(
        ConfigError, match=r"search\.folds: expected at most the 3 of leave_one_speaker_out\. Received: 4"
    ):
        trainer.check_data()


def test_a_trial_that_continues_another_trains_the_epochs_that_are_left(config, tmp_path, logging_as_before):
    settings = with_focal(config)
    first = train_fold(tmp_path, trial("0", 2), settings)
    before = Run.open(trial_path(tmp_path, "0") / first.fold)
    assert len(before.history()) == 2
    second = train_fold(tmp_path, trial("1", 4, continues="0"), settings)
    run = Run.open(trial_path(tmp_path, "1") / second.fold)
    assert len(before.history()) == 2
    assert run.history()[:2] == before.history()  # with the seconds that they took: they were not trained again
    whole = train(settings, run_path=tmp_path / "whole")
    assert [row["loss"] for row in run.history()] == [row["loss"] for row in whole.history()]
    assert not list(tmp_path.rglob(".partial-*"))


def test_what_a_kill_left_of_a_copy_is_no_run(config, tmp_path, logging_as_before):
    settings = with_focal(config)
    fold = train_fold(tmp_path, trial("0", 1), settings).fold
    left = trial_path(tmp_path, "1") / f".partial-{fold}"
    left.mkdir(parents=True)
    (left / "run.json").write_text("{")
    assert train_fold(tmp_path, trial("1", 2, continues="0"), settings).fold == fold
    assert not left.exists()
    assert len(Run.open(trial_path(tmp_path, "1") / fold).history()) == 2


def test_a_trial_waits_for_who_trains_in_its_folder(config, tmp_path, logging_as_before, monkeypatch):
    settings = with_focal(config)
    fold = train_fold(tmp_path, trial("0", 1), settings).fold
    run = Run.open(trial_path(tmp_path, "0") / fold)
    holding, freed = threading.Event(), []

    def hold() -> None:
        with run.held():
            holding.set()
            time.sleep(1)
            freed.append(time.monotonic())

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait()
    train_fold(tmp_path, trial("0", 2), settings)
    assert time.monotonic() > freed[0]
    holder.join()
    assert len(run.history()) == 2
