"""The guard against leaks between the parts of a fold: the same audio, or the same speaker, on two sides.

What is the same recording is decided by the content digests that the feature store took.
"""

from __future__ import annotations

from collections.abc import Sequence

from lightsernet_tf.config import Protocol
from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.data.splits import SPEAKER_INDEPENDENT, Fold
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
        Those to look at, in order.

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


def check_leaks(
    fold: Fold, utterances: Sequence[Utterance], content: Sequence[str | None], *, protocol: Protocol
) -> None:
    """Stop where one side of the fold has heard what another side is judged on.

    Raises
    ------
    CorpusError
        If the same audio, or under a speaker-independent protocol the same speaker, is on two sides; it names them.
    """
    parts = fold.parts()
    if protocol == "published":
        parts.pop("validation")
    side_of_content: dict[str | None, tuple[str, int]] = {}
    side_of_speaker: dict[str, tuple[str, int]] = {}
    for side, positions in parts.items():
        for position in positions:
            other_side, other = side_of_content.setdefault(content[position], (side, position))
            if other_side != side:
                raise CorpusError(
                    f"leak in {fold.name}: {utterances[position].path} ({side}) holds the same audio as "
                    f"{utterances[other].path} ({other_side}). Set corpus.duplicates: drop to keep only the first"
                )
            other_side, other = side_of_speaker.setdefault(utterances[position].speaker, (side, position))
            if other_side != side and protocol in SPEAKER_INDEPENDENT:
                raise CorpusError(
                    f"leak in {fold.name}: speaker {utterances[position].speaker} is in {side} "
                    f"({utterances[position].path}) and in {other_side} ({utterances[other].path})"
                )
