"""Windows and levels are held against NumPy, golden arrays and worked examples."""

import doctest

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import AudioConfig
from lightsernet_tf.features import windows as module
from lightsernet_tf.features.windows import cut_windows, levelled_windows, normalize, normalize_padded, window_samples

RATE_HZ = 16000


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numpys_level(clip):
    """Bring a clip to its level as NumPy does it."""
    level = np.percentile(np.abs(clip), 99.9)
    return np.clip(clip / (level or 1.0), -1, 1)


def test_worked_examples():
    assert doctest.testmod(module) == (0, 5)


def test_windows_match_the_golden_ones(golden_dir, emodb_dir):
    golden = np.load(golden_dir / "features_3s.npz")
    for name in ("03a01Fa", "11b03Wb", "16b10Td"):
        windows = levelled_windows(load_waveform(emodb_dir / "wav" / f"{name}.wav", RATE_HZ), AudioConfig(), RATE_HZ)
        np.testing.assert_allclose(windows[0], golden[f"{name}/waveform"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(3, [0, 1, 2, 3, 0]), (4, [1, 2, 3, 4, 0]), (5, [1, 2, 3, 4, 5]), (6, [1, 2, 3, 4, 5]), (7, [2, 3, 4, 5, 6])],
)
def test_the_centre_is_the_middle_or_padded_on_both_sides(samples, expected):
    waveform = np.arange(1, samples + 1, dtype=np.float32)
    np.testing.assert_array_equal(cut_windows(waveform, AudioConfig(duration_seconds=0.1), 50), [expected])


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(samples=st.integers(1, 3000), seed=st.integers(0, 99))
def test_normalize_scales_by_numpys_percentile(samples, seed):
    waveform = np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)
    level = np.percentile(np.abs(waveform), 99.9, axis=-1, keepdims=True)
    np.testing.assert_allclose(normalize(waveform), np.clip(waveform / level, -1, 1), rtol=0, atol=1e-6)


def test_normalize_leaves_silence_and_nothing_as_they_are():
    np.testing.assert_array_equal(normalize(np.zeros((2, 500), np.float32)), np.zeros((2, 500)))
    assert normalize(np.zeros((2, 0), np.float32)).shape == (2, 0)
    click = np.zeros(5000, np.float32)
    click[10] = 0.25
    np.testing.assert_array_equal(normalize(click), click)


@pytest.mark.parametrize(
    ("samples", "segments"), [(0, 1), (300, 1), (1600, 1), (2399, 1), (2400, 2), (3200, 2), (4100, 3)]
)
def test_all_segments_are_consecutive_windows_and_a_last_one_of_half_or_more(samples, segments):
    audio = AudioConfig(duration_seconds=0.1, segments="all")
    waveform = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    windows = levelled_windows(waveform, audio, RATE_HZ)
    assert windows.shape == (segments, 1600)
    raw = cut_windows(waveform, audio, RATE_HZ)
    assert raw.shape == (segments, 1600)
    for index in range(segments):
        piece = waveform[index * 1600 : (index + 1) * 1600]
        missing = 1600 - len(piece)
        margins = (missing // 2, missing - missing // 2)
        np.testing.assert_array_equal(raw[index], np.pad(piece, margins))
        np.testing.assert_allclose(windows[index], np.pad(normalize(piece), margins), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [levelled_windows, cut_windows])
@pytest.mark.parametrize("segments", ["centre", "all"])
def test_windows_are_the_same_in_a_pipeline_and_their_length_is_known(segments, make):
    audio = AudioConfig(duration_seconds=0.2, segments=segments)
    waveforms = [noise(samples, seed=samples) for samples in (0, 999, 3200, 9000)]
    # Copies: TensorFlow shares an aligned array's memory and may compute in place.
    copies = tf.data.Dataset.from_generator(
        lambda: map(np.copy, waveforms), output_signature=tf.TensorSpec([None], tf.float32)
    )
    dataset = copies.map(lambda waveform: make(waveform, audio, RATE_HZ))
    assert dataset.element_spec.shape[-1] == window_samples(audio, RATE_HZ) == 3200
    for waveform, windows in zip(waveforms, dataset, strict=True):
        np.testing.assert_allclose(windows, make(waveform, audio, RATE_HZ), rtol=0, atol=1e-6)


def test_the_level_of_a_recording_of_minutes():
    """More than 2**31 / 999 samples."""
    waveform = np.random.default_rng(3).standard_normal(2_200_007).astype(np.float32)
    expected = np.clip(waveform / np.percentile(np.abs(waveform), 99.9), -1, 1)
    static = tf.function(normalize)(tf.constant(waveform))
    dynamic = tf.function(normalize, input_signature=[tf.TensorSpec([None], tf.float32)])(waveform)
    np.testing.assert_allclose(static, expected, atol=1e-6)
    np.testing.assert_allclose(dynamic, expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(1, 7000),
    share=st.floats(0, 1),
    before=st.floats(0, 1),
    loudness=st.integers(-4, 4),
    seed=st.integers(0, 99),
)
def test_a_padded_clip_gets_the_level_that_it_has_without_padding(samples, share, before, loudness, seed):
    length = max(1, round(share * samples))
    clip = noise(length, seed=seed) ** 3 * np.float32(10.0**loudness)
    missing = samples - length
    margins = (round(before * missing), missing - round(before * missing))
    levelled = normalize_padded(np.pad(clip, margins))
    np.testing.assert_allclose(levelled, np.pad(numpys_level(clip), margins), rtol=0, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 31, 32, 33, 999, 1000, 1001, 1002, 2001, 2002, 47999, 48000])
def test_the_padded_level_at_the_edges_of_ranks_and_blocks(samples):
    clip = noise(samples, seed=samples)
    for before, after in [(0, 0), (0, 1), (1, 0), (500, 0), (32, 32)]:
        levelled = normalize_padded(np.pad(clip, (before, after)))
        np.testing.assert_allclose(levelled[before : before + samples], numpys_level(clip), rtol=0, atol=1e-6)


def test_the_padded_level_of_a_batch_is_that_of_each():
    audio = AudioConfig(duration_seconds=0.2)
    clips = [np.zeros(77, np.float32), *(noise(samples, seed=samples) for samples in (1, 1000, 2999, 3200, 5000))]
    raw = np.concatenate([cut_windows(clip, audio, RATE_HZ) for clip in clips])
    expected = np.concatenate([levelled_windows(clip, audio, RATE_HZ) for clip in clips])
    np.testing.assert_allclose(normalize_padded(raw), expected, rtol=0, atol=1e-6)
    in_two = normalize_padded(raw.reshape(2, 3, 3200))
    np.testing.assert_allclose(in_two, expected.reshape(2, 3, 3200), rtol=0, atol=1e-6)
    in_graph = tf.function(normalize_padded, input_signature=[tf.TensorSpec([None, 3200], tf.float32)])(raw)
    np.testing.assert_allclose(in_graph, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", [0, 17, 4999])
def test_a_single_sample_is_full_scale(place):
    click = np.zeros(5000, np.float32)
    click[place] = -0.25
    np.testing.assert_array_equal(normalize_padded(click), np.sign(click))


def test_padded_silence_stays_silent():
    np.testing.assert_array_equal(normalize_padded(np.zeros((2, 5000), np.float32)), np.zeros((2, 5000)))


@pytest.mark.slow
@pytest.mark.parametrize("segments", ["centre", "all"])
def test_padded_levels_of_real_recordings(emodb_dir, segments):
    audio = AudioConfig(segments=segments)
    for path in sorted((emodb_dir / "wav").glob("*.wav"))[::27]:
        waveform = load_waveform(path, RATE_HZ)
        raw = cut_windows(waveform, audio, RATE_HZ).numpy()
        levelled = normalize_padded(raw).numpy()
        for before, after in zip(raw, levelled, strict=True):
            np.testing.assert_allclose(
                np.trim_zeros(after), numpys_level(np.trim_zeros(before)), rtol=0, atol=1e-6, err_msg=path.name
            )
        # Some recordings begin or end with samples that are zero.
        np.testing.assert_allclose(levelled, levelled_windows(waveform, audio, RATE_HZ), rtol=0, atol=1e-2)


@pytest.mark.slow
def test_the_padded_level_is_made_of_builtin_operators_of_tensorflow_lite(tmp_path):
    module = tf.Module()
    module.level = tf.function(normalize_padded, input_signature=[tf.TensorSpec([1, 48000], tf.float32)])
    tf.saved_model.save(module, tmp_path, module.level.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = converter.convert()
    assert len(model) < 16_000  # no constant as long as the window
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    for clip in (noise(48000), noise(20001), noise(1), np.zeros(0, np.float32)):
        window = cut_windows(clip, AudioConfig(), RATE_HZ)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
        interpreter.invoke()
        levelled = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(levelled, levelled_windows(clip, AudioConfig(), RATE_HZ), rtol=0, atol=1e-6)
