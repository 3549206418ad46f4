"""IEMOCAP, the Interactive Emotional Dyadic Motion Capture database: 10,039 utterances, 5 sessions of 2 actors.

Busso et al., "IEMOCAP: Interactive emotional dyadic motion capture database", Lang. Resources & Evaluation 42, 2008.
Each dialogue has a file ``Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`` with lines such as::

    [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]

for ``Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav``. The letter after the session's number says who
wears the motion-capture markers; who speaks is the letter of the last part of the utterance's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Reader, Skipped, Utterance, corpus_dir
from lightsernet_tf.errors import CorpusError

LABEL_OF = {
    "ang": "anger",
    "hap": "happiness",
    "neu": "neutral",
    "sad": "sadness",
    "exc": "excited",
    "fru": "frustration",
    "fea": "fear",
    "sur": "surprise",
    "dis": "disgust",
    "oth": "other",
    "xxx": "no_agreement",
}
EVALUATIONS = "Session*/dialog/EmoEvaluation/*.txt"
LINE = "[6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]"

_DECIMAL = r"\d+(?:\.\d+)?"
_LINE = re.compile(
    rf"\[(?P<start>{_DECIMAL}) - (?P<end>{_DECIMAL})\]\s+(?P<name>(?P<session>Ses\d\d)[FM]_"
    rf"(?P<kind>impro|script)\w*_(?P<sex>[FM])[^\W_]+)\s+(?P<emotion>[a-z]{{3}})\s+"
    rf"\[(?P<valence>{_DECIMAL}), (?P<activation>{_DECIMAL}), (?P<dominance>{_DECIMAL})\]",
    re.ASCII,
)
_PART_OF = {"impro": "improvised", "script": "scripted"}
_SEX_OF = {"F": "female", "M": "male"}


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the utterances of ``config.part`` that the files in ``EmoEvaluation`` name.

    ``no_agreement`` are those whose raters did not agree on a label (``xxx``). ``config.merge_excited`` turns
    ``excited`` into ``happiness``. Attributes: ``dialog``, ``part``, ``sex``, ``start_seconds``, ``end_seconds``,
    ``valence``, ``activation`` and ``dominance`` (1 to 5).
    """
    folder = corpus_dir(config)
    evaluations = sorted(path for path in folder.glob(EVALUATIONS) if not path.name.startswith("."))
    if not evaluations:
        raise CorpusError(f"{folder}: expected label files such as {EVALUATIONS}. Received: none")
    for evaluation in evaluations:
        # Latin-1 reads any byte: remarks of the raters are not always UTF-8, the lines in question are ASCII.
        for number, line in enumerate(evaluation.read_text(encoding="latin-1").splitlines(), start=1):
            if line.startswith("["):
                yield from _read_line(evaluation, number, line.strip(), config)


def _read_line(evaluation: Path, number: int, line: str, config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    match = _LINE.fullmatch(line)
    if match is None or match["emotion"] not in LABEL_OF:
        codes = ", ".join(LABEL_OF)
        yield Skipped(evaluation, f"line {number}: expected a line like {LINE} with one of {codes}. Received: {line!r}")
        return
    part = _PART_OF[match["kind"]]
    if config.part not in ("all", part):
        return
    path = evaluation.parents[2] / "sentences" / "wav" / evaluation.stem / f"{match['name']}.wav"
    if not path.is_file():
        yield Skipped(path, f"expected the recording that {evaluation.name} names in line {number}. Received: no file")
        return
    label = LABEL_OF[match["emotion"]]
    yield Utterance(
        path,
        "happiness" if config.merge_excited and label == "excited" else label,
        match["session"] + match["sex"],
        attributes={
            "dialog": evaluation.stem,
            "part": part,
            "sex": _SEX_OF[match["sex"]],
            "start_seconds": float(match["start"]),
            "end_seconds": float(match["end"]),
            "valence": float(match["valence"]),
            "activation": float(match["activation"]),
            "dominance": float(match["dominance"]),
        },
    )


READER = Reader(tuple(LABEL_OF.values()), read)
