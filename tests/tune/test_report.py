import csv
import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lightsernet_tf.reporting.tables import shortened
from lightsernet_tf.tune import figures as search_figures
from lightsernet_tf.tune.report import certainty, markdown_results, results_rows, terminal_results
from lightsernet_tf.tune.results import write_results
from lightsernet_tf.tune.trial import FoldOutcome, Trial


def completed(name, ua, values=None, *, half_width=0.05, epochs=20, folds=("speaker_03",), **more):
    outcomes = tuple(
        FoldOutcome(
            fold, max(1, epochs - 3), 40, ua + aside, ua + aside, ua, ua + aside - half_width, ua + aside + half_width
        )
        for fold, aside in zip(folds, np.linspace(-0.1, 0.1, len(folds)) if len(folds) > 1 else [0.0], strict=True)
    )
    return Trial(name, "completed", values or {}, epochs, epochs, 600.0, folds=outcomes, **more)


def settings(rate, kind="mfcc", **more):
    return {"train.learning_rate": rate, "features.kind": kind, "train.batch_size": 32, **more}


REASON = "train.learning_rate: expected a loss that is a number after epoch 4. Received: nan, and that in every step"
TRIALS = [
    completed("0", 0.5, settings(1e-4)),
    replace(completed("1", 0.5, settings(1e-5)), status="running", folds=(), epochs_done=7, seconds=90.0),
    Trial("2", "failed", settings(1e-2), 20, 3, 80.0, reason=REASON),
    completed("3", 0.71, settings(3e-4, "spectrogram")),
    completed("4", 0.7, settings(2.5e-4, **{"train.gamma": 2.0})),
]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def table_with(text, header_cell):
    """The rows of the first Markdown table whose header holds a cell, as dictionaries."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|") and header_cell in cells(line))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(cells(lines[start]), cells(line), strict=True)))
    return rows


def test_the_terminal_shows_ranked_trials_with_shared_settings_once():
    assert terminal_results(TRIALS, 100).splitlines()[:11] == [
        "5 trials: 3 completed, 1 running, 1 failed. UA: of the validation data at the chosen epoch, in %, ±",
        "half of its 95 % interval. In all: epochs 20, train.batch_size 32. Keys in full:",
        "train.learning_rate, features.kind, train.gamma.",
        "",
        "   rank  trial          UA  chosen  minutes  learning_rate  kind         gamma",
        "      1      3  71.0 ± 5.0      17     10.0         0.0003  spectrogram      –",
        "      2      4  70.0 ± 5.0      17     10.0        0.00025  mfcc             2",
        "      3      0  50.0 ± 5.0      17     10.0         0.0001  mfcc             –",
        "running      1           –       –      1.5          1e-05  mfcc             –",
        " failed      2           –       –      1.3           0.01  mfcc             –",
        "",
    ]


def test_running_trials_say_how_far_they_are_and_failed_ones_why_in_one_line():
    lines = terminal_results(TRIALS, 80).splitlines()
    assert "Running: trial 1, epoch 7/20." in lines
    assert lines[-1] == shortened(f"Failed: trial 2: {REASON}", 80)
    assert terminal_results(TRIALS, 200).endswith(f"\nFailed: trial 2: {REASON}")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_longer_than_the_terminal_is_wide_and_nothing_is_left_out(width):
    keys = [f"augment.time_mask_max_frames_{n}" for n in range(12)]
    trials = [completed(str(n), 0.5, {key: n + 0.5 for key in keys}, folds=("a", "b")) for n in range(3)]
    text = terminal_results(trials, width)
    assert max(map(len, text.splitlines())) <= width
    assert [len(re.findall(rf"(?<!\S){value}(?!\S)", text)) for value in ("0.5", "1.5", "2.5")] == [12, 12, 12]


def test_trials_of_fewer_epochs_are_marked_and_never_the_best():
    trials = [completed("0", 0.9, settings(1e-4), epochs=2), completed("1", 0.6, settings(1e-4), continues="0")]
    text = terminal_results(trials)
    header, first, second = (line.split() for line in text.splitlines()[4:7])
    assert header == ["rank", "trial", "UA", "epochs", "continues", "chosen", "minutes"]
    assert (first[:2], first[5:7]) == (["1", "1"], ["20", "0"])
    assert (second[:2], second[5:7]) == (["2", "0"], ["2", "–"])
    assert "Ranked by epochs first, as shorter trials are not comparable" in " ".join(text.split())
    assert "The best is trial 1, with a validation UA of 60.0 ± 5.0 %" in text


def test_the_searched_number_of_epochs_is_not_mistaken_for_the_column_of_that_name():
    trials = [completed(str(n), 0.5, {"train.epochs": n}, epochs=n) for n in (10, 20)]
    header = next(line for line in terminal_results(trials).splitlines() if line.startswith("rank"))
    assert header.split() == ["rank", "trial", "UA", "epochs", "chosen", "minutes", "train.epochs"]


def test_before_the_first_trial_is_completed_there_is_a_table_all_the_same():
    text = terminal_results(TRIALS[1:3])
    assert text.startswith("2 trials: 0 completed, 1 running, 1 failed. ")
    assert "No trial is completed yet" in text


def test_how_sure_one_can_be():
    # 0.71 and 0.70 differ by less than sqrt(0.05 ** 2 + 0.05 ** 2), 0.50 by more.
    assert certainty(TRIALS) == (
        "The best is trial 3, with a validation UA of 71.0 ± 5.0 % (95 % interval over the utterances; other speakers "
        "and seeds are not in it). Of the other 2 completed, 1 cannot be told apart from it: their UA is lower by no "
        "more than the root of the sum of the two squared half widths. That is a cautious yardstick, as all trials "
        "were measured on the same utterances. Its UA is optimistic: it is the best of 3 settings, each at its best "
        "epoch, chosen on these same utterances. No test data was used; judge the best on it once, at the end."
    )


def test_a_single_trial_is_compared_with_nothing():
    text = certainty(TRIALS[:3])
    assert "told apart" not in text
    assert "it is that of the best epoch, chosen on these same utterances" in text


def test_shorter_trials_are_not_compared_but_were_chosen_from():
    trials = [completed("0", 0.9, epochs=2), completed("1", 0.4, epochs=2)]
    trials += [completed("2", 0.6, continues="0"), completed("3", 0.59)]
    assert "Of the other 1 completed of 20 epochs, 1 cannot be told apart" in certainty(trials)
    assert "the best of 3 settings, each at its best epoch" in certainty(trials)


@pytest.mark.parametrize("key", ["split.seed", "corpus.drop_labels"])
def test_trials_on_different_utterances_are_not_said_to_share_them(key):
    trials = [completed(str(n), 0.6, {key: n, "train.gamma": n}) for n in range(2)]
    assert "same utterances. Its" not in certainty(trials)
    assert f"The trials differ in {key}, and so in the utterances that they were measured on." in certainty(trials)


def test_markdown_holds_everything_in_full():
    trials = [*TRIALS, completed("5", 0.4, settings(1e-6, "a|b" * 20), folds=("speaker_03", "speaker_08"))]
    text = markdown_results(trials, "Search: random", ["synthetic: x"])
    assert text.startswith("# Search: random\n\n> **synthetic: x**\n")
    rows = table_with(text.replace("\\|", "/"), "rank")
    assert [row["trial"] for row in rows] == ["3", "4", "0", "5", "1", "2"]
    assert rows[0] == {
        "rank": "1",
        "trial": "3",
        "UA": "71.0 ± 5.0",
        "lowest–highest": "71.0–71.0",
        "epochs": "20",
        "chosen": "17",
        "minutes": "10.0",
        "train.learning_rate": "0.0003",
        "features.kind": "spectrogram",
        "train.batch_size": "32",
        "train.gamma": "–",
    }
    assert (rows[3]["features.kind"], rows[3]["chosen"], rows[3]["lowest–highest"]) == (
        "a/b" * 20,
        "17, 17",
        "30.0–50.0",
    )
    assert table_with(text, "reason") == [{"trial": "2", "reason": REASON}]
    assert "Running: trial 1, epoch 7/20." in text
    assert certainty(trials) in text
    assert re.findall(r"!\[.*\]\((.*)\)", text) == ["objective.png", "hyperparameters.png"]


def test_choices_are_summarised_by_value():
    uas = {"mfcc": [0.5, 0.7, 0.6], "spectrogram": [0.8, 0.4]}
    trials = [
        completed(f"{kind}{n}", ua, {"features.kind": kind, "model.l2": None if n else 0.5})
        for kind in uas
        for n, ua in enumerate(uas[kind])
    ]
    rows = table_with(markdown_results([*trials, TRIALS[1]], "t"), "choice")
    assert [tuple(row.values()) for row in rows] == [
        ("features.kind", "mfcc", "3", "60.0 %", "50.0 %", "70.0 %"),
        ("features.kind", "spectrogram", "2", "60.0 %", "40.0 %", "80.0 %"),
        ("model.l2", "none", "3", "56.7 %", "40.0 %", "70.0 %"),
        ("model.l2", "0.5", "2", "65.0 %", "50.0 %", "80.0 %"),
    ]


def test_numbers_are_summarised_by_their_rank_correlation():
    generator = np.random.default_rng(3)
    rates, uas = 10 ** generator.uniform(-5, -2, 12), generator.uniform(0.4, 0.8, 12)
    trials = [
        completed(str(n), ua, {"train.learning_rate": rate})
        for n, (rate, ua) in enumerate(zip(rates, uas, strict=True))
    ]
    trials += [
        completed("12", 0.5, {"train.learning_rate": None}),
        completed("13", 0.99, {"train.learning_rate": 1.0}, epochs=2),
    ]
    text = markdown_results(trials, "t")
    (row,) = table_with(text, "number")
    assert list(row.values()) == [
        "train.learning_rate",
        "12",
        f"{min(rates):g}",
        f"{max(rates):g}",
        f"{stats.spearmanr(rates, uas).statistic:+.2f}",
        f"±{1.96 / math.sqrt(11):.2f}",
    ]
    assert "| choice |" not in text  # thirteen values, and nothing to average
    assert "Only trials of 20 epochs are in the tables." in text


@pytest.mark.slow
def test_unrelated_values_stay_below_what_is_said_of_chance():
    generator = np.random.default_rng(5)
    drawn = [abs(stats.spearmanr(*generator.normal(size=(2, 12))).statistic) for _ in range(1000)]
    trials = [completed(str(n), 0.5 + n / 100, {"train.gamma": n / 7}) for n in range(12)]
    (row,) = table_with(markdown_results(trials, "t"), "number")
    assert 0.93 < np.mean(np.array(drawn) < float(row["by chance up to"].strip("±"))) < 0.97


def test_numbers_that_come_up_repeatedly_are_summarised_by_value_too():
    trials = [completed(str(n), 0.5 + n / 100, {"train.batch_size": (8, 32, 16)[n % 3]}) for n in range(9)]
    text = markdown_results(trials, "t")
    assert [(row["value"], row["mean UA"]) for row in table_with(text, "choice")] == [
        ("8", "53.0 %"),
        ("16", "55.0 %"),
        ("32", "54.0 %"),
    ]
    assert table_with(text, "number")[0]["lowest"] == "8"


def test_csv_holds_shares_every_key_and_every_fold(tmp_path):
    first = completed("0", 0.6, {"train.gamma": 2.0, "features.max_frequency_hz": None}, folds=("a", "b"))
    rows = results_rows(
        [replace(first, name="1", values={"model.dropout": 0.1}, folds=first.folds[:1]), first, TRIALS[2]]
    )
    assert [(row["rank"], row["trial"], row["status"]) for row in rows] == [
        (1, "0", "completed"),
        (2, "1", "completed"),
        (None, "2", "failed"),
    ]
    row = rows[0]
    assert row["objective"] == pytest.approx(0.6)
    assert row["objective_half_width"] == pytest.approx(math.hypot(0.05, 0.05) / 2)
    assert (row["a.ua"], row["b.ua"], row["b.ua_high"], row["a.utterances"]) == pytest.approx((0.5, 0.7, 0.75, 40))
    assert (row["train.gamma"], row["features.max_frequency_hz"], row["model.dropout"]) == (2.0, "none", None)
    assert (rows[1]["b.ua"], rows[1]["train.gamma"]) == (None, None)
    assert (rows[2]["reason"], rows[2]["epochs_done"], rows[2]["objective"]) == (REASON, 3, None)
    assert all(list(other) == list(row) for other in rows)


@pytest.mark.slow
@pytest.mark.parametrize("trials", [TRIALS, TRIALS[1:3]], ids=["some", "none completed"])
def test_everything_is_written_and_the_report_refers_to_it(tmp_path, trials):
    folder = tmp_path / "suche 1"
    written = write_results(folder, trials, "Search", ["synthetic: x"])
    assert [path.name for path in written] == ["results.md", "results.csv", "objective.png", "hyperparameters.png"]
    assert sorted(folder.iterdir()) == sorted(written)
    text = written[0].read_text(encoding="utf-8")
    assert text == markdown_results(trials, "Search", ["synthetic: x"])
    assert all((folder / name).is_file() for name in re.findall(r"!\[.*\]\((.*)\)", text))
    with written[1].open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = results_rows(trials)
    assert rows == [{key: "" if value is None else str(value) for key, value in row.items()} for row in expected]


@pytest.mark.slow
def test_what_was_there_stays_when_a_picture_cannot_be_written(tmp_path, monkeypatch):
    write_results(tmp_path, TRIALS, "before")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(search_figures, "save_picture", full)
    with pytest.raises(OSError, match="No space"):
        write_results(tmp_path, TRIALS[:1], "after")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_the_report_needs_neither_tensorflow_nor_keras():
    heavy = "{'tensorflow', 'keras', 'keras_tuner', 'matplotlib'}"
    code = f"import sys, lightsernet_tf.tune.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
