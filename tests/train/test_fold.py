"""Training, stopping at any moment, and going on to the bit."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.config import AugmentConfig, Config
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.model.network import build_network
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train import fold as training
from lightsernet_tf.train.fold import resume, train

pytestmark = pytest.mark.slow

# Trains as the command does, and kills itself at the moment that its second argument counts: the n-th time that a file
# with this ending is written, flushed to the disk but not yet renamed.
KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from lightsernet_tf import files
from lightsernet_tf.train.__main__ import main

ending, count = sys.argv[2], int(sys.argv[3])
flush = files._flush_to_disk

def flush_and_die(path):
    global count
    flush(path)
    if path.is_file() and path.name.endswith(ending):
        count -= 1
        if count == 0:
            with path.open("r+b") as stream:
                stream.truncate(path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

files._flush_to_disk = flush_and_die
main(["--config", sys.argv[1]])
"""


def train_settings(config: Config, **changes) -> Config:
    return replace(config, train=replace(config.train, **changes))


def weights_of(run: Run, epoch: int) -> list[np.ndarray]:
    network = build_network(prepare(run.config))
    network.load_weights(run.weights_path(epoch))
    return network.get_weights()


def assert_same_end(run: Run, reference: Run) -> None:
    last = reference.config.train.epochs
    for ours, theirs in zip(weights_of(run, last), weights_of(reference, last), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(run.history(), reference.history(), strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    with np.load(run.state_path) as ours, np.load(reference.state_path) as theirs:
        for name in sorted(set(theirs.files) - {"history"}):
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.fixture(scope="module")
def augmented(tiny_config) -> Config:
    """Everything random switched on: order, oversampling, dropout, masks, noise."""
    return replace(
        tiny_config,
        augment=AugmentConfig(time_mask_max_frames=3, frequency_mask_max_bins=5, noise_min_snr_db=20.0),
        train=replace(tiny_config.train, epochs=6, balance="oversample", schedule="plateau"),
    )


@pytest.fixture(scope="module")
def reference(augmented) -> Run:
    return train(replace(augmented, run_name="never stopped"))


def started(config: Config, name: str, tmp_path: Path, *code: str) -> tuple[subprocess.Popen, Path]:
    settings = tmp_path / f"{name}.yaml"
    settings.write_text(config_yaml(replace(config, run_name=name)), encoding="utf-8")
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(settings), *code]
    if not code:
        command = [sys.executable, "-m", "lightsernet_tf.train", "--config", str(settings)]
    # A shell starts what it runs in the background with SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    return process, Path(config.runs_dir) / name


def test_killed_processes_go_on_to_the_bit(augmented, reference, tmp_path):
    in_weights, weights_path = started(augmented, "killed in weights", tmp_path, "epoch_0003.weights.h5", "1")
    in_state, state_path = started(augmented, "killed in state", tmp_path, "state.npz", "5")
    anywhere, anywhere_path = started(augmented, "killed anywhere", tmp_path)
    until = time.monotonic() + 240
    while not (anywhere_path / "checkpoints" / "epoch_0002.weights.h5").exists() and time.monotonic() < until:
        assert anywhere.poll() is None, anywhere.stderr.read()
        time.sleep(0.001)
    anywhere.send_signal(signal.SIGKILL)
    for process in (in_weights, in_state, anywhere):
        _, errors = process.communicate(timeout=240)
        assert process.returncode == -signal.SIGKILL, errors

    assert Run.open(weights_path).kept_epochs() == [1, 2]
    assert [row["epoch"] for row in Run.open(weights_path).history()] == [1, 2]
    assert Run.open(state_path).weights_path(4).exists()
    assert Run.open(state_path).kept_epochs() == [1, 2, 3]
    assert [row["epoch"] for row in Run.open(state_path).history()] == [1, 2, 3]
    assert 1 <= len(Run.open(anywhere_path).kept_epochs()) < augmented.train.epochs
    for path in (weights_path, state_path, anywhere_path):
        assert_same_end(resume(path), reference)


def test_ctrl_c_says_how_to_resume_and_leaves_a_whole_run(augmented, reference, tmp_path):
    process, path = started(augmented, "ctrl c", tmp_path)
    until = time.monotonic() + 240
    while not (path / "checkpoints" / "epoch_0001.weights.h5").exists() and time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"--resume '{path}'" in errors
    assert_same_end(resume(path), reference)


def test_a_training_that_stops_after_an_epoch_goes_on_to_the_bit(augmented, reference, tmp_path):
    config = train_settings(replace(augmented, runs_dir=str(tmp_path), run_name="by steps"), schedule="plateau")
    run = train(config, until_epoch=2)
    assert len(run.history()) == 2
    settings = run.path / "config.yaml"
    text = settings.read_text(encoding="utf-8")
    for later_key in ("  strategy: one_device\n", "  l2: 1.0e-06\n", "  duplicates: error\n"):
        assert later_key in text
        text = text.replace(later_key, "")  # as in a run from before there was the key
    settings.write_text(text, encoding="utf-8")
    assert len(resume(run.path, until_epoch=2).history()) == 2
    assert len(resume(run.path, until_epoch=5).history()) == 5
    assert_same_end(resume(run.path), reference)


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM\nallocator")])
def test_too_little_memory_is_no_failed_write(tiny_config, tmp_path, monkeypatch, error):
    def fit(*given, **options):
        raise error

    monkeypatch.setattr(training, "fit_network", fit)
    message = r"train\.batch_size: expected batches that fit into memory\. Received: 5 utterances .*0 of 3 epochs"
    with pytest.raises(RunError, match=message) as raised:
        train(replace(tiny_config, runs_dir=str(tmp_path), run_name="large"))
    assert "allocator" not in str(raised.value)


def test_a_finished_run_has_nothing_to_resume(reference):
    before = reference.state_path.stat().st_mtime_ns
    resume(reference.path)
    assert reference.state_path.stat().st_mtime_ns == before


def test_the_folder_holds_what_a_run_needs(reference):
    assert reference.labels == ("calm", "loud", "shrill")
    assert reference.about["versions"]["tensorflow"].startswith("2.16")
    assert reference.about["seeds"] == {"train": 42, "split": 42}
    assert len(reference.split["training"]["utterances"]) == 12
    assert len(reference.split["test"]["speakers"]) == 1
    assert list(reference.tensorboard_dir.rglob("events.out.tfevents*"))
    for epoch in reference.kept_epochs():
        assert reference.weights_path(epoch).stat().st_size <= 2_000_000


def test_weights_of_another_run_are_the_start(tiny_config, reference, tmp_path):
    config = train_settings(
        replace(tiny_config, runs_dir=str(tmp_path)),
        initial_weights=str(reference.weights_path(2)),
        learning_rate=1e-30,
        epochs=1,
    )
    run = train(replace(config, run_name="from weights"))
    trainable = [variable.trainable for variable in build_network(prepare(config)).weights]
    for is_trained, ours, theirs in zip(trainable, weights_of(run, 1), weights_of(reference, 2), strict=True):
        if is_trained:  # the moving statistics follow the data whatever the learning rate
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_weights_of_another_network_are_refused(tiny_config, tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(RunError, match=r"other\.weights\.h5: expected the weights of this network"):
        train(train_settings(tiny_config, initial_weights=str(tmp_path / "other.weights.h5")))
    with pytest.raises(RunError, match="no such file"):
        train(train_settings(tiny_config, initial_weights=str(tmp_path / "missing.weights.h5")))


@pytest.mark.parametrize(
    ("keep", "kept"), [("all", {1, 2, 3, 4}), ("best_and_last", {"best", 4}), ("every 2", {2, 4, "best"})]
)
def test_keep_says_which_epochs_stay(tiny_config, tmp_path, keep, kept):
    config = train_settings(replace(tiny_config, runs_dir=str(tmp_path), run_name="run"), keep=keep, epochs=4)
    run = train(config)
    best = run.resolve_epoch("best")
    assert set(run.kept_epochs()) == {best if epoch == "best" else epoch for epoch in kept}


def test_a_run_is_not_overwritten(reference):
    with pytest.raises(RunError, match="--resume continues it"):
        train(reference.config)


def test_a_changed_corpus_is_not_resumed(tiny_config, tmp_path):
    run = train(train_settings(replace(tiny_config, runs_dir=str(tmp_path), run_name="run"), epochs=1))
    split = (run.path / "split.json").read_text(encoding="utf-8")
    (run.path / "split.json").write_text(split.replace("take 0", "take 9"), encoding="utf-8")
    with pytest.raises(RunError, match="expected the corpus that the run was trained on"):
        resume(run.path)


def test_damaged_state_is_named(tiny_config, tmp_path):
    run = train(train_settings(replace(tiny_config, runs_dir=str(tmp_path), run_name="run"), epochs=1))
    whole = run.state_path.read_bytes()
    run.state_path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"state\.npz: expected the state of a training"):
        resume(run.path)


@pytest.mark.parametrize("largest_file_bytes", [10_000, 3_000_000])
def test_a_full_disk_says_what_is_kept(tiny_config, tmp_path, largest_file_bytes):
    """Stop where the first file that is too large is the first weights, or the state after them."""
    config = train_settings(replace(tiny_config, runs_dir=str(tmp_path), run_name="full"), epochs=4)
    settings = tmp_path / "settings.yaml"
    settings.write_text(config_yaml(config), encoding="utf-8")
    code = (
        "from lightsernet_tf.train import fold as training\n"
        "from lightsernet_tf.cli import run_command\n"
        "from lightsernet_tf.train.__main__ import main\n"
        "import resource\n"
        "fit = training._fit\n"
        "def fit_on_a_full_disk(*given):\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({largest_file_bytes}, {largest_file_bytes}))\n"
        "    fit(*given)\n"
        "training._fit = fit_on_a_full_disk\n"
        f"run_command(main, ['--config', {str(settings)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "0 of 4 epochs are kept" in done.stderr
    assert "--resume" in done.stderr
    assert not [path for path in (tmp_path / "full").rglob("*") if path.name.startswith(".partial")]
    assert len(resume(tmp_path / "full").history()) == 4


def test_a_nan_loss_stops_the_run(tiny_config, tmp_path):
    config = train_settings(
        replace(tiny_config, runs_dir=str(tmp_path), run_name="run"), learning_rate=1.0, class_weights={}, epochs=2
    )
    network = build_network(prepare(config))
    network.set_weights([np.full_like(value, np.nan) for value in network.get_weights()])
    network.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(RunError, match="expected a finite loss"):
        train(train_settings(config, initial_weights=str(tmp_path / "nan.weights.h5")))


def test_class_weights_name_labels(tiny_config):
    config = train_settings(tiny_config, balance="class_weight", class_weights={"clam": 2.0})
    with pytest.raises(ConfigError, match=r"each of calm, loud, shrill\. Received: \{'clam': 2\.0\}"):
        train(config)


def test_a_start_from_weights_survives_a_kill_before_the_first_epoch(tiny_config, reference, tmp_path):
    config = train_settings(
        replace(tiny_config, runs_dir=str(tmp_path)), initial_weights=str(reference.weights_path(2)), epochs=2
    )
    killed, path = started(config, "killed", tmp_path, "epoch_0001.weights.h5", "1")
    _, errors = killed.communicate(timeout=240)
    assert killed.returncode == -signal.SIGKILL, errors
    assert Run.open(path).kept_epochs() == []
    assert_same_end(resume(path), train(replace(config, run_name="never killed")))


def test_relabelled_utterances_are_another_corpus(tiny_config, tmp_path):
    config = replace(
        tiny_config, corpus=replace(tiny_config.corpus, label_map={"low": ["calm"], "high": ["loud", "shrill"]})
    )
    run = train(train_settings(replace(config, runs_dir=str(tmp_path), run_name="run"), epochs=1))
    settings = (run.path / "config.yaml").read_text(encoding="utf-8")
    swapped = settings.replace("- calm", "- LOUD").replace("- loud", "- calm").replace("- LOUD", "- loud")
    (run.path / "config.yaml").write_text(swapped, encoding="utf-8")
    with pytest.raises(RunError, match="Received: other files, contents or labels"):
        resume(run.path)


def test_a_folder_with_something_else_is_left_alone(tiny_config, tmp_path):
    other = tmp_path / "taken"
    other.mkdir()
    (other / "thesis.txt").write_text("do not touch")
    with pytest.raises(RunError, match=r"taken: expected a new folder\. Received: one with thesis\.txt"):
        train(replace(tiny_config, runs_dir=str(tmp_path), run_name="taken"))
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_braces_in_a_name_are_no_placeholders(tiny_config, tmp_path):
    run = train(train_settings(replace(tiny_config, runs_dir=str(tmp_path), run_name="run {a} {epoch}"), epochs=1))
    assert run.kept_epochs() == [1]


def test_settings_that_the_data_was_not_prepared_with_are_refused(tiny_config):
    experiment = prepare(tiny_config)
    other = replace(tiny_config, features=replace(tiny_config.features, kind="spectrogram"))
    with pytest.raises(
        ConfigError, match=r"features\.kind: expected what the data was prepared with, 'mfcc'\. Received: 'spectrogram'"
    ):
        train(other, experiment)


def test_model_settings_come_from_the_configuration_given(tiny_config, tmp_path):
    config = replace(tiny_config, runs_dir=str(tmp_path), run_name="run", model=replace(tiny_config.model, dropout=0.0))
    with_data = train(train_settings(config, epochs=2), prepare(tiny_config))
    alone = train(train_settings(replace(config, run_name="alone"), epochs=2))
    assert_same_end(with_data, alone)
