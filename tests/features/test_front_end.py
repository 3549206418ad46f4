"""Features are held against the golden arrays, librosa and tf.signal."""

import dataclasses
from typing import get_args

import keras
import librosa
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from lightsernet_tf.config import FeatureConfig, FeatureKind
from lightsernet_tf.errors import AudioError, ConfigError, InputError
from lightsernet_tf.features.__main__ import main
from lightsernet_tf.features.front_end import (
    FrontEnd,
    extract,
    feature_shape,
    log_mel_spectrogram,
    mfcc,
    spectrogram,
)

KINDS = get_args(FeatureKind)
CLIPS = ("03a01Fa", "11b03Wb", "16b10Td")


def noise(*shape, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "features_3s.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("kind", KINDS)
def test_features_match_the_golden_ones(golden, name, kind):
    features = extract(golden[f"{name}/waveform"], FeatureConfig(kind=kind)).numpy()
    relative, absolute = (1e-4, 0) if kind == "spectrogram" else (0, 1e-4)
    np.testing.assert_allclose(features, golden[f"{name}/{kind}"], rtol=relative, atol=absolute)


@pytest.mark.parametrize("name", CLIPS)
def test_the_matrix_transform_matches_the_golden_mfcc(golden, name):
    features = mfcc(golden[f"{name}/waveform"], FeatureConfig(), fourier="matrix").numpy()
    np.testing.assert_allclose(features, golden[f"{name}/mfcc"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("length", "step"), [(1024, 256), (512, 160), (2048, 2048), (64, 7)])
def test_the_spectrogram_is_librosas(length, step):
    waveform = noise(9000)
    config = FeatureConfig(frame_length_samples=length, frame_step_samples=step)
    expected = np.abs(librosa.stft(waveform, n_fft=length, hop_length=step, center=False)).T
    np.testing.assert_allclose(spectrogram(waveform, config), expected, rtol=1e-4, atol=1e-4)


def test_the_mel_bands_lie_where_librosas_lie():
    config = FeatureConfig(mel_bins=40)
    centres_hz = librosa.mel_frequencies(42, fmin=80.0, fmax=7600.0, htk=True)[1:-1]
    time = np.arange(16000) / 16000
    for band in range(10, 40):
        loudest = log_mel_spectrogram(np.sin(2 * np.pi * centres_hz[band] * time).astype(np.float32), config)
        assert np.mean(loudest, axis=0).argmax() == band


def test_mfcc_is_librosas_of_the_same_log_mel_spectrogram():
    waveform, config = noise(16000), FeatureConfig(mfcc_clip=1e9)
    log_mel = log_mel_spectrogram(waveform, config).numpy()
    expected = librosa.feature.mfcc(S=log_mel.T, n_mfcc=40, dct_type=2, norm="ortho").T
    expected[:, 0] *= np.sqrt(2)  # tf.signal scales all coefficients alike
    np.testing.assert_allclose(mfcc(waveform, config), expected, rtol=0, atol=1e-4)


def test_features_are_those_of_tf_signal():
    waveform = noise(2, 16000)
    magnitudes = tf.abs(tf.signal.stft(waveform, 512, 160))
    weights = tf.signal.linear_to_mel_weight_matrix(64, 257, 16000, 50.0, 7000.0)
    log_mel = tf.math.log(tf.matmul(magnitudes, weights) + 1e-4)
    cepstrum = tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[..., :13]
    config = FeatureConfig(
        frame_length_samples=512,
        frame_step_samples=160,
        mel_bins=64,
        mel_min_hz=50.0,
        mel_max_hz=7000.0,
        log_offset=1e-4,
        mfcc_coefficients=13,
        mfcc_clip=2.0,
    )
    np.testing.assert_allclose(log_mel_spectrogram(waveform, config), log_mel, rtol=0, atol=1e-4)
    np.testing.assert_allclose(mfcc(waveform, config), np.clip(cepstrum, -2, 2), rtol=0, atol=1e-4)
    assert np.abs(cepstrum).max() > 2


@pytest.mark.parametrize("fourier", ["fft", "matrix"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
@pytest.mark.parametrize("max_frequency_hz", [None, 1000.0, 4000.0])
def test_shapes_are_as_announced(leading, kind, fourier, max_frequency_hz):
    config = FeatureConfig(kind=kind, max_frequency_hz=max_frequency_hz)
    features = extract(noise(*leading, 5000), config, fourier)
    assert features.shape == (*leading, *feature_shape(5000, config))
    assert features.dtype == tf.float32


@pytest.mark.parametrize(
    ("kind", "seconds", "shape"),
    [
        ("mfcc", 3, (184, 40)),
        ("mfcc", 7, (434, 40)),
        ("log_mel_spectrogram", 3, (184, 128)),
        ("spectrogram", 3, (184, 513)),
    ],
)
def test_published_shapes(kind, seconds, shape):
    assert feature_shape(seconds * 16000, FeatureConfig(kind=kind)) == shape


@pytest.mark.parametrize("max_frequency_hz", [None, 3000.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("length", "step", "mel_bins", "mel_min_hz"),
    [(16, 5, 4, 0.0), (32, 32, 20, 80.0), (256, 100, 40, 300.0), (512, 160, 128, 1000.0), (2048, 512, 77, 0.0)],
)
def test_both_transforms_give_the_same_features(kind, max_frequency_hz, length, step, mel_bins, mel_min_hz):
    config = FeatureConfig(
        kind=kind,
        frame_length_samples=length,
        frame_step_samples=step,
        mel_bins=mel_bins,
        mel_min_hz=mel_min_hz,
        mfcc_coefficients=4,
        max_frequency_hz=max_frequency_hz,
    )
    waveform = noise(2, 9000)
    np.testing.assert_allclose(
        extract(waveform, config, "matrix"), extract(waveform, config, "fft"), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", CLIPS)
def test_both_transforms_give_the_same_features_of_speech(golden, name):
    for kind in KINDS:
        config = FeatureConfig(kind=kind)
        by_fft, by_matrix = (extract(golden[f"{name}/waveform"], config, way).numpy() for way in ("fft", "matrix"))
        # In the quietest band of the quietest frame the logarithm shows what float32 rounds.
        np.testing.assert_allclose(by_matrix, by_fft, rtol=0, atol=1e-3)
        assert np.mean(np.abs(by_matrix - by_fft)) < 1e-5


def test_max_frequency_keeps_the_low_part():
    waveform = noise(16000)
    for kind in ("spectrogram", "log_mel_spectrogram"):
        whole = extract(waveform, FeatureConfig(kind=kind))
        low = extract(waveform, FeatureConfig(kind=kind, max_frequency_hz=2000.0))
        assert 1 < low.shape[-1] < whole.shape[-1]
        np.testing.assert_allclose(low, whole[:, : low.shape[-1]], rtol=0, atol=1e-5)
    assert feature_shape(16000, FeatureConfig(kind="spectrogram", max_frequency_hz=2000.0))[1] == 129


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_above_max_frequency_reaches_the_features(kind):
    config = FeatureConfig(kind=kind, max_frequency_hz=2000.0)
    low = noise(16000)
    high = np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000).astype(np.float32)  # the middle of a bin: no leakage
    waveforms = np.stack([low, low + high])
    features = extract(waveforms, config)
    np.testing.assert_allclose(features[0], features[1], rtol=0, atol=1e-3)
    everything = extract(waveforms, FeatureConfig(kind=kind))
    assert np.abs(everything[0] - everything[1]).max() > 0.5


def test_mfcc_of_few_bands_has_no_more_coefficients_than_bands():
    config = FeatureConfig(max_frequency_hz=500.0)
    bands = feature_shape(16000, dataclasses.replace(config, kind="log_mel_spectrogram"))[1]
    assert bands < 40
    assert mfcc(noise(16000), config).shape[-1] == bands


def test_silence_gives_the_offset():
    config = FeatureConfig(mfcc_clip=1e9)
    silence = np.zeros(48000, np.float32)
    np.testing.assert_allclose(log_mel_spectrogram(silence, config), np.log(1e-6), rtol=1e-6)
    assert np.isfinite(mfcc(silence, config)).all()


def test_what_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"features.frame_length_samples.*1000.*1024"):
        feature_shape(1000, FeatureConfig())
    few = FeatureConfig(mel_bins=4, mfcc_coefficients=4, max_frequency_hz=200.0)
    with pytest.raises(ConfigError, match=r"features.max_frequency_hz.*200"):
        feature_shape(16000, few)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_of_unknown_lengths_gives_the_same(kind):
    config = FeatureConfig(kind=kind)
    waveforms = [noise(samples) for samples in (1024, 5000, 9999)]
    dataset = tf.data.Dataset.from_generator(lambda: waveforms, output_signature=tf.TensorSpec([None], tf.float32))
    for waveform, features in zip(waveforms, dataset.map(lambda waveform: extract(waveform, config)), strict=True):
        assert features.shape == feature_shape(len(waveform), config)
        np.testing.assert_allclose(features, extract(waveform, config), rtol=0, atol=1e-4)


@pytest.mark.parametrize("fourier", ["fft", "matrix"])
def test_the_layer_survives_saving(tmp_path, fourier):
    waveform = noise(2, 6000)
    model = keras.Sequential([keras.Input([6000]), FrontEnd(FeatureConfig(max_frequency_hz=3000.0), fourier)])
    assert model.output_shape == (None, *feature_shape(6000, FeatureConfig(max_frequency_hz=3000.0)), 1)
    model.save(tmp_path / "front_end.keras")
    again = keras.models.load_model(tmp_path / "front_end.keras")
    assert again.layers[0].config == FeatureConfig(max_frequency_hz=3000.0)
    np.testing.assert_array_equal(again(waveform), model(waveform))
    np.testing.assert_array_equal(model(waveform)[..., 0], mfcc(waveform, again.layers[0].config, fourier))


def test_the_layer_takes_its_config_as_a_dict():
    config = FeatureConfig(kind="spectrogram", frame_step_samples=512)
    assert FrontEnd(dataclasses.asdict(config)).config == config


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_matrix_front_end_is_small_and_made_of_builtin_operators_of_tensorflow_lite(tmp_path, kind):
    module = tf.Module()
    module.features = tf.function(
        lambda waveform: extract(waveform, FeatureConfig(kind=kind), "matrix"),
        input_signature=[tf.TensorSpec([1, 16000], tf.float32)],
    )
    tf.saved_model.save(module, tmp_path, module.features.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = converter.convert()
    assert len(model) < 100 * 1024
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    waveform = noise(1, 16000)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], waveform)
    interpreter.invoke()
    features = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(features, extract(waveform, FeatureConfig(kind=kind)), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_command_draws_one_column_for_each_file(tmp_path, capsys):
    for name in ("one", "two 快乐"):
        soundfile.write(tmp_path / f"{name}.wav", noise(8000), 16000)
    png = tmp_path / "out.png"
    files = [str(tmp_path / "one.wav"), str(tmp_path / "two 快乐.wav")]
    assert main([*files, "--png", str(png), "--features.max_frequency_hz", "4000"]) == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert str(png) in capsys.readouterr().out
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("file", "png", "message"),
    [
        ("missing.wav", "out.png", "missing.wav: expected an audio file"),
        ("short.wav", "out.png", "short.wav: expected at least 1024 samples"),
        ("fine.wav", "nowhere/out.png", "nowhere"),
        ("fine.wav", "out.jpg", "--png"),
    ],
)
def test_the_command_refuses_what_it_cannot_draw(tmp_path, file, png, message):
    soundfile.write(tmp_path / "short.wav", noise(500), 16000)
    soundfile.write(tmp_path / "fine.wav", noise(5000), 16000)
    with pytest.raises(InputError, match=message):
        main([str(tmp_path / file), "--png", str(tmp_path / png)])
    assert not (tmp_path / png).exists()
    assert issubclass(AudioError, InputError)
