"""Sections of a report: what they show of scores, groups and sweeps."""

from types import SimpleNamespace

import numpy as np
import pytest

from lightsernet_tf.evaluate.scores import score, score_predictions, scores_by_group
from lightsernet_tf.evaluate.sections import groups_section, interval, scores_section, summary_section, sweep_section
from lightsernet_tf.reporting.markdown import number, percent

LABELS = ("anger", "fear", "sadness")


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def table_with(text, header_cell):
    """The rows of the first table whose header holds a cell."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|") and header_cell in cells(line))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append(cells(line))
    return [rows[0], *rows[2:]]


@pytest.fixture
def scores():
    return score([0, 0, 0, 1, 1], np.eye(3)[[0, 0, 1, 1, 2]], LABELS)


def test_a_section_shows_figures_with_their_intervals(scores):
    text = scores_section("Test", scores, {"wa": (0.2, 0.9), "ua": (0.25, 0.85)}, picture="figures/test 1.png")
    assert text.startswith("## Test\n")
    header, row = table_with(text, "weighted F1")
    figures = dict(zip(header, row, strict=True))
    assert figures["utterances"] == "5"
    assert figures["WA"] == "60.0 % [20.0, 90.0]"
    assert figures["UA"] == "58.3 % [25.0, 85.0]"
    assert figures["macro F1"] == percent(scores.macro_f1)
    assert figures["loss"] == number(scores.loss)
    assert "](figures/test%201.png)" in text


def test_a_section_shows_every_class_and_the_confusion_in_counts_and_percent(scores):
    text = scores_section("Test", scores)
    by_class = table_with(text, "precision")
    assert by_class[1] == ["1", "anger", "100.0 %", "66.7 %", "80.0 %", "3"]
    assert by_class[3] == ["3", "sadness", "–", "–", "–", "0"]
    confusion = table_with(text, "2 fear")
    assert confusion[1:] == [
        ["1 anger", "2 (67 %)", "1 (33 %)", "0"],
        ["2 fear", "0", "1 (50 %)", "1 (50 %)"],
        ["3 sadness", "–", "–", "–"],
    ]


def test_an_empty_class_is_said_and_of_a_full_set_nothing(scores):
    assert "Without an utterance: sadness. UA and macro F1 are means over the 2 classes" in scores_section("T", scores)
    assert "Without" not in scores_section("T", score_predictions([0, 1, 2], [0, 0, 0], LABELS))


def test_a_summary_keeps_the_sets_apart(scores):
    validation = score_predictions([0, 1, 2, 2], [0, 1, 2, 2], LABELS)
    judged = {"validation": (validation, {}), "test": (scores, {"ua": (0.1, 0.9)})}
    text = summary_section({part: SimpleNamespace(scores=of, intervals=to) for part, (of, to) in judged.items()})
    rows = table_with(text, "WA")
    assert [row[:4] for row in rows[1:]] == [
        ["validation", "4", "100.0 %", "100.0 %"],
        ["test", "5", "60.0 %", "58.3 % [10.0, 90.0]"],
    ]
    assert "95 % intervals" in text


def test_groups_have_a_line_each_and_their_spread():
    groups = scores_by_group([0, 1, 2, 0, 1], [0, 1, 2, 1, 1], ["03", "03", "03", "08", "08"], LABELS)
    text = groups_section("Speakers", groups)
    assert table_with(text, "speaker")[1:] == [
        ["03", "3", "100.0 %", "100.0 %", "100.0 %", "100.0 %", "–"],
        ["08", "2", "50.0 %", "50.0 %", percent(1 / 3), percent(1 / 3), "sadness"],
    ]
    assert table_with(text, "over 2 speakers")[1] == ["WA", "75.0 %", "35.4 %", "50.0 %", "100.0 %"]


def test_a_sweep_names_the_chosen_epoch_and_what_the_last_would_have_given():
    rows = [
        {
            "epoch": epoch,
            "val_loss": loss,
            **dict.fromkeys(("val_wa", "val_ua", "val_macro_f1"), ua),
            "val_ua_low": ua - 0.1,
            "val_ua_high": ua + 0.075,
        }
        for epoch, loss, ua in ((10, 0.7, 0.6), (20, 0.5, 0.8), (30, 0.9, 0.7))
    ]
    text = sweep_section(rows, 20, data="validation", picture="sweep.png")
    assert "Of 3 kept epochs, epoch 20 was chosen, with a validation UA of 80.0 % [70.0, 87.5]." in text
    assert "The last, epoch 30, would have given 70.0 % [60.0, 77.5] (-10.0 points)." in text
    assert [row[:3] for row in table_with(text, "epoch")[1:]] == [
        ["chosen", "20", "80.0 % [70.0, 87.5]"],
        ["last", "30", "70.0 % [60.0, 77.5]"],
        ["lowest loss", "20", "80.0 % [70.0, 87.5]"],
    ]
    assert "![Validation figures of the kept epochs](sweep.png)" in text
    on_test = sweep_section(rows, 20, data="test", picture="sweep.png")
    assert "with a test UA of 80.0 %" in on_test
    assert table_with(on_test, "epoch")[0][2] == "test UA"
    assert "validation" not in on_test.lower()


def test_names_of_any_script_and_with_bars_stay_in_their_cells():
    text = scores_section("测试", score_predictions([0, 1], [0, 1], ("愤怒", "a|b")))
    assert "| 2 | a\\|b | 100.0 % |" in text
    assert "| 1 | 愤怒 | 100.0 % |" in text


def test_an_interval_is_in_brackets():
    assert (interval(0.5, (0.4, 0.6)), interval(0.5, None)) == ("50.0 % [40.0, 60.0]", "50.0 %")
