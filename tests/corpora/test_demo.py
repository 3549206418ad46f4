"""Makes the demo corpus in small and once in full: what is in it, that it is the same each time, and that it mends."""

import errno
import hashlib
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import demo
from lightsernet_tf.corpora.synthesis import synthesize
from lightsernet_tf.errors import CorpusError

SMALL = {"positive": 3, "neutral": 3, "negative": 2}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COUNTS", {"positive": 21, "neutral": 23, "negative": 4})
        utterances = read(folder)
    return utterances, [soundfile.read(utterance.path, dtype="int16")[0] for utterance in utterances]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "COUNTS", SMALL)


def read(folder):
    return list(demo.read(CorpusConfig(data_dir=str(folder))))


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def deliveries():
    return [(utterance, demo.deliver(utterance, demo._generator(utterance))) for utterance in demo.plan()]


def test_classes_keep_the_published_imbalance():
    # 240 / 4494 of 1943, 2145 and 406 are 103.77, 114.55 and 21.68: the two that are missing go to .77 and .68.
    assert Counter(each.label for each in demo.plan()) == {"positive": 104, "neutral": 114, "negative": 22}


def test_every_speaker_has_every_class():
    cells = Counter((each.speaker, each.label) for each in demo.plan())
    assert len(cells) == 8 * 3
    assert min(cells.values()) >= 2
    assert Counter(each.speaker for each in demo.plan()) == dict.fromkeys(demo.VOICES, 30)


def test_speakers_sound_different():
    mean_f0_hz = {
        speaker: np.mean([delivery.f0_hz for utterance, delivery in deliveries() if utterance.speaker == speaker])
        for speaker in demo.VOICES
    }
    assert mean_f0_hz["S1"] < 120
    assert mean_f0_hz["S8"] > 200


def test_manners_differ_and_overlap():
    semitones = {label: [] for label in demo.COUNTS}
    for utterance, delivery in deliveries():
        semitones[utterance.label].append(12 * np.log2(delivery.f0_hz / demo.VOICES[utterance.speaker].f0_hz))
    assert np.mean(semitones["positive"]) > np.mean(semitones["neutral"]) > np.mean(semitones["negative"])
    assert np.min(semitones["positive"]) < np.quantile(semitones["neutral"], 0.75)
    assert np.max(semitones["negative"]) > np.quantile(semitones["neutral"], 0.25)


@pytest.mark.slow
def test_files_are_sorted_and_named_by_speaker_and_label(recordings):
    utterances, _ = recordings
    paths = [utterance.path.as_posix() for utterance in utterances]
    assert len(paths) == 48
    assert paths == sorted(paths)
    assert all(utterance.path.parts[-3:-1] == (utterance.speaker, utterance.label) for utterance in utterances)


def test_attributes_say_how_it_is_spoken(recordings):
    utterances, _ = recordings
    assert all(50 < utterance.attributes["f0_hz"] < 500 for utterance in utterances)
    assert all(2 < utterance.attributes["syllables_per_second"] < 12 for utterance in utterances)


def test_recordings_are_16_bit_mono_of_the_promised_length(recordings):
    utterances, waveforms = recordings
    header = soundfile.info(utterances[0].path)
    assert (header.samplerate, header.channels, header.subtype) == (16000, 1, "PCM_16")
    seconds = np.array([len(waveform) / 16000 for waveform in waveforms])
    assert seconds.min() >= 1.5
    assert seconds.max() <= 4.0
    assert np.ptp(seconds) > 2


def test_recordings_are_loud_enough_never_clipped_and_all_different(recordings):
    _, waveforms = recordings
    peaks = np.array([np.abs(waveform.astype(np.int32)).max() for waveform in waveforms])
    assert peaks.max() < 32767
    assert peaks.min() > 3000
    assert len({hashlib.sha256(waveform.tobytes()).digest() for waveform in waveforms}) == len(waveforms)


@pytest.mark.usefixtures("small")
def test_the_same_bytes_every_time(tmp_path):
    read(tmp_path / "one")
    read(tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_content_is_that_of_its_version():
    """Another synthesis, seed or plan needs another VERSION, or old caches would pass for new."""
    first = demo.plan()[0]
    rng = demo._generator(first)
    samples = 32767 * synthesize(demo.deliver(first, rng), rng)
    assert (demo.VERSION, first.path, len(samples)) == ("1", "S1/negative/demo_224.wav", 37120)
    np.testing.assert_allclose(
        samples[8000:20000:1500], [-407, -478, -7855, 1, 2483, 5987, -2393, 460], atol=0.5 + 1e-3
    )


@pytest.mark.usefixtures("small")
def test_a_file_depends_on_nothing_but_its_place_in_the_plan(tmp_path):
    read(tmp_path / "corpus")
    last = demo.plan()[-1]
    demo._record(last, tmp_path / "alone")
    assert (tmp_path / "alone" / last.path).read_bytes() == (tmp_path / "corpus" / last.path).read_bytes()


@pytest.mark.usefixtures("small")
def test_without_a_folder_it_lies_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache dir" / name))
    utterances = list(demo.read(CorpusConfig()))
    assert utterances[0].path.is_relative_to(tmp_path / "cache dir" / "lightsernet_tf" / "demo_corpus" / demo.VERSION)


@pytest.mark.usefixtures("small")
def test_an_intact_corpus_is_not_made_again(tmp_path, monkeypatch):
    first = read(tmp_path / "corpus")
    monkeypatch.setattr(demo, "make", lambda folder: pytest.fail("made again"))
    assert read(tmp_path / "corpus") == first


def truncate(folder):
    path = folder / demo.plan()[3].path
    path.write_bytes(path.read_bytes()[:100])


def flip_a_bit(folder):
    path = folder / demo.plan()[3].path
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def lose_a_file(folder):
    (folder / demo.plan()[3].path).unlink()


def lose_the_manifest(folder):
    (folder / demo.MANIFEST).unlink()


def shorten_the_manifest(folder):
    manifest = folder / demo.MANIFEST
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))


def garble_the_manifest(folder):
    (folder / demo.MANIFEST).write_bytes(b"\xff\xfe\x00garbage")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "damage",
    [truncate, flip_a_bit, lose_a_file, lose_the_manifest, shorten_the_manifest, garble_the_manifest],
)
def test_a_damaged_corpus_is_mended_and_foreign_files_stay(tmp_path, damage):
    folder = tmp_path / "corpus"
    read(folder)
    intact = contents(folder)
    (folder / "S1" / "notes.txt").write_text("mine")
    damage(folder)
    assert contents(folder) != intact | {"S1/notes.txt": b"mine"}
    assert len(read(folder)) == 8
    assert contents(folder) == intact | {"S1/notes.txt": b"mine"}


@pytest.mark.usefixtures("small")
def test_a_folder_with_other_things_in_it_is_used_and_left_alone(tmp_path):
    (tmp_path / "own.wav").write_bytes(b"mine")
    assert len(read(tmp_path)) == 8
    assert (tmp_path / "own.wav").read_bytes() == b"mine"
    assert not list(tmp_path.glob(".demo_corpus-*"))


@pytest.mark.slow
def test_two_processes_at_once_both_end_well(tmp_path):
    code = (
        "import sys; from lightsernet_tf.config import CorpusConfig; from lightsernet_tf.corpora import demo; "
        f"demo.COUNTS = {SMALL}; print(len(list(demo.read(CorpusConfig(data_dir=sys.argv[1])))))"
    )
    folder = tmp_path / "corpus"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, output.strip()) == (0, "8"), errors
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert len(contents(folder)) == 8 + 1
    assert not list(folder.glob(".*"))


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_said_and_nothing_half_made_stays(tmp_path, monkeypatch):
    written = []

    def write(path, *arguments, **options):
        written.append(path)
        if len(written) == 5:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.write_bytes(b"")

    monkeypatch.setattr(soundfile, "write", write)
    with pytest.raises(CorpusError, match=r"corpus.*No space left on device"):
        read(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "corpus").write_text("a file")
    with pytest.raises(CorpusError, match=r"corpus: expected a folder"):
        read(tmp_path / "corpus")
    assert (tmp_path / "corpus").read_text() == "a file"
