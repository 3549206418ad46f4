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
MODALITY_OF = {"01": "audio-video", "02": "video", "03": "audio"}
INTENSITY_OF = {"01": "normal", "02": "strong"}
STATEMENT_OF = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
LAYOUT = "Actor_12/03-01-06-01-02-01-12.wav (modality, channel, emotion, intensity, statement, repetition, actor)"

_SONG = "02"
_NAME = (
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)
_logger = logging.getLogger(__name__)


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the spoken recordings anywhere below ``data_dir``.

    Attributes: ``modality``, ``intensity``, ``statement``, ``repetition`` (1 or 2) and ``sex``.
    """
    songs = 0
    for entry in read_names(corpus_dir(config), _NAME, LAYOUT, _describe):
        if isinstance(entry, Utterance) and entry.path.stem[3:5] == _SONG:
            songs += 1
        else:
            yield entry
    if songs:
        _logger.info("ravdess: left out %d songs; only speech (vocal channel 01) is read", songs)


def _describe(name: re.Match[str]) -> Description:
    attributes: Attributes = {
        "modality": MODALITY_OF[name["modality"]],
        "intensity": INTENSITY_OF[name["intensity"]],
        "statement": STATEMENT_OF[name["statement"]],
        "repetition": int(name["repetition"]),
        "sex": "male" if int(name["actor"]) % 2 else "female",
    }
    return LABEL_OF[name["emotion"]], name["actor"], attributes


READER = Reader(
    tuple(LABEL_OF.values()),
    read,
    terms="CC BY-NC-SA 4.0; Livingstone and Russo, PLoS ONE 13(5): e0196391, 2018",
    archive=Archive(
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        recordings=1440,
        known_hash="md5:bc696df654c87fed845eb13823edef8a",
    ),
)
