import pytest

from lightsernet_tf.reporting.tables import display_width, padded, shortened, table_width, text_table

ACCENTED = "e\u0301te\u0301"  # two letters with an accent of its own each


@pytest.mark.parametrize(
    ("text", "width"),
    [("été", 3), (ACCENTED, 3), ("生气", 4), ("화남", 4), ("ﾄﾞ", 2), ("ＡＢ", 4), ("a\u200bb", 2), ("", 0)],
)
def test_width_of_wide_and_combining_characters(text, width):
    assert display_width(text) == width
    assert padded(text, 6) == text + " " * (6 - width)
    assert padded(text, 6, "r") == " " * (6 - width) + text


def test_columns_line_up_whatever_alphabet_the_cells_are_written_in():
    rows = [["class", "n", "speaker"], ["生气", "12", "ann"], [ACCENTED, "3", "乙"]]
    lines = text_table(rows, "lrl")
    assert lines == ["class   n  speaker", "生气   12  ann", f"{ACCENTED}     3  乙"]
    assert [display_width(line[: line.rindex("  ")]) for line in lines] == [9, 9, 9]


def test_no_blanks_at_the_end_of_a_line():
    assert text_table([["a", "long"], ["b", ""]], "ll") == ["a  long", "b"]


@pytest.mark.parametrize("text", ["abcdefghij", "生气生气生气", ACCENTED * 4])
def test_long_texts_lose_their_middle(text):
    short = shortened(text, 8)
    assert 7 <= display_width(short) <= 8
    head, tail = short.split("…")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert shortened(text, display_width(text)) == text


def test_the_width_of_a_table():
    assert table_width([3, 4]) == len("abc  defg")
