"""EMO-DB, the Berlin Database of Emotional Speech: 535 German utterances, 10 actors, 7 emotions.

Burkhardt, Paeschke, Rolfes, Sendlmeier and Weiss, "A Database of German Emotional Speech", Interspeech 2005.
``wav/03a01Fa.wav`` is speaker 03, text a01, emotion F (Freude), version a.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable
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
LABELS = tuple(LABEL_OF.values())
SEX_OF = dict.fromkeys(("03", "10", "11", "12", "15"), "male") | dict.fromkeys(("08", "09", "13", "14", "16"), "female")
LAYOUT = "wav/03a01Fa.wav (speaker, text, emotion of WLEAFTN, version)"

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z])", re.ASCII)


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
    for path in find_audio(folder, LAYOUT):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            yield unparsable(path, LAYOUT)
            continue
        attributes: dict[str, str | float] = {"text": match["text"], "version": match["version"]}
        if match["speaker"] in SEX_OF:
            attributes["sex"] = SEX_OF[match["speaker"]]
        attributes |= judgements.get(path.stem, {})
        yield Utterance(path, LABEL_OF[match["emotion"]], match["speaker"], attributes=attributes)


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
