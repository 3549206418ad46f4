from pathlib import Path

import pytest

from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.reporting.markdown import figure, markdown_table, number, percent, report

OPTIMISTIC_NOTE = PROTOCOLS["published"].note

LABELS = ("anger", "fear", "sadness")


def test_a_table_has_its_header_rules_and_rows():
    assert markdown_table(("a", "b"), [(1, "x|y\nz")], "lr") == "| a | b |\n| :-- | --: |\n| 1 | x\\|y z |"


def test_a_table_with_a_row_of_another_length_is_a_mistake():
    with pytest.raises(ValueError, match="expected 2 columns"):
        markdown_table(("a", "b"), [(1, 2, 3)], "lr")


def test_what_is_not_defined_is_a_dash():
    assert (percent(float("nan")), percent(None), number(None), number(float("nan"))) == ("–", "–", "–", "–")
    assert (percent(0.8767), number(0.12345)) == ("87.7 %", "0.123")


def test_a_report_begins_with_its_notes_and_ends_with_the_diagnosis():
    text = report(
        "A run",
        notes=[OPTIMISTIC_NOTE],
        facts={"speakers of the test data": ["03", "08"], "seed": 42, "versions": {"python": "3.11", "keras": "3.3"}},
        sections=["## Test", figure("curves", "curves.png")],
        skipped=[(Path("a b.wav"), "an empty file")],
        diagnosis=["Nothing stands out."],
    )
    order = [
        "# A run",
        f"> **{OPTIMISTIC_NOTE}**",
        "03, 08",
        "python 3.11, keras 3.3",
        "## Test",
        "curves.png",
        "## Files left out (1)",
        "a b.wav",
    ]
    places = [text.index(part) for part in [*order, "## Diagnosis", "- Nothing stands out."]]
    assert places == sorted(places)
    assert text.endswith("- Nothing stands out.\n")
    assert "\n\n\n" not in text


def test_a_report_leaves_out_what_there_is_not():
    assert report("A run") == "# A run\n"
