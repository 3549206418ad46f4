from types import SimpleNamespace

import keras
import numpy as np
import pytest
import soundfile

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import AudioConfig, Config
from lightsernet_tf.data.feature_store import open_feature_store
from lightsernet_tf.errors import AudioError
from lightsernet_tf.evaluate.predictors import keras_predictor, predict_utterances, predictor_for
from lightsernet_tf.model.light_sernet import light_sernet


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Seven recordings of 0.3 to 1.2 s, cut into one segment or several each."""
    folder = tmp_path_factory.mktemp("judged")
    random = np.random.default_rng(3)
    paths = []
    for number, seconds in enumerate((0.3, 0.9, 0.4, 1.2, 0.3, 0.6, 0.75)):
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], 0.3 * random.standard_normal(int(16000 * seconds)), 16000)
    return open_feature_store(paths, Config(audio=AudioConfig(0.3, "all"), cache_dir=str(folder / "cache")))


@pytest.fixture(scope="module")
def predict(store):
    """Any map from features to probabilities: a softmax of a random projection."""
    frames, bins, _ = store.input_shape
    weights = np.random.default_rng(4).standard_normal((frames * bins, 5)) / 50

    def predict(batch):
        assert batch.shape[1:] == store.input_shape
        scores = batch.reshape(len(batch), -1) @ weights
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    return predict


def by_hand(predict, store, position):
    rows = [row for row, utterance in enumerate(store.utterance_of_segment) if utterance == position]
    return np.mean([predict(np.array(store.features[row])[np.newaxis, ..., np.newaxis])[0] for row in rows], axis=0)


def test_an_utterance_is_the_mean_over_its_segments(store, predict):
    segments = np.bincount(store.utterance_of_segment)
    assert segments.min() == 1
    assert segments.max() >= 4
    probabilities = predict_utterances(predict, store, range(7))
    np.testing.assert_allclose(probabilities, [by_hand(predict, store, n) for n in range(7)], rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("positions", [(6, 0, 3), (1,), (5, 4, 3, 2, 1, 0, 6)])
def test_the_order_is_that_of_the_positions(store, predict, positions):
    probabilities = predict_utterances(predict, store, positions)
    np.testing.assert_allclose(probabilities, [by_hand(predict, store, n) for n in positions], rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 1000])
def test_the_batch_size_changes_nothing(store, predict, batch_size):
    sizes = []

    def counting(batch):
        sizes.append(len(batch))
        return predict(batch)

    probabilities = predict_utterances(counting, store, (3, 1, 6), batch_size=batch_size)
    np.testing.assert_allclose(probabilities, predict_utterances(predict, store, (3, 1, 6)), rtol=1e-6)
    assert max(sizes) <= batch_size
    assert sum(sizes) == np.isin(store.utterance_of_segment, (3, 1, 6)).sum()


def test_a_network_judges_as_it_does_outside_training_and_stays_as_it_is(store):
    network = light_sernet(store.input_shape, 3, dropout=0.9, seed=1)
    network.compile(optimizer=keras.optimizers.Adam(), loss="sparse_categorical_crossentropy")
    before = [value.copy() for value in network.get_weights()]
    batch = np.array(store.features[:6])[..., np.newaxis]
    found = keras_predictor(network)(batch)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(network(batch, training=False)), atol=1e-6)
    for value, was in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, was)


@pytest.mark.slow
def test_a_predictor_follows_its_network(store):
    network = light_sernet(store.input_shape, 3, seed=1)
    predict = keras_predictor(network)
    first = predict_utterances(predict, store, (0, 1))
    network.set_weights(light_sernet(store.input_shape, 3, seed=2).get_weights())
    assert np.abs(predict_utterances(predict, store, (0, 1)) - first).max() > 1e-3


def recorded(config, paths):
    """An experiment's recordings and settings, without features."""
    corpus = SimpleNamespace(utterances=[SimpleNamespace(path=path) for path in paths])
    return SimpleNamespace(config=config, corpus=corpus)


@pytest.mark.parametrize("segments", ["centre", "all"])
def test_recordings_are_predicted_at_their_own_level_in_the_windows_of_training(tmp_path, segments):
    config = Config(audio=AudioConfig(0.3, segments))
    random = np.random.default_rng(5)
    paths = [tmp_path / "short.wav", tmp_path / "long.wav"]
    for path, samples in zip(paths, (2400, 12000), strict=True):
        soundfile.write(path, 0.01 * random.standard_normal(samples), 16000)
    batches = []

    def loudest_and_first(batch):
        batches.append(batch)
        return np.stack([np.abs(batch).max(axis=1), batch[:, 0]], axis=1)

    found = predictor_for(recorded(config, paths), loudest_and_first, "waveform")((1, 0))
    assert [len(batch) for batch in batches] == {"centre": [1, 1], "all": [3, 1]}[segments]  # 0.75 s are 2.5 windows
    long, short = (load_waveform(path, 16000) for path in reversed(paths))
    first = {"centre": [long[3600:8400]], "all": [long[:4800], long[4800:9600], np.pad(long[9600:], 1200)]}[segments]
    np.testing.assert_array_equal(batches[0], first)
    np.testing.assert_array_equal(batches[1], [np.pad(short, 1200)])
    np.testing.assert_allclose(found[0], np.mean([[np.abs(one).max(), one[0]] for one in first], axis=0), rtol=1e-6)


def test_a_recording_that_cannot_be_read_any_more_is_named(tmp_path):
    experiment = recorded(Config(audio=AudioConfig(0.3)), [tmp_path / "gone.wav"])
    with pytest.raises(AudioError, match=r"gone\.wav: expected an audio file, received: No such file"):
        predictor_for(experiment, lambda batch: batch, "waveform")((0,))
