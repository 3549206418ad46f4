"""A search's folder: begun once, held by one process, joined by workers of the same settings."""

from dataclasses import replace

import pytest

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.tune import folder as search_folder
from lightsernet_tf.tune.folder import Search, search_path
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings


@pytest.fixture
def settings(tiny_config, tmp_path) -> SearchSettings:
    shared = {key: getattr(tiny_config, key) for key in tiny_config.to_dict()}
    search = SearchConfig({"train.loss": ["cross_entropy", "focal"]})
    return SearchSettings(**{**shared, "runs_dir": str(tmp_path), "run_name": "s"}, search=search)


def test_a_search_is_opened_as_it_was_begun(settings):
    search = Search.begin(settings)
    assert not search.path.exists()
    search.write()
    assert Search.open(search.path) == search
    assert not search.has_begun()
    assert not search.path.joinpath("trial_0").exists()


def test_a_folder_with_something_in_it_is_left_alone(settings):
    Search.begin(settings).write()
    with pytest.raises(RunError, match=r"a new folder\. Received: one with a search; go on with it by --resume"):
        Search.begin(settings)
    other = replace(settings, run_name="other")
    search_path(other).mkdir()
    (search_path(other) / "notes.txt").touch()
    with pytest.raises(RunError, match=r"Received: one with notes\.txt; choose another --run_name"):
        Search.begin(other)


def test_what_a_search_leaves_that_never_began_is_no_hindrance(settings):
    search = Search.begin(settings)
    with search.held():
        pass
    assert Search.begin(settings) == search


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("run_name", "the search names them"),
        ("runs_dir", "the search's folder holds them"),
        ("split.protocol", "they have to be judged in one way, and never on test data"),
        ("split.fold", r"search\.folds says how many"),
        ("cache_dir", "it changes nothing of a trial"),
    ],
)
def test_keys_that_cannot_be_searched_are_refused(settings, key, reason):
    search = SearchConfig({key: ["a"]})
    with pytest.raises(ConfigError, match=rf"search\.space\.{key}: expected a key that trials may differ in: {reason}"):
        Search.begin(replace(settings, search=search))


def test_hyperband_counts_the_epochs_itself(settings):
    space = {"train.epochs": [1, 2]}
    Search.begin(replace(settings, search=SearchConfig(space)))
    with pytest.raises(ConfigError, match=r"search\.space\.train\.epochs: .*Hyperband itself says"):
        Search.begin(replace(settings, search=SearchConfig(space, strategy="hyperband")))


def test_one_process_searches_at_a_time(settings):
    search = Search.begin(settings)
    with (
        search.held(),
        pytest.raises(RunError, match=r"expected a search that nobody runs\. Received: another process does"),
        search.held(),
    ):
        pytest.fail("held twice")


def test_workers_join_the_search_of_their_settings(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(search_folder, "_SHARED_FOLDER_SECONDS", 0.5)
    with pytest.raises(RunError, match="expected the folder of the chief's search, on a disk that both share"):
        Search.join(settings)
    Search.begin(settings).write()
    moved = replace(settings, corpus=replace(settings.corpus, data_dir="/elsewhere"), cache_dir="/cache")
    assert Search.join(moved).settings.corpus.data_dir == "/elsewhere"
    with pytest.raises(RunError, match=r"this worker's model\.dropout=0\.1\. Received: model\.dropout="):
        Search.join(replace(settings, model=replace(settings.model, dropout=0.1)))


def test_the_number_of_trials_may_be_changed_but_not_hyperbands(settings):
    search = Search.begin(settings)
    assert search.with_trials(None) == search
    assert search.with_trials(7).settings.search.trials == 7
    hyperband = Search.begin(replace(settings, search=replace(settings.search, strategy="hyperband")))
    with pytest.raises(ConfigError, match=r"search\.trials: expected none \(null\), for hyperband counts them itself"):
        hyperband.with_trials(7)


def test_a_folder_that_cannot_be_made_is_named(settings, tmp_path):
    (tmp_path / "file").touch()
    search = Search.begin(replace(settings, runs_dir=str(tmp_path / "file")))
    with pytest.raises(RunError, match=r"file/s: expected a folder that can be made"), search.held():
        pytest.fail("made")


def test_names_are_the_same_for_the_same_settings(settings, tmp_path):
    assert search_path(replace(settings, run_name=None)) == tmp_path / "folders_bayesian_search"
