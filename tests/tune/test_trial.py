import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config import Config
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run
from lightsernet_tf.tune.trial import FoldOutcome, Trial, read_trial, read_trials, trial_path, write_trial

FIRST = FoldOutcome("speaker_03", epoch=2, utterances=40, ua=0.7, wa=0.72, macro_f1=0.68, ua_low=0.6, ua_high=0.8)
SECOND = FoldOutcome("speaker_声", epoch=3, utterances=50, ua=0.5, wa=0.51, macro_f1=0.48, ua_low=0.4, ua_high=0.56)
VALUES = {"train.learning_rate": 1e-4, "features.max_frequency_hz": None, "train.loss": "focal"}
COMPLETED = Trial("07", "completed", VALUES, epochs=3, folds=(FIRST, SECOND))


def make_run(path, epochs, seconds=2.5):
    with Run.create(path, Config(), {"fold": path.name}, {"labels": ["a"], "notes": []}, Path.touch) as run:
        pass
    rows = [dict.fromkeys(HISTORY_COLUMNS, 1.0) | {"epoch": n + 1, "seconds": seconds} for n in range(epochs)]
    if rows:
        run.write_history(rows)
    return run


def test_a_trial_comes_back_as_it_was_written(tmp_path):
    for trial in (COMPLETED, Trial("08", "failed", VALUES, 3, reason="loss is nan", continues="07")):
        write_trial(tmp_path, trial)
        assert read_trial(tmp_path, trial.name) == trial
    assert read_trials(tmp_path)[0].values == VALUES


def test_a_trial_that_was_not_begun_is_none(tmp_path):
    trial_path(tmp_path, "3").mkdir()
    assert read_trial(tmp_path, "3") is None
    assert read_trials(tmp_path) == []


def test_the_objective_is_the_mean_of_the_folds_and_its_interval_that_of_a_mean_of_independent_figures():
    assert COMPLETED.objective == pytest.approx(0.6)
    # Half widths of 0.10 and 0.08: sqrt(0.01 + 0.0064) / 2
    assert COMPLETED.objective_half_width == pytest.approx(math.sqrt(0.0164) / 2)
    alone = replace(COMPLETED, folds=(SECOND,))
    assert (alone.objective, alone.objective_half_width) == (0.5, pytest.approx(0.08))


def test_without_folds_there_is_no_objective():
    running = replace(COMPLETED, status="running", folds=())
    assert (running.objective, running.objective_half_width) == (None, None)


@pytest.mark.parametrize("names", [["10", "2", "1"], ["0010", "0002", "0001"]])
def test_trials_come_in_the_order_of_their_numbers(tmp_path, names):
    for name in names:
        write_trial(tmp_path, replace(COMPLETED, name=name))
    assert [trial.name for trial in read_trials(tmp_path)] == names[::-1]


def test_progress_is_the_mean_of_the_folds_and_the_time_is_that_of_all(tmp_path):
    write_trial(tmp_path, replace(COMPLETED, status="running", folds=(), epochs=20, num_folds=2))
    make_run(trial_path(tmp_path, "07") / "speaker_03", 4)
    make_run(trial_path(tmp_path, "07") / "speaker_声", 2, seconds=10)
    (trial,) = read_trials(tmp_path)
    assert (trial.epochs_done, trial.epochs, trial.seconds) == (3, 20, 30)


def test_a_trial_whose_run_has_no_epoch_yet_has_done_none(tmp_path):
    write_trial(tmp_path, replace(COMPLETED, status="running", folds=()))
    assert read_trials(tmp_path)[0].epochs_done == 0
    make_run(trial_path(tmp_path, "07") / "speaker_03", 0)
    (trial,) = read_trials(tmp_path)
    assert (trial.epochs_done, trial.seconds) == (0, 0)


DAMAGE = {
    "half a file": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "a number": lambda text: "3",
    "no folds": lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "folds"}),
    "no values": lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "values"}),
    "an unknown key": lambda text: json.dumps({**json.loads(text), "speed": 3}),
    "a fold without figures": lambda text: json.dumps({**json.loads(text), "folds": [{"fold": "a"}]}),
    "a completed one without folds": lambda text: json.dumps({**json.loads(text), "folds": []}),
    "an unknown status": lambda text: text.replace('"completed"', '"done"'),
    "another encoding": lambda text: text.encode("utf-16").decode("latin-1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_outcome_is_named(tmp_path, damage):
    write_trial(tmp_path, replace(COMPLETED, name="1"))
    write_trial(tmp_path, COMPLETED)
    path = trial_path(tmp_path, "07") / "outcome.json"
    path.write_text(DAMAGE[damage](path.read_text(encoding="utf-8")), encoding="utf-8")
    for read in (read_trials, lambda folder: read_trial(folder, "07")):
        with pytest.raises(RunError) as caught:
            read(tmp_path)
        assert str(caught.value).startswith(f"{path}: expected the outcome of a trial. Received: ")
    assert read_trial(tmp_path, "1") is not None


def test_damaged_figures_of_a_run_are_named(tmp_path):
    write_trial(tmp_path, COMPLETED)
    run = make_run(trial_path(tmp_path, "07") / "speaker_03", 2)
    (run.path / "epochs.csv").write_text("epoch,val_ua\n1,x\n")
    with pytest.raises(RunError, match=r"speaker_03.epochs\.csv: expected"):
        read_trials(tmp_path)
