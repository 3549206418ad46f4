"""SAVEE, the Surrey Audio-Visual Expressed Emotion database: 480 utterances, 4 men, 7 emotions.

Haq and Jackson, "Multimodal Emotion Recognition", in "Machine Audition", IGI Global, 2010.
``AudioData/DC/su01.wav``, or ``DC_su01.wav`` in copies that put all in one folder, is speaker DC, surprise, sentence 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable

LABEL_OF = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
LABELS = tuple(LABEL_OF.values())
SPEAKERS = ("DC", "JE", "JK", "KL")
LAYOUT = "AudioData/DC/su01.wav or DC_su01.wav (speaker DC, JE, JK or KL; emotion a, d, f, h, n, sa or su; sentence)"

_NAME = re.compile(
    rf"(?P<speaker>{'|'.join(SPEAKERS)})[/_](?P<emotion>{'|'.join(LABEL_OF)})(?P<sentence>\d\d)", re.ASCII
)


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings anywhere below ``data_dir``; attributes: ``sentence`` (a number) and ``sex``."""
    for path in find_audio(corpus_dir(config), LAYOUT):
        match = _NAME.fullmatch(path.stem) or _NAME.fullmatch(f"{path.parent.name}/{path.stem}")
        if match is None:
            yield unparsable(path, LAYOUT)
            continue
        attributes: dict[str, str | int] = {"sentence": int(match["sentence"]), "sex": "male"}
        yield Utterance(path, LABEL_OF[match["emotion"]], match["speaker"], attributes=attributes)
