"""The guard against leaks between the parts of a fold: the same audio, or the same speaker, in two of them.

Recordings are the same if the digests of their content, which the feature store takes, are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.data.splits import Fold, Protocol
from lightsernet_tf.errors import CorpusError


def first_of_identical(
    content: Sequence[str | None], positions: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Keep the first of each group of identical recordings.

    Parameters
    ----------
    content
        Digest of each utterance's samples, by position.
    positions
        Those to compare, in order.

    Returns
    -------
    kept, dropped
        Positions that stay, and pairs of (position dropped, position of the same audio that stays).
    """
    first: dict[str | None, int] = {}
    kept, dropped = [], []
    for position in positions:
        if first.setdefault(content[position], position) == position:
            kept.append(position)
        else:
            dropped.append((position, first[content[position]]))
    return kept, dropped


def check_leaks(fold: Fold, utterances: Sequence[Utterance], content: Sequence[str | None], protocol: Protocol) -> None:
    """Refuse a fold in which one part shares audio, or what its protocol keeps apart, with another part.

    Raises
    ------
    CorpusError
        If the same audio, or under a speaker-independent protocol the same speaker, is in two parts; it names them.
    """
    parts = fold.parts()
    if protocol.chooses_on_test:
        del parts["validation"]  # is the test data
    first_with_content: dict[str | None, tuple[str, int]] = {}
    first_of_speaker: dict[str, tuple[str, int]] = {}
    for part, positions in parts.items():
        for position in positions:
            other_part, other = first_with_content.setdefault(content[position], (part, position))
            if other_part != part:
                raise CorpusError(
                    f"leak in {fold.name}: {utterances[position].path} ({part}) holds the same audio as "
                    f"{utterances[other].path} ({other_part}). Set corpus.duplicates: drop to keep only the first"
                )
            other_part, other = first_of_speaker.setdefault(utterances[position].speaker, (part, position))
            if other_part != part and protocol.speaker_independent:
                raise CorpusError(
                    f"leak in {fold.name}: speaker {utterances[position].speaker} is in {part} "
                    f"({utterances[position].path}) and in {other_part} ({utterances[other].path})"
                )
