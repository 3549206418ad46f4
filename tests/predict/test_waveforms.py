"""Waveforms on a device are held against the ones of training, and what cannot be one is refused."""

import warnings

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsernet_tf.config import AudioConfig
from lightsernet_tf.errors import AudioError
from lightsernet_tf.features.windows import cut_windows
from lightsernet_tf.predict import waveforms
from lightsernet_tf.predict.waveforms import RateConverter, as_mono, checked_rate_hz, fit_window, resample, windows_of


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([-1.5, 0, 0.25], np.float32), [-1.5, 0, 0.25]),
        (np.array([-1.5, 0, 0.25], np.float64), [-1.5, 0, 0.25]),
        (np.array([-32768, 0, 16384], ">i2"), [-1, 0, 0.5]),
        ([-1.5, 0.0, 0.25], [-1.5, 0, 0.25]),
        (np.array([[1, 0], [0.5, -0.5]]), [0.5, 0]),
        (np.array([[1, 0], [0.5, -0.5]], order="F"), [0.5, 0]),
        (np.array([[8192], [-8192]], np.int16), [0.25, -0.25]),
        (np.zeros((0, 2), np.int16), []),
    ],
)
def test_any_type_and_channels_become_mono_of_full_scale_1(samples, expected):
    mono = as_mono(samples)
    assert mono.dtype == np.float32
    assert mono.dtype.isnative
    np.testing.assert_array_equal(mono, np.array(expected, np.float32))


def test_what_is_given_is_left_as_it_was():
    given = noise(100)
    mono = as_mono(given)
    mono[:] = 0
    np.testing.assert_array_equal(given, noise(100))


def test_the_mean_over_channels_does_not_depend_on_the_chunk():
    for order in "CF":
        many = np.array(noise(500, 24), order=order)
        pieces = [as_mono(many[start : start + size]) for start, size in ((0, 1), (1, 37), (38, 462))]
        np.testing.assert_array_equal(np.concatenate(pieces), as_mono(many))


@pytest.mark.parametrize(
    ("waveform", "told"),
    [
        (np.array([0, np.nan]), "finite"),
        (np.array([0, np.inf], np.float32), "finite"),
        (np.array([0, -1e39]), "finite"),
        (np.full((3, 2), 3e38, np.float32), "finite"),
        (np.float32(1), "shape ()"),
        (np.zeros((1, 2, 3)), "shape (1, 2, 3)"),
        (np.zeros((5, 0)), "shape (5, 0)"),
        (np.zeros((2, 48000)), "shape (2, 48000)"),
        (np.zeros(5, np.float16), "float16"),
        (np.zeros(5, np.int64), "int64"),
        (np.zeros(5, np.uint8), "uint8"),
        (np.zeros(5, bool), "bool"),
        (np.zeros(5, complex), "complex128"),
        (np.array([1.0, None]), "object"),
        (np.array(["1", "2"]), "<U1"),
        ("1.0", "<U3"),
        (b"\0\0", "|S2"),
        (None, "object"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous"),
        ({}, "object"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform, told):
    with pytest.raises(AudioError) as caught:
        as_mono(waveform)
    message = str(caught.value)
    assert message.startswith("waveform: expected ")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("rate_hz", [1000, 16000, 768000, np.int32(44100), np.uint16(8000)])
def test_a_rate(rate_hz):
    assert checked_rate_hz(rate_hz) == int(rate_hz)
    assert type(checked_rate_hz(rate_hz)) is int


@pytest.mark.parametrize(
    "rate_hz", [0, -16000, 999, 768001, 10**400, 16000.0, "16000", True, None, np.nan, [16000], "x" * 10**6]
)
def test_what_is_no_rate_is_refused(rate_hz):
    with pytest.raises(
        AudioError, match=r"^sample_rate_hz: expected a whole number from 1000 to 768000\. Received: "
    ) as e:
        checked_rate_hz(rate_hz)
    assert len(str(e.value)) < 200


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(1, 7000), segments=st.sampled_from(["centre", "all"]))
def test_windows_are_those_of_training(samples, segments):
    waveform = noise(samples)
    windows = [fit_window(window, 1600) for window in windows_of(waveform, 1600, segments)]
    expected = cut_windows(waveform, AudioConfig(duration_seconds=0.1, segments=segments), 16000)
    np.testing.assert_array_equal(np.stack(windows), expected)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000])
def test_converting_in_chunks_of_any_size_gives_the_same(rate_hz):
    waveform = noise(rate_hz // 2)

    def converted(size):
        converter = RateConverter(rate_hz, 16000)
        chunks = [converter.convert(waveform[start : start + size]) for start in range(0, len(waveform), size)]
        return np.concatenate([*chunks, converter.finish()])

    whole = converted(len(waveform))
    np.testing.assert_array_equal(converted(1), whole)
    np.testing.assert_array_equal(converted(333), whole)
    np.testing.assert_allclose(whole, resample(waveform, rate_hz, 16000), rtol=0, atol=1e-5)


def test_rates_are_converted_as_in_training():
    waveform = noise(4410)
    np.testing.assert_array_equal(resample(waveform, 44100, 16000), soxr.resample(waveform, 44100, 16000, "HQ"))
    assert not resample(np.zeros(4410, np.float32), 44100, 16000).any()


def test_without_soxr_only_another_rate_is_refused(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soxr", None)
    with pytest.raises(AudioError, match="pip install soxr"):
        waveforms.resample(noise(10), 8000, 16000)
    with pytest.raises(AudioError, match="pip install soxr"):
        RateConverter(8000, 16000)


def test_signalling_nans_warn_of_nothing():
    bits = np.array([0x7F800001, 0xFF800001], np.uint32).view(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AudioError, match="finite"):
            as_mono(bits)
        with pytest.raises(AudioError, match="finite"):
            as_mono(np.array([0x7FF0000000000001], np.uint64).view(np.float64))
