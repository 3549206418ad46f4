"""The summary of a corpus as text for a terminal."""

from __future__ import annotations

import statistics
from collections import Counter

from lightsernet_tf.corpora.inspection import CLIPPED_RUN_SAMPLES, FULL_SCALE, CorpusSummary
from lightsernet_tf.reporting.tables import padded, text_table

_INDENT = 12  # columns, of the facts' and troubles' names


def format_summary(summary: CorpusSummary, max_files: int = 5) -> str:
    """Return the summary as text for a terminal; of each kind of trouble at most ``max_files`` files are named."""
    facts = [padded(name, _INDENT) + text for name, text in _facts(summary)]
    troubles = []
    for name, what, files in _troubles(summary):
        troubles.append(padded(name, _INDENT) + (_plural(len(files), what) if files else "none"))
        named = [*files[:max_files], *([f"... and {len(files) - max_files} more"] if len(files) > max_files else [])]
        troubles += [" " * _INDENT + file for file in named]
    return "\n".join([*facts, "", *_table(summary), "", *troubles])


def _facts(summary: CorpusSummary) -> list[tuple[str, str]]:
    corpus, durations = summary.corpus, summary.durations_seconds
    facts = [("notice", corpus.notice)] if corpus.notice is not None else []
    facts += [
        ("utterances", str(sum(summary.counts.values()))),
        ("classes", f"{len(corpus.labels)}: {', '.join(corpus.labels)}"),
        ("speakers", str(len(summary.speakers))),
    ]
    if durations:
        formats = [
            f"{_plural(count, 'file')} at {rate_hz} Hz, {_plural(channels, 'channel')}"
            for (rate_hz, channels), count in summary.formats.items()
        ]
        lengths = f"{durations[0]:.2f} to {durations[-1]:.2f} s, median {statistics.median(durations):.2f} s"
        facts += [
            ("format", "; ".join(formats)),
            ("durations", f"{lengths}, {sum(durations) / 60:.1f} minutes in all"),
            ("full scale", f"reached by {_plural(summary.full_scale, 'file')} (a magnitude of at least {FULL_SCALE})"),
        ]
    return facts


def _troubles(summary: CorpusSummary) -> list[tuple[str, str, list[str]]]:
    """Return each kind of trouble, what a file of it is, and its files."""
    groups = [" = ".join(map(str, group)) for group in summary.duplicates]
    clipped = [f"{path} ({share:.2%} of its samples at full scale)" for path, share in summary.clipped]
    unreadable, skipped = (
        [f"{path}: {reason}" for path, reason in files] for files in (summary.unreadable, summary.corpus.skipped)
    )
    return [
        ("duplicates", "group| of files of one rate with the same samples (mixed to mono, as in training)", groups),
        ("clipped", f"file| with {CLIPPED_RUN_SAMPLES} samples in a row at full scale, worst first", clipped),
        ("silent", "file| in which all samples are the same", [str(path) for path in summary.silent]),
        ("unreadable", "file|", unreadable),
        ("left out", "file|, or line| of a list, not as expected", skipped),
    ]


def _table(summary: CorpusSummary) -> list[str]:
    """Speakers down, labels across; the last row and column are the sums."""
    by_speaker, by_label = Counter[str](), Counter[str]()
    for (speaker, label), count in summary.counts.items():
        by_speaker[speaker] += count
        by_label[label] += count
    rows = [["speaker", *summary.corpus.labels, "all"]]
    for speaker in summary.speakers:
        counts = [summary.counts.get((speaker, label), 0) for label in summary.corpus.labels]
        rows.append([speaker, *(str(count or "-") for count in counts), str(by_speaker[speaker])])
    rows.append(["all", *(str(by_label[label]) for label in summary.corpus.labels), str(sum(by_label.values()))])
    return text_table(rows, "l" + "r" * (len(summary.corpus.labels) + 1))


def _plural(count: int, noun: str) -> str:
    """Return the count and the noun; its plural's s goes to the end, or where a bar stands."""
    noun = noun if "|" in noun else noun + "|"
    return f"{count} {noun.replace('|', '' if count == 1 else 's')}"
