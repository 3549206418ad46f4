from dataclasses import replace
from pathlib import Path

from lightsernet_tf.corpora.base import Corpus, Skipped
from lightsernet_tf.corpora.inspection import CorpusSummary
from lightsernet_tf.corpora.summary_text import format_summary

SUMMARY = CorpusSummary(
    corpus=Corpus("mine", (), ("生气", "joy")),
    counts={("ann", "生气"): 3, ("ann", "joy"): 1, ("乙", "joy"): 120},
    formats={(16000, 1): 100, (44100, 2): 24},
    durations_seconds=(1.0, 2.0, 3.0, 114.0),
    duplicates=((Path("a.wav"), Path("b.wav")),),
    full_scale=9,
    clipped=tuple((Path(f"{number}.wav"), 0.5) for number in range(7)),
    silent=(),
    unreadable=(Skipped(Path("c.wav"), "why"),),
)


def test_facts():
    text = format_summary(SUMMARY)
    assert "utterances  124" in text
    assert "classes     2: 生气, joy" in text
    assert "100 files at 16000 Hz, 1 channel; 24 files at 44100 Hz, 2 channels" in text
    assert "1.00 to 114.00 s, median 2.50 s, 2.0 minutes in all" in text


def test_a_notice_comes_first():
    noticed = replace(SUMMARY, corpus=replace(SUMMARY.corpus, notice="synthetic: no people"))
    assert format_summary(noticed).splitlines()[0] == "notice      synthetic: no people"


def test_table_is_aligned_also_with_wide_characters():
    lines = format_summary(SUMMARY).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("speaker "))
    assert lines[start : start + 4] == [
        "speaker  生气  joy  all",
        "ann         3    1    4",
        "乙          -  120  120",
        "all         3  121  124",
    ]


def test_troubles():
    text = format_summary(SUMMARY, max_files=5)
    assert "duplicates  1 group of files of one rate with the same samples (mixed to mono, as in training)" in text
    assert "a.wav = b.wav" in text
    assert "clipped     7 files" in text
    assert "4.wav (50.00% of its samples at full scale)" in text
    assert "5.wav" not in text
    assert "... and 2 more" in text
    assert "silent      none" in text
    assert "c.wav: why" in text
    assert "left out    none" in text


def test_nothing_readable():
    empty = CorpusSummary(
        Corpus("mine", (), ("a",)), {("s", "a"): 1}, {}, (), (), 0, (), (), (Skipped(Path("c.wav"), "why"),)
    )
    text = format_summary(empty)
    assert "durations" not in text
    assert "unreadable  1 file" in text
