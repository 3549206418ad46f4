"""CASIA, the Chinese emotional speech corpus of the Institute of Automation: 4 speakers, 6 emotions.

Tao, Liu, Zhang and Jia, "Design of speech corpus for Mandarin text to speech", Blizzard Challenge Workshop, 2008.
``liuchanhg/angry/201.wav`` is the sentence 201 of one speaker. The corpus is passed on with its two parts (the same 300
sentences in every emotion; 100 sentences of each emotion's own) under different spellings of the speakers' names; they
are brought together here, so that nobody becomes two speakers. Upper and lower case count alike in folder names;
folders of other speakers are read by ``folders``. Attribute: ``sentence`` (a number).
"""

from __future__ import annotations

import re

from lightsernet_tf.corpora.base import Description, Reader, corpus_dir, read_names

LABEL_OF = {
    "angry": "anger",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "normal": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
SPELLINGS = {
    "liuchanghong": ("liuchanghong", "liuchanhg", "chang.liu"),
    "wangzhe": ("wangzhe", "zhe.wang"),
    "zhaoquanyin": ("zhaoquanyin", "quanyin.zhao"),
    "zhaozuoxiang": ("zhaozuoxiang", "zuoxiang.zhao"),
}
LAYOUT = f"wangzhe/angry/201.wav (speaker of {', '.join(SPELLINGS)}; emotion of {', '.join(LABEL_OF)}; sentence)"

_SPEAKER_OF = {spelling: speaker for speaker, spellings in SPELLINGS.items() for spelling in spellings}
_SPEAKERS = "|".join(map(re.escape, _SPEAKER_OF))
_NAME = rf"(?i:(?P<speaker>{_SPEAKERS})/(?P<emotion>{'|'.join(LABEL_OF)}))/(?P<sentence>\d+)"


def _describe(name: re.Match[str]) -> Description:
    label, speaker = LABEL_OF[name["emotion"].lower()], _SPEAKER_OF[name["speaker"].lower()]
    return label, speaker, {"sentence": int(name["sentence"])}


READER = Reader(
    tuple(dict.fromkeys(LABEL_OF.values())), lambda config: read_names(corpus_dir(config), _NAME, LAYOUT, _describe)
)
