"""A network fitted without a folder is the network of a run."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.predictors import keras_predictor, predictor_for
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.network import build_network
from lightsernet_tf.train.fit import compile_network, fit_network, validation_figures
from lightsernet_tf.train.fold import train

pytestmark = pytest.mark.slow


def test_what_is_fitted_is_what_a_run_trains(tiny_config, tmp_path):
    config = replace(tiny_config, runs_dir=str(tmp_path), run_name="run")
    run = train(config)
    experiment = prepare(config)
    network = build_network(experiment)
    compile_network(network, experiment)
    fitted = fit_network(network, experiment, experiment.folds[0], 3)
    trained = build_network(experiment)
    trained.load_weights(run.weights_path(3))
    for ours, theirs in zip(network.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("loss", "ua", "val_ua", "val_loss"):
        assert fitted.history[name] == [row[name] for row in run.history()]


def test_callbacks_see_the_validation_figures_and_epochs_count_on(tiny_config):
    experiment = prepare(tiny_config)
    network = build_network(experiment)
    compile_network(network, experiment)
    seen = []
    looking = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["val_ua"])))
    fit_network(network, experiment, experiment.folds[0], 3, rows=[{"val_loss": 1.0}], callbacks=[looking])
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert all(0 <= ua <= 1 for _, ua in seen)


@pytest.mark.parametrize("loss_name", ["cross_entropy", "focal"])
def test_validation_figures_are_those_of_its_utterances(tiny_config, loss_name):
    experiment = prepare(tiny_config)
    fold = experiment.folds[1]
    network = build_network(experiment)
    predict = predictor_for(experiment, keras_predictor(network))
    figures = validation_figures(predict, make_loss(TrainConfig(loss=loss_name)), experiment, fold)
    rows = [list(experiment.store.utterance_of_segment).index(position) for position in fold.validation]
    probabilities = keras.ops.convert_to_numpy(network(experiment.store.features[rows][..., None], training=False))
    true = experiment.class_ids[list(fold.validation)]
    right = probabilities[np.arange(len(true)), true]
    by_hand = -np.log(right) * ((1 - right) ** 2 if loss_name == "focal" else 1)
    assert figures["val_loss"] == pytest.approx(by_hand.mean(), rel=1e-4)
    hits = probabilities.argmax(axis=1) == true
    assert figures["val_wa"] == pytest.approx(hits.mean())
    assert figures["val_ua"] == pytest.approx(np.mean([hits[true == label].mean() for label in range(3)]))
    assert set(figures) == {"val_loss", "val_wa", "val_ua", "val_macro_f1", "val_weighted_f1"}


def test_a_nan_loss_is_an_error(tiny_config):
    experiment = prepare(tiny_config)
    network = build_network(experiment)
    network.set_weights([np.full_like(value, np.nan) for value in network.get_weights()])
    compile_network(network, experiment)
    with pytest.raises(RunError, match="expected a finite loss"):
        fit_network(network, experiment, experiment.folds[0], 1)
