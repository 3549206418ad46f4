"""The settings of a search: those of an experiment, and in one more section how it is searched.

What this module does not do: say what may stand in ``space`` (see `tune.space` and `tune.space_reader`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lightsernet_tf.config import Config, are_text, require
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import ConfigError

Strategy = Literal["random", "bayesian", "hyperband", "grid"]


@dataclass(frozen=True)
class SearchConfig:
    """What is searched, and how.

    Parameters
    ----------
    space
        By key of the configuration what is tried: ``[a, b]``, ``{choice: [a, b]}`` or ``{min: 1, max: 8, scale: log,
        step: 2}``, each with an optional condition such as ``when: {train.loss: focal}``.
    strategy
        Keras Tuner's ``random``, ``bayesian``, ``hyperband`` or ``grid``.
    trials
        How many are tried (none: 20, and all of a grid); Hyperband's follow from ``train.epochs`` and its own keys.
    folds
        The objective is the mean validation UA of this many folds, from the first.
    seed
        Of the values that are drawn.
    initial_trials
        Bayesian only: how many are drawn at random before results choose the others (none: 3 for each key).
    hyperband_factor
        Hyperband only: of so many trials one goes on, with so many times the epochs.
    hyperband_rounds
        Hyperband only: how often the whole of it is done.
    """

    space: dict[str, Any] = field(default_factory=dict)
    strategy: Strategy = "bayesian"
    trials: int | None = None
    folds: int = 1
    seed: int = 42
    initial_trials: int | None = None
    hyperband_factor: int = 3
    hyperband_rounds: int = 1

    def __post_init__(self) -> None:
        def check(key: str, holds: bool, expected: str) -> None:
            require(self, "search", key, holds, expected)

        check("space", are_text(self.space), "keys of the configuration")
        check("trials", self.trials is None or 1 <= self.trials <= 1_000_000, "none, or 1 to 1000000")
        check("folds", self.folds >= 1, "at least 1")
        check("seed", 1 <= self.seed < 2**31, "1 or more and less than 2**31")  # Keras Tuner draws one for 0
        check("initial_trials", self.initial_trials is None or self.initial_trials >= 1, "none, or at least 1")
        check("hyperband_factor", self.hyperband_factor >= 2, "at least 2")
        check("hyperband_rounds", self.hyperband_rounds >= 1, "at least 1")
        check("initial_trials", self.strategy == "bayesian" or self.initial_trials is None, "none, but for bayesian")
        check(
            "trials",
            self.strategy != "hyperband" or self.trials is None,
            "none (null), for hyperband counts them itself",
        )


@dataclass(frozen=True)
class SearchSettings(Config):
    """What all trials share, and the search.

    Parameters
    ----------
    search
        What is searched, and how.
    """

    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_test_data(self)
        most = PROTOCOLS[self.split.protocol].num_folds(self.split)  # or the corpus decides: TrialTrainer.check_data
        if most is not None and self.search.folds > most:
            raise ConfigError(
                f"search.folds: expected at most the {most} of {self.split.protocol}. Received: {self.search.folds}"
            )

    def shared(self) -> Config:
        """Return what all trials share, without the search."""
        return Config(**{key.name: getattr(self, key.name) for key in fields(Config)})


def refuse_test_data(config: Config) -> None:
    """Refuse a protocol under which an objective on validation data would be one on test data.

    Raises
    ------
    ConfigError
        If it is one.
    """
    if PROTOCOLS[config.split.protocol].chooses_on_test:
        raise ConfigError(
            "split.protocol: expected one whose validation data is not tested. Received: "
            f"protocol={config.split.protocol!r}, which chooses on the test data"
        )
