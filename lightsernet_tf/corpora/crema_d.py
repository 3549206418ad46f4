"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset: 7442 utterances, 91 actors, 6 emotions.

Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Trans. Affective Computing 5(4), 2014.
``AudioWAV/1001_DFA_ANG_XX.wav`` is actor 1001, sentence DFA, emotion ANG, level XX (unspecified).
Attributes: ``sentence`` and ``level``.
"""

from __future__ import annotations

import re

from lightsernet_tf.corpora.base import Attributes, Description, Reader, corpus_dir, read_names

LABEL_OF = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
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

_NAME = (
    rf"(?P<actor>1\d{{3}})_(?P<sentence>{'|'.join(SENTENCE_OF)})_(?P<emotion>{'|'.join(LABEL_OF)})"
    rf"_(?P<level>{'|'.join(LEVEL_OF)})"
)


def _describe(name: re.Match[str]) -> Description:
    attributes: Attributes = {"sentence": SENTENCE_OF[name["sentence"]], "level": LEVEL_OF[name["level"]]}
    return LABEL_OF[name["emotion"]], name["actor"], attributes


READER = Reader(tuple(LABEL_OF.values()), lambda config: read_names(corpus_dir(config), _NAME, LAYOUT, _describe))
