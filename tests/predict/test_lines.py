import csv
import io
import json

import pytest

from lightsernet_tf.predict.lines import LINES, Layout, csv_header, csv_line, escaped, json_line, text_line
from lightsernet_tf.predict.prediction import SILENCE, Decision, Prediction
from lightsernet_tf.predict.recordings import Result

LABELS = ("anger", "wütend, sehr", "声")
SHARES = {"anger": 0.25, "wütend, sehr": 0.125, "声": 0.625}
HEARD = Result("a.wav", Prediction("声", SHARES))
OVER_TIME = Result("a.wav", Decision("声", SHARES, start_seconds=0.5, end_seconds=3.5))
SILENT = Result("a.wav", Prediction(SILENCE))
UNHEARD = Result("a.wav", problem="expected audio, received an empty file")
ODD_NAMES = [
    'a,b "c".wav',
    "two\nlines.wav",
    "carriage\rreturn.wav",
    "Ärger 声.wav",
    "=1+1.wav",
    " .wav",
    "x\udcff.wav",
]


def read_csv(*lines):
    return list(csv.DictReader(io.StringIO("\n".join(lines) + "\n", newline="")))


def test_text_tells_the_three_most_probable_labels():
    line = text_line(HEARD, Layout(LABELS))
    assert line == "a.wav  声            62.5 %   anger 25.0 %, wütend, sehr 12.5 %"


def test_text_tells_as_many_labels_as_wanted():
    assert text_line(HEARD, Layout(LABELS, top=1)) == "a.wav  声            62.5 %"
    assert text_line(HEARD, Layout(LABELS, top=2)) == "a.wav  声            62.5 %   anger 25.0 %"
    assert text_line(HEARD, Layout(LABELS, top=99)) == text_line(HEARD, Layout(LABELS))


def test_text_of_a_timeline_tells_the_span_and_the_name_only_where_it_is_needed():
    assert text_line(OVER_TIME, Layout(LABELS, 1)) == "a.wav     0.50 -    3.50 s  声            62.5 %"
    assert text_line(OVER_TIME, Layout(LABELS, 1, named=False)) == "   0.50 -    3.50 s  声            62.5 %"


def test_the_columns_of_text_stand_below_each_other():
    layout = Layout(LABELS, sources=["a.wav", "longer.wav", "x" * 300])
    lines = [text_line(Result(name, HEARD.prediction), layout) for name in layout.sources]
    assert lines[0].index("声") == lines[1].index("声") == len("longer.wav") + 2
    assert lines[2].startswith("x" * 300 + "  声")


@pytest.mark.parametrize("name", list(LINES))
def test_silence_is_said(name):
    assert SILENCE in LINES[name](SILENT, Layout(LABELS))


def test_text_without_a_prediction_says_so():
    assert text_line(UNHEARD, Layout(LABELS)) == "a.wav  could not be read"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_text_is_one_line_whatever_the_name(name):
    line = text_line(Result(name, HEARD.prediction), Layout(LABELS, sources=[name]))
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_names_are_shown_as_they_are_or_escaped():
    assert escaped("Ärger 声.wav") == "Ärger 声.wav"
    assert escaped("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_json_parses_to_the_name_and_the_shares_by_size(name):
    line = json_line(Result(name, HEARD.prediction), Layout(LABELS))
    assert "\n" not in line
    row = json.loads(line)
    assert row == {"file": name, "label": "声", "probabilities": SHARES}
    assert list(row["probabilities"]) == ["声", "anger", "wütend, sehr"]


def test_json_of_a_timeline_of_silence_and_of_an_error():
    layout = Layout(LABELS, top=1)
    assert json.loads(json_line(OVER_TIME, layout)) == {
        "file": "a.wav",
        "start_seconds": 0.5,
        "end_seconds": 3.5,
        "label": "声",
        "probabilities": {"声": 0.625},
    }
    assert json.loads(json_line(SILENT, layout)) == {"file": "a.wav", "label": "silence", "probabilities": {}}
    assert json.loads(json_line(UNHEARD, layout)) == {"file": "a.wav", "error": UNHEARD.problem}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_csv_parses_to_the_name_and_all_shares(name):
    layout = Layout(LABELS)
    (row,) = read_csv(csv_header(layout), csv_line(Result(name, HEARD.prediction), layout))
    assert row == {
        "file": name,
        "start_seconds": "",
        "end_seconds": "",
        "label": "声",
        "p(anger)": "0.250000",
        "p(wütend, sehr)": "0.125000",
        "p(声)": "0.625000",
        "error": "",
    }


def test_csv_of_a_timeline_of_silence_and_of_an_error():
    layout = Layout(LABELS, top=2)
    lines = [csv_line(result, layout) for result in (OVER_TIME, SILENT, UNHEARD)]
    heard, silent, unheard = read_csv(csv_header(layout), *lines)
    assert (heard["start_seconds"], heard["end_seconds"]) == ("0.5", "3.5")
    assert (heard["p(anger)"], heard["p(wütend, sehr)"], heard["p(声)"]) == ("0.250000", "", "0.625000")
    assert (silent["label"], silent["p(anger)"]) == ("silence", "")
    assert (unheard["label"], unheard["error"]) == ("", UNHEARD.problem)
