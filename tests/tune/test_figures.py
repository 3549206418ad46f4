import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from matplotlib.text import Text
from PIL import Image

from lightsernet_tf.evaluate.figures import CHOSEN, SECOND, TRAINING, VALIDATION
from lightsernet_tf.tune import figures as search_figures
from lightsernet_tf.tune.figures import draw_hyperparameters, draw_objectives
from lightsernet_tf.tune.trial import FoldOutcome, Trial


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that are saved, as matplotlib's objects."""
    pictures = []
    save = search_figures.save_picture
    monkeypatch.setattr(
        search_figures, "save_picture", lambda picture, *more: (pictures.append(picture), save(picture, *more))
    )
    return pictures


def completed(name, ua, values=None, *, half_width=0.05, epochs=20, folds=1):
    outcome = FoldOutcome("a", epochs, 40, ua, ua, ua, ua - half_width, ua + half_width)
    return Trial(str(name), "completed", values or {}, epochs, epochs, folds=(outcome,) * folds)


def searched(key, values, **more):
    """Trials that differ in one key and get better one by one."""
    return [completed(n, 0.5 + n / 100, {key: value}, **more) for n, value in enumerate(values)]


def texts(picture):
    return [text.get_text() for text in picture.findobj(Text) if text.get_text()]


def legend(picture):
    return [text.get_text() for text in picture.legends[0].get_texts()]


def line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def points(axes, color=VALIDATION):
    """[points, 2] of one colour, in the order in which they were drawn."""
    found = [line.get_xydata() for line in axes.get_lines() if line.get_marker() == "o" and line.get_color() == color]
    return np.concatenate(found)


def names_along(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


TRIALS = [
    completed("3", 0.5),
    completed("4", 0.6, half_width=0.1),
    Trial("5", "failed", {}, 20, reason="x"),
    completed("6", 0.55),
    completed("7", 0.7),
    completed("8", 0.65),
    Trial("9", "running", {}, 20, 7),
]


def test_objectives_show_every_trial_its_interval_and_the_best_so_far(drawn, tmp_path):
    draw_objectives(TRIALS, tmp_path / "objective.png")
    (axes,) = drawn[0].axes
    np.testing.assert_allclose(line(axes, "trial").get_xydata(), [[3, 50], [4, 60], [6, 55], [7, 70], [8, 65]])
    ends = np.array([bar for bars in axes.containers for bar in bars[2][0].get_segments()])  # [trials, 2, 2]
    np.testing.assert_allclose(ends[:, :, 1], [[45, 55], [50, 70], [50, 60], [65, 75], [60, 70]])
    so_far = line(axes, "best so far")
    assert so_far.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(so_far.get_xydata(), [[3, 50], [4, 60], [6, 60], [7, 70], [8, 70], [9, 70]])
    np.testing.assert_allclose(line(axes, "best: trial 7").get_xydata(), [[7, 70]])
    assert line(axes, "best: trial 7").get_color() == CHOSEN
    assert axes.get_ylabel() == "validation UA (%)"
    assert legend(drawn[0]) == ["trial", "best so far", "best: trial 7", "failed", "running", "95 % interval"]


def test_failed_and_running_trials_stand_at_the_bottom_below_all_others(drawn, tmp_path):
    draw_objectives(TRIALS, tmp_path / "objective.png")
    (axes,) = drawn[0].axes
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    lowest = axes.transData.transform((3, 45))[1]
    for name, place, marker in (("failed", 5, "x"), ("running", 9, "o")):
        mark = line(axes, name)
        assert (mark.get_xdata(), mark.get_marker(), mark.get_color()) == ([place], marker, TRAINING)
        assert axes.get_window_extent(renderer).y0 < mark.get_window_extent(renderer).y0
        assert mark.get_window_extent(renderer).y1 < lowest


def test_shorter_trials_are_lighter_and_count_for_no_best_so_far(drawn, tmp_path):
    epochs = (2, 6, 2, 20, 20)
    trials = [completed(n, 0.9 - n / 10, epochs=many) for n, many in enumerate(epochs)]
    draw_objectives(trials, tmp_path / "objective.png")
    (axes,) = drawn[0].axes
    assert legend(drawn[0])[:3] == ["2 epochs", "6 epochs", "20 epochs"]
    np.testing.assert_allclose(line(axes, "2 epochs").get_xydata(), [[0, 90], [2, 70]])
    np.testing.assert_allclose(line(axes, "best so far").get_xydata(), [[3, 60], [4, 60], [4, 60]])
    np.testing.assert_allclose(line(axes, "best: trial 3").get_xydata(), [[3, 60]])
    shades = [sum(to_rgb(line(axes, f"{many} epochs").get_color())) for many in (2, 6, 20)]
    assert shades == sorted(shades, reverse=True)
    assert line(axes, "20 epochs").get_color() == VALIDATION


def test_several_folds_are_said_to_be_averaged(drawn, tmp_path):
    draw_objectives([completed("0", 0.5, {"train.gamma": 1.0}, folds=3)], tmp_path / "objective.png")
    draw_hyperparameters([completed("0", 0.5, {"train.gamma": 1.0}, folds=3)], tmp_path / "hyperparameters.png")
    assert [picture.axes[0].get_ylabel() for picture in drawn] == ["mean validation UA\nof 3 folds (%)"] * 2


def test_without_a_completed_trial_the_pictures_say_so(drawn, tmp_path):
    trials = [replace(TRIALS[6], values={"train.gamma": 1.0})]
    draw_objectives(trials, tmp_path / "objective.png")
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    for picture in drawn:
        assert "no trial is completed yet" in texts(picture)
        assert "validation UA (%)" in texts(picture)
    assert "train.gamma" in texts(drawn[1])


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "grid"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (12, (3, 4))])
def test_panels_are_as_many_as_keys_and_at_most_four_in_a_row(drawn, tmp_path, keys, grid):
    trials = [completed(n, 0.5 + n / 10, {f"section.key_{key}": n + key for key in range(keys)}) for n in range(3)]
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    panels = drawn[0].axes
    assert [axes.get_xlabel() for axes in panels] == [f"section.key_{key}" for key in range(keys)]
    assert panels[0].get_subplotspec().get_gridspec().get_geometry() == grid
    width, height = drawn[0].get_size_inches()
    assert width / grid[1] > 2.3
    assert 2.3 < height / grid[0] < 4


def test_choices_are_columns_of_jittered_points_with_their_mean(drawn, tmp_path):
    kinds = ["b", "a", "b", "b", "a", "a", "b", "a"]
    trials = searched("features.kind", kinds)
    draw_hyperparameters(trials, tmp_path / "once.png")
    draw_hyperparameters(trials, tmp_path / "again.png")
    assert (tmp_path / "once.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    (axes,) = drawn[0].axes
    assert names_along(axes.xaxis) == ["a", "b"]
    at, uas = points(axes).T
    np.testing.assert_allclose(uas, 50 + np.arange(8))
    np.testing.assert_array_equal(np.round(at), ["ab".index(kind) for kind in kinds])
    assert len(set(at - np.round(at))) == 8
    assert np.abs(at - np.round(at)).max() < 0.3
    means = [line.get_xydata() for line in axes.get_lines() if line.get_color() == SECOND and len(line.get_xdata())]
    assert sorted((ends[:, 0].mean(), ends[:, 1].mean()) for ends in means) == [
        (0, pytest.approx(54.25)),  # 51, 54, 55 and 57
        (1, pytest.approx(52.75)),
    ]
    np.testing.assert_allclose(points(axes, CHOSEN)[0], [at[7], 57])
    assert legend(drawn[0]) == ["trial", "best: trial 7", "mean"]


def test_shorter_trials_do_not_move_the_mean(drawn, tmp_path):
    trials = [completed("0", 0.9, {"features.kind": "a"}, epochs=2), completed("1", 0.6, {"features.kind": "a"})]
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    (axes,) = drawn[0].axes
    (mean,) = [line for line in axes.get_lines() if line.get_color() == SECOND and len(line.get_xdata())]
    assert mean.get_ydata() == pytest.approx([60, 60])
    assert legend(drawn[0])[:2] == ["2 epochs", "20 epochs"]


def log_uniform(count=20):
    return list(10 ** np.random.default_rng(1).uniform(-5, -2, count))


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (log_uniform(), "log"),
        ([1e-5, 1e-4, 1e-3, 1e-4], "log"),
        ([1e-5, 1e-3], "log"),
        ([1.0, 20.0], "linear"),
        ([1.0, 21.0], "log"),
        ([8, 16, 32, 64], "linear"),
        (list(np.random.default_rng(1).uniform(0.001, 0.6, 20)), "linear"),  # one of them is close to zero
        ([-1.0, 100.0, 1.0], "linear"),
        ([0.0, 0.0], "linear"),
        ([0.3], "linear"),
    ],
)
def test_the_axis_of_numbers_is_logarithmic_where_they_are(drawn, tmp_path, values, scale):
    draw_hyperparameters(searched("model.l2", values), tmp_path / "hyperparameters.png")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == scale
    np.testing.assert_allclose(points(axes)[:, 0], values)
    low, high = axes.get_xlim()
    assert low < min(values)
    assert max(values) < high
    ticks = axes.get_xticks()
    assert len(ticks) >= 1
    assert all(min(values) <= tick <= max(values) for tick in ticks)
    assert names_along(axes.xaxis) == [f"{tick:g}" for tick in ticks]


@pytest.mark.parametrize(
    ("values", "beside"),
    [
        ([None, 5.0, 20.0, None, 10.0], ["none"]),
        ([0.0, 1e-6, 1e-5, 1e-4], ["0"]),
        ([None, 0.0, 1e-6, 1e-4, None], ["0", "none"]),
        ([0, 1, 2, None], ["none"]),
    ],
)
def test_what_has_no_place_among_the_numbers_has_a_column_beside_them(drawn, tmp_path, values, beside):
    trials = searched("features.max_frequency_hz", values)
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    (axes,) = drawn[0].axes
    assert names_along(axes.xaxis)[: len(beside)] == beside
    at = dict(zip(names_along(axes.xaxis), axes.get_xticks(), strict=True))
    expected = [at["none"] if value is None else at["0"] if value == 0 else value for value in values]
    np.testing.assert_allclose(points(axes)[:, 0], expected)
    smallest = min(value for value in values if value is not None and str(value) not in ("0.0",))
    assert all(at[name] < smallest for name in beside)
    assert axes.get_xlim()[0] < min(at[name] for name in beside)


def test_a_key_whose_condition_does_not_hold_is_left_out_of_its_panel_only(drawn, tmp_path):
    trials = [
        completed("0", 0.7, {"train.loss": "cross_entropy"}),
        completed("1", 0.6, {"train.loss": "focal", "train.gamma": 2.0}),
        replace(completed("2", 0.6, {"train.loss": "focal", "model.dropout": 0.1}), status="running", folds=()),
    ]
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    panels = {axes.get_xlabel(): axes for axes in drawn[0].axes}
    assert len(points(panels["train.loss"])) == 2
    np.testing.assert_allclose(points(panels["train.gamma"]), [[2, 60]])
    assert not any(line.get_color() == CHOSEN for line in panels["train.gamma"].get_lines())
    assert not panels["model.dropout"].get_lines()


LONG = [f"value {n} with a name that is much too long_for a column" for n in range(7)]


@pytest.mark.parametrize(
    "values", [["log_mel_spectrogram", "mfcc", "spectrogram"], LONG, ["$a$", "b_c"], [True, False]]
)
def test_no_names_touch_and_nothing_is_cut_off(drawn, tmp_path, values):
    trials = [
        completed(n, 0.5 + n / 100, {"train.gamma": 1.0, "features.kind": value, "model.l2": 1e-5})
        for n, value in enumerate(values)
    ]
    draw_hyperparameters(trials, tmp_path / "hyperparameters.png")
    axes = drawn[0].axes[1]
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    labels = axes.get_xticklabels()
    assert all(label.get_rotation() for label in labels) == (values is LONG)
    boxes = [label.get_window_extent(renderer) for label in labels if not label.get_rotation()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    if values is LONG:
        column = np.diff(axes.transData.transform([(0, 0), (1, 0)])[:, 0])
        assert not any("\n" in name for name in names_along(axes.xaxis))
        assert column * np.sin(np.radians(labels[0].get_rotation())) > labels[0].get_fontsize() * drawn[0].dpi / 72
    else:
        assert [name.replace("\n", "") for name in names_along(axes.xaxis)] == sorted(
            str(value).lower() if isinstance(value, bool) else value for value in values
        )
    ink = imread(tmp_path / "hyperparameters.png")[..., :3].min(axis=2) < 0.5
    assert not any(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


@pytest.mark.usefixtures("_only_matplotlibs_fonts")
def test_values_without_a_font_are_numbered(drawn, tmp_path, caplog):
    draw_hyperparameters(searched("corpus.声", ["愤怒", "高兴"]), tmp_path / "hyperparameters.png")
    (axes,) = drawn[0].axes
    assert names_along(axes.xaxis) == ["1", "2"]
    assert axes.get_xlabel() == "corpus.?"
    assert caplog.records


def test_pictures_are_png_files_of_150_dpi_with_their_notes_made_without_pyplot(drawn, tmp_path):
    trials = [*searched("train.gamma", [1.0, 2.0]), Trial("3", "running", {}, 20)]
    for draw, name in ((draw_objectives, "目标.png"), (draw_hyperparameters, "hyperparameters.png")):
        path = tmp_path / "bilder 1" / name
        draw(trials, path, ["synthetic: $x_1$"])
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
            assert min(picture.size) > 400
    assert all("synthetic: $x_1$" in texts(picture) for picture in drawn)
    assert len(list((tmp_path / "bilder 1").iterdir())) == 2
    assert not pyplot.get_fignums()


def test_between_the_ticks_of_a_logarithmic_axis_stands_nothing(drawn, tmp_path):
    rates = [1.3e-4, 2.0e-4, 4.0e-4, 6.5e-4, 2.1e-3, 2.9e-3]
    trials = [completed(str(n), 0.5 + 0.01 * n, {"train.learning_rate": rate}) for n, rate in enumerate(rates)]
    draw_hyperparameters(trials, tmp_path / "panels.png")
    (axes,) = drawn[-1].axes
    assert axes.get_xscale() == "log"
    assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))
