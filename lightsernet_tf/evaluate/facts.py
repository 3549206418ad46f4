"""Facts of an experiment by name, for the tables of reports and cards; programs read fields of their own instead."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold


def experiment_facts(experiment: Experiment, fold: Fold | None = None) -> dict[str, Any]:
    """Return by name what is trained and how; with a fold, also on which speakers."""
    config, train = experiment.config, experiment.config.train
    weights = ", ".join(f"{label} {weight:g}" for label, weight in train.class_weights.items())
    augmented = [f"{name} {value:g}" for name, value in dataclasses.asdict(config.augment).items() if value]
    return {
        **data_facts(experiment, fold),
        "loss": ", ".join([train.loss, *(f"{key} {value:g}" for key, value in train.loss_parameters().items())]),
        "balance": train.balance + (f": {weights}" if weights else ""),
        "training": f"{train.epochs} epochs, batch {train.batch_size}, learning rate {train.learning_rate:g} "
        f"({train.schedule}), dropout {config.model.dropout:g}",
        "seed": train.seed,
        "epoch chosen": f"by {train.choose_by} on the {choosing_data(experiment)} data",
        **({"augmentation": augmented} if augmented else {}),
    }


def data_facts(experiment: Experiment, fold: Fold | None = None) -> dict[str, Any]:
    """Return by name what the data is; with a fold, also the speakers of its parts."""
    config = experiment.config
    features = f"{config.features.kind} {list(experiment.store.input_shape)}, {config.audio.duration_seconds:g} s"
    if config.features.max_frequency_hz is not None:
        features += f", up to {config.features.max_frequency_hz:g} Hz"
    if config.audio.segments == "all":
        features += ", all segments"
    facts = {
        "corpus": f"{experiment.corpus.name}, {experiment.num_used} utterances",
        "labels": experiment.labels,
        "protocol": f"{config.split.protocol}, split seed {config.split.seed}",
        "features": features,
    }
    if fold is None:
        return facts
    speakers = {f"{part} speakers": experiment.speakers(ids) or "none" for part, ids in fold.parts().items()}
    return {**facts, "fold": fold.name, **speakers}


def choosing_data(experiment: Experiment) -> Literal["validation", "test"]:
    """Return which data chooses the epoch."""
    return "test" if experiment.protocol.chooses_on_test else "validation"
