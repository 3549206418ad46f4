"""A stream hears the same however it is cut, and what its windows say is what the recogniser says of them."""

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from lightsernet_tf.errors import AudioError
from lightsernet_tf.predict.model_file import parse_description
from lightsernet_tf.predict.prediction import SILENCE
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from lightsernet_tf.predict.stream import EmotionStream
from lightsernet_tf.predict.waveforms import RateConverter
from tests import device

RATE_HZ, WINDOW = device.RATE_HZ, device.WINDOW


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return EmotionRecognizer(device.write_model(tmp_path_factory.mktemp("model") / "stream.tflite"))


def heard(stream, waveform, size):
    decisions = []
    for start in range(0, len(waveform), size):
        decisions += stream.feed(waveform[start : start + size])
    return decisions + stream.finish()


def changing(samples, seed=0):
    """Return sounds, one after the other, with silence between: float32 [samples]."""
    pieces = device.sounds(-(-samples // 3000), 3000, seed)
    pieces[3:5] = 0
    return pieces.reshape(-1)[:samples]


def counting(*, window=1000, min_samples=1, rate_hz=1000):
    """Return a stand-in for a network, which says the mean of a window, and the windows that it was given."""
    windows = []

    def hear(samples):
        windows.append(samples.copy())
        mean = float(samples.mean())
        return np.array([mean, 1 - mean], np.float32)

    whole = {
        "format": 1,
        "model_sha256": "",
        **device.document(window=window, min_samples=min_samples, rate_hz=rate_hz),
    }
    return hear, parse_description(whole | {"labels": ["high", "low"]}), windows


def stream_of(given, rate_hz=1000, **options):
    hear, description, _ = given
    return EmotionStream(hear, description, rate_hz, **options)


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [16000, 44100])
@pytest.mark.parametrize("kind", ["int16", "float32", "stereo"])
def test_the_cut_into_chunks_cannot_be_heard(recognizer, rate_hz, kind):
    waveform = changing(round(1.6 * rate_hz))
    if kind == "int16":
        waveform = np.round(32767 * np.clip(waveform, -1, 1)).astype(np.int16)
    if kind == "stereo":
        waveform = np.stack([waveform, changing(len(waveform), seed=1)], axis=1)
    options = {"hop_seconds": 0.1, "smoothing_seconds": 0.3}
    whole, *others = (heard(recognizer.stream(rate_hz, **options), waveform, size) for size in (10**9, 4096, 37, 1))
    assert len(whole) == 16
    assert len({decision.label for decision in whole}) > 1
    for other in others:
        assert other == whole  # labels, spans and probabilities to the bit


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_a_whole_window_is_heard_as_the_recogniser_hears_it(recognizer, rate_hz):
    waveform = np.concatenate(device.sounds(10, 3 * rate_hz // 10))
    at_16k = waveform
    if rate_hz != 16000:
        converter = RateConverter(rate_hz, 16000)
        at_16k = np.concatenate([converter.convert(waveform), converter.finish()])
    decisions = heard(recognizer.stream(rate_hz, hop_seconds=0.25), waveform, 1000)
    assert len(decisions) == 12
    for decision in decisions:
        start, end = (round(16000 * seconds) for seconds in (decision.start_seconds, decision.end_seconds))
        prediction = recognizer.predict(at_16k[start:end], 16000)
        assert (decision.label, decision.probabilities) == (prediction.label, prediction.probabilities)


def test_spans_are_those_of_the_windows():
    given = counting(window=1000)
    waveform = np.linspace(0.01, 1, 2750, dtype=np.float32)
    decisions = heard(stream_of(given, hop_seconds=0.5), waveform, 130)
    spans = [(decision.start_seconds, decision.end_seconds) for decision in decisions]
    assert spans == [(0, 0.5), (0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5), (1.75, 2.75)]  # the last hop is a short one
    for (start, end), window in zip(spans, given[-1], strict=True):
        np.testing.assert_array_equal(window, waveform[round(1000 * start) : round(1000 * end)])


def test_a_hop_longer_than_the_window_leaves_gaps():
    given = counting(window=400)
    waveform = np.linspace(0.01, 1, 3100, dtype=np.float32)
    for size in (10**6, 7):
        decisions = heard(stream_of(given, hop_seconds=1.5), waveform, size)
        spans = [(decision.start_seconds, decision.end_seconds) for decision in decisions]
        assert spans == [(1.1, 1.5), (2.6, 3.0), (2.7, 3.1)]
    np.testing.assert_array_equal(given[-1][1], waveform[2600:3000])


def test_spans_stay_exact_where_the_hop_is_no_whole_number_of_samples():
    given = counting(window=100)
    decisions = heard(stream_of(given, hop_seconds=0.0333), np.full(1000, 0.5, np.float32), 10)
    ends = [decision.end_seconds for decision in decisions]
    np.testing.assert_allclose(ends, [*0.033 * np.arange(1, 31), 1.0], rtol=1e-12)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given_any(
    sizes=st.lists(st.integers(0, 700), max_size=12),
    hop=st.integers(10, 500),
    window=st.integers(1, 600),
    shortest=st.integers(1, 600),
)
def test_any_chunks_give_the_windows_that_end_at_each_hop(sizes, hop, window, shortest):
    given = counting(window=window, min_samples=min(shortest, window))
    stream = stream_of(given, hop_seconds=hop / 1000)
    waveform = np.arange(1, 1 + sum(sizes), dtype=np.float32)
    for chunk in np.split(waveform, np.cumsum(sizes)[:-1]) if sizes else []:
        stream.feed(chunk)
    stream.finish()
    ends = sorted({*range(hop, len(waveform) + 1, hop), len(waveform)} - {0})
    expected = [waveform[max(0, end - window) : end] for end in ends if end >= min(shortest, window)]
    assert [list(one) for one in given[-1]] == [list(one) for one in expected]


def test_before_the_shortest_that_means_anything_nothing_is_decided():
    given = counting(window=1000, min_samples=250)
    decisions = heard(stream_of(given, hop_seconds=0.1), np.full(500, 0.5, np.float32), 33)
    assert [decision.end_seconds for decision in decisions] == [0.3, 0.4, 0.5]
    assert heard(stream_of(given, hop_seconds=0.1), np.full(249, 0.5, np.float32), 33) == []
    assert len(heard(stream_of(given, hop_seconds=0.5), np.full(250, 0.5, np.float32), 33)) == 1


def test_smoothing_is_the_mean_over_the_last_decisions_and_silence_ends_it():
    given = counting(window=100)
    levels = [0.125, 0.25, 0.5, 1.0, 0.0, 0.25, 0.75]
    waveform = np.repeat(np.array(levels, np.float32), 100)
    decisions = heard(stream_of(given, hop_seconds=0.1, smoothing_seconds=0.2), waveform, 64)
    expected = [0.125, (0.125 + 0.25) / 2, (0.125 + 0.25 + 0.5) / 3, (0.25 + 0.5 + 1) / 3, None, 0.25, 0.5]
    for decision, mean in zip(decisions, expected, strict=True):
        if mean is None:
            assert (decision.label, decision.probabilities) == (SILENCE, {})
        else:
            assert decision.probabilities == pytest.approx({"high": mean, "low": 1 - mean})
            assert decision.label == ("low" if mean < 0.5 else "high")
    unsmoothed = heard(stream_of(given, hop_seconds=0.1, smoothing_seconds=0.05), waveform, 64)
    assert [one.probabilities["high"] for one in unsmoothed if one.probabilities] == [0.125, 0.25, 0.5, 1, 0.25, 0.75]


def test_silence_is_what_is_below_the_threshold():
    given = counting(window=100)
    loud = np.repeat(np.array([0.1, 0.00101, 0.00099, 0, 1e-30], np.float32), 100)  # -20, -59.9, -60.1 dB, none

    def silent(**options):
        return [decision.label == SILENCE for decision in heard(stream_of(given, hop_seconds=0.1, **options), loud, 9)]

    assert silent() == [False, False, True, True, True]
    assert silent(silence_db=-25) == [False, True, True, True, True]
    assert silent(silence_db=0) == [True] * 5
    assert silent(silence_db=-math.inf) == [False, False, False, True, False]


@pytest.mark.parametrize("rate_hz", [1000, 2500])
@pytest.mark.parametrize(
    "bad", [[0.5, np.nan], [np.inf], np.zeros((2, 2, 2)), np.zeros(3, np.int64), ["x"], None, np.full(9, 1e38)]
)
def test_of_a_bad_chunk_nothing_is_heard(rate_hz, bad):
    waveform = changing(4000)
    expected = heard(stream_of(counting(), rate_hz), waveform, 10**6)
    stream = stream_of(counting(), rate_hz)
    decisions = stream.feed(waveform[:1300])
    with pytest.raises(AudioError, match="waveform: expected"):
        stream.feed(bad)
    decisions += stream.feed(waveform[1300:])
    assert decisions + stream.finish() == expected


def test_empty_chunks_change_nothing():
    stream = stream_of(counting(), hop_seconds=0.1)
    for empty in ([], np.zeros(0, np.int16), np.zeros((0, 2), np.float32)):
        assert stream.feed(empty) == []
    assert len(stream.feed(np.full(150, 0.5))) == 1
    assert stream.feed([]) == []
    assert len(stream.finish()) == 1


@pytest.mark.parametrize("rate_hz", [1000, 2500])
def test_after_the_end_there_is_nothing_more(rate_hz):
    stream = stream_of(counting(), rate_hz)
    stream.feed(np.full(rate_hz, 0.5))
    stream.feed(np.full(30, 0.5))
    assert stream.finish()[-1].end_seconds == pytest.approx(1.03, abs=0.02)
    assert stream.finish() == []
    with pytest.raises(AudioError, match=r"^chunk: expected none after finish\(\)\. Received: one"):
        stream.feed([0.5])
    assert stream_of(counting(), rate_hz).finish() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("hop_seconds", value) for value in (0, -0.5, 0.009, 3601, math.nan, math.inf, "1", None, True, 1j)),
        *(("smoothing_seconds", value) for value in (-1, 3601, math.nan, math.inf, "1", None, True)),
        *(("silence_db", value) for value in (0.1, 60, math.nan, math.inf, "quiet", None, False)),
        *(("sample_rate_hz", value) for value in (0, -1, 16000.0, "16000", True, 10**9)),
    ],
)
def test_a_bad_parameter_is_named(recognizer, name, value):
    with pytest.raises(AudioError, match=rf"^{name}: expected .* Received: {name}="):
        recognizer.stream(**{"sample_rate_hz": 16000, name: value})
    recognizer.stream(np.int64(16000), np.float32(0.5), np.float32(0), np.int32(-60))


@pytest.mark.slow
@pytest.mark.parametrize(("rate_hz", "seconds"), [(16000, 3600), (44100, 700)])
def test_an_hour_takes_no_more_memory_than_a_minute(recognizer, rate_hz, seconds):
    stream = recognizer.stream(rate_hz, hop_seconds=7.0, smoothing_seconds=60.0)
    chunk = np.round(3000 * device.sounds(1, rate_hz)[0]).astype(np.int16)
    for _ in range(60):
        stream.feed(chunk)
    tracemalloc.start()
    for _ in range(60):
        stream.feed(chunk)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    decisions = 0
    for _ in range(seconds):
        decisions += len(stream.feed(chunk))
    gc.collect()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decisions == pytest.approx(seconds / 7, abs=1)
    assert after - before < 200_000  # of the 230 MB that were fed; what else lives in the process may grow a little
    assert peak - before < 4_000_000


def test_two_streams_of_one_recogniser_do_not_hear_each_other(recognizer):
    waveforms = [changing(24000, seed=seed) for seed in (1, 2)]
    alone = [heard(recognizer.stream(16000, 0.1, 0.3), waveform, 10**6) for waveform in waveforms]
    streams = [recognizer.stream(16000, 0.1, 0.3) for _ in waveforms]
    together = [[], []]
    for start in range(0, 24000, 500):
        for stream, waveform, decisions in zip(streams, waveforms, together, strict=True):
            decisions += stream.feed(waveform[start : start + 500])
    for stream, decisions in zip(streams, together, strict=True):
        decisions += stream.finish()
    assert together == alone
    assert alone[0] != alone[1]
