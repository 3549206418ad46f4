"""Light-SERNet for any tuner of Keras Tuner.

    from keras_tuner import Objective, RandomSearch
    hypermodel = build_hypermodel(config, {"train.loss": ["cross_entropy", "focal"]})
    RandomSearch(hypermodel, Objective("val_ua", "max"), max_trials=2).search()

What this module does not do: keep runs. ``python -m lightsernet_tf.tune`` does, and goes on after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import with_values
from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import choose_fold
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.model.network import build_network
from lightsernet_tf.runs.run import HistoryRow
from lightsernet_tf.train.fit import compile_network, fit_network
from lightsernet_tf.train.initial_weights import load_initial_weights
from lightsernet_tf.tune.settings import refuse_test_data
from lightsernet_tf.tune.space import SearchSpace
from lightsernet_tf.tune.space_reader import make_space

_FORBIDDEN = {
    **dict.fromkeys(("runs_dir", "run_name", "train.keep"), "nothing is kept here but what the tuner keeps"),
    "train.strategy": "trials are fitted on one device",
}


class DataGiven(ConfigError, keras_tuner.errors.FatalError):
    """The search was given data; a tuner would blame the trial for any other error, and go on to the next."""


class LightSERNetHyperModel(keras_tuner.HyperModel):
    """Builds and fits the network under the settings that a tuner chooses; see `build_hypermodel`."""

    def __init__(self, config: Config, space: SearchSpace) -> None:
        super().__init__(name="light_sernet")
        self.config, self.space = config, space
        self._experiment: Experiment | None = None

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Register the whole space, so that no tuner has to build networks to find it."""
        self.space.declare(hp, self.config)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled network for the values chosen; inputs ``[batch, frames, bins, 1]``."""
        self.space.declare(hp, self.config)
        experiment = self._experiment_of(hp)
        network = build_network(experiment)
        load_initial_weights(network, experiment, choose_fold(experiment.folds, experiment.config.split))
        compile_network(network, experiment)
        return network

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *args: Any,
        epochs: int | None = None,
        initial_epoch: int = 0,
        callbacks: list[keras.callbacks.Callback] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train on the fold's training data and judge its validation data after each epoch, as ``train`` does.

        Parameters
        ----------
        hp, model
            What ``build`` was given and has returned.
        epochs, initial_epoch
            Given by Hyperband; none: all of ``train.epochs``.
        callbacks
            The tuner's.
        **kwargs
            ``verbose`` is accepted, as every tuner's ``search`` is given it; data is not: the corpus is the data.

        Raises
        ------
        DataGiven
            If it is given data or an option that it does not know.
        """
        if args or set(kwargs) - {"verbose"}:
            raise DataGiven(
                "search: expected no data, the configuration names it. "
                f"Received: {', '.join(type(one).__name__ for one in args) or ', '.join(sorted(kwargs))}"
            )
        experiment = self._experiment_of(hp)
        fold = choose_fold(experiment.folds, experiment.config.split)
        # Hyperband continues with the weights alone: to the schedule, every epoch before them was an improvement.
        rows: list[HistoryRow] = [{"epoch": epoch + 1, "val_loss": 1e9 - epoch} for epoch in range(initial_epoch)]
        last_epoch = min(epochs or experiment.config.train.epochs, experiment.config.train.epochs)
        return fit_network(model, experiment, fold, last_epoch, rows=rows, callbacks=callbacks or [])

    def _experiment_of(self, hp: keras_tuner.HyperParameters) -> Experiment:
        config = with_values(self.config, self.space.values_of(hp.values))
        if self._experiment is not None and self._experiment.config.corpus == config.corpus:
            try:
                return self._experiment.under(config)
            except ConfigError:  # other features
                pass
        self._experiment = prepare(config)
        return self._experiment


def build_hypermodel(config: Config, space: Mapping[str, Any]) -> LightSERNetHyperModel:
    """Return a hypermodel over a configuration.

    Parameters
    ----------
    config
        What all trials share, the corpus and the fold (``split.fold``) among it.
    space
        What is searched, as under ``search.space`` in YAML, see `tune.space`.

    Returns
    -------
    LightSERNetHyperModel
        For any tuner with the objective ``keras_tuner.Objective("val_ua", "max")``; ``search()`` takes no data.

    Raises
    ------
    ConfigError
        If a key does not exist or a value does not fit; the message names it.
    """
    refuse_test_data(config)
    if config.train.strategy != "one_device":
        raise ConfigError(
            "train.strategy: expected one_device, for the tuner's own distribution_strategy is not used either. "
            f"Received: strategy={config.train.strategy!r}"
        )
    return LightSERNetHyperModel(config, make_space(space, config, _FORBIDDEN))
