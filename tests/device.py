"""Stand-ins for a shipped model: the real front end and an untrained network, on a window of 0.3 s."""

import functools

import numpy as np
import tensorflow as tf

from lightsernet_tf.config import AudioConfig, FeatureConfig
from lightsernet_tf.export.graph import float_graph
from lightsernet_tf.features.front_end import FrontEnd, feature_shape
from lightsernet_tf.features.windows import levelled_windows
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.predict.model_file import with_description

RATE_HZ = 16000
WINDOW = 4800
FRAME = 1024
LABELS = ("anger", "wütend", "声")
FEATURES = FeatureConfig()
_CONTRAST = 300


def document(kind="waveform", *, segments="centre", window=WINDOW, min_samples=FRAME, labels=LABELS, rate_hz=RATE_HZ):
    """Return the least that a description must say."""
    given = {"kind": kind, "sample_rate_hz": rate_hz, "window_samples": window, "min_samples": min_samples}
    return {"labels": list(labels), "input": {**given, "segments": segments}}


@functools.cache
def network():
    """Return an untrained network whose answers to different sounds differ clearly."""
    model = light_sernet(feature_shape(WINDOW, FEATURES), len(LABELS), seed=3)
    output = model.get_layer("probabilities")
    kernel, bias = output.get_weights()
    output.set_weights([_CONTRAST * kernel, bias])
    usual = np.log(model(front_end(sounds(32)), training=False)).mean(axis=0)
    output.set_weights([_CONTRAST * kernel, bias - usual])
    return model


def sounds(count, samples=WINDOW, seed=0):
    """Return tones in noise, each of another pitch and balance, float32 [count, samples]."""
    random = np.random.default_rng(seed)
    pitch_hz, share = random.uniform(80, 3000, (count, 1)), random.uniform(0, 1, (count, 1))
    tones = np.sin(2 * np.pi * pitch_hz * np.arange(samples) / RATE_HZ)
    return (0.3 * (share * tones + (1 - share) * random.standard_normal((count, samples)))).astype(np.float32)


def front_end(waveforms):
    return FrontEnd(FEATURES)(tf.constant(waveforms))


@functools.cache
def flatbuffer(kind="waveform"):
    return float_graph(network(), kind, WINDOW, FEATURES)


def write_model(path, kind="waveform", **options):
    """Write a model file that recognisers take, and return its path."""
    path.write_bytes(with_description(flatbuffer(kind), document(kind, **options)))
    return path


def keras_answer(mono, segments="centre"):
    """Return what Keras hears in a waveform [samples], as training prepares it: [classes]."""
    windows = levelled_windows(mono, AudioConfig(duration_seconds=WINDOW / RATE_HZ, segments=segments), RATE_HZ)
    return network()(front_end(windows), training=False).numpy().mean(axis=0)
