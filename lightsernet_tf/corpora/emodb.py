"""EMO-DB, the Berlin Database of Emotional Speech: 535 German utterances, 10 actors, 7 emotions.

Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss, "A Database of German Emotional Speech", Interspeech 2005.
``wav/03a01Fa.wav`` is speaker 03, text a01, emotion F (Freude), version a.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import (
    Archive,
    Attributes,
    Description,
    Reader,
    Skipped,
    Utterance,
    corpus_dir,
    read_names,
)
from lightsernet_tf.errors import CorpusError

LABEL_OF = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
SEX_OF = dict.fromkeys(("03", "10", "11", "12", "15"), "male") | dict.fromkeys(("08", "09", "13", "14", "16"), "female")
LAYOUT = "wav/03a01Fa.wav (speaker, text, emotion of WLEAFTN, version)"

_NAME = r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z])"


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings below ``data_dir``, or below its ``wav`` folder where it has one.

    Attributes: ``text``, ``version``, ``sex``, and where ``erkennung.txt`` lies beside the recordings the listeners'
    judgement, ``recognised_percent`` and ``natural_percent``.
    """
    folder = corpus_dir(config)
    judgements = _read_judgements(folder / "erkennung.txt")
    if (folder / "wav").is_dir():
        folder = folder / "wav"
    elif folder.name == "wav":
        judgements = judgements or _read_judgements(folder.parent / "erkennung.txt")

    def describe(name: re.Match[str]) -> Description:
        attributes: Attributes = {"text": name["text"], "version": name["version"]}
        if name["speaker"] in SEX_OF:
            attributes["sex"] = SEX_OF[name["speaker"]]
        return LABEL_OF[name["emotion"]], name["speaker"], attributes | judgements.get(Path(name.string).name, {})

    return read_names(folder, _NAME, LAYOUT, describe)


def _read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return what ``erkennung.txt`` says, by utterance; nothing where the file is not there."""
    if not path.is_file():
        return {}
    judgements = {}
    # Latin-1 with no-break spaces around the fields, which str.strip knows; the numbers have decimal commas.
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines()[1:], start=2):
        fields = [each.strip() for each in line.split("\t")]
        if not any(fields):
            continue
        try:
            _, name, recognised, natural, *_ = fields
            judgements[Path(name).stem] = {
                "recognised_percent": float(recognised.replace(",", ".")),
                "natural_percent": float(natural.replace(",", ".")),
            }
        except ValueError as error:
            raise CorpusError(
                f"{path}, line {number}: expected number, name, percent, percent. Received: {line!r}"
            ) from error
    return judgements


READER = Reader(
    tuple(LABEL_OF.values()),
    read,
    terms="CC0 1.0; Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005",
    archive=Archive(
        "http://emodb.bilderbar.info/download/download.zip",
        recordings=535,
        # No checksum of this archive is published, so its recordings are checked.
        content="8e25dcdc29ebaa4a94f1d9554137bedf7eb24809c67013a927531b2f06d91126",
    ),
)
