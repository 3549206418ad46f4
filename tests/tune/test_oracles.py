"""The four strategies with made-up scores: whole, killed anywhere, with several workers, and with trials that fail."""

import itertools
import json
import random
from types import SimpleNamespace

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.trial import Trial
from keras_tuner.src.tuners import bayesian
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from lightsernet_tf.config import Config
from lightsernet_tf.errors import RunError
from lightsernet_tf.tune import oracles
from lightsernet_tf.tune.oracles import OBJECTIVE, make_oracle
from lightsernet_tf.tune.settings import SearchConfig
from lightsernet_tf.tune.space import Parameter, SearchSpace

LOSS = Parameter("train.loss", values=("cross_entropy", "focal"))
GAMMA = Parameter("train.gamma", values=(0.5, 2.0, 1.0), when={"train.loss": ("focal",)})
DROPOUT = Parameter("model.dropout", low=0.0, high=0.3, step=0.15)
RATE = Parameter("train.learning_rate", low=1e-5, high=1e-2, log=True)

GRID = (LOSS, GAMMA, DROPOUT)
COMBINATIONS = {("cross_entropy", None, dropout) for dropout in (0.0, 0.15, 0.3)} | set(
    itertools.product(("focal",), (0.5, 1.0, 2.0), (0.0, 0.15, 0.3))
)
# By name, the settings of a search that is over soon
SEARCHES = {
    "random": (SearchConfig(strategy="random", trials=8), (LOSS, GAMMA, RATE)),
    "bayesian": (SearchConfig(strategy="bayesian", trials=6, initial_trials=3), (LOSS, GAMMA, RATE)),
    "hyperband": (SearchConfig(strategy="hyperband"), (LOSS, GAMMA, RATE)),
    "grid": (SearchConfig(strategy="grid"), GRID),
}
TRIALS = {"random": 8, "bayesian": 6, "hyperband": 9 + 3 + 1 + 5 + 2 + 3, "grid": 12}  # Hyperband's of 9 epochs
EVERY = pytest.mark.parametrize("name", SEARCHES)


@pytest.fixture(autouse=True)
def quick_thought(request, monkeypatch):
    """Let the Bayesian oracle take the best of its 50 starts: from each it would look around for a second in all."""
    if "slow_thought" not in request.fixturenames:

        def look_no_further(function, x0, **_):
            return SimpleNamespace(fun=function(x0)[0], x=x0)

        monkeypatch.setattr(bayesian, "scipy", SimpleNamespace(optimize=SimpleNamespace(minimize=look_no_further)))
        monkeypatch.setattr(
            bayesian.BayesianOptimizationOracle,
            "_make_gpr",
            lambda oracle: GaussianProcessRegressor(Matern(nu=2.5), alpha=1e-4, normalize_y=True, random_state=1),
        )


@pytest.fixture
def slow_thought():
    """Leave Keras Tuner's oracle as it is."""


def open_oracle(path, name, **changes):
    search, parameters = SEARCHES[name]
    settings = {**vars(search), **changes}
    hyperparameters = keras_tuner.HyperParameters()
    SearchSpace(settings.pop("parameters", parameters)).declare(hyperparameters, Config())
    oracle = make_oracle(SearchConfig(**settings), hyperparameters, epochs=9)
    oracle._set_project_dir(str(path.parent), path.name)
    if (path / "oracle.json").exists():
        oracle.reload()
    return oracle


def score(values):
    own = sorted((key, value) for key, value in values.items() if key not in ("tuner/trial_id", "tuner/bracket"))
    return random.Random(str(own)).random()


def finish(oracle, trial, status="COMPLETED"):
    """Do as a tuner does, with the trial that came by the network where it did."""
    if not oracle.get_trial(trial.trial_id).metrics.exists(OBJECTIVE) and status == "COMPLETED":
        oracle.update_trial(trial.trial_id, {OBJECTIVE: score(trial.hyperparameters.values)})
    trial.status = status
    oracle.end_trial(trial)


def by_network(trial):
    return Trial.from_proto(trial.to_proto())


def run_search(path, name, *, open_again=lambda path, oracle, before: oracle, status="COMPLETED", **changes):
    """Search to the end, with a kill wherever ``open_again`` gives another oracle, and return the oracle."""
    oracle = open_oracle(path, name, **changes)
    for _ in range(500):
        before = state_file(path)
        trial = oracle.create_trial("worker")
        check_files(path)
        again = open_again(path, oracle, before)
        if again is not oracle and trial.status == "RUNNING":
            oracle, killed = again, trial
            trial = oracle.create_trial("worker")
            assert (trial.trial_id, trial.hyperparameters.values) == (killed.trial_id, killed.hyperparameters.values)
        if trial.status == "STOPPED":
            assert not oracle.ongoing_trials
            assert not oracle.tuner_ids
            return oracle
        assert trial.status == "RUNNING"
        assert trial.trial_id not in oracle.end_order
        before = state_file(path)
        finish(oracle, trial, status)
        check_files(path)
        again = open_again(path, oracle, before)
        if again is not oracle:
            oracle = again
            if trial.trial_id not in oracle.end_order:  # the kill came before the oracle's file
                repeated = oracle.create_trial("worker")
                assert repeated.trial_id == trial.trial_id
                finish(oracle, repeated, status)
    raise AssertionError("the search does not end")


def state_file(path):
    return (path / "oracle.json").read_bytes() if (path / "oracle.json").exists() else None


def check_files(path):
    names = [file.name for file in path.rglob("*") if file.is_file()]
    assert set(names) <= {"oracle.json", "trial.json"}  # nothing partial
    for file in path.rglob("*.json"):
        json.loads(file.read_text(encoding="utf-8"))


def told(oracle):
    """What each trial tried and scored, in the order in which they ended."""
    assert sorted(oracle.end_order) == sorted(oracle.start_order) == sorted(oracle.trials)
    assert len(set(oracle.end_order)) == len(oracle.end_order)  # each once
    trials = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    return [(trial.trial_id, trial.hyperparameters.values, trial.score) for trial in trials]


def reference(name, tmp_path_factory, _kept={}):  # noqa: B006 - a search without kills is the same each time
    if name not in _kept:
        _kept[name] = told(run_search(tmp_path_factory.mktemp("whole") / "search", name))
    return _kept[name]


# Whole


@EVERY
def test_a_search_ends_each_trial_once_with_its_score(name, tmp_path_factory):
    found = reference(name, tmp_path_factory)
    assert len(found) == TRIALS[name]
    for _, values, its_score in found:
        assert its_score == score(values)
        assert ("train.gamma" in values) == (values["train.loss"] == "focal")
    assert len({json.dumps(values, sort_keys=True) for _, values, _ in found}) == len(found)


def test_the_grid_is_every_combination_once(tmp_path_factory):
    found = reference("grid", tmp_path_factory)
    tried = [(v["train.loss"], v.get("train.gamma"), round(v["model.dropout"], 9)) for _, v, _ in found]
    assert sorted(map(str, tried)) == sorted(map(str, COMBINATIONS))


def test_a_grid_may_end_before_its_last_combination(tmp_path, tmp_path_factory):
    found = told(run_search(tmp_path / "search", "grid", trials=5))
    assert [values for _, values, _ in found] == [values for _, values, _ in reference("grid", tmp_path_factory)][:5]


def test_hyperband_goes_on_with_the_best(tmp_path_factory):
    """Li et al., JMLR 2018, with 9 epochs and a factor of 3: the brackets of Keras Tuner, from 1, 3 and 9 epochs."""
    found = reference("hyperband", tmp_path_factory)
    rounds = {}
    for trial_id, values, its_score in found:
        rounds.setdefault((values["tuner/bracket"], values["tuner/round"]), []).append((its_score, trial_id, values))
    sizes = {key: (len(trials), trials[0][2]["tuner/epochs"]) for key, trials in rounds.items()}
    assert sizes == {(2, 0): (9, 1), (2, 1): (3, 3), (2, 2): (1, 9), (1, 0): (5, 3), (1, 1): (2, 9), (0, 0): (3, 9)}
    for (bracket, number), trials in rounds.items():
        if number > 0:
            best = sorted(rounds[bracket, number - 1], reverse=True)[: len(trials)]
            assert {values["tuner/trial_id"] for _, _, values in trials} == {trial_id for _, trial_id, _ in best}
            assert {values["tuner/initial_epoch"] for _, _, values in trials} == {best[0][2]["tuner/epochs"]}


@pytest.mark.parametrize("name", ["random", "bayesian", "hyperband"])
def test_the_same_seed_tries_the_same(name, tmp_path, tmp_path_factory):
    assert told(run_search(tmp_path / "same", name)) == reference(name, tmp_path_factory)
    other = told(run_search(tmp_path / "other", name, seed=43))
    assert other[0][1] != reference(name, tmp_path_factory)[0][1]


def test_bayesian_chooses_by_what_it_knows(slow_thought, tmp_path):
    """Of a score that grows along one key it tries the end, at once."""
    oracle = open_oracle(tmp_path / "search", "bayesian", parameters=(DROPOUT, RATE))
    for dropout, rate in ((0.0, 1e-5), (0.15, 1e-4), (0.0, 1e-3)):
        trial = oracle.create_trial("worker")
        trial.hyperparameters.values = {"model.dropout": dropout, "train.learning_rate": rate}
        oracle.update_trial(trial.trial_id, {OBJECTIVE: 0.5 + np.log10(rate) / 10})
        finish(oracle, trial)
    assert oracle.create_trial("worker").hyperparameters.values["train.learning_rate"] > 1e-3


@pytest.mark.parametrize(("trials", "initial_trials"), [(6, 2), (20, 2), (20, 20)])
def test_bayesian_repeats_nothing_and_stops_when_all_is_tried(trials, initial_trials, tmp_path):
    six = (LOSS, Parameter("model.dropout", values=(0.1, 0.2, 0.3)))
    oracle = run_search(tmp_path / "s", "bayesian", parameters=six, trials=trials, initial_trials=initial_trials)
    assert len({str(values) for _, values, _ in told(oracle)}) == len(oracle.trials) == 6


def test_random_finds_the_last_values_that_are_left(tmp_path):
    parameters = (LOSS, Parameter("train.epochs", low=1, high=20))
    oracle = run_search(tmp_path / "search", "random", parameters=parameters, trials=100)
    assert len(told(oracle)) == 40


def test_bayesian_stays_within_a_logarithmic_range_of_whole_numbers(tmp_path):
    parameters = (Parameter("train.batch_size", low=8, high=32, log=True), RATE, DROPOUT)
    oracle = open_oracle(tmp_path / "search", "bayesian", parameters=parameters)
    ends = [oracle._vector_to_values(np.full(3, end)) for end in (0.0, 1.0)]
    assert [values["train.batch_size"] for values in ends] == [8, 32]
    assert [values["train.learning_rate"] for values in ends] == pytest.approx([1e-5, 1e-2])
    assert [values["model.dropout"] for values in ends] == [0.0, 0.3]


# Killed


def killed_between_calls(path, oracle, before):
    return open_again_like(path, oracle)


def killed_twice(path, oracle, before):
    return open_again_like(path, open_again_like(path, oracle))


def killed_before_the_oracles_file(path, oracle, before):
    """The trial's file was written, the oracle's not yet."""
    if before is None:
        (path / "oracle.json").unlink(missing_ok=True)
    else:
        (path / "oracle.json").write_bytes(before)
    return open_again_like(path, oracle)


def killed_before_the_trial_is_off_the_list(path, oracle, before):
    """The oracle's file has the end of a trial, and also that it goes on."""
    state, at_work = json.loads(state_file(path)), json.loads(before or "{}").get("ongoing_trials")
    (path / "oracle.json").write_text(json.dumps(state | {"ongoing_trials": state["ongoing_trials"] or at_work}))
    return open_again_like(path, oracle)


def open_again_like(path, oracle):
    name = type(oracle).__name__.removesuffix("Oracle").lower()
    return open_oracle(path, name)


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize(
    "kill",
    [
        killed_between_calls,
        killed_twice,
        killed_before_the_oracles_file,
        killed_before_the_trial_is_off_the_list,
    ],
)
def test_a_search_killed_at_every_step_is_the_search_that_never_was(name, kill, tmp_path, tmp_path_factory):
    found = told(run_search(tmp_path / "search", name, open_again=kill))
    expected = reference(name, tmp_path_factory)
    if name == "bayesian":  # its random starts are in memory only
        assert [trial_id for trial_id, _, _ in found] == [trial_id for trial_id, _, _ in expected]
        assert [values for _, values, _ in found[:3]] == [values for _, values, _ in expected[:3]]
    elif name == "grid":  # goes on at its start
        assert sorted(str(values) for _, values, _ in found) == sorted(str(values) for _, values, _ in expected)
    else:
        assert found == expected
    assert all(its_score == score(values) for _, values, its_score in found)


@EVERY
def test_a_trial_that_the_oracles_file_does_not_know_is_chosen_anew(name, tmp_path):
    path = tmp_path / "search"
    oracle = open_oracle(path, name)
    finish(oracle, oracle.create_trial("worker"))
    before = state_file(path)
    unknown = oracle.create_trial("worker").trial_id
    (path / "oracle.json").write_bytes(before)
    again = open_oracle(path, name)
    assert unknown not in again.trials
    assert again.create_trial("worker").trial_id == unknown


@EVERY
def test_a_trial_whose_end_the_oracles_file_does_not_know_ends_again(name, tmp_path):
    path = tmp_path / "search"
    oracle = open_oracle(path, name)
    trial = oracle.create_trial("worker")
    before = state_file(path)
    finish(oracle, trial)
    (path / "oracle.json").write_bytes(before)
    again = open_oracle(path, name)
    assert again.get_best_trials(1)[0].status != "COMPLETED"  # to the oracle it runs
    repeated = again.create_trial("worker")
    assert (repeated.trial_id, repeated.status) == (trial.trial_id, "RUNNING")
    finish(again, repeated)
    assert told(again) == told(oracle)


def test_more_trials_may_be_asked_for_later(tmp_path):
    run_search(tmp_path / "search", "random", trials=3)
    oracle = run_search(tmp_path / "search", "random", trials=12)
    assert [int(trial_id) for trial_id, _, _ in told(oracle)] == list(range(12))


def test_trials_are_in_the_order_of_their_start_after_a_kill(tmp_path):
    run_search(tmp_path / "search", "random", trials=9)
    run_search(tmp_path / "search", "random", trials=12)  # whose names are one longer
    oracle = open_oracle(tmp_path / "search", "random")
    assert list(oracle.trials) == oracle.start_order


# Damaged


@pytest.mark.parametrize("file", ["oracle.json", "trial_0/trial.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'"x"', b"3", b'{"hyperparameters": []}']
)
def test_a_damaged_file_is_an_error_that_names_the_folder(file, content, tmp_path):
    path = tmp_path / "search"
    run_search(path, "random", trials=2)
    (path / file).write_bytes(content)
    with pytest.raises(RunError) as caught:
        open_oracle(path, "random")
    assert str(caught.value).startswith(f"{path}: expected the state of a search in its JSON files. Received: ")


@pytest.mark.parametrize(
    ("file", "key"),
    [("trial_0/trial.json", key) for key in ("hyperparameters", "metrics", "trial_id")]
    + [("oracle.json", key) for key in ("hyperparameters", "display", "ongoing_trials", "start_order", "retry_queue")],
)
def test_a_file_with_a_wrong_value_is_an_error_that_names_the_folder(file, key, tmp_path):
    path = tmp_path / "search"
    run_search(path, "grid", trials=2)
    state = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(state | {key: 3}))
    with pytest.raises(RunError) as caught:
        open_oracle(path, "grid")
    assert str(caught.value).startswith(f"{path}: ")


@EVERY
def test_a_trial_that_is_gone_is_an_error_that_names_the_folder(name, tmp_path):
    path = tmp_path / "search"
    oracle = open_oracle(path, name)
    for _ in range(2):
        finish(oracle, oracle.create_trial("worker"))
    next(path.glob("trial_*/trial.json")).unlink()
    with pytest.raises(RunError, match=r"search: expected the state of a search in its JSON files\. Received: KeyErr"):
        open_oracle(path, name)


def test_a_folder_in_a_files_place_is_an_error_that_names_the_folder(tmp_path):
    (tmp_path / "search" / "oracle.json").mkdir(parents=True)
    with pytest.raises(RunError, match="search: expected the state of a search in its JSON files"):
        open_oracle(tmp_path / "search", "random")


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "search"
    oracle = open_oracle(path, "random")
    trial = oracle.create_trial("worker")
    before = state_file(path)
    monkeypatch.setattr("lightsernet_tf.files._flush_to_disk", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    oracle.start_order.append("more")
    for write in (oracle.save, lambda: oracle._save_trial(trial), lambda: finish(oracle, trial)):
        with pytest.raises(OSError, match="full"):
            write()
    assert state_file(path) == before
    check_files(path)


# Trials that fail


@EVERY
def test_a_search_of_failures_alone_ends(name, tmp_path):
    oracle = run_search(tmp_path / "search", name, status="FAILED")
    ended = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    assert {trial.status for trial in ended} == {"FAILED"}
    assert len(ended) == (9 + 5 + 3 if name == "hyperband" else TRIALS[name])  # of Hyperband's, none goes on


@EVERY
def test_failures_between_do_not_stop_a_search(name, tmp_path):
    oracle = open_oracle(tmp_path / "search", name)
    for number in itertools.count():
        trial = oracle.create_trial("worker")
        if trial.status == "STOPPED":
            break
        finish(oracle, trial, "COMPLETED" if number % 4 == 3 else "FAILED")
        if number % 5 == 4:
            oracle = open_oracle(tmp_path / "search", name)
    statuses = [oracle.trials[trial_id].status for trial_id in oracle.end_order]
    assert {"COMPLETED", "FAILED"} == set(statuses)
    if name != "hyperband":
        assert len(statuses) == TRIALS[name]


# Several workers


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(oracles, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@EVERY
def test_two_workers_try_all_of_it_once(name, tmp_path, capsys):
    path = tmp_path / "search"
    oracle, at_work, stopped, chance = open_oracle(path, name), {}, set(), random.Random(5)
    for step in range(1000):
        worker = chance.choice(["a", "b"])
        if worker in at_work:
            finish(oracle, at_work.pop(worker))
        elif worker not in stopped:
            trial = by_network(oracle.create_trial(worker))
            if trial.status == "RUNNING":
                at_work[worker] = trial
            elif trial.status == "STOPPED":
                assert not at_work
                stopped.add(worker)
        if step % 7 == 6 and not at_work:
            oracle = open_oracle(path, name)
        if stopped == {"a", "b"}:
            break
    assert stopped == {"a", "b"}
    assert len(told(oracle)) == TRIALS[name]
    assert not oracle.ongoing_trials
    assert not oracle.tuner_ids
    capsys.readouterr()  # Keras Tuner prints conditions


@pytest.mark.parametrize("name", ["random", "grid"])
def test_who_asks_while_another_trains_waits(name, tmp_path):
    oracle = open_oracle(tmp_path / "search", name, trials=1)
    first = oracle.create_trial("a")
    assert oracle.create_trial("b").status == "IDLE"
    assert oracle.tuner_ids == {"a", "b"}
    finish(oracle, first)
    assert oracle.create_trial("b").status == "STOPPED"
    assert oracle.create_trial("a").status == "STOPPED"
    assert oracle.tuner_ids == set()


def test_who_asks_again_gets_the_same_trial(tmp_path):
    oracle = open_oracle(tmp_path / "search", "random")
    assert oracle.create_trial("a") is oracle.create_trial("a")


@EVERY
def test_a_silent_workers_trial_goes_to_the_next_that_asks(name, tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", name)
    lost = oracle.create_trial("silent")
    clock.seconds += 61
    assert oracle.take_back_lost(60) == [("silent", lost.trial_id)]
    assert oracle.take_back_lost(60) == []
    assert "silent" not in oracle.tuner_ids
    found = oracle.create_trial("other")
    assert (found.trial_id, found.status) == (lost.trial_id, "RUNNING")
    assert found.hyperparameters.values == lost.hyperparameters.values
    assert oracle.create_trial("third").trial_id != lost.trial_id


def test_it_does_so_although_others_ask_for_work_all_the_time(tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", "random", trials=1)
    lost = oracle.create_trial("silent")
    for _ in range(61):
        assert oracle.create_trial("waiting").status == "IDLE"
        clock.seconds += 1
    assert oracle.take_back_lost(60) == [("silent", lost.trial_id)]
    assert oracle.create_trial("waiting").trial_id == lost.trial_id
    finish(oracle, lost)
    assert oracle.create_trial("waiting").status == "STOPPED"
    assert not oracle.tuner_ids


def test_a_worker_with_a_heartbeat_keeps_its_trial(tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", "random")
    trial = oracle.create_trial("alive")
    for _ in range(10):
        clock.seconds += 50
        oracle.get_trial(trial.trial_id)
        assert oracle.take_back_lost(60) == []
    assert oracle.ongoing_trials == {"alive": trial}


def test_nobody_is_lost_while_the_oracle_thinks(tmp_path, clock, monkeypatch):
    """It listens to nobody meanwhile."""
    oracle = open_oracle(tmp_path / "search", "random")
    oracle.create_trial("a")
    clock.seconds += 50
    think = oracle.populate_space

    def think_long(trial_id):
        clock.seconds += 100
        return think(trial_id)

    monkeypatch.setattr(oracle, "populate_space", think_long)
    oracle.create_trial("b")
    assert oracle.take_back_lost(60) == []
    clock.seconds += 20
    assert [worker for worker, _ in oracle.take_back_lost(60)] == ["a"]


def test_who_waits_and_is_silent_is_forgotten(tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", "random", trials=1)
    trial = oracle.create_trial("a")
    oracle.create_trial("b")
    clock.seconds += 61
    oracle.get_trial(trial.trial_id)
    assert oracle.take_back_lost(60) == []
    assert oracle.tuner_ids == {"a"}
    assert oracle.create_trial("b").status == "IDLE"
    assert oracle.tuner_ids == {"a", "b"}


def test_who_has_just_brought_a_result_after_a_long_training_is_not_forgotten(tmp_path, clock):
    """It asks for more at once, and a chief that knows of no worker leaves."""
    oracle = open_oracle(tmp_path / "search", "random", trials=1)
    trial = oracle.create_trial("a")
    for _ in range(100):
        clock.seconds += 50
        oracle.get_trial(trial.trial_id)
    finish(oracle, trial)
    oracle.take_back_lost(60)
    assert oracle.tuner_ids == {"a"}


@EVERY
def test_a_result_that_comes_twice_counts_once(name, tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", name)
    lost = by_network(oracle.create_trial("late"))
    clock.seconds += 61
    oracle.take_back_lost(60)
    again = by_network(oracle.create_trial("other"))
    assert again.trial_id == lost.trial_id
    finish(oracle, lost)
    assert oracle.end_order == [lost.trial_id]
    assert not oracle.ongoing_trials
    late = oracle.create_trial("late")
    finish(oracle, again, "FAILED")
    assert oracle.end_order == [lost.trial_id]
    assert oracle.trials[lost.trial_id].status == "COMPLETED"
    assert oracle.ongoing_trials == {"late": late}


def test_a_result_that_comes_while_the_trial_waits_for_another_worker_counts(tmp_path, clock):
    oracle = open_oracle(tmp_path / "search", "random")
    lost = oracle.create_trial("late")
    clock.seconds += 61
    oracle.take_back_lost(60)
    finish(oracle, lost)
    assert oracle.end_order == [lost.trial_id]
    assert oracle.create_trial("other").trial_id != lost.trial_id


def test_what_was_taken_back_survives_a_kill_of_the_chief(tmp_path, clock):
    path = tmp_path / "search"
    oracle = open_oracle(path, "random")
    lost = oracle.create_trial("a")
    clock.seconds += 61
    oracle.take_back_lost(60)
    again = open_oracle(path, "random")
    assert [again.create_trial("b").trial_id, again.create_trial("c").trial_id] == [lost.trial_id, "1"]


def test_bayesian_chooses_beside_trials_that_were_taken_back(tmp_path, clock):
    path = tmp_path / "search"
    oracle = open_oracle(path, "bayesian", trials=9)
    for _ in range(3):
        finish(oracle, oracle.create_trial("a"))
    lost = {oracle.create_trial(worker).trial_id for worker in ("a", "b")}
    clock.seconds += 61
    assert {trial_id for _, trial_id in oracle.take_back_lost(60)} == lost
    oracle.create_trial("c")  # one of them runs again, the other waits
    for one, known in ((oracle, 4), (open_oracle(path, "bayesian", trials=9), 3)):
        chosen = one.populate_space("5")
        assert len(one._vectorize_trials()[1]) == known  # what is done, and what runs by a guess
        assert chosen["status"] == "RUNNING"
        assert chosen["values"].keys() <= {"train.loss", "train.gamma", "train.learning_rate"}
