"""CASIA, the Chinese emotional speech corpus of the Institute of Automation: 4 speakers, 6 emotions.

Tao, Liu, Zhang and Jia, "Design of speech corpus for Mandarin text to speech", Blizzard Challenge Workshop, 2008.
``liuchanhg/angry/201.wav`` is the sentence 201 of one speaker. The corpus is passed on with its two parts (the same 300
sentences in every emotion; 100 sentences of each emotion's own) under different spellings of the speakers' names; they
are brought together here, so that nobody becomes two speakers.
"""

from __future__ import annotations

from collections.abc import Iterator

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance, corpus_dir, find_audio, unparsable

LABEL_OF = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "normal": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
LABELS = tuple(dict.fromkeys(LABEL_OF.values()))
SPELLINGS = {
    "liuchanghong": ("liuchanghong", "liuchanhg", "chang.liu"),
    "wangzhe": ("wangzhe", "zhe.wang"),
    "zhaoquanyin": ("zhaoquanyin", "quanyin.zhao"),
    "zhaozuoxiang": ("zhaozuoxiang", "zuoxiang.zhao"),
}
LAYOUT = f"wangzhe/angry/201.wav (speaker of {', '.join(SPELLINGS)}; emotion of {', '.join(LABEL_OF)}; sentence)"

_SPEAKER_OF = {spelling: speaker for speaker, spellings in SPELLINGS.items() for spelling in spellings}


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings anywhere below ``data_dir``; attribute: ``sentence`` (a number).

    Upper and lower case count alike in folder names. Folders of other speakers are read by ``folders``.
    """
    for path in find_audio(corpus_dir(config), LAYOUT):
        label = LABEL_OF.get(path.parent.name.lower())
        speaker = _SPEAKER_OF.get(path.parent.parent.name.lower())
        if label is None or speaker is None or not (path.stem.isascii() and path.stem.isdigit()):
            yield unparsable(path, LAYOUT)
        else:
            yield Utterance(path, label, speaker, attributes={"sentence": int(path.stem)})
