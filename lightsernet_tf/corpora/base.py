"""What a corpus is: utterances with a label and a speaker, found by one reader per layout.

This module knows no reader: the registry of them is the package's own, above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from lightsernet_tf.audio.sound_files import find_sound_files
from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.errors import CorpusError


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker.

    Parameters
    ----------
    path
        The audio file.
    label
        The emotion, in the corpus's own words until a label map merges it.
    speaker
        Whoever speaks; unique within the corpus.
    split
        ``train``, ``validation`` or ``test`` where a manifest says so.
    attributes
        Whatever else the corpus documents about the recording, by name.
    """

    path: Path
    label: str
    speaker: str
    split: str | None = None
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)


class Skipped(NamedTuple):
    """A file that cannot become an utterance, and why: what was expected of it and what came."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Corpus:
    """Utterances in the order of their paths, and the labels in the order of the network's outputs.

    ``skipped`` holds what ``on_error: skip`` left out.
    """

    name: str
    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


class Reader(Protocol):
    """One corpus layout; a module with these two names is one.

    ``LABELS`` are the emotions that the corpus documents, in the order of the network's outputs; empty where the layout
    says nothing about them. ``read`` finds the recordings and yields, in any order, an utterance or the reason against.
    """

    @property
    def LABELS(self) -> tuple[str, ...]:
        """The documented labels, in order."""

    def read(self, config: CorpusConfig) -> Iterable[Utterance | Skipped]:
        """Find the corpus's recordings."""


def corpus_dir(config: CorpusConfig) -> Path:
    """Return the corpus's folder, or raise ``CorpusError`` where there is none."""
    folder = Path(config.data_dir or "").expanduser()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise CorpusError(f"corpus.data_dir: expected the folder of {config.name}. Received: '{folder}' ({found})")
    return folder


def find_audio(folder: Path, expected: str, suffixes: Collection[str] = (".wav",)) -> list[Path]:
    """Return the audio files below ``folder``, sorted; see ``audio.sound_files.find_sound_files``.

    Raises
    ------
    CorpusError
        If there is none; the message shows ``expected``, an example of the layout.
    """
    paths = find_sound_files(folder, suffixes)
    if not paths:
        raise CorpusError(f"{folder}: expected audio files such as {expected}. Received: none")
    return paths


def unparsable(path: Path, layout: str) -> Skipped:
    """Say that a file is not named as ``layout``, an example, shows."""
    return Skipped(path, f"expected a name like {layout}. Received: {Path(*path.parts[-3:])}")


def choose_labels(
    utterances: Sequence[Utterance], config: CorpusConfig, documented: Sequence[str]
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Drop and merge labels as ``config`` says, and put the labels in order.

    The order is that of ``label_map``'s keys, else of ``labels``, else of the documented labels that are found, else
    alphabetical.

    Parameters
    ----------
    utterances
        All of the corpus, in its own words.
    config
        ``label_map``, ``labels`` and ``drop_labels`` are used.
    documented
        The labels that the corpus documents; these may be mapped or dropped though no file here has them.

    Returns
    -------
    tuple
        The utterances that stay, relabelled, and the labels in the order of the network's outputs.

    Raises
    ------
    CorpusError
        If a setting names a label that the corpus does not have, if a label is found that the settings pass over, or if
        no utterance is left or none for one of the labels.
    """
    counts = Counter(utterance.label for utterance in utterances)
    vocabulary = [*documented, *sorted(counts.keys() - set(documented))]
    label_of = {source: label for label, sources in config.label_map.items() for source in sources}
    for key, named in (("label_map", label_of), ("labels", config.labels), ("drop_labels", config.drop_labels)):
        unknown = [label for label in named if label not in vocabulary]
        if unknown:
            raise CorpusError(
                f"corpus.{key}: expected labels of {config.name}: {_join(vocabulary)}. Received: {unknown}"
            )

    wanted = label_of or {label: label for label in config.labels or vocabulary if label not in config.drop_labels}
    contradictions = [label for label in config.drop_labels if label in label_of or label in config.labels]
    if contradictions:
        raise CorpusError(
            f"corpus.drop_labels: expected labels that are not used. Received: {contradictions}, used too"
        )
    passed_over = [label for label in vocabulary if counts[label] and label not in {*wanted, *config.drop_labels}]
    if passed_over:
        raise CorpusError(
            f"corpus.{'label_map' if label_of else 'labels'}: expected every label found to be used or named in "
            f"drop_labels. Received: {_join(passed_over)} in neither; found: {_join(vocabulary, counts)}"
        )

    kept = tuple(replace(each, label=wanted[each.label]) for each in utterances if each.label in wanted)
    remaining = {utterance.label for utterance in kept}
    if not kept:
        raise CorpusError(f"corpus.drop_labels: expected some utterances to stay. Found: {_join(vocabulary, counts)}")
    labels = tuple(config.label_map) or config.labels or tuple(label for label in vocabulary if label in remaining)
    empty = [label for label in labels if label not in remaining]
    if empty:
        raise CorpusError(
            f"corpus.{'label_map' if label_of else 'labels'}: expected an utterance for every label. "
            f"Received: none for {_join(empty)}; found: {_join(vocabulary, counts)}"
        )
    return kept, labels


def _join(labels: Iterable[str], counts: Mapping[str, int] | None = None) -> str:
    if counts is None:
        return ", ".join(labels)
    return ", ".join(f"{label} ({counts[label]})" for label in labels if counts[label])
