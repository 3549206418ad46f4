"""Keras Tuner's own tuners over the hypermodel, on a corpus on which an epoch takes a moment."""

from dataclasses import replace

import keras
import keras_tuner
import pytest

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import with_values
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import ConfigError, CorpusError, RunError
from lightsernet_tf.model.network import build_network
from lightsernet_tf.train.fold import train
from lightsernet_tf.tune.hypermodel import build_hypermodel

pytestmark = pytest.mark.slow

OBJECTIVE = keras_tuner.Objective("val_ua", "max")
SPACE = {"train.loss": ["cross_entropy", "focal"], "train.gamma": {"choice": [1, 3], "when": {"train.loss": "focal"}}}


@pytest.fixture(scope="module")
def config(tiny_config) -> Config:
    return replace(tiny_config, train=replace(tiny_config.train, epochs=2, schedule="plateau"))


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    return train(config, run_path=tmp_path_factory.mktemp("trained") / "run")


def chosen(hypermodel, **values):
    """Return hyperparameters with some values, as a tuner gives them."""
    hyperparameters = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hyperparameters)
    hyperparameters.values |= {key.replace("__", "."): value for key, value in values.items()}
    hyperparameters.ensure_active_values()
    return hyperparameters


# What is trained is what train trains


def test_fit_gives_the_figures_of_train_also_in_two_parts(config, trained):
    hypermodel = build_hypermodel(config, SPACE)
    hyperparameters = chosen(hypermodel)
    model = hypermodel.build(hyperparameters)
    first = hypermodel.fit(hyperparameters, model, epochs=1, verbose=0)
    second = hypermodel.fit(hyperparameters, model, initial_epoch=1, epochs=2)
    rows = trained.history()
    assert len(rows) == 2
    assert (first.epoch, second.epoch) == ([0], [1])
    for part, row in zip((first, second), rows, strict=True):
        for name in ("loss", "ua", "val_loss", "val_ua", "val_wa"):
            assert part.history[name] == [row[name]]


def test_random_search_scores_trials_as_train_does(config, trained, tmp_path, capsys):
    tuner = keras_tuner.RandomSearch(
        build_hypermodel(config, {"train.learning_rate": [config.train.learning_rate, 1e-2]}),
        OBJECTIVE,
        max_trials=2,
        directory=str(tmp_path),
        seed=1,
    )
    tuner.search(verbose=0)
    scores = {t.hyperparameters.values["train.learning_rate"]: t.score for t in tuner.oracle.trials.values()}
    assert set(scores) == {1e-3, 1e-2}
    assert scores[1e-3] == max(row["val_ua"] for row in trained.history())
    other = train(with_values(config, {"train.learning_rate": 1e-2}), run_path=tmp_path / "run")
    assert scores[1e-2] == max(row["val_ua"] for row in other.history())

    best, expected = tuner.get_best_models(1)[0], build_network(prepare(config))
    rows = [(row["val_ua"], run.weights_path(row["epoch"])) for run in (trained, other) for row in run.history()]
    found = False
    for val_ua, path in rows:
        if val_ua == max(rows)[0]:
            expected.load_weights(path)
            pairs = zip(best.get_weights(), expected.get_weights(), strict=True)
            found = found or all((one == other).all() for one, other in pairs)
    assert found
    capsys.readouterr()


def test_hyperband_goes_on_after_the_epochs_that_are_trained(config, tmp_path, capsys):
    hypermodel = build_hypermodel(config, {"train.learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log"}})
    tuner = keras_tuner.Hyperband(hypermodel, OBJECTIVE, max_epochs=2, factor=2, directory=str(tmp_path), seed=1)
    tuner.oracle.max_trials = 3  # two of an epoch, and the better one of two
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}
    went_on = [trial.hyperparameters.values for trial in trials if "tuner/trial_id" in trial.hyperparameters.values]
    assert [(values["tuner/initial_epoch"], values["tuner/epochs"]) for values in went_on] == [(1, 2)]
    first = tuner.oracle.trials[went_on[0]["tuner/trial_id"]]
    assert first.hyperparameters.values["train.learning_rate"] == went_on[0]["train.learning_rate"]
    capsys.readouterr()


def test_the_tuners_callbacks_are_called_for_at_most_the_epochs_configured(config):
    hypermodel, seen = build_hypermodel(replace(config, train=replace(config.train, epochs=1)), SPACE), []
    hyperparameters = chosen(hypermodel)
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, "val_ua" in logs)))
    history = hypermodel.fit(hyperparameters, hypermodel.build(hyperparameters), epochs=9, callbacks=[callback])
    assert history.epoch == [0]
    assert seen == [(0, True)]


# What a network is built of


def test_the_values_chosen_are_those_of_the_network(config):
    hypermodel = build_hypermodel(config, SPACE | {"model.dropout": [0.1, 0.6], "train.learning_rate": [1e-3, 1e-2]})
    values = {"train__loss": "focal", "train__gamma": 3.0, "model__dropout": 0.6, "train__learning_rate": 1e-2}
    model = hypermodel.build(chosen(hypermodel, **values))
    assert (type(model.loss).__name__, model.loss.gamma) == ("SparseCategoricalFocalLoss", 3.0)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.6]
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-2)


def test_other_features_change_the_input(config):
    hypermodel = build_hypermodel(config, {"features.kind": ["mfcc", "log_mel_spectrogram"]})
    shapes = [
        hypermodel.build(chosen(hypermodel, features__kind=kind)).input_shape
        for kind in ("mfcc", "log_mel_spectrogram", "mfcc")
    ]
    assert shapes[0] == shapes[2] == (None, shapes[0][1], 40, 1)
    assert shapes[1] == (None, shapes[0][1], 128, 1)


def test_another_corpus_is_another_corpus(config, tiny_corpus, tmp_path):
    """Though a run is the same wherever its corpus lies."""
    (tmp_path / "empty").mkdir()
    hypermodel = build_hypermodel(config, {"corpus.data_dir": [str(tiny_corpus), str(tmp_path / "empty")]})
    hypermodel.build(chosen(hypermodel))
    with pytest.raises(CorpusError):
        hypermodel.build(chosen(hypermodel, corpus__data_dir=str(tmp_path / "empty")))


def test_initial_weights_are_where_it_starts(config, trained):
    started = replace(config, train=replace(config.train, initial_weights=str(trained.weights_path(2))))
    hypermodel = build_hypermodel(started, SPACE)
    model = hypermodel.build(chosen(hypermodel))
    expected = build_network(prepare(config))
    expected.load_weights(trained.weights_path(2))
    assert all((a == b).all() for a, b in zip(model.get_weights(), expected.get_weights(), strict=True))
    missing = replace(config, train=replace(config.train, initial_weights="nowhere.weights.h5"))
    hypermodel = build_hypermodel(missing, SPACE)
    with pytest.raises(RunError, match="nowhere"):
        hypermodel.build(chosen(hypermodel))


def test_conditions_under_conditions_are_found_by_a_tuner(config, tmp_path):
    """Keras Tuner builds networks until every condition held once."""
    space = {
        "train.schedule": ["constant", "plateau"],
        "train.loss": {"choice": ["cross_entropy", "focal"], "when": {"train.schedule": "constant"}},
        "train.gamma": {"choice": [1, 3], "when": {"train.loss": "focal"}},
    }
    hypermodel, built = build_hypermodel(config, space), []
    build = hypermodel.build

    def build_and_count(hyperparameters):
        built.append(dict(hyperparameters.values))
        assert len(built) < 9, built
        return build(hyperparameters)

    hypermodel.build = build_and_count
    keras_tuner.RandomSearch(hypermodel, OBJECTIVE, max_trials=1, directory=str(tmp_path))
    assert any("train.gamma" in values for values in built)


# What is refused


@pytest.mark.parametrize(
    ("args", "options", "received"),
    [(([1, 2],), {}, "list"), ((), {"x": [1], "validation_data": [2]}, "validation_data, x")],
)
def test_data_is_refused(config, args, options, received):
    hypermodel = build_hypermodel(config, SPACE)
    with pytest.raises(ConfigError) as caught:
        hypermodel.fit(chosen(hypermodel), None, *args, **options)
    assert str(caught.value) == f"search: expected no data, the configuration names it. Received: {received}"


def test_data_ends_a_search_at_once(config, tmp_path, capsys):
    """Any other error would count as the trial's, and the next would begin."""
    tuner = keras_tuner.RandomSearch(build_hypermodel(config, SPACE), OBJECTIVE, max_trials=2, directory=str(tmp_path))
    with pytest.raises(ConfigError, match="expected no data"):
        tuner.search([1, 2], verbose=0)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "search.space: expected at least one key"),
        ({"train.epoch": [1]}, "search.space.train.epoch: no such key. Did you mean train.epochs?"),
        ({"train.loss": ["hinge"]}, "search.space.train.loss.choice: expected one of cross_entropy, focal."),
        ({"run_name": ["a"]}, "search.space.run_name: expected a key that trials may differ in: nothing is kept here"),
        ({"train.keep": ["all"]}, "search.space.train.keep: expected a key that trials may differ in: nothing is kept"),
        ({"cache_dir": ["a"]}, "search.space.cache_dir: expected a key that trials may differ in: it changes nothing"),
    ],
)
def test_a_space_that_cannot_be_searched_is_named_with_its_key(config, space, message):
    with pytest.raises(ConfigError) as caught:
        build_hypermodel(config, space)
    assert str(caught.value).startswith(message)
