import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from lightsernet_tf.config import Config, CorpusConfig, TrainConfig
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run, choose_epoch
from lightsernet_tf.versions import versions

ABOUT = {"labels": ["anger", "恐惧"], "input_shape": [28, 40, 1], "notes": ["synthetic: x"], "left_out": []}
SPLIT = {"protocol": "group_k_fold", "fold": "fold_00"}


def figures(epoch, ua=0.5, loss=1.0):
    row = dict.fromkeys(HISTORY_COLUMNS, 0.25)
    return row | {"epoch": epoch, "val_ua": ua, "val_loss": loss}


def make_run(path, config=None, *, history=(), kept=()):
    with Run.create(path, config or Config(), SPLIT, ABOUT, Path.touch) as run:
        pass
    if history:
        run.write_history(history)
    for epoch in kept:
        run.weights_path(epoch).parent.mkdir(exist_ok=True)
        run.weights_path(epoch).touch()
    return run


def test_a_run_reads_back_what_it_was_made_of(tmp_path):
    config = Config(corpus=CorpusConfig("emodb", str(tmp_path / "my data/语")), train=TrainConfig(epochs=3))
    make_run(tmp_path / "a run 语", config)
    run = Run.open(tmp_path / "a run 语")
    assert run.config == config
    assert run.labels == ("anger", "恐惧")
    assert run.notes == ["synthetic: x"]
    assert run.split == SPLIT
    assert run.about["versions"] == versions()
    assert run.about["format"] == 1
    assert run.history() == []
    assert run.kept_epochs() == []
    assert run.scores(1) is None


def test_a_folder_with_a_run_takes_no_other(tmp_path):
    make_run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunError, match=r"expected a new folder\. Received: one with a run; --resume continues it"):
        make_run(tmp_path, Config(train=TrainConfig(epochs=3)))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_that_was_stopped_while_it_was_made_is_none_and_may_be_made_again(tmp_path):
    make_run(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(RunError) as caught:
        Run.open(tmp_path)
    assert str(caught.value) == f"{tmp_path}: expected a run's folder. Received: no run.json in it"
    make_run(tmp_path)
    assert Run.open(tmp_path).config == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.json: expected JSON. Received: "),
        ('{"format": 1', "run.json: expected JSON. Received: "),
        ("[1]", "run.json: expected a JSON object. Received: list"),
        ("{}", ": expected a run of format 1. Received: format=None"),
        ('{"format": 2}', ": expected a run of format 1. Received: format=2"),
    ],
)
def test_another_format_or_a_damaged_file_is_named(tmp_path, text, message):
    make_run(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError) as caught:
        Run.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["labels", "notes"])
def test_a_run_without_labels_or_notes_is_named(tmp_path, key):
    make_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(RunError) as caught:
        getattr(Run.open(tmp_path), key)
    assert str(caught.value) == f"{tmp_path / 'run.json'}: expected a list of {key}. Received: {key}=None"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match=r"nowhere: expected a run's folder\. Received: no run\.json in it"):
        Run.open(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["train: {epoch: 3}", "train: {epochs: 0}", "a: ["])
def test_damaged_settings_are_an_error_of_the_run(tmp_path, text):
    make_run(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml: "):
        _ = Run.open(tmp_path).config


def test_a_run_from_before_there_was_a_key_opens_with_its_default(tmp_path):
    config = Config(train=TrainConfig(epochs=3))
    make_run(tmp_path, config)
    (tmp_path / "config.yaml").write_text("train: {epochs: 3}\nmodel: {}\n")
    assert Run.open(tmp_path).config == config


def test_history_reads_back_to_the_bit(tmp_path):
    history = [figures(1, ua=1 / 3, loss=math.pi), figures(2, loss=1e-300)]
    read = make_run(tmp_path, history=history).history()
    assert read == history
    assert [type(row["epoch"]) for row in read] == [int, int]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,learning_rate\n1,0.1\n", "expected a column 'seconds'. Received: none"),
        (",".join(HISTORY_COLUMNS) + "\n1,2,3\n", "expected a table of figures. Received: "),
        (",".join(HISTORY_COLUMNS) + "\n" + ",".join(["x"] * 11) + "\n", "expected a table of figures. Received: "),
        (",".join(HISTORY_COLUMNS) + "\n" + ",".join(["1"] * 12) + "\n", "expected a table of figures. Received: "),
        (",".join(HISTORY_COLUMNS) + "\n" + ",".join(["nan"] * 11) + "\n", "expected a table of figures. Received: "),
        ("\x00\x00\n", "expected a "),
    ],
)
def test_a_damaged_history_is_named(tmp_path, text, message):
    run = make_run(tmp_path)
    (tmp_path / "epochs.csv").write_text(text + "1,2\n")
    with pytest.raises(RunError) as caught:
        run.history()
    assert str(caught.value).startswith(f"{tmp_path / 'epochs.csv'}: {message}")


def test_paths_mean_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = TrainConfig(initial_weights="runs/first")
    make_run(tmp_path / "run", Config(corpus=CorpusConfig("emodb", "data"), train=train, cache_dir="cache"))
    config = Run.open(tmp_path / "run").config
    assert config.corpus.data_dir == str(tmp_path / "data")
    assert config.train.initial_weights == str(tmp_path / "runs" / "first")
    assert config.cache_dir == str(tmp_path / "cache")


def test_kept_epochs_are_whole_ones_with_weights_under_their_final_name(tmp_path):
    run = make_run(tmp_path, history=[figures(epoch) for epoch in range(1, 13)], kept=[10, 2, 12, 13])
    for name in (".partial-7-epoch_0003.weights.h5", "epoch_0004.weights.h5.bak", "other.h5"):
        (tmp_path / "checkpoints" / name).touch()
    assert run.kept_epochs() == [2, 10, 12]
    assert run.weights_path(2).name == "epoch_0002.weights.h5"


def test_best_last_and_numbers_mean_kept_epochs(tmp_path):
    history = [figures(1, ua=0.6), figures(2, ua=0.9), figures(3, ua=0.7), figures(4, ua=0.1), figures(5, ua=0.2)]
    run = make_run(tmp_path, history=history, kept=[1, 2, 5])
    assert run.resolve_epoch("best") == 2
    assert run.resolve_epoch("last") == 5
    assert run.resolve_epoch("1") == 1


@pytest.mark.parametrize(("wanted", "epoch"), [("best", 2), ("last", 3)])
def test_weights_that_should_be_kept_and_are_not_are_named(tmp_path, wanted, epoch):
    run = make_run(tmp_path, history=[figures(1), figures(2, ua=0.9), figures(3)], kept=[1])
    with pytest.raises(RunError, match=rf"epoch_000{epoch}\.weights\.h5: expected the weights of the {wanted} epoch"):
        run.resolve_epoch(wanted)


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    run = make_run(tmp_path)
    with run.held():
        code = (
            "from pathlib import Path; from lightsernet_tf.runs.run import Run\n"
            f"with Run(Path({str(tmp_path)!r})).held(): pass"
        )
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "expected a run that nobody trains. Received: another process does" in other.stderr
    with run.held():
        pass


def test_best_is_chosen_by_the_runs_own_figure(tmp_path):
    history = [figures(1, ua=0.6, loss=2.0), figures(2, ua=0.5, loss=1.0)]
    config = Config(train=TrainConfig(choose_by="loss"))
    assert make_run(tmp_path / "loss", config, history=history, kept=[1, 2]).resolve_epoch("best") == 2
    assert make_run(tmp_path / "ua", history=history, kept=[1, 2]).resolve_epoch("best") == 1


@pytest.mark.parametrize("wanted", ["5", "0", "-1", "first", "²", "1.0", ""])
def test_an_epoch_that_is_not_kept_is_refused_with_those_that_are(tmp_path, wanted):
    kept = [1, 2, 3, 7, 9, 10]
    run = make_run(tmp_path, history=[figures(epoch) for epoch in range(1, 11)], kept=kept)
    with pytest.raises(RunError) as caught:
        run.resolve_epoch(wanted)
    assert str(caught.value) == (
        f"{tmp_path}: expected best, last or one of the kept epochs 1-3, 7, 9-10. Received: epoch={wanted}"
    )


def test_a_run_without_a_finished_epoch_has_none_to_choose(tmp_path):
    run = make_run(tmp_path, kept=[1])  # killed between the weights and the figures
    with pytest.raises(RunError, match=r"expected at least one finished epoch\. Received: none"):
        run.resolve_epoch("best")


@pytest.mark.parametrize(
    ("rows", "choose_by", "best"),
    [
        ([(0.5, 1.0), (0.7, 2.0), (0.6, 0.5)], "ua", 2),
        ([(0.5, 1.0), (0.7, 2.0), (0.6, 0.5)], "loss", 3),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 0.9)], "ua", 2),  # of equals the lowest loss, then the earliest
        ([(0.5, 1.0), (0.9, 1.0), (0.9, 1.0)], "loss", 1),
        ([(0.5, math.nan), (0.4, 3.0), (0.3, 2.0)], "loss", 3),
        ([(0.4, 3.0), (0.5, math.nan), (0.5, 9.0)], "ua", 3),
        ([(0.4, 3.0), (0.5, 9.0), (0.5, math.nan)], "ua", 2),
    ],
)
def test_the_best_epoch(rows, choose_by, best):
    history = [figures(epoch, ua, loss) for epoch, (ua, loss) in enumerate(rows, start=1)]
    assert choose_epoch(history, choose_by) == best


@pytest.mark.parametrize("choose_by", ["ua", "wa", "macro_f1"])
def test_each_figure_can_choose(choose_by):
    history = [figures(1, ua=0.25), figures(2, ua=0.25) | {f"val_{choose_by}": 0.9}, figures(3, ua=0.25)]
    assert choose_epoch(history, choose_by) == 2


def test_scores_of_a_judged_epoch(tmp_path):
    run = make_run(tmp_path)
    run.report_dir(12).mkdir(parents=True)
    path = run.report_dir(12) / "scores.json"
    path.write_text('{"test": {"ua": 0.5}}')
    assert run.scores(12) == {"test": {"ua": 0.5}}
    path.write_text("{")
    with pytest.raises(RunError, match=r"reports/epoch_0012/scores\.json: expected JSON"):
        run.scores(12)


def test_versions_name_what_makes_the_figures():
    found = versions()
    assert {"python", "lightsernet-tf", "tensorflow", "keras", "numpy", "soxr"} <= set(found)
    assert found["numpy"][0].isdigit()
