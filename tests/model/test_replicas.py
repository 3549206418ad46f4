"""Trainings on two logical CPU devices, all in one process of their own: TensorFlow has to know before it starts."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.config import AugmentConfig
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.evaluate.run import evaluate_run
from lightsernet_tf.model import light_sernet as model
from lightsernet_tf.model.network import build_network
from lightsernet_tf.model.replicas import ReplicatedModel, training_strategy
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import resume, train

pytestmark = pytest.mark.slow

# 12 utterances are trained on: two batches of which one is of 6 + 5 and the other of a single utterance, or three of
# which two are of 2 + 3.
TRAIN = {
    "weighted focal": {
        "batch_size": 11,
        "loss": "focal",
        "balance": "class_weight",
        "class_weights": {"calm": 3.0, "loud": 1.0, "shrill": 0.5},
    },
    "plain": {"batch_size": 5},
}

ON_TWO_DEVICES = """
import json, logging, sys, warnings
from dataclasses import replace
from pathlib import Path

import lightsernet_tf
import keras
import numpy as np
import tensorflow as tf

warnings.simplefilter("error")
logging.basicConfig(level=logging.WARNING)
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from lightsernet_tf.model import light_sernet as model
from lightsernet_tf.model import network as network_module
from lightsernet_tf.model.batch_norm import FusedBatchNormalization
from lightsernet_tf.config import AugmentConfig, ModelConfig, TrainConfig
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.replicas import ReplicatedModel, batches_for_replicas, training_strategy
from lightsernet_tf.train.fit import compile_network, fit_network
from lightsernet_tf.train.fold import resume, train

config = load_config(sys.argv[1])
settings = json.loads(sys.argv[2])
out = Path(config.runs_dir)
strategies = {name: training_strategy(name) for name in ("one_device", "mirrored")}


def save(name, network, history):
    np.savez(out / name, **{weight.path: weight.numpy() for weight in network.weights})
    (out / f"{name}.json").write_text(json.dumps({key: history[key] for key in history if key != "seconds"}))


def fit(config, strategy):
    experiment = prepare(config)
    network = network_module.build_network(experiment, strategy)
    compile_network(network, experiment)
    return network, fit_network(network, experiment, experiment.folds[0], config.train.epochs).history


for name, changes in settings.items():
    # Weights decay so much that a wrong share of it would be seen.
    changed = replace(config, train=replace(config.train, **changes), model=ModelConfig(dropout=0.0, l2=1e-2))
    for strategy in strategies:
        save(f"{name} {strategy}", *fit(changed, strategies[strategy]))
    model.PATHS, model.BLOCKS = model.PATHS[:1], model.BLOCKS[-1:]  # the whole network once: its graph takes seconds

light_sernet = network_module.light_sernet
network_module.light_sernet = lambda *given, synchronized, **options: light_sernet(*given, **options)
save("plain unsynchronised", *fit(changed, strategies["mirrored"]))
network_module.light_sernet = light_sernet


def small_network(synchronized):
    keras.utils.set_random_seed(1)
    features = keras.Input((24, 10, 1))
    x = keras.layers.Conv2D(8, 3, kernel_regularizer=keras.regularizers.L2(1e-2), name="convolution")(features)
    x = FusedBatchNormalization(synchronized=synchronized, name="batch_norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    return features, keras.layers.Dense(3, activation="softmax", name="probabilities")(x)


random = np.random.default_rng(3)
features = random.normal(size=(5, 24, 10, 1)).astype(np.float32)
labels = np.array([0, 1, 2, 1, 1], np.int32)
weights = np.array([3.0, 1.0, 0.5, 1.0, 1.0], np.float32)
for name, strategy in strategies.items():
    with strategy.scope():
        several = strategy.num_replicas_in_sync > 1
        network = (ReplicatedModel if several else keras.Model)(*small_network(several))
        loss = make_loss(TrainConfig(loss="focal"))
        network.compile(keras.optimizers.SGD(1.0), loss, metrics=["accuracy"], jit_compile=False)
    start = network.get_weights()
    for size in (1, 2, 5):
        network.set_weights(start)
        batches = tf.data.Dataset.from_tensor_slices((features[:size], labels[:size], weights[:size])).batch(size)
        batches = batches_for_replicas(batches.repeat(2), strategy)  # Keras looks at one before it begins
        save(f"step {size} {name}", network, network.fit(batches, steps_per_epoch=1, shuffle=False, verbose=0).history)

# Everything random switched on: order, oversampling, dropout, masks, noise.
config = replace(
    config,
    augment=AugmentConfig(time_mask_max_frames=3, frequency_mask_max_bins=5, noise_min_snr_db=20.0),
    train=replace(config.train, strategy="mirrored", balance="oversample", schedule="plateau"),
)
train(replace(config, run_name="never stopped"))
resume(train(replace(config, run_name="stopped"), until_epoch=1).path)
"""


@pytest.fixture
def cut_network(monkeypatch):
    monkeypatch.setattr(model, "PATHS", model.PATHS[:1])
    monkeypatch.setattr(model, "BLOCKS", model.BLOCKS[-1:])


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory) -> tuple[Path, str]:
    """Return the folder of what was trained on one and on two devices, and what that printed."""
    folder = tmp_path_factory.mktemp("replicas")
    for experiment in (tiny_config, replace(tiny_config, augment=AugmentConfig(noise_min_snr_db=20.0))):
        prepare(experiment)  # fills the cache, so that no progress is told of there
    settings = folder / "settings.yaml"
    settings.write_text(config_yaml(replace(tiny_config, runs_dir=str(folder))), encoding="utf-8")
    command = [sys.executable, "-c", ON_TWO_DEVICES, str(settings), json.dumps(TRAIN)]
    # Adam enlarges the rounding of small gradients, which depends on the number of threads: the moving means behind it
    # differ by 4e-7 with one thread and by 1.6e-5 with two.
    one_thread = os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=one_thread)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


def history_of(folder: Path, name: str) -> dict[str, list[float]]:
    return json.loads((folder / f"{name}.json").read_text())


def weights_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz") as saved:
        return dict(saved)


def assert_same_figures(figures: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    assert list(figures) == list(expected)
    for figure, values in expected.items():
        np.testing.assert_allclose(figures[figure], values, rtol=2e-5, atol=2e-6, err_msg=figure)


@pytest.mark.parametrize("name", TRAIN)
def test_every_figure_of_every_epoch_is_that_of_one_device(trained, name):
    folder, _ = trained
    figures = history_of(folder, f"{name} mirrored")
    assert {"loss", "wa", "ua", "val_loss", "val_ua"} <= set(figures)
    assert len(figures["loss"]) == 3
    assert_same_figures(figures, history_of(folder, f"{name} one_device"))


def test_that_would_fail_without_synchronised_batch_normalisation(trained):
    folder, _ = trained
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_same_figures(history_of(folder, "plain unsynchronised"), history_of(folder, "plain one_device"))


@pytest.mark.parametrize("name", TRAIN)
def test_moving_statistics_are_those_of_one_device(trained, name, tiny_config):
    folder, _ = trained
    expected, weights = weights_of(folder, f"{name} one_device"), weights_of(folder, f"{name} mirrored")
    assert list(weights) == list(expected)
    statistics = [path for path in expected if "moving" in path]
    assert len(statistics) == {"weighted focal": 16, "plain": 4}[name]
    for path in statistics:
        # The gradient of a bias before a batch normalisation is rounding alone, of which Adam makes steps of about the
        # learning rate; the mean follows the bias, at a hundredth of the way each time.
        follows_a_bias = path.startswith("path") and path.endswith("moving_mean")
        atol = tiny_config.train.learning_rate if follows_a_bias else 1e-5
        np.testing.assert_allclose(weights[path], expected[path], rtol=1e-5, atol=atol, err_msg=path)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_step_has_the_gradients_of_one_device(trained, size):
    """Fewer examples than replicas, as many, and a number that does not divide; at a rate of 1 without momentum."""
    folder, _ = trained
    expected, moved = weights_of(folder, f"step {size} one_device"), weights_of(folder, f"step {size} mirrored")
    for path, weight in expected.items():
        np.testing.assert_allclose(moved[path], weight, rtol=1e-5, atol=1e-5, err_msg=path)
    for figure, value in history_of(folder, f"step {size} one_device").items():
        assert history_of(folder, f"step {size} mirrored")[figure] == pytest.approx(value, rel=1e-6), figure


def test_a_stopped_training_goes_on_to_the_bit(trained):
    folder, _ = trained
    expected, run = Run.open(folder / "never stopped"), Run.open(folder / "stopped")
    assert run.about["replicas"] == expected.about["replicas"] == 2
    assert [{**row, "seconds": 0} for row in run.history()] == [{**row, "seconds": 0} for row in expected.history()]
    with np.load(run.state_path) as ours, np.load(expected.state_path) as theirs:
        assert set(ours.files) == set(theirs.files)
        for name in set(theirs.files) - {"history"}:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_training_on_two_devices_says_nothing_of_its_insides(trained):
    _, printed = trained
    assert printed == ""


@pytest.mark.usefixtures("cut_network")
def test_one_device_judges_and_goes_on_with_a_run_of_two(trained, caplog):
    folder, _ = trained
    run = Run.open(folder / "stopped")
    epoch = run.resolve_epoch("best")
    judged = evaluate_run(run, str(epoch)).parts["validation"].scores
    assert judged.ua == pytest.approx(run.history()[epoch - 1]["val_ua"], abs=1e-12)
    longer = (run.path / "config.yaml").read_text(encoding="utf-8").replace("epochs: 3", "epochs: 4")
    (run.path / "config.yaml").write_text(longer, encoding="utf-8")
    caplog.clear()
    assert len(resume(run.path).history()) == 4
    assert "trained on 2 devices until now and on 1 from here on" in caplog.text
    assert "mirrored found one device, CPU:0" in caplog.text


def test_mirrored_with_one_device_is_one_device(tiny_config, caplog):
    with caplog.at_level(logging.WARNING):
        strategy = training_strategy("mirrored")
    assert "train.strategy: mirrored found one device, CPU:0: it trains on that one alone" in caplog.text
    assert strategy is training_strategy("one_device") is tf.distribute.get_strategy()
    network = build_network(prepare(tiny_config), strategy)
    assert not isinstance(network, ReplicatedModel)


@pytest.mark.usefixtures("cut_network")
def test_a_run_from_before_there_were_replicas_was_trained_on_one_device(tiny_config, tmp_path, caplog):
    config = replace(tiny_config, runs_dir=str(tmp_path), run_name="old", train=replace(tiny_config.train, epochs=1))
    run = train(config)
    about = {key: value for key, value in run.about.items() if key != "replicas"}
    (run.path / "run.json").write_text(json.dumps(about), encoding="utf-8")
    settings = (run.path / "config.yaml").read_text(encoding="utf-8")
    (run.path / "config.yaml").write_text(settings.replace("  strategy: one_device\n", ""), encoding="utf-8")
    assert "strategy" in settings
    old = Run.open(run.path)
    with caplog.at_level(logging.WARNING):
        resume(old.path)
    assert old.config.train.strategy == "one_device"
    assert caplog.records == []
