"""Folds: who is trained on, who chooses the epoch and who is tested.

A fold holds positions in the corpus's utterances. Nothing here looks at audio, see ``leaks`` for that.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedShuffleSplit

from lightsernet_tf.config import Protocol, SplitConfig
from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.errors import ConfigError, CorpusError

SPEAKER_INDEPENDENT: frozenset[Protocol] = frozenset({"leave_one_speaker_out", "group_k_fold", "final"})
OPTIMISTIC_NOTE = "optimistic: the epoch was chosen on the test data"
NO_TEST_NOTE = (
    "no test data: the validation figures chose the epoch and are optimistic; see a cross-validation for what to "
    "expect of new speakers"
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fold:
    """Positions of the utterances of each part; ``name`` serves as a folder's name.

    Only under ``final`` may a part be empty: ``test``.
    """

    name: str
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return the three parts by name."""
        return {"training": self.train, "validation": self.validation, "test": self.test}


def make_folds(utterances: Sequence[Utterance], config: SplitConfig) -> list[Fold]:
    """Split utterances as ``config.protocol`` says.

    Parameters
    ----------
    utterances
        Those that are used: duplicates and unreadable files are already left out.
    config
        Protocol, numbers of folds and speakers, fractions and the seed.

    Raises
    ------
    CorpusError
        If the corpus has too few speakers or utterances, or a class too few, for the protocol.
    ConfigError
        If there are more folds than speakers to make them of.
    """
    if not utterances:
        raise CorpusError("split: expected utterances. Received: none that can be used")
    return list(_PROTOCOLS[config.protocol](utterances, config))


def choose_fold(folds: Sequence[Fold], config: SplitConfig) -> Fold:
    """Return the fold that ``config.fold`` counts, from 0."""
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
    splitter = GroupKFold(config.folds, shuffle=True, random_state=config.seed)
    groups = [set(speakers[test].tolist()) for _, test in splitter.split(speakers, groups=speakers)]
    yield from _speaker_folds(utterances, [(f"fold_{n:02d}", group) for n, group in enumerate(groups)], config)


def final(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test nobody: the first speakers of a seeded circle choose the epoch, all others are trained on (to ship)."""
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
    rest, test = _stratified(utterances, positions, config.test_fraction, config.seed, "test_fraction")
    yield _with_validation("hold_out", utterances, rest, test, config)


def random_hold_outs(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[Fold]:
    """Test ``folds`` random shares of the utterances, which overlap; speakers are on every side (the paper's way)."""
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


_PROTOCOLS: dict[Protocol, Callable[[Sequence[Utterance], SplitConfig], Iterator[Fold]]] = {
    "leave_one_speaker_out": leave_one_speaker_out,
    "group_k_fold": group_k_fold,
    "stratified_hold_out": stratified_hold_out,
    "random_hold_outs": random_hold_outs,
    "manifest": manifest,
    "published": published,
    "final": final,
}


def check_classes(fold: Fold, utterances: Sequence[Utterance], labels: Sequence[str], *, protocol: Protocol) -> None:
    """Refuse a fold without a training utterance of some class, and one with an empty side, save ``final``'s test."""
    for side, positions in fold.parts().items():
        if not positions and not (side == "test" and protocol == "final"):
            raise CorpusError(f"{fold.name}: expected at least one {side} utterance. Received: none")
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
    train, validation = _stratified(
        utterances, rest, config.validation_fraction, config.seed + 1, "validation_fraction"
    )
    return Fold(name, _tuple(train), _tuple(validation), _tuple(test))


def _random_shares(utterances: Sequence[Utterance], config: SplitConfig) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    splitter = ShuffleSplit(config.folds, test_size=config.test_fraction, random_state=config.seed)
    try:
        yield from splitter.split(np.zeros(len(utterances)))
    except ValueError as error:
        raise CorpusError(
            f"split.test_fraction: expected enough utterances to hold out {config.test_fraction:g}. "
            f"Received: {len(utterances)} ({error})"
        ) from error


def _stratified(
    utterances: Sequence[Utterance], positions: np.ndarray, fraction: float, seed: int, key: str
) -> tuple[np.ndarray, np.ndarray]:
    labels = [utterances[position].label for position in positions]
    splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    try:
        rest, held_out = next(splitter.split(positions, labels))
    except ValueError as error:
        counts = ", ".join(f"{label} {labels.count(label)}" for label in sorted(set(labels)))
        raise CorpusError(
            f"split.{key}: expected enough utterances of every class to hold out {fraction:g}. "
            f"Received: {counts} ({error})"
        ) from error
    return positions[rest], positions[held_out]


def _spoken_by(speakers: set[str], utterances: Sequence[Utterance]) -> tuple[int, ...]:
    return tuple(position for position, utterance in enumerate(utterances) if utterance.speaker in speakers)


def _tuple(positions: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(int(position) for position in positions))


def _folder_names(speakers: Sequence[str]) -> dict[str, str]:
    # One to one, so that two speakers never share a folder. To macOS, names are the same that differ only in case or in
    # how an accent is composed: of these, everything but small ASCII letters and digits is escaped.
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
