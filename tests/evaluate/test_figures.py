import itertools
import math

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from matplotlib.text import Text
from PIL import Image

from lightsernet_tf.evaluate import figures
from lightsernet_tf.evaluate.figures import draw_confusion, draw_curves, draw_sweep
from lightsernet_tf.evaluate.scores import score_predictions

NAMES = {"training_name": "training (with dropout)", "validation_name": "validation"}
EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that are saved, as matplotlib's objects."""
    pictures = []
    save = figures.save_picture
    monkeypatch.setattr(
        figures, "save_picture", lambda picture, *more: (pictures.append(picture), save(picture, *more))
    )
    return pictures


def texts(picture):
    return [text.get_text() for text in picture.findobj(Text) if text.get_text()]


def names_along(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def random_scores(labels, utterances=200):
    generator = np.random.default_rng(0)
    return score_predictions(*generator.integers(0, len(labels), (2, utterances)), labels)


def history(epochs):
    fall = [math.exp(-epoch / 10) for epoch in range(1, epochs + 1)]
    return [
        {
            "epoch": index + 1,
            "loss": now,
            "val_loss": now + 0.3,
            "ua": 1 - now,
            "val_ua": 0.9 - now,
            "val_wa": 0.8 - now,
            "val_ua_low": 0.8 - now,
            "val_ua_high": 0.95 - now,
        }
        for index, now in enumerate(fall)
    ]


def line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_confusion_shows_counts_percent_names_and_support(drawn, tmp_path):
    scores = score_predictions([0, 0, 0, 1], [0, 0, 1, 1], ("anger", "fear"))
    draw_confusion(scores, tmp_path / "confusion.png", "fold 3, test")
    (axes,) = drawn[0].axes
    assert names_along(axes.xaxis) == ["anger", "fear"]
    assert names_along(axes.yaxis) == ["anger (3)", "fear (1)"]
    assert [text.get_text() for text in axes.texts] == ["2\n67 %", "1\n33 %", "0", "1\n100 %"]
    assert axes.get_title() == "fold 3, test\nWA 75.0 %   UA 83.3 %   4 utterances"
    np.testing.assert_allclose(axes.get_images()[0].get_array(), scores.confusion_percent)


def test_the_row_of_an_absent_class_stays_empty(drawn, tmp_path):
    draw_confusion(score_predictions([0, 0], [0, 1], ("anger", "fear")), tmp_path / "confusion.png", "test")
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.texts] == ["1\n50 %", "1\n50 %", "–", "–"]
    assert axes.get_images()[0].get_array().mask.tolist() == [[False, False], [True, True]]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3, 7, 11])
def test_no_names_touch_and_nothing_is_cut_off(drawn, tmp_path, classes):
    labels = tuple(f"{name}, rather pleasant" for name in (*EMODB, "calm", "surprise", "excitement", "frustration"))
    draw_confusion(random_scores(labels[:classes]), tmp_path / "confusion.png", "test")
    (axes,) = drawn[0].axes
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    cell = axes.transData.transform([(0, 0), (1, 1)])
    for text in axes.texts:
        assert text.get_window_extent(renderer).width < abs(cell[1] - cell[0])[0]
    upright = [label.get_window_extent(renderer) for label in axes.get_xticklabels() if not label.get_rotation()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(upright))
    ink = imread(tmp_path / "confusion.png")[..., :3].min(axis=2) < 0.5
    assert not any(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_a_dollar_in_a_name_is_a_dollar(drawn, tmp_path):
    draw_confusion(score_predictions([0, 1], [0, 1], ("$a$", "b_c")), tmp_path / "confusion.png", "run $x_1$")
    assert "$a$" in texts(drawn[0])


@pytest.mark.slow
@pytest.mark.usefixtures("_only_matplotlibs_fonts")
def test_chinese_names_without_a_font_become_the_numbers_of_the_report(drawn, tmp_path, caplog):
    scores = score_predictions([0, 1, 1], [0, 1, 0], ("愤怒", "高兴"))
    for part in ("training", "validation", "test 运行"):  # a missing glyph would warn, and a warning is an error here
        draw_confusion(scores, tmp_path / f"{part}.png", part)
    assert names_along(drawn[0].axes[0].yaxis) == ["1 (1)", "2 (2)"]
    assert drawn[2].axes[0].get_title().startswith("test ??\n")
    assert len(caplog.records) == 1


def test_curves_mark_the_chosen_epoch(drawn, tmp_path):
    rows = history(40)
    draw_curves(rows, 33, tmp_path / "curves.png", **NAMES)
    loss_axes, ua_axes = drawn[0].axes
    for axes, key, scale in ((loss_axes, "loss", 1), (ua_axes, "ua", 100)):
        for label, column in (("training (with dropout)", key), ("validation", f"val_{key}")):
            curve = line(axes, label)
            np.testing.assert_array_equal(curve.get_xdata(), np.arange(1, 41))
            np.testing.assert_allclose(curve.get_ydata(), [scale * row[column] for row in rows])
        marked = line(axes, "chosen: epoch 33").get_xydata()
        np.testing.assert_allclose(marked, [[33, scale * rows[32][f"val_{key}"]]])
    assert ua_axes.get_ylabel() == "UA (%)"


@pytest.mark.slow
def test_the_legend_names_the_data(drawn, tmp_path):
    names = {"training_name": "training (class-weighted)", "validation_name": "test data (chooses the epoch)"}
    draw_curves(history(40), 33, tmp_path / "curves.png", **names)
    draw_sweep(history(40), 33, tmp_path / "sweep.png", validation_name=names["validation_name"])
    curves, sweep = (set(texts(picture)) for picture in drawn)
    assert set(names.values()) <= curves
    assert names["validation_name"] in sweep
    assert "validation" not in " ".join(curves | sweep)


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_curves_of_any_length_have_whole_epochs(drawn, tmp_path, epochs):
    draw_curves(history(epochs), epochs, tmp_path / "curves.png", **NAMES)
    ticks = drawn[0].axes[0].get_xticks()
    assert all(tick == round(tick) for tick in ticks)
    assert any(1 <= tick <= epochs for tick in ticks)


def test_a_wild_epoch_does_not_flatten_the_curves(drawn, tmp_path):
    rows = history(100)
    rows[2]["val_loss"], rows[5]["val_loss"] = 500.0, math.nan
    draw_curves(rows, 90, tmp_path / "curves.png", **NAMES)
    assert 1 < drawn[0].axes[0].get_ylim()[1] < 2


def test_a_sweep_shows_the_interval_the_chosen_and_the_last_epoch(drawn, tmp_path):
    rows = history(40)[4::5]
    draw_sweep(rows, 30, tmp_path / "sweep.png", validation_name="validation")
    share_axes, loss_axes = drawn[0].axes
    (band,) = share_axes.collections
    corners = band.get_paths()[0].vertices
    for row in rows:
        at_epoch = corners[corners[:, 0] == row["epoch"], 1]
        assert (at_epoch.min(), at_epoch.max()) == pytest.approx((100 * row["val_ua_low"], 100 * row["val_ua_high"]))
    for axes in (share_axes, loss_axes):
        assert line(axes, "chosen: epoch 30").get_xdata() == [30]
        assert line(axes, "last: epoch 40").get_xdata() == [40]


def test_a_sweep_has_one_mark_where_the_last_is_chosen(drawn, tmp_path):
    draw_sweep(history(10), 10, tmp_path / "sweep.png", validation_name="validation")
    assert not [text for text in texts(drawn[0]) if text.startswith("last")]


@pytest.mark.slow
def test_pictures_are_png_files_of_150_dpi_made_without_pyplot(tmp_path):
    draw_confusion(random_scores(EMODB), tmp_path / "bilder 1" / "混淆.png", "test")
    draw_curves(history(20), 20, tmp_path / "bilder 1" / "curves.png", **NAMES)
    for path in (tmp_path / "bilder 1").iterdir():
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            assert min(picture.size) > 400
    assert sorted(path.name for path in (tmp_path / "bilder 1").iterdir()) == ["curves.png", "混淆.png"]
    assert not pyplot.get_fignums()
