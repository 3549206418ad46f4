"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset: 7442 utterances, 91 actors, 6 emotions.

Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Trans. Affective Computing 5(4), 2014.
``AudioWAV/1001_DFA_ANG_XX.wav`` is actor 1001, sentence DFA, emotion ANG, level XX (unspecified).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable

LABEL_OF = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
LABELS = tuple(LABEL_OF.values())
SENTENCE_OF = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# One published file, 1040_ITH_SAD_X.wav, has a single X.
LEVEL_OF = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
LAYOUT = "AudioWAV/1001_DFA_ANG_XX.wav (actor, sentence, emotion, level)"

_NAME = re.compile(
    rf"(?P<actor>1\d{{3}})_(?P<sentence>{'|'.join(SENTENCE_OF)})_(?P<emotion>{'|'.join(LABEL_OF)})"
    rf"_(?P<level>{'|'.join(LEVEL_OF)})",
    re.ASCII,
)


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings anywhere below ``data_dir``; attributes: ``sentence`` and ``level``."""
    for path in find_audio(corpus_dir(config), LAYOUT):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            yield unparsable(path, LAYOUT)
            continue
        attributes = {"sentence": SENTENCE_OF[match["sentence"]], "level": LEVEL_OF[match["level"]]}
        yield Utterance(path, LABEL_OF[match["emotion"]], match["actor"], attributes=attributes)
