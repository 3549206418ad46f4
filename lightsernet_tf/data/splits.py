"""Folds: which utterances are trained on, which choose the epoch and which are tested.

Each protocol is one function and its record in ``PROTOCOLS``. Nothing here looks at audio; `data.leaks` does.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightsernet_tf.config import ProtocolName, SplitConfig
from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from sklearn.model_selection import BaseShuffleSplit

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fold:
    """Positions in the corpus of the utterances of each part; ``name`` serves as a folder's name."""

    name: str
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the three parts by name."""
        return {"training": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class Protocol:
    """A way to make folds, and what it promises of them.

    Nothing has a default: the guards against leaks and against unsuitable initial weights rely on these fields.

    Parameters
    ----------
    make
        Yields the folds of some utterances.
    num_folds
        Number of folds by the settings alone; None where it depends on the corpus.
    speaker_independent
        Whether no speaker is in two parts of a fold. The leak guard enforces it.
    tests_somebody
        Whether there is test data; otherwise the test part alone is empty.
    chooses_on_test
        Whether the validation data is the test data, so that test figures are optimistic.
    note
        What every report of such a fold states; the first of its notes. None: nothing.
    """

    make: Callable[[Sequence[Utterance], SplitConfig], Iterator[Fold]]
    num_folds: Callable[[SplitConfig], int | None]
    speaker_independent: bool
    tests_somebody: bool
    chooses_on_test: bool
    note: str | None


def make_folds(utterances: Sequence[Utterance], config: SplitConfig) -> list[Fold]:
    """Split utterances by ``config.protocol``.

    Parameters
    ----------
    utterances
        At least one; duplicates and unreadable files are already left out.
    config
        Protocol, numbers of folds and speakers, fractions and the seed.

    Raises
    ------
    CorpusError
        If the corpus has too few speakers or utterances, or a class too few, for the protocol.
    ConfigError
        If there are more folds than speakers to make them of.
    """
    return list(PROTOCOLS[config.protocol].make(utterances, config))


def choose_fold(folds: Sequence[Fold], config: SplitConfig) -> Fold:
    """Return the fold with the number ``config.fold``, counted from 0."""
    if config.fold >= len(folds):
        raise ConfigError(
            f"split.fold: expected 0 to {len(folds) - 1} under {config.protocol}. Received: fold={config.fold}"
        )
    return folds[config.fold]


def leave_one_speaker_out(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test each speaker in turn; the next ones in a seeded circle of speakers choose the epoch.

    In the circle every speaker validates equally often. More validation speakers choose the epoch with a smaller error,
    and each of them is missing from the training data.
    """
    speakers = sorted({utterance.speaker for utterance in utterances})
    yield from _speaker_folds(
        utterances, [(f"speaker_{folder}", {name}) for name, folder in _folder_names(speakers).items()], config
    )


def group_k_fold(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test ``folds`` groups of speakers in turn, of equally many speakers each, one more or less."""
    speakers = np.array([utterance.speaker for utterance in utterances])
    num_speakers = len(set(speakers))
    if config.folds > num_speakers:
        raise ConfigError(
            f"split.folds: expected at most {num_speakers}, one a speaker. Received: folds={config.folds}"
        )
    from sklearn.model_selection import GroupKFold  # here and below: takes a second, which --help need not wait for

    splitter = GroupKFold(config.folds, shuffle=True, random_state=config.seed)
    groups = [set(speakers[test].tolist()) for _, test in splitter.split(speakers, groups=speakers)]
    yield from _speaker_folds(utterances, [(f"fold_{n:02d}", group) for n, group in enumerate(groups)], config)


def final(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test nobody, for a network to ship: the first speakers of a seeded circle choose the epoch, the rest train."""
    yield from _speaker_folds(utterances, [("final", set())], config)


def _speaker_folds(
    utterances: Sequence[Utterance], tests: Sequence[tuple[str, set[str]]], config: SplitConfig
) -> Iterator[Fold]:
    circle = sorted({utterance.speaker for utterance in utterances})
    np.random.default_rng(config.seed).shuffle(circle)
    for name, tested in tests:
        start = max((circle.index(speaker) for speaker in tested), default=0)
        others = [speaker for speaker in circle[start:] + circle[:start] if speaker not in tested]
        if len(others) <= config.validation_speakers:
            raise CorpusError(
                f"split.protocol {config.protocol}: expected more than split.validation_speakers="
                f"{config.validation_speakers} speakers{' beside the tested ones' if tested else ''}. "
                f"Received: {len(others)} ({', '.join(sorted(others)) or 'none'})"
            )
        validating = set(others[: config.validation_speakers])
        yield Fold(
            name,
            train=_spoken_by(set(others) - validating, utterances),
            validation=_spoken_by(validating, utterances),
            test=_spoken_by(tested, utterances),
        )


def stratified_hold_out(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test one stratified share of the utterances; a stratified share of the rest chooses the epoch."""
    positions = np.arange(len(utterances))
    rest, test = _stratified(utterances, positions, "test_fraction", config, config.seed)
    yield _with_validation("hold_out", utterances, rest, test, config)


def random_hold_outs(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test ``folds`` random shares of the utterances, which overlap; speakers are in every part (as in the paper)."""
    for n, (rest, test) in enumerate(_random_shares(utterances, config)):
        yield _with_validation(f"hold_out_{n:02d}", utterances, rest, test, config)


def published(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Make the random hold-outs, and let the test data choose the epoch too: the published practice, optimistic."""
    for n, (rest, test) in enumerate(_random_shares(utterances, config)):
        yield Fold(f"published_{n:02d}", _tuple(rest), validation=_tuple(test), test=_tuple(test))


def manifest(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Split as the CSV says; without validation rows a stratified share of the training rows chooses the epoch."""
    for utterance in utterances:
        if utterance.split is None:
            raise CorpusError(
                f"{utterance.path}: expected train, validation or test in column split. Received: nothing"
            )
    parts = {
        part: tuple(position for position, utterance in enumerate(utterances) if utterance.split == part)
        for part in ("train", "validation", "test")
    }
    for part in ("train", "test"):
        if not parts[part]:
            raise CorpusError(f"column split: expected at least one row of {part}. Received: none")
    if parts["validation"]:
        yield Fold("manifest", parts["train"], parts["validation"], parts["test"])
    else:
        _logger.info("No row has split=validation: %.0f %% of train is used", 100 * config.validation_fraction)
        yield _with_validation("manifest", utterances, np.array(parts["train"]), np.array(parts["test"]), config)


def _by_key(config: SplitConfig) -> int | None:
    return config.folds


def _one(config: SplitConfig) -> int | None:
    return 1


def _by_corpus(config: SplitConfig) -> int | None:
    return None


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "leave_one_speaker_out": Protocol(
        leave_one_speaker_out,
        _by_corpus,
        speaker_independent=True,
        tests_somebody=True,
        chooses_on_test=False,
        note=None,
    ),
    "group_k_fold": Protocol(
        group_k_fold, _by_key, speaker_independent=True, tests_somebody=True, chooses_on_test=False, note=None
    ),
    "stratified_hold_out": Protocol(
        stratified_hold_out, _one, speaker_independent=False, tests_somebody=True, chooses_on_test=False, note=None
    ),
    "random_hold_outs": Protocol(
        random_hold_outs, _by_key, speaker_independent=False, tests_somebody=True, chooses_on_test=False, note=None
    ),
    "manifest": Protocol(
        manifest, _one, speaker_independent=False, tests_somebody=True, chooses_on_test=False, note=None
    ),
    "published": Protocol(
        published,
        _by_key,
        speaker_independent=False,
        tests_somebody=True,
        chooses_on_test=True,
        note="optimistic: the epoch was chosen on the test data",
    ),
    "final": Protocol(
        final,
        _one,
        speaker_independent=True,
        tests_somebody=False,
        chooses_on_test=False,
        note="no test data: the validation figures chose the epoch and are optimistic; see a cross-validation for what "
        "to expect of new speakers",
    ),
}


def inherited_notes(protocol: Protocol | None, notes: Sequence[str]) -> list[str]:
    """Return those notes of a training that also hold for a network or file made from it.

    That there was no test data is true of the training's own figures alone.
    """
    own = protocol is not None and not protocol.tests_somebody and protocol.note is not None
    return list(notes[1:] if own else notes)


def check_classes(fold: Fold, utterances: Sequence[Utterance], labels: Sequence[str], protocol: Protocol) -> None:
    """Refuse a fold that trains on no utterance of some class, or that lacks a part which its protocol promises."""
    for part, positions in fold.parts().items():
        if not positions and (part != "test" or protocol.tests_somebody):
            raise CorpusError(f"{fold.name}: expected at least one {part} utterance. Received: none")
    trained = {utterances[position].label for position in fold.train}
    missing = [label for label in labels if label not in trained]
    if missing:
        raise CorpusError(
            f"{fold.name}: expected training utterances of every class. Received: none of {', '.join(missing)}. "
            "Drop the class (corpus.drop_labels), merge it (corpus.label_map) or choose another split"
        )


def _with_validation(
    name: str, utterances: Sequence[Utterance], rest: np.ndarray, test: np.ndarray, config: SplitConfig
) -> Fold:
    train, validation = _stratified(utterances, rest, "validation_fraction", config, config.seed + 1)
    return Fold(name, _tuple(train), _tuple(validation), _tuple(test))


def _random_shares(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import ShuffleSplit

    splitter = ShuffleSplit(config.folds, test_size=config.test_fraction, random_state=config.seed)
    return _held_out(utterances, np.arange(len(utterances)), splitter, "test_fraction")


def _stratified(
    utterances: Sequence[Utterance], positions: np.ndarray, key: str, config: SplitConfig, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit(1, test_size=getattr(config, key), random_state=seed)
    return next(_held_out(utterances, positions, splitter, key))


def _held_out(
    utterances: Sequence[Utterance], positions: np.ndarray, splitter: BaseShuffleSplit, key: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    labels = [utterances[position].label for position in positions]
    try:
        for rest, held_out in splitter.split(positions, labels):
            yield positions[rest], positions[held_out]
    except ValueError as error:
        counts = ", ".join(f"{label} {count}" for label, count in sorted(Counter(labels).items()))
        raise CorpusError(
            f"split.{key}: expected enough utterances to hold out {splitter.test_size:g}. Received: {counts} ({error})"
        ) from error


def _spoken_by(speakers: set[str], utterances: Sequence[Utterance]) -> tuple[int, ...]:
    return tuple(position for position, utterance in enumerate(utterances) if utterance.speaker in speakers)


def _tuple(positions: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(positions.tolist()))


def _folder_names(speakers: Sequence[str]) -> dict[str, str]:
    # One to one, so that two speakers never share a folder. On macOS, names that differ only in case or in how an
    # accent is composed are the same: in these, everything but small ASCII letters and digits is escaped.
    names = {speaker: _escape(r'[%/\\:*?"<>|]', speaker) for speaker in speakers}
    alike = Counter(_as_macos(name) for name in names.values())
    return {
        speaker: name if alike[_as_macos(name)] == 1 else _escape("[^a-z0-9 _.-]", speaker)
        for speaker, name in names.items()
    }


def _as_macos(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _escape(characters: str, text: str) -> str:
    return re.sub(characters, lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
