"""SAVEE, the Surrey Audio-Visual Expressed Emotion database: 480 utterances, 4 men, 7 emotions.

Haq and Jackson, "Multimodal Emotion Recognition", in "Machine Audition", IGI Global, 2010.
``AudioData/DC/su01.wav``, or ``DC_su01.wav`` in copies that put all in one folder, is speaker DC, surprise, sentence 1.
Attributes: ``sentence`` (a number) and ``sex``.
"""

from __future__ import annotations

import re

from lightsernet_tf.corpora.base import Description, Reader, corpus_dir, read_names

LABEL_OF = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
LAYOUT = "AudioData/DC/su01.wav or DC_su01.wav (speaker DC, JE, JK or KL; emotion a, d, f, h, n, sa or su; sentence)"

_NAME = rf"(?P<speaker>{'|'.join(SPEAKERS)})[/_](?P<emotion>{'|'.join(LABEL_OF)})(?P<sentence>\d\d)"


def _describe(name: re.Match[str]) -> Description:
    return LABEL_OF[name["emotion"]], name["speaker"], {"sentence": int(name["sentence"]), "sex": "male"}


READER = Reader(tuple(LABEL_OF.values()), lambda config: read_names(corpus_dir(config), _NAME, LAYOUT, _describe))
