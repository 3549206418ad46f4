"""The exported graphs: their operators, types and shapes, and their probabilities against Keras."""

import itertools
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer.quantizer import Quantizer

from lightsernet_tf.config import AudioConfig, FeatureConfig
from lightsernet_tf.errors import ModelError
from lightsernet_tf.export import graph as conversion
from lightsernet_tf.export.flatbuffer import Graph, Operator
from lightsernet_tf.export.graph import float_graph, quantize
from lightsernet_tf.export.precisions import PRECISIONS, Limit, Precision
from lightsernet_tf.export.rounding import observe
from lightsernet_tf.features.front_end import FrontEnd, feature_shape
from lightsernet_tf.features.windows import cut_windows, levelled_windows, normalize_padded
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import with_description

pytestmark = pytest.mark.slow

RATE_HZ = 16000
WINDOW = 4800
CLASSES = 5
FEATURES = FeatureConfig()
FILES = [
    *itertools.product(["waveform"], ["float32", "float16", "dynamic_int8", "int8"], ["float32"]),
    *itertools.product(["features"], ["float32", "float16", "dynamic_int8", "int8"], ["float32"]),
    ("features", "int8", "int8"),
]
LARGEST_DIFFERENCE = {"float32": 1e-5, "float16": 1e-3, "dynamic_int8": 0.05, "int8": 0.2}


def sounds(count, samples=WINDOW, seed=0):
    """Tones in noise, each of another pitch and balance, float32 [count, samples]."""
    random = np.random.default_rng(seed)
    pitch_hz, share = random.uniform(80, 3000, (count, 1)), random.uniform(0, 1, (count, 1))
    tones = np.sin(2 * np.pi * pitch_hz * np.arange(samples) / RATE_HZ)
    return (0.3 * (share * tones + (1 - share) * random.standard_normal((count, samples)))).astype(np.float32)


def stand_in(samples, features):
    """An untrained network with settled statistics whose answers to different sounds differ clearly."""
    network = light_sernet(feature_shape(samples, features), CLASSES, seed=3)
    heard = FrontEnd(features)(normalize_padded(sounds(32, samples)))
    for layer in network.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0  # the moving statistics become those of the next batch
    network(heard, training=True)
    output = network.get_layer("probabilities")
    kernel, bias = output.get_weights()
    spread = np.log(network(heard, training=False)).std(axis=0).mean()
    output.set_weights([kernel / spread, bias])
    output.set_weights([kernel / spread, bias - np.log(network(heard, training=False)).mean(axis=0)])
    return network


def keras_says(network, features, waveforms):
    return network(FrontEnd(features)(normalize_padded(tf.constant(waveforms))), training=False).numpy()


def file_says(model, windows):
    run = LiteRTNetwork(model, (1, *windows.shape[1:]), CLASSES)
    return np.stack([run(window[np.newaxis]) for window in windows])


@pytest.fixture(scope="module")
def network():
    return stand_in(WINDOW, FEATURES)


@pytest.fixture(scope="module")
def inputs():
    waveforms = sounds(20, seed=1)
    return {"waveform": waveforms, "features": FrontEnd(FEATURES)(normalize_padded(waveforms)).numpy()}


@pytest.fixture(scope="module")
def files(network):
    """Every kind of file, by kind, precision and type of input and output."""
    waveforms = sounds(20)
    given = {"waveform": waveforms, "features": FrontEnd(FEATURES)(normalize_padded(waveforms)).numpy()}
    observed = {
        kind: observe(float_graph(network, kind, WINDOW, FEATURES), [one[np.newaxis] for one in given[kind]])
        for kind in given
    }
    return {(kind, precision, io): quantize(observed[kind], precision, kind, io) for kind, precision, io in FILES}


@pytest.mark.parametrize("file", FILES)
def test_operators_are_built_in(files, file):
    names = {one.name for one in Graph(files[file]).operators()}
    assert names
    assert not {name for name in names if name.startswith("CUSTOM") or "Flex" in name or not name.isupper()}


@pytest.mark.parametrize("file", FILES)
def test_names_shapes_and_types(files, file):
    kind, _, io = file
    interpreter = Interpreter(model_content=files[file])
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": [kind], "outputs": ["probabilities"]}}
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    expected = (1, WINDOW) if kind == "waveform" else (1, *feature_shape(WINDOW, FEATURES), 1)
    assert tuple(given["shape"]) == expected
    assert tuple(made["shape"]) == (1, CLASSES)
    assert np.dtype(given["dtype"]).name == np.dtype(made["dtype"]).name == io


@pytest.mark.parametrize("file", FILES)
def test_probabilities_are_those_of_keras(network, inputs, files, file):
    kind, precision, _ = file
    expected = keras_says(network, FEATURES, inputs["waveform"])
    assert expected.std(axis=0).min() > 0.05  # or the comparison would say nothing
    found = file_says(files[file], inputs[kind])
    differences = np.abs(found - expected).max(axis=1)
    if precision == "int8":  # all but a sound or two that are louder in some channel than any of the calibration
        differences = np.sort(differences)[:-2]
    assert differences.max() < LARGEST_DIFFERENCE[precision]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=0.02)


def test_smaller_files_are_smaller(files):
    for kind in ("waveform", "features"):
        sizes = [len(files[kind, precision, "float32"]) for precision in ("float32", "float16", "dynamic_int8")]
        assert sizes[0] > 1.4 * sizes[1] > 1.4 * 1.3 * sizes[2]


def test_integer_input_means_integers_throughout(files):
    found = Graph(files["features", "int8", "int8"]).operators()
    assert {kind for one in found for kind in one.types} == {"INT8", "INT32"}


def entering(model):
    """The float tensor that enters the network."""
    graph = Graph(model)
    made_by = {index: one for one in graph.operators() for index in one.outputs}
    tensor = next(graph.layers("light_sernet")).data
    while tensor in made_by and made_by[tensor].name == "QUANTIZE":
        (tensor,) = made_by[tensor].inputs
    return graph, tensor


@pytest.mark.parametrize("precision", ["float16", "dynamic_int8", "int8"])
def test_the_front_end_stays_in_float(files, inputs, precision):
    values = []
    for which in ("float32", precision):
        graph, tensor = entering(files["waveform", which, "float32"])
        cut = Graph(graph.up_to([tensor]))
        assert {kind for one in cut.operators() for kind in one.types} <= {"FLOAT32", "INT32", "BOOL"}
        interpreter = Interpreter(model_content=cut.to_bytes(), num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs["waveform"][:1])
        interpreter.invoke()
        values.append(interpreter.get_tensor(tensor))
    np.testing.assert_array_equal(values[1], values[0])
    np.testing.assert_allclose(values[0], inputs["features"][:1], atol=1e-4)


@pytest.mark.parametrize("gain", [1e-3, 100])
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8"])
def test_any_level_gives_the_same(files, inputs, precision, gain):
    model = files["waveform", precision, "float32"]
    loud = file_says(model, np.float32(gain) * inputs["waveform"])
    # where activations are rounded, what lies on an edge falls to either side
    limit = 1e-4 if precision.startswith("float") else 0.03
    np.testing.assert_allclose(loud, file_says(model, inputs["waveform"]), atol=limit)


@pytest.mark.parametrize("samples", [1024, 1600, 3001, 4799, 4800, 7000])
def test_a_padded_clip_has_the_level_that_training_gives_it(network, files, samples):
    clip = sounds(1, samples, seed=samples)[0]
    audio = AudioConfig(duration_seconds=WINDOW / RATE_HZ)
    expected = network(FrontEnd(FEATURES)(levelled_windows(clip, audio, RATE_HZ)), training=False)
    found = file_says(files["waveform", "float32", "float32"], cut_windows(clip, audio, RATE_HZ).numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("before", [0, 100, 3200])
def test_on_whichever_side_it_is_padded(network, files, before):
    clip = sounds(1, 1600)[0]
    audio = AudioConfig(duration_seconds=1600 / RATE_HZ)
    margins = (before, WINDOW - 1600 - before)
    levelled = np.pad(levelled_windows(clip, audio, RATE_HZ)[0].numpy(), margins)[np.newaxis]
    expected = network(FrontEnd(FEATURES)(levelled), training=False)
    found = file_says(files["waveform", "float32", "float32"], np.pad(clip, margins)[np.newaxis])
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8"])
def test_silence_gives_probabilities(files, precision):
    found = file_says(files["waveform", precision, "float32"], np.zeros((1, WINDOW), np.float32))
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("seconds", "features"),
    [
        (0.3137, FeatureConfig(kind="log_mel_spectrogram", max_frequency_hz=2000)),
        (
            0.25,
            FeatureConfig(kind="spectrogram", frame_length_samples=512, frame_step_samples=200, max_frequency_hz=1500),
        ),
        (0.4, FeatureConfig(sample_rate_hz=8000, mel_max_hz=3800, frame_length_samples=256, frame_step_samples=100)),
    ],
)
def test_other_front_ends(seconds, features):
    samples = round(seconds * features.sample_rate_hz)
    assert (samples - features.frame_length_samples) % features.frame_step_samples
    network, waveforms = stand_in(samples, features), sounds(5, samples, seed=1)
    model = float_graph(network, "waveform", samples, features)
    assert all(one.name.isupper() for one in Graph(model).operators())
    np.testing.assert_allclose(file_says(model, waveforms), keras_says(network, features, waveforms), atol=2e-5)


def test_equal_networks_give_equal_bytes(network, files):
    again = float_graph(network, "features", WINDOW, FEATURES)
    assert again == files["features", "float32", "float32"]
    given = [one[np.newaxis] for one in FrontEnd(FEATURES)(normalize_padded(sounds(20))).numpy()]
    assert quantize(observe(again, given), "int8", "features", "int8") == files["features", "int8", "int8"]


def test_seven_emotions_of_three_seconds_are_as_small_as_promised(monkeypatch):
    monkeypatch.setattr(conversion, "refine", lambda observed, quantized: Graph(quantized).to_bytes())  # of equal size
    network = light_sernet((184, 40, 1), 7, seed=0)
    random = np.random.default_rng(0)
    document = {
        "labels": [f"label {index}" for index in range(7)],
        "input": {
            "kind": "waveform",
            "sample_rate_hz": 16000,
            "window_samples": 48000,
            "min_samples": 1024,
            "segments": "centre",
        },
        "more": [float(value) for value in random.random(250)],  # about as much as export says, in digits
    }
    kib = {}
    for kind, shape in {"waveform": (1, 48000), "features": (1, 184, 40, 1)}.items():
        calibration = [random.standard_normal(shape).astype(np.float32) for _ in range(2)]
        observed = observe(float_graph(network, kind, 48000, FEATURES), calibration)
        for precision in ("float32", "float16", "int8") if kind == "waveform" else ("int8",):
            io = "int8" if kind == "features" else "float32"
            kib[kind, precision] = len(with_description(quantize(observed, precision, kind, io), document)) / 1024
    assert kib["features", "int8"] <= 490
    assert kib["waveform", "int8"] <= 640
    assert kib["waveform", "float16"] <= 1024
    assert kib["waveform", "float32"] <= 2.1 * 1024


class Unheard(keras.layers.Layer):
    """What TensorFlow Lite has no operator for."""

    def call(self, inputs):
        return tf.math.igamma(1.0, tf.nn.relu(inputs))


@pytest.fixture
def foreign():
    features = keras.Input((4, 4, 1), name="features")
    x = keras.layers.GlobalAveragePooling2D()(Unheard()(features))
    return keras.Model(features, keras.layers.Dense(CLASSES, activation="softmax")(x), name="light_sernet")


def test_an_operator_that_tensorflow_lite_lacks_is_named(foreign):
    with pytest.raises(ModelError) as caught:
        float_graph(foreign, "features", WINDOW, FEATURES)
    told = str(caught.value)
    assert re.match(r"float32: expected a graph that can be converted\. Received: 'tf\.Igamma' op is neither", told)
    assert "write that layer with operators that TensorFlow Lite has" in told
    assert "\n" not in told
    assert "/" not in told
    assert len(told) < 300


def test_an_operator_that_is_not_built_in_is_refused(files, monkeypatch):
    monkeypatch.setattr(
        Graph, "operators", lambda self: [Operator("CUSTOM FlexQr", (0,), (1,), frozenset({"FLOAT32"}))]
    )
    expected = (
        r"^float32: expected operators that TensorFlow Lite has built in\. Received: CUSTOM FlexQr; write the layer"
    )
    with pytest.raises(ModelError, match=expected):
        conversion._checked(files["features", "float32", "float32"], "float32")


@pytest.fixture
def observed(files):
    return observe(files["features", "float32", "float32"], [np.zeros((1, 15, 40, 1), np.float32)])


def test_a_failure_of_the_quantiser_names_the_precision(observed, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no luck with\nBATCH_MATMUL")

    monkeypatch.setattr(Quantizer, "quantize", fail)
    with pytest.raises(
        ModelError, match=r"^float16: expected a graph that can be converted\. Received: no luck with "
    ) as caught:
        quantize(observed, "float16", "features", "float32")
    assert str(caught.value).endswith("(operators: BATCH_MATMUL); leave this precision out")


@pytest.mark.parametrize("error", [TypeError, KeyError, AttributeError, IndexError, AssertionError])
@pytest.mark.parametrize("place", ["quantiser", "recipe", "rounding"])
def test_errors_of_programming_are_not_errors_of_conversion(observed, monkeypatch, error, place):
    def fail(*arguments, **options):
        raise error("wrong")

    if place == "quantiser":
        monkeypatch.setattr(Quantizer, "quantize", fail)
    elif place == "recipe":
        monkeypatch.setitem(PRECISIONS, "float16", replace(PRECISIONS["float16"], recipe=fail))
    else:
        monkeypatch.setattr(conversion, "refine", fail)
    with pytest.raises(error, match="wrong"):
        quantize(observed, "float16", "features", "float32")


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError])
def test_an_error_in_a_layer_is_not_an_error_of_conversion(network, monkeypatch, error):
    def fail(waveforms):
        raise error("wrong")

    monkeypatch.setattr(conversion, "normalize_padded", fail)
    with pytest.raises(error, match="wrong"):
        float_graph(network, "waveform", WINDOW, FEATURES)


def add(monkeypatch, method, *, calibrated=False, operators=("CONV_2D", "FULLY_CONNECTED"), **options):
    """Register a precision ``new`` that the quantiser makes by one of its methods."""

    def recipe(quantizer, io):
        for operator in operators:
            getattr(quantizer, method)("light_sernet", operator, **options)

    limit = Limit("ua_points_lost", 1)
    monkeypatch.setitem(PRECISIONS, "new", Precision(recipe, limit, calibrated=calibrated, integers=False))


@pytest.mark.parametrize(
    ("method", "bits"), [("add_dynamic_config", 2), ("add_dynamic_config", 4), ("add_weight_only_config", 4)]
)
def test_integers_that_cannot_be_read_are_refused_by_name(observed, monkeypatch, method, bits):
    add(monkeypatch, method, num_bits=bits)
    expected = rf"^new: light_sernet\S+: expected a tensor of FLOAT32, .*\. Received: one of INT{bits}$"
    with pytest.raises(ModelError, match=expected):
        quantize(observed, "new", "features", "float32")


def test_integers_of_16_bits_are_read_by_their_scale(files, inputs, monkeypatch):
    observed = observe(files["features", "float32", "float32"], [one[np.newaxis] for one in inputs["features"]])
    monkeypatch.setattr(conversion, "refine", lambda observed, quantized: Graph(quantized).to_bytes())
    operators = ("CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "CONCATENATION", "MEAN")
    options = {"activation_num_bits": 16, "weight_num_bits": 8}
    add(monkeypatch, "add_static_config", calibrated=True, operators=operators, **options)
    made = Graph(quantize(observed, "new", "features", "float32"))
    assert {"INT16", "INT64"} <= {kind for one in made.operators() for kind in one.types}
    for before, after in zip(Graph(observed.model).layers("light_sernet"), made.layers("light_sernet"), strict=True):
        step = np.abs(before.matrix()).max() / 127
        np.testing.assert_allclose(after.matrix(), before.matrix(), atol=0.51 * step)
        np.testing.assert_allclose(after.bias_values(), before.bias_values(), atol=1e-4)


def test_weights_that_stay_float_are_not_rounded(observed, monkeypatch):
    add(monkeypatch, "add_dynamic_config", operators=("FULLY_CONNECTED",), num_bits=8)
    made = Graph(quantize(observed, "new", "features", "float32"))
    *floats, _ = zip(Graph(observed.model).layers("light_sernet"), made.layers("light_sernet"), strict=True)
    assert floats
    for before, after in floats:
        np.testing.assert_array_equal(after.matrix(), before.matrix())


def test_floats_in_a_graph_of_integers_are_refused(observed, monkeypatch):
    with_floats = replace(PRECISIONS["dynamic_int8"], integers=True)
    monkeypatch.setitem(PRECISIONS, "int8", with_floats)
    with pytest.raises(
        ModelError, match=r"int8: expected operators of integers alone\. Received: .*SOFTMAX of float; io"
    ):
        quantize(observed, "int8", "features", "int8")
