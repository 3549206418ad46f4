import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from lightsernet_tf.predict import timeline_figure
from lightsernet_tf.predict.prediction import SILENCE, Decision
from lightsernet_tf.predict.timeline_figure import draw_timeline

RATE_HZ = 1000
EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
ODD = ("$x_1$ & wütend", "_hidden", "silence", "a\\b^c", "very " * 20, *(f"label {n}" for n in range(7)))


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that are drawn, as matplotlib's objects."""
    pictures = []

    class Kept(Figure):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            pictures.append(self)

    monkeypatch.setattr(timeline_figure, "Figure", Kept)
    return pictures


def one(label, end, labels=EMODB, share=0.75, window=3.0):
    """Return a decision for a label, or for silence."""
    span = {"start_seconds": max(0.0, end - window), "end_seconds": end}
    rest = (1 - share) / (len(labels) - 1)
    shares = {} if label is None else {name: share if name == label else rest for name in labels}
    return Decision(SILENCE if label is None else label, shares, **span)


def decisions_for(sequence, hop=0.5, labels=EMODB):
    return [one(label, (place + 1) * hop, labels) for place, label in enumerate(sequence)]


def noise(seconds, channels=1):
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE_HZ), channels)).astype(np.float32)


def draw(folder, decisions, labels=EMODB, title="meeting.wav", channels=1):
    path = folder / "timeline.png"
    draw_timeline(noise(decisions[-1].end_seconds, channels), RATE_HZ, decisions, labels, path, title)
    return path


def ticks(axis):
    low, high = axis.get_view_interval()
    return [
        label.get_text()
        for label, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        if low <= place <= high
    ]


def test_the_most_probable_labels_stand_above_their_time(drawn, tmp_path):
    draw(tmp_path, decisions_for(["anger"] * 6 + ["fear"] * 8 + [None] * 6))
    strip, *_ = drawn[0].axes
    assert [(text.get_text(), text.get_position()[0]) for text in strip.texts] == [
        ("anger", 1.5),
        ("fear", 5.0),
        ("silence", 8.5),
    ]


def test_a_stretch_too_short_for_its_name_has_none(drawn, tmp_path):
    draw(tmp_path, decisions_for(["anger"] * 30 + ["happiness"] + ["anger"] * 30))
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["anger", "anger"]


def test_the_stack_adds_up_to_the_whole(drawn, tmp_path):
    draw(tmp_path, decisions_for(["anger", "fear", None]))
    layers = [patch.get_data() for patch in drawn[0].axes[1].patches]
    assert len(layers) == 8
    np.testing.assert_allclose(layers[0].values, [0.75, 0.25 / 6, 0])
    np.testing.assert_allclose(layers[3].values - layers[3].baseline, [0.25 / 6, 0.75, 0])
    np.testing.assert_allclose(layers[7].values - layers[7].baseline, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(layers[7].values, 1)
    assert layers[0].edges.tolist() == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize(
    ("sequence", "named"), [(["anger", None], ["silence", *EMODB[::-1]]), (["anger"], EMODB[::-1])]
)
def test_the_legend_names_the_labels_from_above_and_silence_if_there_is_some(drawn, tmp_path, sequence, named):
    draw(tmp_path, decisions_for(sequence))
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == list(named)


def test_odd_names_are_drawn_as_they_are(drawn, tmp_path):
    draw(tmp_path, decisions_for(ODD, labels=ODD), ODD, title="cost: $1 of $2\n\udcff.wav")
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names[-4:] == ["a\\b^c", "silence", "_hidden", "$x_1$ & wütend"]
    assert max(map(len, names)) == 24
    assert drawn[0].axes[0].get_title() == "cost: $1 of $2 ?.wav"


def test_labels_that_no_font_has_are_numbered(drawn, tmp_path):
    labels = ("anger", "\U000e0fff")
    draw(tmp_path, decisions_for(["anger", None], labels=labels), labels)
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["silence", "2", "1"]


@pytest.mark.parametrize("count", [2, 7, 9, 12, 30, 60])
def test_no_two_labels_look_alike(count):
    looks = timeline_figure._looks([*EMODB[: count - 1], *(f"label {n}" for n in range(count - min(count - 1, 7)))])
    assert len(looks) == count
    assert count > 45 or len(set(looks)) == count
    assert all(look.hatch == "" for look in looks[:9])


def test_usual_labels_have_their_usual_colours_in_any_order():
    usual = dict(zip(EMODB, timeline_figure._looks(EMODB), strict=True))
    assert timeline_figure._looks(("sadness", "other", "Anger")) != timeline_figure._looks(("other", "sadness", "x"))
    assert timeline_figure._looks(("sadness", "other", "Anger"))[::2] == [usual["sadness"], usual["anger"]]


def test_the_colours_differ_in_lightness_or_in_blueness():
    # What the colour-blind are left with: lightness, and yellow against blue.
    def seen(color):
        red, green, blue = to_rgb(color)
        return np.array([0.3 * red + 0.59 * green + 0.11 * blue, (red + green) / 2 - blue])

    colors = [seen(color) for color in timeline_figure._PALETTE]
    apart = [np.abs(one - other).max() for place, one in enumerate(colors) for other in colors[:place]]
    assert min(apart) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "label", "shown"),
    [
        (0.5, "time (s)", ["0", "0.5"]),
        (4, "time (s)", ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4"]),
        (20, "time (s)", ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18", "20"]),
        (150, "time (min:s)", ["0:00", "0:15", "0:30", "0:45", "1:00", "1:15", "1:30", "1:45", "2:00", "2:15", "2:30"]),
        (7200, "time (h:min:s)", ["0:00:00", "0:10:00", "0:20:00"]),
    ],
)
def test_time_is_told_in_round_steps(drawn, tmp_path, seconds, label, shown):
    hop = min(seconds, max(0.5, seconds / 1000))
    draw(tmp_path, decisions_for(["anger"] * round(seconds / hop), hop))
    axes = drawn[0].axes[2]
    assert axes.get_xlabel() == label
    assert ticks(axes.xaxis)[: len(shown)] == shown
    assert len(ticks(axes.xaxis)) <= 15
    assert axes.get_xlim() == (0, seconds)


def test_decisions_closer_than_can_be_seen_are_averaged():
    decisions = decisions_for(["anger", "fear", None, None, "fear"])
    shares, edges = timeline_figure._averaged(decisions, EMODB, most=3)
    assert edges.tolist() == [0, 1, 2, 2.5]
    np.testing.assert_allclose(shares[:, 0], [(0.75 + 0.25 / 6) / 2, 0, 0.25 / 6])
    np.testing.assert_allclose(shares[:, -1], [0, 1, 0])
    np.testing.assert_allclose(shares.sum(axis=1), 1)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_waveform_fills_its_height_whatever_its_level(drawn, tmp_path, channels):
    draw(tmp_path, decisions_for(["anger"] * 4), channels=channels)
    axes = drawn[0].axes[2]
    peak = np.abs(noise(2, channels).mean(axis=1)).max()
    assert axes.get_ylim() == pytest.approx((-1.05 * peak, 1.05 * peak), rel=1e-5)


def test_digital_silence_is_drawn(drawn, tmp_path):
    path = tmp_path / "x.png"
    draw_timeline(np.zeros(1500, np.int16), RATE_HZ, decisions_for([None] * 3), EMODB, path)
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["silence"]
    assert imread(path).std() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "count"),
    [(("positive", "negative"), 8), (EMODB, 40), (ODD, 40), (EMODB, 3000)],
    ids=["4 s", "20 s", "odd", "25 min"],
)
def test_nothing_is_cut_off_and_no_names_touch(drawn, tmp_path, labels, count):
    random = np.random.default_rng(0)
    sequence = [[*labels, None][place] for place in np.repeat(random.integers(0, len(labels) + 1, count), 4)[:count]]
    draw(tmp_path, decisions_for(sequence, labels=labels), labels, title="a long name " * 30)
    picture = drawn[0]
    renderer = FigureCanvasAgg(picture).get_renderer()
    picture.draw(renderer)
    width, height = picture.canvas.get_width_height()
    strip, stack, waveform = picture.axes
    texts = [*strip.texts, strip.title, stack.yaxis.label, waveform.yaxis.label, waveform.xaxis.label]
    for text in [*texts, *strip.get_yticklabels(), *picture.legends[0].get_texts(), *picture.texts]:
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0 <= box.x1 <= width, text
        assert 0 <= box.y0 <= box.y1 <= height, text
    boxes = [text.get_window_extent(renderer) for text in strip.texts]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
    assert strip.bbox.width > 0.45 * width


def test_the_picture_replaces_one_that_was_there(tmp_path):
    (tmp_path / "timeline.png").write_text("old")
    path = draw(tmp_path, decisions_for(["anger", "fear"]))
    assert imread(path).shape[2] == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["timeline.png"]
