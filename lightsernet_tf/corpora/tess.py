"""TESS, the Toronto Emotional Speech Set: 2800 utterances, an older and a younger actress, 7 emotions.

Pichora-Fuller and Dupuis, "Toronto emotional speech set (TESS)", Scholars Portal, 2020, doi:10.5683/SP2/E8H2MF.
``OAF_back_angry.wav`` is the older actress saying the word back; ``ps`` is pleasant surprise.
Attributes: ``word``, ``sex`` and ``age_years``.
"""

from __future__ import annotations

import re

from lightsernet_tf.corpora.base import Description, Reader, corpus_dir, read_names

LABEL_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
LAYOUT = f"OAF_back_angry.wav (OAF or YAF, word, one of {', '.join(LABEL_OF)})"

_AGE_OF = {"OAF": 64, "YAF": 26}
# One published file of OAF is called OA_bite_neutral.wav.
_NAME = rf"(?P<speaker>OAF|YAF|OA(?=_bite_neutral))_(?P<word>[A-Za-z'-]+)_(?P<emotion>{'|'.join(LABEL_OF)})"


def _describe(name: re.Match[str]) -> Description:
    speaker = "YAF" if name["speaker"] == "YAF" else "OAF"
    return LABEL_OF[name["emotion"]], speaker, {"word": name["word"], "sex": "female", "age_years": _AGE_OF[speaker]}


READER = Reader(tuple(LABEL_OF.values()), lambda config: read_names(corpus_dir(config), _NAME, LAYOUT, _describe))
