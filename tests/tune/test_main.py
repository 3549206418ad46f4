"""The command ``tune``: what may be asked together, and a search seen from the terminal."""

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config_parser import config_yaml, load_config
from lightsernet_tf.cross_validate.folds import cross_validate
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.tune import __main__ as tune
from lightsernet_tf.tune.__main__ import main
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings
from lightsernet_tf.tune.trial import read_trials

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tiny_config, tmp_path_factory) -> SearchSettings:
    shared = {key: getattr(tiny_config, key) for key in tiny_config.to_dict()}
    shared["train"] = replace(tiny_config.train, epochs=4)
    folder = tmp_path_factory.mktemp("searched by the command")
    # A hyperband of one bracket of two rounds, three trials of which one goes on, and a bracket without any.
    search = SearchConfig(
        {"train.loss": ["cross_entropy", "focal"], "train.seed": {"min": 1, "max": 1000}}, "hyperband"
    )
    search = replace(search, hyperband_factor=4)
    return SearchSettings(**{**shared, "runs_dir": str(folder), "run_name": "eine Suche"}, search=search)


def written(settings: SearchSettings, path: Path) -> str:
    path.write_text(config_yaml(settings), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def printed(settings) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["--config", written(settings, Path(settings.runs_dir) / "tune.yaml"), "--threads", "1"]) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def path(settings, printed) -> Path:
    return Path(settings.runs_dir) / "eine Suche"


def test_the_search_ends_with_its_table_and_what_to_open(printed, path):
    assert printed.startswith(f"{path}: hyperband search on folders\n")
    assert re.search(r"^\d+ trials: \d+ completed, 0 running, 0 failed", printed, re.MULTILINE)
    assert "Reloading" not in printed
    for name in ("best.yaml", "results.md", "results.csv", "objective.png", "hyperparameters.png"):
        assert str(path / name) in printed
        assert (path / name).exists()


def test_hyperband_goes_on_with_the_epochs_of_the_trials_that_it_keeps(path):
    trials = {trial.name: trial for trial in read_trials(path)}
    went_on = [trial for trial in trials.values() if trial.continues]
    assert went_on
    for trial in went_on:
        before = trials[trial.continues]
        assert (before.epochs, trial.epochs) == (1, 4)
        assert trial.values == before.values
        for run in (path / f"trial_{before.name}").glob("*/epochs.csv"):
            later = path / f"trial_{trial.name}" / run.parent.name / "epochs.csv"
            assert later.read_text().startswith(run.read_text())


def test_the_best_settings_are_taken_by_other_commands_as_they_are(path, tmp_path):
    config = load_config(path / "best.yaml")
    assert config.train.epochs == 4
    short = replace(config, runs_dir=str(tmp_path), train=replace(config.train, epochs=1))
    assert cross_validate(short).scores.utterances == 36


def test_results_are_shown_again_the_same(printed, path, capsys):
    assert main(["--results", str(path)]) == 0
    assert capsys.readouterr().out == printed


def test_a_finished_search_that_is_resumed_trains_nothing(printed, path, capsys):
    before = {file: file.stat().st_mtime_ns for file in path.rglob("state.npz")}
    assert main(["--resume", str(path), "--threads", "1"]) == 0
    assert capsys.readouterr().out == printed
    assert {file: file.stat().st_mtime_ns for file in path.rglob("state.npz")} == before


def test_the_same_name_again_is_refused(settings, path, tmp_path):
    with pytest.raises(RunError, match=r"a new folder\. Received: one with a search; go on with it by --resume"):
        main(["--config", written(settings, tmp_path / "tune.yaml")])


SPACE = "{train.loss: [focal]}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--results", "DIR", "--jobs", "2"], r"--results: expected no other option\. Received: --jobs 2"),
        (["--resume", "DIR", "--train.epochs", "3"], r"--resume: expected no settings but --search\.trials.*epochs 3"),
        (
            ["--resume", "DIR", "--search.trials", "3"],
            r"search\.trials: expected none \(null\), for hyperband counts them itself",
        ),
        (["--chief", "127.0.0.1:80", "--worker", "127.0.0.1:80"], r"--worker: expected none beside --chief"),
        (["--jobs", "0"], r"--jobs: expected at least 1\. Received: 0"),
        (["--threads", "0"], r"--threads: expected at least 1\. Received: 0"),
        (["--lost-after-seconds", "3"], r"--lost-after-seconds: expected 10 to 86400\. Received: 3"),
        (["--worker", "127.0.0.1:80", "--name", "chief"], "--name: expected a worker's name"),
        (["--worker", "nowhere"], "--worker: expected HOST:PORT"),
        ([], r"search\.space: expected at least one key of the configuration\. Received: none"),
        (
            ["--search.space", "{train.los: [focal]}"],
            r"search\.space\.train\.los: no such key\. Did you mean train\.loss",
        ),
        (["--search.strategy", "bayes"], r"search\.strategy: expected one of random, bayesian, hyperband, grid\. Rec"),
        (["--search.space", SPACE, "--chief", "0.0.0.0:80"], "--chief: expected an address that only this machine"),
        (["--search.space", SPACE, "--search.folds", "0"], r"search\.folds: expected at least 1\. Received: folds=0"),
        (["--search.space", SPACE, "--split.protocol", "published"], "one whose validation data is not tested"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_trained(options, message, path, tmp_path):
    arguments = [str(path) if option == "DIR" else option for option in options]
    if "--resume" not in arguments and "--results" not in arguments:
        arguments += ["--runs_dir", str(tmp_path)]
    with pytest.raises(ConfigError, match=message):
        main(arguments)
    assert not list(tmp_path.rglob("search.yaml"))


def test_a_corpus_that_is_not_there_leaves_the_name_free(settings, tmp_path):
    gone = replace(settings, runs_dir=str(tmp_path), corpus=replace(settings.corpus, data_dir=str(tmp_path / "gone")))
    with pytest.raises(ValueError, match=r"corpus\.data_dir: expected the folder of folders\. Received: .*gone"):
        main(["--config", written(gone, tmp_path / "tune.yaml")])
    Search.begin(gone)


def test_the_table_fits_the_terminal(monkeypatch, path, capsys):
    monkeypatch.setattr(tune, "_width", lambda: 80)
    main(["--results", str(path)])
    table = capsys.readouterr().out.split("\nBest:")[0].splitlines()[1:]
    assert max(map(len, table)) <= 80
