"""A network fitted without a folder is the network of a run."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import RunError
from lightsernet_tf.model.network import build_network
from lightsernet_tf.train.fit import compile_network, fit_network
from lightsernet_tf.train.fold import train


def test_what_is_fitted_is_what_a_run_trains(tiny_config, tmp_path):
    config = replace(tiny_config, runs_dir=str(tmp_path), run_name="run")
    run = train(config)
    experiment = prepare(config)
    network = build_network(experiment)
    compile_network(network, experiment)
    fitted = fit_network(network, experiment, experiment.folds[0], [], 3)
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
    fit_network(network, experiment, experiment.folds[0], [{"val_loss": 1.0}], 3, [looking])
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert all(0 <= ua <= 1 for _, ua in seen)


def test_a_loss_that_is_no_number_is_an_error(tiny_config):
    experiment = prepare(tiny_config)
    network = build_network(experiment)
    network.set_weights([np.full_like(value, np.nan) for value in network.get_weights()])
    compile_network(network, experiment)
    with pytest.raises(RunError, match="expected a finite loss"):
        fit_network(network, experiment, experiment.folds[0], [], 1)
