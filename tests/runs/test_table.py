import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config import (
    AugmentConfig,
    Config,
    CorpusConfig,
    FeatureConfig,
    ModelConfig,
    SplitConfig,
    TrainConfig,
)
from lightsernet_tf.errors import RunError
from lightsernet_tf.reporting.tables import display_width
from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run
from lightsernet_tf.runs.table import SORT_KEYS, RunRow, collect_runs, markdown_runs, sort_runs, terminal_table

OPTIMISTIC = "optimistic: the epoch was chosen on the test data"
ROW = RunRow(
    name="emodb_loso/speaker_03",
    corpus="emodb",
    protocol="leave_one_speaker_out",
    fold="speaker_03",
    features="mfcc",
    batch_size=32,
    epochs_done=60,
    epochs_planned=60,
    learning_rate=1e-4,
    balance="none",
    loss="cross_entropy",
    dropout=0.3,
    chosen_epoch=44,
    validation_ua=0.81,
    validation_wa=0.8,
    validation_macro_f1=0.79,
    test_ua=0.7,
    test_wa=0.71,
    test_macro_f1=0.72,
    notes=(),
)
UNJUDGED = replace(ROW, name="x", fold="fold_00", test_ua=None, test_wa=None, test_macro_f1=None)
JUST_BEGUN = replace(
    UNJUDGED, epochs_done=0, chosen_epoch=None, validation_ua=None, validation_wa=None, validation_macro_f1=None
)


def make_run(path, config=None, *, val_ua=(), kept=None, test=None, notes=(), fold="fold_00"):
    """Make a run with an epoch for each validation UA; `test` maps judged epochs to the UA of their test data."""
    about = {"labels": ["a"], "notes": list(notes)}
    with Run.create(path, config or Config(), {"fold": fold}, about, Path.touch) as run:
        pass
    rows = [
        dict.fromkeys(HISTORY_COLUMNS, 1.0) | {"epoch": epoch, "val_ua": ua, "val_wa": ua / 2, "val_macro_f1": ua / 4}
        for epoch, ua in enumerate(val_ua, start=1)
    ]
    if rows:
        run.write_history(rows)
    (path / "checkpoints").mkdir()
    for epoch in range(1, len(rows) + 1) if kept is None else kept:
        run.weights_path(epoch).touch()
    for epoch, ua in (test or {}).items():
        run.report_dir(epoch).mkdir(parents=True)
        scores = {"epoch": epoch, "test": {"ua": ua, "wa": ua / 2, "macro_f1": ua / 4}}
        (run.report_dir(epoch) / "scores.json").write_text(json.dumps(scores))
    return run


def test_a_row_says_what_was_set_and_what_was_reached(tmp_path):
    config = Config(
        corpus=CorpusConfig("ravdess", "data"),
        features=FeatureConfig(kind="log_mel_spectrogram"),
        augment=AugmentConfig(gain_max_db=3),
        split=SplitConfig(protocol="published"),
        model=ModelConfig(dropout=0.2),
        train=TrainConfig(
            epochs=500, batch_size=8, learning_rate=1e-5, balance="oversample", loss="focal", gamma=1.5, keep="every 2"
        ),
    )
    # Epoch 3 is the best, and 2 the best of those kept; 4 was judged by hand.
    make_run(
        tmp_path / "a b",
        config,
        val_ua=[0.1, 0.4, 0.8, 0.2, 0.3],
        kept=[2, 4],
        test={2: 0.6, 4: 0.9},
        notes=[OPTIMISTIC],
        fold="published_00",
    )
    assert collect_runs(tmp_path) == [
        RunRow(
            name="a b",
            corpus="ravdess",
            protocol="published",
            fold="published_00",
            features="log_mel_spectrogram",
            batch_size=8,
            epochs_done=5,
            epochs_planned=500,
            learning_rate=1e-5,
            balance="oversample",
            loss="focal 1.5",
            dropout=0.2,
            chosen_epoch=2,
            validation_ua=0.4,
            validation_wa=0.2,
            validation_macro_f1=0.1,
            test_ua=0.6,
            test_wa=0.3,
            test_macro_f1=0.15,
            notes=(OPTIMISTIC,),
        )
    ]


def test_an_epoch_that_is_not_the_chosen_one_gives_no_test_figures(tmp_path):
    make_run(tmp_path / "x", val_ua=[0.1, 0.9, 0.2], test={3: 0.99})
    (row,) = collect_runs(tmp_path)
    assert (row.chosen_epoch, row.validation_ua) == (2, 0.9)
    assert (row.test_ua, row.test_wa, row.test_macro_f1) == (None, None, None)


@pytest.mark.parametrize(("choose_by", "chosen"), [("ua", 2), ("loss", 1)])
def test_the_epoch_is_chosen_by_the_runs_own_figure(tmp_path, choose_by, chosen):
    # All losses are equal, and of equals the earliest is chosen.
    make_run(tmp_path / "x", Config(train=TrainConfig(choose_by=choose_by)), val_ua=[0.1, 0.9])
    assert collect_runs(tmp_path)[0].chosen_epoch == chosen


def test_a_run_without_an_epoch_has_dashes(tmp_path):
    make_run(tmp_path / "x")
    (row,) = collect_runs(tmp_path)
    assert (row.epochs_done, row.chosen_epoch, row.validation_ua, row.test_ua) == (0, None, None, None)


def test_a_run_whose_weights_were_deleted_keeps_its_figures(tmp_path):
    make_run(tmp_path / "x", val_ua=[0.1, 0.9, 0.2], kept=[], test={2: 0.7})
    (row,) = collect_runs(tmp_path)
    assert (row.chosen_epoch, row.validation_ua, row.test_ua) == (2, 0.9, 0.7)


def test_runs_are_found_at_every_depth_and_not_within_runs(tmp_path):
    for name in ("x", "cv/fold_2", "cv/fold_10", "cv/fold_1", "a/b/c/y"):
        make_run(tmp_path / name, val_ua=[0.5])
    (tmp_path / "cv" / "config.yaml").write_text("{}")
    (tmp_path / "cv" / "scores.json").write_text("{}")
    make_run(tmp_path / "x" / "copy")
    make_run(tmp_path / ".trash" / "z")
    assert [row.name for row in collect_runs(tmp_path)] == ["a/b/c/y", "cv/fold_1", "cv/fold_2", "cv/fold_10", "x"]
    assert [row.name for row in collect_runs(tmp_path / "cv")] == ["fold_1", "fold_2", "fold_10"]
    assert [row.name for row in collect_runs(tmp_path / "cv" / "fold_1")] == ["fold_1"]


DAMAGE = {
    "half a run.json": ("run.json", '{"format": 1'),
    "no run.json": ("run.json", None),
    "another format": ("run.json", '{"format": 99}'),
    "something else": ("run.json", "[]"),
    "no notes": ("run.json", '{"format": 1}'),
    "no settings": ("config.yaml", None),
    "unknown settings": ("config.yaml", "train: {speed: 3}"),
    "settings out of range": ("config.yaml", "train: {epochs: 0}"),
    "no split": ("split.json", None),
    "damaged figures": ("epochs.csv", "epoch,val_ua\n1,x\n"),
    "foreign figures": ("epochs.csv", "time,place\n1,2\n"),
    "damaged scores": ("reports/epoch_0001/scores.json", "{"),
    "scores without test": ("reports/epoch_0001/scores.json", "{}"),
    "scores without figures": ("reports/epoch_0001/scores.json", '{"test": {"ua": null, "wa": 1}}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_one_warning_and_the_others_are_listed(tmp_path, caplog, damage):
    make_run(tmp_path / "good", val_ua=[0.5])
    make_run(tmp_path / "bad", val_ua=[0.5], test={1: 0.5})
    name, text = DAMAGE[damage]
    path = tmp_path / "bad" / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    with caplog.at_level(logging.WARNING):
        rows = collect_runs(tmp_path)
    assert [row.name for row in rows] == ["good"]
    (record,) = caplog.records
    assert record.getMessage().startswith(f"left out: {tmp_path / 'bad'}")
    assert "\n" not in record.getMessage()


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(RunError) as caught:
        collect_runs(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: expected at least one run in it or below. Received: none that can be read"
    )


def test_a_folder_of_damaged_runs_is_an_error_too(tmp_path, caplog):
    make_run(tmp_path / "bad").path.joinpath("run.json").write_text("")
    with pytest.raises(RunError, match="none that can be read"):
        collect_runs(tmp_path)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("name", "found"), [("nowhere", "nothing there"), ("file", "a file")])
def test_a_folder_that_is_none_is_an_error(tmp_path, name, found):
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as caught:
        collect_runs(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: expected a folder of runs. Received: {found}"


@pytest.mark.parametrize("key", [key for key in SORT_KEYS if key.startswith(("validation", "test"))])
def test_figures_are_sorted_from_the_best_down_and_what_is_not_there_last(key):
    rows = [replace(ROW, **{key: value}) for value in (0.2, None, 0.9, 0.5, None)]
    assert [getattr(row, key) for row in sort_runs(rows, key)] == [0.9, 0.5, 0.2, None, None]


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("name", ["fold_10", "fold_2", "a"], ["a", "fold_2", "fold_10"]),
        ("fold", ["speaker_b", "10", "speaker_a"], ["10", "speaker_a", "speaker_b"]),
        ("learning_rate", [1e-3, 1e-6, 1e-4], [1e-6, 1e-4, 1e-3]),
        ("batch_size", [16, 8, 32], [8, 16, 32]),
        ("chosen_epoch", [40, None, 9], [9, 40, None]),
        ("loss", ["focal 2", "focal 10", "cross_entropy"], ["cross_entropy", "focal 2", "focal 10"]),
        ("notes", [("b",), (), ("a", "c")], [(), ("a", "c"), ("b",)]),
    ],
)
def test_settings_are_sorted_from_small_to_large(key, values, expected):
    rows = [replace(ROW, **{key: value}) for value in values]
    assert [getattr(row, key) for row in sort_runs(rows, key)] == expected


def test_equal_runs_stay_in_order_and_validation_ua_is_the_default():
    rows = [replace(ROW, name=name, validation_ua=ua) for name, ua in (("a", 0.5), ("b", 0.7), ("c", 0.5))]
    assert [row.name for row in sort_runs(rows)] == ["b", "a", "c"]
    with pytest.raises(RunError, match=r"sort: expected one of name, corpus.*Received: ua"):
        sort_runs(rows, "ua")


def test_the_terminal_table_is_aligned_and_shows_shared_settings_once():
    rows = [
        ROW,
        replace(UNJUDGED, learning_rate=1e-5),
        replace(JUST_BEGUN, name="y", notes=(OPTIMISTIC, "synthetic: x")),
    ]
    assert terminal_table(rows) == (
        "3 runs, figures in %. In all: corpus emodb, protocol leave_one_speaker_out, features mfcc, batch 32, "
        "balance none, loss cross_entropy,\n"
        "dropout 0.3.\n"
        "\n"
        "                                                            val   val   val  test  test  test\n"
        "run                    fold        epochs    rate  chosen    UA    WA    F1    UA    WA    F1  notes\n"
        "emodb_loso/speaker_03  speaker_03   60/60  0.0001      44  81.0  80.0  79.0  70.0  71.0  72.0\n"
        "x                      fold_00      60/60   1e-05      44  81.0  80.0  79.0     –     –     –\n"
        "y                      fold_00       0/60  0.0001       –     –     –     –     –     –     –"
        "  1, 2\n"
        "\n"
        f"1: {OPTIMISTIC}\n"
        "2: synthetic: x"
    )


def test_the_fold_is_not_said_twice():
    rows = [replace(ROW, name=f"cv/speaker_{n}", fold=f"speaker_{n}") for n in range(3)]
    lines = terminal_table(rows).splitlines()
    assert "fold" not in lines[-4]
    assert [line.split()[0] for line in lines[-3:]] == ["cv/speaker_0", "cv/speaker_1", "cv/speaker_2"]


def test_a_single_run_is_a_table_too():
    text = terminal_table([ROW])
    assert text.startswith("1 run, figures in %. In all: corpus emodb, ")
    assert "epochs 60/60" in text
    assert "81.0" in text.splitlines()[-1]


def test_long_names_are_shortened_in_the_middle_until_the_line_fits():
    long = replace(
        ROW,
        name="experiments/" + "a" * 150 + "/speaker_08",
        features="log_mel_spectrogram",
        loss="focal 2",
        learning_rate=1e-5,
        balance="class_weight",
        fold="fold_00",
    )
    text = terminal_table([ROW, long])
    assert max(map(len, text.splitlines())) == 140
    last = text.splitlines()[-1]
    assert last.startswith("exper")
    assert last.split()[0].endswith("eaker_08")
    assert "…" in last.split()[0]
    assert {"log_mel_spectrogram", "class_weight"} <= set(last.split())
    assert max(map(len, terminal_table([ROW, long], width=400).splitlines())) > 200


def test_markdown_holds_everything_in_full():
    lines = markdown_runs([ROW, replace(JUST_BEGUN, name="a|b", notes=(OPTIMISTIC, "synthetic: x"))]).splitlines()
    assert len(lines) == 4
    cells = [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in lines]
    first, second = (dict(zip(cells[0], row, strict=True)) for row in cells[2:])
    assert first["run"] == "emodb_loso/speaker_03"
    assert (first["val UA"], first["test F1"], first["epochs"]) == ("81.0 %", "72.0 %", "60/60")
    assert (second["run"], second["chosen"], second["val UA"], second["test UA"]) == ("a/b", "–", "–", "–")
    assert second["notes"] == f"{OPTIMISTIC}; synthetic: x"
    assert first["protocol"] == second["protocol"] == "leave_one_speaker_out"


def test_to_dict_is_a_line_of_csv(tmp_path):
    line = replace(UNJUDGED, notes=("a", "b")).to_dict()
    assert tuple(line) == SORT_KEYS
    assert (line["validation_ua"], line["test_ua"], line["notes"]) == (0.81, None, "a; b")
    with (tmp_path / "x.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, SORT_KEYS)
        writer.writeheader()
        writer.writerow(line)
    with (tmp_path / "x.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream)) == {k: "" if v is None else str(v) for k, v in line.items()}


def test_a_judged_run_without_test_data_shows_dashes(tmp_path):
    run = make_run(tmp_path / "final", Config(split=SplitConfig(protocol="final")), val_ua=[0.5], test={1: 0.9})
    (run.report_dir(1) / "scores.json").write_text('{"epoch": 1, "validation": {"ua": 0.5}}')
    (row,) = collect_runs(tmp_path)
    assert (row.validation_ua, row.test_ua, row.test_wa, row.test_macro_f1) == (0.5, None, None, None)
    figures = terminal_table([row]).splitlines()[-1].split()
    assert figures == ["final", "1", "50.0", "25.0", "12.5", "–", "–", "–"]


def test_columns_line_up_beside_chinese_names():
    text = terminal_table([replace(ROW, name="语音/说话人"), ROW])
    figures = {display_width(line[: line.index("44")]) for line in text.splitlines() if "44" in line}
    assert len(figures) == 1
