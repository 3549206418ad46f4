from __future__ import annotations

import logging
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import AudioConfig, AugmentConfig, Config, CorpusConfig, FeatureConfig
from lightsernet_tf.data import feature_store
from lightsernet_tf.data.feature_store import FeatureStore, open_feature_store
from lightsernet_tf.errors import AudioError, ConfigError
from lightsernet_tf.features.front_end import extract
from lightsernet_tf.features.windows import levelled_windows

RATE_HZ = 16000
HALF_SECOND = AudioConfig(duration_seconds=0.5)
MFCC = FeatureConfig()


@pytest.fixture
def paths(tmp_path):
    """Twenty files of 0.2 to 1.3 s: more than one batch of them."""
    folder = tmp_path / "audio"
    folder.mkdir()
    random = np.random.default_rng(1)
    names = [folder / f"{index:02}.wav" for index in range(20)]
    for name in names:
        samples = 0.2 * random.standard_normal(random.integers(3200, 20800))
        soundfile.write(name, samples.clip(-1, 1), RATE_HZ, subtype="PCM_16")
    return names


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


def open_store(paths, cache_dir, audio=HALF_SECOND, features=MFCC, on_error="stop", with_waveforms=False):
    corpus = CorpusConfig(on_error=on_error)
    augment = AugmentConfig(gain_max_db=1.0 if with_waveforms else 0.0)
    return open_feature_store(paths, Config(corpus, audio, features, augment, cache_dir=str(cache_dir)))


def forbid_decoding(monkeypatch):
    def decode(*arguments):
        raise AssertionError("decoded although the cache is whole")

    monkeypatch.setattr(feature_store, "decode", decode)


@pytest.mark.slow
def test_rows_are_what_the_front_end_computes_file_by_file(paths, cache_dir):
    store = open_store(paths, cache_dir, with_waveforms=True)
    for row, path in enumerate(paths):
        windows = levelled_windows(load_waveform(path, RATE_HZ), HALF_SECOND, RATE_HZ)
        np.testing.assert_array_equal(store.waveforms[row], windows[0])
        np.testing.assert_allclose(store.features[row], extract(windows, MFCC)[0], atol=1e-5)
    assert store.features.dtype == np.float32
    assert store.input_shape == (28, 40, 1)
    assert store.utterance_of_segment.tolist() == list(range(20))
    assert store.problems == {}


@pytest.mark.slow
def test_golden_features(golden_dir, emodb_dir, cache_dir):
    golden = np.load(golden_dir / "features_3s.npz")
    names = ["16b10Td", "03a01Fa", "11b03Wb"]
    store = open_store([emodb_dir / "wav" / f"{name}.wav" for name in names], cache_dir, AudioConfig())
    np.testing.assert_allclose(store.features, [golden[f"{name}/mfcc"] for name in names], atol=1e-4)


@pytest.mark.slow
def test_opened_again_nothing_is_decoded(paths, cache_dir, monkeypatch):
    first = open_store(paths, cache_dir, with_waveforms=True)
    written_ns = first.features_path.stat().st_mtime_ns
    forbid_decoding(monkeypatch)
    again = open_store(paths, cache_dir, with_waveforms=True)
    assert again.features_path.stat().st_mtime_ns == written_ns
    np.testing.assert_array_equal(again.features, first.features)
    assert again.content == first.content


@pytest.mark.slow
def test_the_same_files_elsewhere_are_found_in_the_cache(paths, cache_dir, tmp_path, monkeypatch):
    store = open_store(paths, cache_dir)
    moved = [Path(shutil.copy(path, tmp_path / f"другой {path.name}")) for path in paths]
    forbid_decoding(monkeypatch)
    assert open_store(moved, cache_dir).features_path == store.features_path


@pytest.mark.slow
def test_another_sample_or_order_leads_to_another_entry(paths, cache_dir):
    before = open_store(paths, cache_dir)
    turned = open_store(paths[::-1], cache_dir)
    np.testing.assert_allclose(turned.features, before.features[::-1], atol=1e-5)
    assert turned.content == before.content[::-1]

    samples, _ = soundfile.read(paths[7], dtype="int16")
    samples[100:] //= 2
    soundfile.write(paths[7], samples, RATE_HZ, subtype="PCM_16")
    after = open_store(paths, cache_dir)
    changed = [row for row in range(20) if np.abs(after.features[row] - before.features[row]).max() > 1e-4]
    assert changed == [7]
    assert [row for row in range(20) if after.content[row] != before.content[row]] == [7]


@pytest.mark.slow
def test_another_setting_leads_to_another_entry_but_waveforms_are_shared(paths, cache_dir):
    open_store(paths, cache_dir, with_waveforms=True)
    open_store(paths, cache_dir, features=FeatureConfig(kind="log_mel_spectrogram"), with_waveforms=True)
    assert len(list(cache_dir.glob("features-*"))) == 2
    assert len(list(cache_dir.glob("waveforms-*"))) == 1
    open_store(paths, cache_dir, audio=AudioConfig(duration_seconds=0.4), with_waveforms=True)
    assert len(list(cache_dir.glob("features-*"))) == 3
    assert len(list(cache_dir.glob("waveforms-*"))) == 2


@pytest.mark.slow
def test_a_damaged_entry_is_computed_again(paths, cache_dir, caplog):
    entry = open_store(paths, cache_dir).features_path
    whole = entry.read_bytes()
    damaged = bytearray(whole)
    damaged[5000] ^= 1
    for content in (damaged, whole[: len(whole) // 2]):
        entry.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            assert open_store(paths, cache_dir).features_path == entry
        assert f"{entry} is damaged" in caplog.text
        assert entry.read_bytes() == whole


@pytest.mark.slow
def test_another_format_is_computed_anew(paths, cache_dir, monkeypatch):
    open_store(paths[:2], cache_dir)
    monkeypatch.setattr(feature_store, "FORMAT", feature_store.FORMAT + 1)
    open_store(paths[:2], cache_dir)
    assert len(list(cache_dir.iterdir())) == 2


@pytest.mark.slow
def test_two_processes_build_at_once(paths, cache_dir):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lightsernet_tf.config import AudioConfig, Config\n"
        "from lightsernet_tf.data.feature_store import open_feature_store\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "config = Config(audio=AudioConfig(0.5), cache_dir=sys.argv[1])\n"
        "store = open_feature_store([Path(p) for p in sys.argv[2:]], config)\n"
        "print(float(abs(store.features).sum()), len(store.content))\n"
    )
    command = [sys.executable, "-c", script, str(cache_dir), *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        store = open_store(paths, cache_dir)
        output = other.communicate(timeout=120)[0]
    assert other.returncode == 0
    assert output == f"{float(abs(store.features).sum())} 20\n"
    assert len(list(cache_dir.iterdir())) == 1


@pytest.fixture
def bad_paths(paths):
    paths[4].write_text("not audio")
    paths[9].write_bytes(b"")
    paths[17].unlink()
    return paths


def test_stop_names_the_first_and_counts_the_others(bad_paths, cache_dir):
    for _ in range(2):  # computed, then from the cache
        with pytest.raises(AudioError, match=r"04\.wav: .+ \(and 2 more of 20 files\); corpus\.on_error: skip"):
            open_store(bad_paths, cache_dir)


@pytest.mark.slow
def test_skip_leaves_them_out_and_says_why(bad_paths, cache_dir):
    store = open_store(bad_paths, cache_dir, on_error="skip", with_waveforms=True)
    assert list(store.problems) == [4, 9, 17]
    assert all(store.problems.values())
    assert [position for position, content in enumerate(store.content) if content is None] == [4, 9, 17]
    assert store.features.shape == (17, 28, 40)
    assert store.waveforms.shape == (17, 8000)
    assert store.segments_of([3, 4, 5]).tolist() == [3, 4]
    good = [path for position, path in enumerate(bad_paths) if position not in store.problems]
    np.testing.assert_allclose(store.features, open_store(good, cache_dir).features, atol=1e-5)


def test_a_whole_batch_of_bad_files(paths, cache_dir):
    for path in paths[: feature_store.FILES_PER_BATCH]:
        path.write_bytes(b"")
    assert open_store(paths, cache_dir, on_error="skip").features.shape == (4, 28, 40)


@pytest.mark.slow
def test_skip_needs_one_readable_file(paths, cache_dir):
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(AudioError, match=r"00\.wav: .+ \(and 19 more of 20 files\); no file can be read"):
        open_store(paths, cache_dir, on_error="skip")


@pytest.mark.slow
def test_a_file_shorter_than_a_frame_is_a_problem(paths, cache_dir):
    soundfile.write(paths[2], np.full(MFCC.frame_length_samples - 1, 0.1), RATE_HZ)
    with pytest.raises(AudioError, match=r"02\.wav: expected at least 1024 samples"):
        open_store(paths, cache_dir)


@pytest.mark.slow
def test_segments_of_long_files(paths, cache_dir):
    store = open_store(paths, cache_dir, audio=AudioConfig(duration_seconds=0.5, segments="all"))
    # A piece at the end counts from half a window on.
    expected = [max(1, (soundfile.info(path).frames + 4000) // 8000) for path in paths]
    assert max(expected) >= 3
    assert np.bincount(store.utterance_of_segment).tolist() == expected
    assert len(store.features) == sum(expected)
    rows = store.segments_of([5, 0])
    assert store.utterance_of_segment[rows].tolist() == [5] * expected[5] + [0] * expected[0]


def test_segments_of_agrees_with_a_plain_search(tmp_path):
    random = np.random.default_rng(0)
    segments = np.repeat(np.arange(30), random.integers(0, 4, 30))
    store = FeatureStore(tmp_path / "none.npy", None, segments, (None,) * 30, {})
    for size in (0, 1, 12):
        utterances = random.integers(0, 30, size)
        plain = [row for utterance in utterances for row in range(len(segments)) if segments[row] == utterance]
        assert store.segments_of(utterances).tolist() == plain


@pytest.mark.slow
def test_content_is_that_of_the_audio_not_of_its_container(paths, cache_dir, tmp_path):
    samples, _ = soundfile.read(paths[0], dtype="int16")
    flac = tmp_path / "same.flac"
    soundfile.write(flac, samples, RATE_HZ, subtype="PCM_16")
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.stack([samples, samples], axis=1), RATE_HZ, subtype="PCM_16")
    content = open_store([paths[0], flac, stereo, paths[1]], cache_dir).content
    assert content[0] == content[1] == content[2] != content[3]


@pytest.mark.slow
def test_a_cache_that_cannot_be_a_folder(paths, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(ConfigError, match="cache_dir: expected a folder"):
        open_store(paths[:2], in_the_way)


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_behind(paths, cache_dir):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(ConfigError, match="cache_dir: expected a folder with room for the features"):
            open_store(paths, cache_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(cache_dir.iterdir()) == []
