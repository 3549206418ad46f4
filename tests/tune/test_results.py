"""What a search has come to: shown and written at any moment, and best settings that can be trained."""

from dataclasses import replace

import pytest

from lightsernet_tf.config_parser import load_config
from lightsernet_tf.corpora.demo import NOTICE
from lightsernet_tf.errors import RunError
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.results import report_search
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings
from lightsernet_tf.tune.trial import FoldOutcome, Trial, trial_path, write_trial

SPACE = {"train.loss": ["cross_entropy", "focal"], "features.max_frequency_hz": [None, 4000.0], "train.seed": [1, 2]}


def completed(name: str, ua: float, **values) -> Trial:
    fold = FoldOutcome("fold_00", 2, 50, ua, ua, ua, ua - 0.1, ua + 0.1)
    keys = {"train.loss": "focal", "features.max_frequency_hz": None, "train.seed": 2}
    return Trial(name, "completed", {**keys, **values}, 3, folds=(fold,))


@pytest.fixture
def search(tiny_config, tmp_path) -> Search:
    shared = {key: getattr(tiny_config, key) for key in tiny_config.to_dict()}
    settings = SearchSettings(**{**shared, "runs_dir": str(tmp_path), "run_name": "größe"}, search=SearchConfig(SPACE))
    search = Search.begin(settings)
    search.write()
    return search


def test_a_search_without_trials_says_so(search):
    assert report_search(search.path) == f"{search.path}: no trial has begun"


def test_the_best_settings_are_an_experiment_of_their_own(search):
    write_trial(search.path, completed("0", 0.5))
    write_trial(search.path, completed("1", 0.7, **{"features.max_frequency_hz": 4000.0}))
    write_trial(search.path, completed("2", 0.6))
    text = report_search(search.path)
    assert text.startswith(f"{search.path}: bayesian search on folders\n")
    assert str(search.path / "best.yaml") in text
    config = load_config(search.path / "best.yaml")
    shared = search.settings.shared()
    assert config == replace(
        shared,
        train=replace(shared.train, loss="focal", seed=2),
        features=replace(shared.features, max_frequency_hz=4000.0),
        run_name=None,
    )
    about = (search.path / "best.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert about == "# Trial 1, the best of 3 completed ones of größe: validation UA 70.0 %."
    for name in ("results.md", "results.csv", "objective.png", "hyperparameters.png"):
        assert (search.path / name).stat().st_size > 0
        assert str(search.path / name) in text
    assert not list(search.path.glob(".partial-*"))


def test_a_search_that_runs_is_shown_without_a_best(search):
    write_trial(search.path, Trial("0", "running", {"train.loss": "focal"}, 3))
    write_trial(search.path, Trial("1", "failed", {"train.loss": "focal"}, 3, reason="too large"))
    text = report_search(search.path, width=100)
    assert "too large" in text
    assert not (search.path / "best.yaml").exists()
    assert max(map(len, text.splitlines()[2:-1])) <= 100


def test_trials_on_other_data_and_the_synthetic_corpus_are_noted(search):
    settings = search.settings
    settings = replace(
        settings,
        corpus=type(settings.corpus)(),
        search=replace(settings.search, space={"split.seed": [1, 2], "train.seed": [1, 2]}),
    )
    Search(search.path, settings).write()
    write_trial(search.path, completed("0", 0.5))
    text = report_search(search.path)
    assert f"  {NOTICE}" in text
    assert "  trials differ in split.seed, and so in what they are judged on" in text
    assert NOTICE in (search.path / "results.md").read_text(encoding="utf-8")


def test_damage_is_named(search):
    with pytest.raises(RunError, match=r"nowhere: expected the folder of a search\. Received: no search\.yaml in it"):
        report_search(search.path / "nowhere")
    write_trial(search.path, completed("0", 0.5))
    (trial_path(search.path, "0") / "outcome.json").write_text("{")
    with pytest.raises(RunError, match=r"outcome\.json: expected the outcome of a trial"):
        report_search(search.path)
    (search.path / "search.yaml").write_text("search: {trials: many}")
    with pytest.raises(RunError, match=r"search\.yaml: search\.trials: expected .*\. Received: many"):
        report_search(search.path)
