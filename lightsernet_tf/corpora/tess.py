"""TESS, the Toronto Emotional Speech Set: 2800 utterances, an older and a younger actress, 7 emotions.

Pichora-Fuller and Dupuis, "Toronto emotional speech set (TESS)", Scholars Portal, 2020, doi:10.5683/SP2/E8H2MF.
``OAF_back_angry.wav`` is the older actress saying the word back; ``ps`` is pleasant surprise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable

LABEL_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
LABELS = tuple(LABEL_OF.values())
LAYOUT = f"OAF_back_angry.wav (OAF or YAF, word, one of {', '.join(LABEL_OF)})"
MISSPELT = {"OA_bite_neutral": "OAF_bite_neutral"}  # as published, in the folder of OAF

_AGE_OF = {"OAF": 64, "YAF": 26}
_NAME = re.compile(rf"(?P<speaker>OAF|YAF)_(?P<word>[A-Za-z'-]+)_(?P<emotion>{'|'.join(LABEL_OF)})", re.ASCII)


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings anywhere below ``data_dir``; attributes: ``word``, ``sex`` and ``age_years``."""
    for path in find_audio(corpus_dir(config), LAYOUT):
        match = _NAME.fullmatch(MISSPELT.get(path.stem, path.stem))
        if match is None:
            yield unparsable(path, LAYOUT)
            continue
        speaker = match["speaker"]
        attributes: dict[str, str | int] = {"word": match["word"], "sex": "female", "age_years": _AGE_OF[speaker]}
        yield Utterance(path, LABEL_OF[match["emotion"]], speaker, attributes=attributes)
