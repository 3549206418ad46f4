"""What a corpus is: utterances with a label and a speaker, found by one reader per layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from lightsernet_tf.audio.sound_files import find_sound_files
from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.errors import CorpusError

Attributes = dict[str, str | int | float]  # whatever a corpus documents about a recording, by name
Description = tuple[str, str, Attributes]  # label, speaker and attributes of a recording


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
    """A file that cannot become an utterance, and why: what was expected and what came."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Corpus:
    """Utterances in the order of their paths, and the labels in the order of the network's outputs.

    ``skipped`` holds what ``on_error: skip`` left out; ``notice`` is that of the `Reader`.
    """

    name: str
    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notice: str | None = None


@dataclass(frozen=True)
class Archive:
    """Where a corpus is published, and how to know that what was downloaded is the published one.

    Parameters
    ----------
    url
        Of the zip archive.
    recordings
        Number of WAV files in the archive.
    known_hash
        The archive's published checksum as pooch takes it (``md5:...``); none where the publisher gives none.
    content
        Digest of the recordings' samples, see `download.content_digest`; none where the archive's checksum suffices.
    """

    url: str
    recordings: int
    known_hash: str | None = None
    content: str | None = None


@dataclass(frozen=True)
class Reader:
    """One corpus layout. Its module, which has the corpus's name in the configuration, calls it ``READER``.

    Parameters
    ----------
    labels
        The emotions that the corpus documents, in the order of the network's outputs; empty where the layout says
        nothing about them.
    read
        Finds the recordings and yields, in any order, an utterance or the reason against.
    terms
        Licence and whom to cite.
    archive
        Where anybody may download it; none where its owners hand it out on request.
    notice
        What has to stand beside every figure on this corpus.
    """

    labels: tuple[str, ...]
    read: Callable[[CorpusConfig], Iterable[Utterance | Skipped]]
    terms: str = "not known to this package; ask its publisher"
    archive: Archive | None = None
    notice: str | None = None


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


def read_names(
    folder: Path,
    pattern: str,
    layout: str,
    describe: Callable[[re.Match[str]], Description],
) -> Iterator[Utterance | Skipped]:
    """Yield the utterances that WAV files stand for by their names alone.

    Parameters
    ----------
    folder
        Where the files lie, at any depth.
    pattern
        Regular expression of a file's name without its ending, and of the folders above it that matter.
    layout
        An example of a name, for messages.
    describe
        Returns the label, the speaker and the attributes of a name that follows the pattern.
    """
    below_any_folder = re.compile(rf"(?s:.*/)?{pattern}", re.ASCII)
    for path in find_audio(folder, layout):
        name = below_any_folder.fullmatch(path.with_suffix("").as_posix())
        if name is None:
            yield unparsable(path, layout)
        else:
            label, speaker, attributes = describe(name)
            yield Utterance(path, label, speaker, attributes=attributes)


def unparsable(path: Path, layout: str) -> Skipped:
    """Return the reason why a file that is not named as ``layout``, an example, is no utterance."""
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
    found = ", ".join(f"{label} ({counts[label]})" for label in vocabulary if counts[label])
    label_of = {source: label for label, sources in config.label_map.items() for source in sources}
    key = "label_map" if label_of else "labels"

    def require(key: str, holds: bool, expected: str, received: object) -> None:
        if not holds:
            raise CorpusError(f"corpus.{key}: expected {expected}. Received: {received}")

    for named_by, named in (("label_map", label_of), ("labels", config.labels), ("drop_labels", config.drop_labels)):
        unknown = [label for label in named if label not in vocabulary]
        require(named_by, not unknown, f"labels of {config.name}: {', '.join(vocabulary)}", unknown)
    contradictions = [label for label in config.drop_labels if label in label_of or label in config.labels]
    require("drop_labels", not contradictions, "labels that are not used", f"{contradictions}, used too")

    wanted = label_of or {label: label for label in config.labels or vocabulary if label not in config.drop_labels}
    unused = [label for label in vocabulary if counts[label] and label not in {*wanted, *config.drop_labels}]
    expected = "every label found to be used or named in drop_labels"
    require(key, not unused, expected, f"{', '.join(unused)} in neither; found: {found}")
    kept = tuple(replace(each, label=wanted[each.label]) for each in utterances if each.label in wanted)
    require("drop_labels", bool(kept), "some utterances to stay", f"none; found: {found}")
    remaining = {utterance.label for utterance in kept}
    labels = tuple(config.label_map) or config.labels or tuple(label for label in vocabulary if label in remaining)
    empty = [label for label in labels if label not in remaining]
    require(key, not empty, "an utterance for every label", f"none for {', '.join(empty)}; found: {found}")
    return kept, labels
