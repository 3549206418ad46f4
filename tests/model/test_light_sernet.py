import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.model.losses import make_loss


def random_batch(clips: int = 4, frames: int = 24, bins: int = 10, classes: int = 3):
    random = np.random.default_rng(0)
    return random.normal(size=(clips, frames, bins, 1)).astype(np.float32), np.arange(clips) % classes


def compiled(**arguments) -> keras.Model:
    network = light_sernet((24, 10, 1), 3, **arguments)
    network.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
    return network


@pytest.mark.slow
def test_golden_weights_give_golden_probabilities(golden_dir):
    golden = np.load(golden_dir / "model_mfcc_3s_7class.npz")
    network = light_sernet((184, 40, 1), 7)
    network.set_weights([golden[f"w{index:02d}"] for index in range(45)])
    np.testing.assert_allclose(network.predict(golden["x"], verbose=0), golden["y"], atol=1e-5)


def test_weights_come_in_the_published_order(golden_dir):
    published = json.loads((golden_dir / "model_mfcc_3s_7class.weights.json").read_text(encoding="utf-8"))
    weights = light_sernet((184, 40, 1), 7).weights
    assert [(weight.name, list(weight.shape)) for weight in weights] == [
        (entry["weight"], entry["shape"]) for entry in published
    ]


@pytest.mark.parametrize(("classes", "parameters", "trainable"), [(7, 463431, 461703), (4, 462468, 460740)])
def test_number_of_parameters(classes, parameters, trainable):
    network = light_sernet((184, 40, 1), classes)
    assert network.count_params() == parameters
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == trainable


@pytest.mark.parametrize(
    "shape", [(184, 40), (184, 128, 1), (184, 513, 1), (434, 40, 1), (184, 5, 1), (3, 4, 1), (1, 1)]
)
def test_every_shape_of_features_gives_probabilities(shape):
    network = light_sernet(shape, 3)
    features = np.random.default_rng(0).normal(size=(1, *shape[:2], 1)).astype(np.float32)
    probabilities = keras.ops.convert_to_numpy(network(features))
    assert probabilities.shape == (1, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert network.count_params() == light_sernet((184, 40), 3).count_params()


def test_only_the_kernels_of_the_second_part_decay():
    network = light_sernet((24, 10), 3, l2=0.5)
    kernels = [network.get_layer(f"block_{index}_conv").kernel for index in range(1, 6)]
    expected = 0.5 * sum(float(keras.ops.sum(kernel**2)) for kernel in kernels)
    assert len(network.losses) == 5
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)


def test_the_seed_decides_the_weights():
    first, again, other = (light_sernet((24, 10), 3, seed=seed).get_weights() for seed in (1, 1, 2))
    for weight, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(weight, same)
    assert any((weight != different).any() for weight, different in zip(first, other, strict=True))
    # Layers share the seed, not its numbers.
    assert not np.array_equal(first[0].ravel()[:90], first[2].ravel()[:90])


def test_without_a_seed_the_global_one_decides():
    keras.utils.set_random_seed(5)
    first = light_sernet((24, 10), 3).get_weights()
    keras.utils.set_random_seed(5)
    for weight, same in zip(first, light_sernet((24, 10), 3).get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.slow
def test_training_is_the_same_to_the_bit_and_resumes_from_its_variables():
    features, labels = random_batch()
    whole = compiled(seed=1)
    for _ in range(2):
        whole.train_on_batch(features, labels)
    # The variables hold dropout's state too; with the weights alone other units would be dropped.
    halfway = [[variable.numpy() for variable in source.variables] for source in (whole, whole.optimizer)]
    for _ in range(2):
        whole.train_on_batch(features, labels)

    resumed = compiled(seed=9)
    resumed.optimizer.build(resumed.trainable_variables)
    for target, values in zip((resumed, resumed.optimizer), halfway, strict=True):
        for variable, value in zip(target.variables, values, strict=True):
            variable.assign(value)
    for _ in range(2):
        resumed.train_on_batch(features, labels)
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.slow
def test_it_learns_a_batch_by_heart():
    features, labels = random_batch(clips=6)
    network = compiled(seed=0, dropout=0.0)
    losses = [float(network.train_on_batch(features, labels)) for _ in range(40)]
    assert losses[-1] < 0.1 * losses[0]


def test_a_saved_model_returns_the_same(tmp_path):
    features, _ = random_batch()
    network = light_sernet((24, 10), 3)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(features), network(features))
    network.save_weights(tmp_path / "network.weights.h5")
    assert (tmp_path / "network.weights.h5").stat().st_size <= 2 * 2**20


def three_steps(network: keras.Model) -> list[float]:
    features, labels = random_batch(clips=6)
    network.compile(keras.optimizers.SGD(0.1), make_loss(TrainConfig(loss="focal")), jit_compile=False)
    return [float(network.train_on_batch(features, labels)) for _ in range(3)]


def test_jax_trains_it_as_tensorflow_does(tmp_path):
    python = os.environ.get("LIGHTSERNET_JAX_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import jax"], capture_output=True).returncode != 0:
        pytest.skip(f"{python} lacks jax (LIGHTSERNET_JAX_PYTHON names another interpreter)")
    network = light_sernet((24, 10), 3, dropout=0.0)
    np.savez(tmp_path / "weights.npz", *network.get_weights())
    program = f"""
import json, os, sys
import keras, numpy as np
from lightsernet_tf.config import TrainConfig
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.light_sernet import light_sernet
{inspect.getsource(random_batch)}
{inspect.getsource(three_steps)}
network = light_sernet((24, 10), 3, dropout=0.0)
weights = np.load({str(tmp_path / "weights.npz")!r})
network.set_weights([weights[name] for name in weights.files])
print(json.dumps([keras.backend.backend(), three_steps(network)]))
"""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[2])}
    completed = subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True, timeout=300)
    assert completed.returncode == 0, completed.stderr
    backend, losses = json.loads(completed.stdout.splitlines()[-1])
    assert backend == "jax"
    np.testing.assert_allclose(losses, three_steps(network), rtol=1e-4)
