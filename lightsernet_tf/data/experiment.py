"""A configuration made real: its corpus, features, classes and folds, ready to train and to evaluate on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lightsernet_tf.config import Config
from lightsernet_tf.config_identity import PLACES, differing_keys
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Corpus, Skipped
from lightsernet_tf.data.feature_store import FeatureStore, open_feature_store
from lightsernet_tf.data.leaks import check_leaks, first_of_identical
from lightsernet_tf.data.splits import PROTOCOLS, Fold, Protocol, check_classes, make_folds
from lightsernet_tf.errors import ConfigError, CorpusError

_NOT_DATA = (*PLACES, "split.fold", "model", "train")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """One configuration on one corpus.

    Parameters
    ----------
    config
        The settings.
    corpus
        Utterances and labels; folds hold positions in ``corpus.utterances``.
    store
        Features of every utterance.
    class_ids
        int [utterances], position of each utterance's label in ``corpus.labels``.
    folds
        All folds of the protocol, checked for leaks.
    left_out
        Files that are not used, and why not.
    """

    config: Config
    corpus: Corpus
    store: FeatureStore
    class_ids: np.ndarray
    folds: tuple[Fold, ...]
    left_out: tuple[tuple[Path, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels in the order of the network's outputs."""
        return self.corpus.labels

    def under(self, config: Config) -> Experiment:
        """Return the same data with settings that differ only in the model, its training or the fold.

        Raises
        ------
        ConfigError
            If they need other data.
        """
        for key, (other, ours) in differing_keys(config, self.config, ignore=_NOT_DATA).items():
            raise ConfigError(f"{key}: expected what the data was prepared with, {ours!r}. Received: {other!r}")
        return replace(self, config=replace(config, corpus=self.config.corpus))

    @property
    def protocol(self) -> Protocol:
        """Return what the folds' protocol promises of them."""
        return PROTOCOLS[self.config.split.protocol]

    @property
    def num_used(self) -> int:
        """Return the number of utterances that are neither unreadable nor dropped."""
        return len({position for fold in self.folds for part in fold.parts().values() for position in part})

    def speakers(self, positions: Sequence[int]) -> list[str]:
        """Return the speakers of some utterances, sorted."""
        return sorted({self.corpus.utterances[position].speaker for position in positions})

    def names(self, positions: Sequence[int]) -> list[str]:
        """Return the utterances' paths, relative to the folder of the corpus or of its CSV file if they are in it."""
        if not self.config.corpus.data_dir:
            return [self.corpus.utterances[position].path.name for position in positions]
        root = Path(self.config.corpus.data_dir).expanduser()
        if root.is_file():
            root = root.parent
        paths = [self.corpus.utterances[position].path for position in positions]
        return [(path.relative_to(root) if path.is_relative_to(root) else path).as_posix() for path in paths]

    def notes(self, *folds: Fold) -> list[str]:
        """Return what every artefact of these folds states about its figures; the protocol's note is the first."""
        notes = [self.protocol.note] if self.protocol.note is not None else []
        if self.corpus.notice is not None:
            notes.append(self.corpus.notice)
        tested = {speaker for fold in folds for speaker in self.speakers(fold.test)}
        known = {name for fold in folds for name in set(self.speakers(fold.test)) & set(self.speakers(fold.train))}
        if known:
            notes.append(
                f"speaker-dependent: {len(known)} of the {len(tested)} test speakers are also in the training data; "
                "expect less for new speakers"
            )
        return notes


def prepare(config: Config) -> Experiment:
    """Read the corpus, compute or find its features, and make the folds.

    Raises
    ------
    InputError
        If anything that the configuration names cannot work; see ``load_corpus``, ``open_feature_store`` and
        ``make_folds``.
    """
    corpus = load_corpus(config.corpus)
    if len(corpus.labels) < 2:
        raise CorpusError(f"corpus.labels: expected at least 2 classes. Received: only {', '.join(corpus.labels)}")
    store = open_feature_store([utterance.path for utterance in corpus.utterances], config)
    left_out = list(corpus.skipped)
    left_out += [Skipped(corpus.utterances[position].path, problem) for position, problem in store.problems.items()]
    usable = [position for position in range(len(corpus.utterances)) if position not in store.problems]
    if config.corpus.duplicates == "drop":
        usable, dropped = first_of_identical(store.content, usable)
        for position, first in dropped:
            here, there = corpus.utterances[position], corpus.utterances[first]
            labels = "" if here.label == there.label else f", though labelled {here.label} here and {there.label} there"
            left_out.append(Skipped(here.path, f"the same audio as {there.path}{labels}"))
    for path, reason in left_out:
        _logger.warning("left out: %s: %s", path, reason)
    chosen = [corpus.utterances[position] for position in usable]
    folds = []
    for fold in make_folds(chosen, config.split):
        fold = _renumbered(fold, usable)
        check_leaks(fold, corpus.utterances, store.content, PROTOCOLS[config.split.protocol])
        check_classes(fold, corpus.utterances, corpus.labels, PROTOCOLS[config.split.protocol])
        folds.append(fold)
    class_ids = np.array([corpus.labels.index(utterance.label) for utterance in corpus.utterances])
    return Experiment(config, corpus, store, class_ids, tuple(folds), tuple(left_out))


def _renumbered(fold: Fold, positions: Sequence[int]) -> Fold:
    def mapped(part: Sequence[int]) -> tuple[int, ...]:
        return tuple(positions[index] for index in part)

    return replace(fold, train=mapped(fold.train), validation=mapped(fold.validation), test=mapped(fold.test))
