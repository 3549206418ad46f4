import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Corpus, Utterance
from lightsernet_tf.corpora.inspection import CLIPPED_RUN_SAMPLES, inspect_corpus, inspect_recording
from lightsernet_tf.errors import AudioError

NOISE = np.random.default_rng(0).integers(-(2**14), 2**14, 16000) / 2**15


def write(path, samples, subtype="PCM_16", rate_hz=16000):
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def test_real_emodb(emodb_dir):
    summary = inspect_corpus(load_corpus(CorpusConfig(name="emodb", data_dir=str(emodb_dir))))
    # What is documented of the corpus: 1487.1 s in all, 1.226 s to 8.978 s, 397 files reach full scale.
    durations = summary.durations_seconds
    assert len(durations) == 535
    assert sum(durations) == pytest.approx(1487.1, abs=0.05)
    assert (durations[0], durations[-1]) == (pytest.approx(1.226, abs=5e-4), pytest.approx(8.978, abs=5e-4))
    assert summary.full_scale == 397
    assert summary.formats == {(16000, 1): 535}
    assert summary.counts["08", "anger"] == 12
    assert ("08", "disgust") not in summary.counts
    assert sum(summary.counts.values()) == 535
    troubles = (summary.clipped, summary.silent, summary.unreadable, summary.duplicates)
    assert troubles == ((), (), (), ())


def test_content_is_that_of_the_samples(tmp_path):
    wav = inspect_recording(write(tmp_path / "a.wav", NOISE))
    flac = inspect_recording(write(tmp_path / "a.flac", NOISE))
    float32 = inspect_recording(write(tmp_path / "b.wav", NOISE, "FLOAT"))
    other = inspect_recording(write(tmp_path / "c.wav", NOISE[::-1]))
    assert wav.content == flac.content == float32.content == hashlib.sha256(NOISE.astype("<f4").tobytes()).hexdigest()
    assert wav.content != other.content
    assert wav.duration_seconds == 1.0


@pytest.mark.parametrize(
    ("name", "subtype", "channels"),
    [
        *((f"{subtype}.wav", subtype, 1) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "ULAW")),
        *((f"{channels}.wav", "PCM_16", channels) for channels in (2, 3, 6)),
        ("stereo.wav", "FLOAT", 2),
        ("a.flac", "PCM_24", 2),
        ("a.ogg", "VORBIS", 2),
    ],
)
def test_content_is_what_training_compares(tmp_path, name, subtype, channels):
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (70_000, channels))  # more than a block
    samples[:10] = -0.0
    path = write(tmp_path / name, samples, subtype)
    trained = load_waveform(path, 16000)
    assert inspect_recording(path).content == hashlib.sha256(trained.data).hexdigest()


def test_a_copy_on_both_channels_is_a_duplicate_and_other_rates_are_none(tmp_path):
    mono = write(tmp_path / "mono.wav", NOISE)
    stereo = write(tmp_path / "stereo.wav", np.stack([NOISE, NOISE], axis=1))
    slower = write(tmp_path / "slower.wav", NOISE, rate_hz=8000)
    utterances = tuple(Utterance(path, "a", "s") for path in (mono, stereo, slower))
    assert inspect_corpus(Corpus("mine", utterances, ("a",))).duplicates == ((mono, stereo),)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_clipping_in_every_encoding(tmp_path, subtype, sign):
    def inspect(run):
        samples = NOISE.copy()
        samples[100 : 100 + run] = sign
        return inspect_recording(write(tmp_path / f"{run}.wav", samples, subtype))

    assert not inspect(0).clipped
    assert inspect(0).full_scale == 0
    assert not inspect(CLIPPED_RUN_SAMPLES - 1).clipped
    clipped = inspect(CLIPPED_RUN_SAMPLES)
    assert clipped.clipped
    assert clipped.full_scale == CLIPPED_RUN_SAMPLES / len(NOISE)


@pytest.mark.parametrize("start", range(65536 - 4, 65536 + 2))
def test_clipping_across_blocks_and_not_across_channels(tmp_path, start):
    samples = np.zeros((70000, 2))
    samples[start : start + CLIPPED_RUN_SAMPLES, 1] = 1.0
    assert inspect_recording(write(tmp_path / "a.wav", samples)).clipped
    samples[start, :] = (1.0, 0.0)
    assert not inspect_recording(write(tmp_path / "b.wav", samples)).clipped


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence(tmp_path, level):
    assert inspect_recording(write(tmp_path / "a.wav", np.full(100, level))).silent
    assert not inspect_recording(write(tmp_path / "b.wav", NOISE)).silent


def damaged(folder: Path) -> dict[str, Path]:
    whole = write(folder / "whole.wav", NOISE)
    (folder / "truncated.wav").write_bytes(whole.read_bytes()[:2000])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no audio")
    write(folder / "no samples.wav", NOISE[:0])
    write(folder / "nan.wav", np.where(np.arange(16000) == 5, np.nan, NOISE), "FLOAT")
    return {path.stem: path for path in folder.glob("*.wav") if path != whole}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("truncated", r"truncated\.wav: expected 32000 bytes of samples by its header, received"),
        ("empty", r"empty\.wav: expected audio, received an empty file"),
        ("text", r"text\.wav: expected audio that can be decoded"),
        ("no samples", r"no samples\.wav: expected audio, received a file without samples"),
        ("nan", r"nan\.wav: expected finite samples, received 1 "),
    ],
)
def test_bad_files(tmp_path, name, message):
    with pytest.raises(AudioError, match=message):
        inspect_recording(damaged(tmp_path)[name])


def test_a_corpus_with_every_kind_of_trouble(tmp_path, capsys):
    bad = damaged(tmp_path)
    clipped = write(tmp_path / "clipped.wav", np.clip(NOISE * 4, -1, 1), rate_hz=8000)
    silent = write(tmp_path / "silent.wav", np.zeros((8000, 2)))
    copy = write(tmp_path / "copy.flac", NOISE)
    paths = [tmp_path / "whole.wav", copy, clipped, silent, *bad.values()]
    utterances = tuple(Utterance(path, "a" if path == copy else "b", "s") for path in paths)
    summary = inspect_corpus(Corpus("mine", utterances, ("a", "b")))
    assert summary.counts == {("s", "a"): 1, ("s", "b"): 8}
    assert summary.formats == {(16000, 1): 2, (8000, 1): 1, (16000, 2): 1}
    assert summary.durations_seconds == (0.5, 1.0, 1.0, 2.0)
    assert summary.duplicates == ((tmp_path / "whole.wav", copy),)
    ((path, share),) = summary.clipped
    assert path == clipped
    assert share == pytest.approx(0.5, abs=0.02)  # uniform to +-2, cut at +-1
    assert summary.silent == (silent,)
    assert {path.stem for path, _ in summary.unreadable} == set(bad)
    assert all(str(tmp_path) not in reason for _, reason in summary.unreadable)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading mine" in captured.err


def test_a_recording_is_never_decoded_as_a_whole(tmp_path):
    samples = 6_000_000
    path = write(tmp_path / "long.wav", np.zeros(samples))
    tracemalloc.start()
    inspect_recording(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < samples * np.dtype(np.float64).itemsize * 0.75
