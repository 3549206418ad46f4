"""The recogniser is held against LiteRT called directly and against Keras; whatever else it is given is refused."""

import functools
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import AudioConfig
from lightsernet_tf.corpora import emodb
from lightsernet_tf.errors import AudioError, ConfigError, ModelError
from lightsernet_tf.features.windows import cut_windows
from lightsernet_tf.predict.model_file import with_description
from lightsernet_tf.predict.prediction import SILENCE, Prediction
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from tests import device

KIT_MODEL = Path(__file__).parents[2] / "tflite" / "light_sernet_emodb_int8.tflite"


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory):
    """Return a recogniser that hears the centre and one that hears all."""
    folder = tmp_path_factory.mktemp("models")
    paths = {segments: device.write_model(folder / f"{segments}.tflite", segments=segments) for segments in _SEGMENTS}
    return {segments: EmotionRecognizer(path) for segments, path in paths.items()}


_SEGMENTS = ("centre", "all")


@pytest.fixture(scope="module")
def recognizer(recognizers):
    return recognizers["centre"]


def litert_answer(path, mono, segments):
    """Return what LiteRT alone says of a waveform [samples] that training's functions cut: [classes]."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    window = interpreter.get_input_details()[0]["shape"][1]
    audio = AudioConfig(duration_seconds=window / device.RATE_HZ, segments=segments)
    answers = []
    for one in cut_windows(mono, audio, device.RATE_HZ).numpy():
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], one[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.mean(answers, axis=0)


def values(prediction):
    return np.array(list(prediction.probabilities.values()))


def test_what_the_file_says(recognizer):
    assert recognizer.labels == device.LABELS
    assert recognizer.sample_rate_hz == 16000
    assert recognizer.window_seconds == 0.3
    assert recognizer.path.name == "centre.tflite"
    assert recognizer.description.min_samples == device.FRAME


@pytest.mark.parametrize("segments", _SEGMENTS)
@pytest.mark.parametrize("samples", [1024, 1025, 3000, 4799, 4800, 4801, 7199, 7200, 9600, 20001])
def test_it_answers_as_litert_and_as_keras(recognizers, segments, samples):
    recognizer = recognizers[segments]
    for waveform in device.sounds(2, samples, seed=samples):
        prediction = recognizer.predict(waveform, 16000)
        assert tuple(prediction.probabilities) == device.LABELS
        assert prediction.label == prediction.ranked()[0][0]
        direct = litert_answer(recognizer.path, waveform, segments)
        np.testing.assert_allclose(values(prediction), direct, rtol=0, atol=1e-7)
        np.testing.assert_allclose(values(prediction), device.keras_answer(waveform, segments), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000])
def test_any_rate_type_and_channels(recognizer, rate_hz, dtype):
    """What was recorded at 8 kHz is empty above 4: the logarithm of next to nothing there magnifies the rounding."""
    tolerance = 5e-3 if rate_hz < 16000 else 1e-4
    channels = device.sounds(3, round(0.41 * rate_hz), seed=rate_hz).T  # [samples, channels]
    given = 0.5 * channels / np.abs(channels).max()
    if dtype.startswith("int"):
        given = np.round(given * np.iinfo(dtype).max)
    given = given.astype(dtype)
    for waveform in (given[:, 0], given[:, :1], given):
        full_scale = 2.0 ** (8 * given.itemsize - 1) if dtype.startswith("int") else 1.0
        mono = (waveform / full_scale).astype(np.float32).reshape(len(waveform), -1).mean(axis=1)
        mono = soxr.resample(mono, rate_hz, 16000, quality="HQ")
        heard = values(recognizer.predict(waveform, rate_hz))
        np.testing.assert_allclose(heard, litert_answer(recognizer.path, mono, "centre"), rtol=0, atol=tolerance / 100)
        np.testing.assert_allclose(heard, device.keras_answer(mono), rtol=0, atol=tolerance)


def test_a_file_is_heard_as_training_hears_it(recognizer, tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, device.sounds(2, 30000).T, 44100, subtype="PCM_16")
    samples, rate_hz = soundfile.read(path, dtype="int16")
    expected = device.keras_answer(load_waveform(path, 16000))
    np.testing.assert_allclose(values(recognizer.predict(samples, rate_hz)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("loudness", [1e-6, 1e-3, 1.0, 3e4, 1e20])
def test_any_level_will_do(recognizer, loudness):
    [waveform] = device.sounds(1)
    expected = values(recognizer.predict(waveform, 16000))
    np.testing.assert_allclose(values(recognizer.predict(loudness * waveform, 16000)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("segments", _SEGMENTS)
def test_digital_silence_is_called_silence(recognizers, segments):
    for rate_hz, silence in ((16000, np.zeros(9600)), (44100, np.zeros((30000, 2), np.int16))):
        assert recognizers[segments].predict(silence, rate_hz) == Prediction(SILENCE)


def test_silence_is_what_is_heard_not_what_is_around_it(recognizers):
    waveform = np.zeros(14400, np.float32)
    waveform[:4000] = 0.1
    assert recognizers["centre"].predict(waveform, 16000) == Prediction(SILENCE)
    assert recognizers["all"].predict(waveform, 16000).label != SILENCE
    waveform = np.zeros(6000, np.float32)
    waveform[-1000:] = 0.1
    assert recognizers["all"].predict(waveform, 16000) == Prediction(SILENCE)


GOOD = np.full(4800, 0.5, np.float32)


@pytest.mark.parametrize(
    ("waveform", "rate_hz", "told"),
    [
        (np.where(np.arange(4800) == 7, np.nan, 0.5), 16000, "waveform: expected finite samples"),
        (np.where(np.arange(4800) == 7, -np.inf, 0.5), 44100, "waveform: expected finite samples"),
        (np.full(4800, 1e38, np.float32), 44100, "waveform: expected finite samples"),
        (np.zeros(0), 16000, "waveform: expected samples. Received: none"),
        (np.zeros((0, 2), np.int16), 44100, "waveform: expected samples. Received: none"),
        (GOOD[:1023], 16000, "waveform: expected at least 1024 samples at 16000 Hz. Received: 1023"),
        (GOOD[:2048], 48000, "waveform: expected at least 1024 samples at 16000 Hz. Received: 683"),
        (np.float32(0.5), 16000, "waveform: expected shape"),
        (GOOD.reshape(1, 2400, 2), 16000, "waveform: expected shape"),
        (GOOD.reshape(2, 2400), 16000, "waveform: expected shape [samples] or [samples, channels]"),
        (GOOD.astype(np.float16), 16000, "waveform: expected int16, int32, float32 or float64. Received: float16"),
        (GOOD.astype(np.int64), 16000, "Received: int64"),
        (GOOD > 0, 16000, "Received: bool"),
        (GOOD.astype(object), 16000, "Received: object"),
        (GOOD, 0, "sample_rate_hz: expected a whole number from 1000 to 768000. Received: sample_rate_hz=0"),
        (GOOD, -1, "sample_rate_hz=-1"),
        (GOOD, 16000.0, "sample_rate_hz=16000.0"),
        (GOOD, "16000", "sample_rate_hz='16000'"),
        (GOOD, True, "sample_rate_hz=True"),
        (GOOD, 10**12, "sample_rate_hz=1000000000000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_waveform_is_one_clear_error(recognizer, waveform, rate_hz, told):
    with pytest.raises(AudioError) as caught:
        recognizer.predict(waveform, rate_hz)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert recognizer.predict(GOOD, 16000).label in device.LABELS


DTYPES = st.sampled_from(["int16", "int32", "float32", "float64"]) | hnp.scalar_dtypes()
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6) | st.tuples(st.integers(1000, 6000))
RATES = st.sampled_from([8000, 11025, 16000, 48000]) | st.integers() | st.floats() | st.none() | st.text(max_size=3)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(waveform=DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)), rate_hz=RATES)
def test_any_array_at_any_rate_is_answered_or_refused(recognizers, waveform, rate_hz):
    for recognizer in recognizers.values():
        answered_or_refused(recognizer, waveform, rate_hz)


@settings(max_examples=100, deadline=None)
@given(samples=st.integers(1, 12000), exponent=st.floats(-46, 31), zeros=st.floats(0, 1), seed=st.integers(0, 99))
def test_any_level_and_length_is_answered_or_refused(recognizers, samples, exponent, zeros, seed):
    random = np.random.default_rng(seed)
    waveform = random.standard_normal(samples) * (random.uniform(size=samples) >= zeros) * 10.0**exponent
    for recognizer in recognizers.values():
        answered_or_refused(recognizer, waveform, 16000)


def answered_or_refused(recognizer, waveform, rate_hz):
    try:
        prediction = recognizer.predict(waveform, rate_hz)
    except AudioError:
        return
    if prediction != Prediction(SILENCE):
        assert tuple(prediction.probabilities) == device.LABELS
        assert np.isfinite(values(prediction)).all()
        assert abs(values(prediction).sum() - 1) < 1e-3


@pytest.mark.parametrize("num_threads", [0, -1, 1025, 1.0, "2", True, None])
def test_a_wrong_number_of_threads_is_refused(recognizer, num_threads):
    with pytest.raises(ConfigError, match=r"^num_threads: expected 1 to 1024\. Received: num_threads="):
        EmotionRecognizer(recognizer.path, num_threads=num_threads)


def test_more_threads_give_the_same_answer(recognizer):
    [waveform] = device.sounds(1)
    threaded = EmotionRecognizer(str(recognizer.path), num_threads=2)
    expected = values(recognizer.predict(waveform, 16000))
    np.testing.assert_allclose(values(threaded.predict(waveform, 16000)), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_model_of_features_is_refused(tmp_path):
    path = device.write_model(tmp_path / "features.tflite", "features")
    with pytest.raises(ModelError) as caught:
        EmotionRecognizer(path)
    assert str(caught.value) == (
        f"{path}: expected a model that takes a waveform (export --input waveform). Received: one that takes features"
    )


@pytest.mark.parametrize(
    ("described", "told"),
    [({"window": 4801}, "expected one input"), ({"labels": ("a", "b")}, "expected one output")],
)
def test_a_model_that_is_not_what_its_description_says_is_refused(described, told, tmp_path):
    path = device.write_model(tmp_path / "other.tflite", **described)
    with pytest.raises(ModelError) as caught:
        EmotionRecognizer(path)
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_described_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "garbage.tflite"
    path.write_bytes(with_description(b"\x1c\0\0\0TFL3" + bytes(1000), device.document()))
    with pytest.raises(ModelError) as caught:
        EmotionRecognizer(path)
    assert str(caught.value).startswith(f"{path}: expected a model that LiteRT can load. Received: ")


@pytest.mark.slow
def test_eight_threads_at_once_hear_what_one_hears(recognizers):
    waveforms = [device.sounds(1, 3000 + 97 * n, seed=n)[0] for n in range(64)]
    for recognizer in recognizers.values():
        predict = functools.partial(recognizer.predict, sample_rate_hz=16000)
        expected = [predict(waveform) for waveform in waveforms]
        assert len({tuple(one.probabilities.values()) for one in expected}) == len(waveforms)
        with ThreadPoolExecutor(8) as pool:
            for _ in range(4):
                assert list(pool.map(predict, waveforms)) == expected


def test_importing_loads_numpy_and_litert_alone():
    script = """
import sys
import lightsernet_tf.runtime, lightsernet_tf.predict.__main__
print(*(name for name in sys.modules if "." not in name and name not in sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "librosa", "matplotlib", "sklearn", "scipy", "soundfile", "soxr", "tqdm"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.slow
def test_the_shipped_model_knows_emodb(emodb_dir):
    """Most of it the model was trained on: what is tested is the way from file to label."""
    if not KIT_MODEL.exists():
        pytest.skip(f"{KIT_MODEL} is not there")
    recognizer = EmotionRecognizer(KIT_MODEL)
    paths = sorted((emodb_dir / "wav").glob("*.wav"))[::20]
    right = 0
    for path in paths:
        samples, rate_hz = soundfile.read(path, dtype="int16")
        prediction = recognizer.predict(samples, rate_hz)
        direct = litert_answer(KIT_MODEL, load_waveform(path, 16000), recognizer.description.segments)
        np.testing.assert_allclose(values(prediction), direct, rtol=0, atol=1e-6)
        right += prediction.label == emodb.LABEL_OF[path.stem[5]]
    assert right >= 0.8 * len(paths)


def test_another_process_can_have_a_copy(recognizer):
    copied = pickle.loads(pickle.dumps(recognizer))
    waveform = device.sounds(1, device.WINDOW)[0]
    assert copied.predict(waveform, device.RATE_HZ) == recognizer.predict(waveform, device.RATE_HZ)
