"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song; its speech: 1440 utterances, 24 actors.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE 13(5), 2018.
``Actor_12/03-01-06-01-02-01-12.wav`` is audio only, speech, fearful, normal intensity, statement 2, repetition 1,
actor 12 (even numbers are women). Songs are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable

LABEL_OF = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
LABELS = tuple(LABEL_OF.values())
MODALITY_OF = {"01": "audio-video", "02": "video", "03": "audio"}
INTENSITY_OF = {"01": "normal", "02": "strong"}
STATEMENT_OF = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
LAYOUT = "Actor_12/03-01-06-01-02-01-12.wav (modality, channel, emotion, intensity, statement, repetition, actor)"

_SONG = "02"
_NAME = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])",
    re.ASCII,
)
_logger = logging.getLogger(__name__)


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the spoken recordings anywhere below ``data_dir``.

    Attributes: ``modality``, ``intensity``, ``statement``, ``repetition`` (1 or 2) and ``sex``.
    """
    songs = 0
    for path in find_audio(corpus_dir(config), LAYOUT):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            yield unparsable(path, LAYOUT)
        elif match["channel"] == _SONG:
            songs += 1
        else:
            attributes: dict[str, str | int] = {
                "modality": MODALITY_OF[match["modality"]],
                "intensity": INTENSITY_OF[match["intensity"]],
                "statement": STATEMENT_OF[match["statement"]],
                "repetition": int(match["repetition"]),
                "sex": "male" if int(match["actor"]) % 2 else "female",
            }
            yield Utterance(path, LABEL_OF[match["emotion"]], match["actor"], attributes=attributes)
    if songs:
        _logger.info("ravdess: left out %d songs; only speech (vocal channel 01) is read", songs)
