"""A cross-validation with several seeds: ordinary ones side by side, and their spread."""

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lightsernet_tf.config import SplitConfig
from lightsernet_tf.config_parser import load_config
from lightsernet_tf.cross_validate.folds import cross_validate, cross_validation_name
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.evaluate.scores import FIGURES
from lightsernet_tf.evaluate.sections import FIGURE_NAMES, interval
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]

SEEDS = (7, 42, 8)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def states(path: Path) -> dict[str, int]:
    return {file.parent.parent.name: file.stat().st_mtime_ns for file in path.glob("seed_*/*/state.npz")}


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory):
    """One fold: repeated seeds are of use where there is no spread over folds."""
    return replace(
        tiny_config,
        runs_dir=str(tmp_path_factory.mktemp("seeds")),
        run_name="Saaten ü",
        split=SplitConfig(protocol="stratified_hold_out", test_fraction=0.4),
        train=replace(tiny_config.train, epochs=1, seed=5),
    )


@pytest.fixture(scope="module")
def first(config):
    return cross_validate(config, seeds=SEEDS[:2])


@pytest.fixture(scope="module")
def done(first, config):
    """One seed more, later."""
    before = states(first.path)
    assert set(before) == {"seed_7", "seed_42"}
    done = cross_validate(config, seeds=SEEDS)
    after = states(done.path)
    assert {name: after[name] for name in before} == before
    assert set(after) == {f"seed_{seed}" for seed in SEEDS}
    return done


def test_each_seed_is_an_ordinary_cross_validation(done, config):
    predictions = []
    for seed in SEEDS:
        folder = done.path / f"seed_{seed}"
        assert load_config(folder / "config.yaml").train.seed == seed
        run = Run.open(folder / "hold_out")
        assert (run.config.train.seed, run.config.split.seed) == (seed, config.split.seed)
        assert f"| seed | {seed} |" in (folder / "report.md").read_text(encoding="utf-8")
        rows = read_csv(folder / "predictions.csv")
        predictions.append([[row[key] for key in row if key.startswith("p(")] for row in rows])
        assert [row["utterance"] for row in rows] == run.split["test"]["utterances"]
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        assert scores["pooled"] == done.seeds[seed].scores.to_dict()
        assert scores["settings"]["train"]["seed"] == seed
    splits = [Run.open(done.path / f"seed_{seed}" / "hold_out").split for seed in SEEDS]
    assert splits[0] == splits[1] == splits[2]
    assert predictions[0] != predictions[1]
    assert predictions[1] != predictions[2]


def test_it_is_what_the_seed_alone_gives(done, config):
    alone = cross_validate(replace(config, run_name="alone", train=replace(config.train, seed=42)))
    for name in ("predictions.csv", "report.md", "scores.json"):
        assert (alone.path / name).read_bytes() == (done.path / "seed_42" / name).read_bytes()


def test_the_spread_is_that_of_the_pooled_figures(done):
    rows = read_csv(done.path / "seeds.csv")
    assert [int(row["seed"]) for row in rows] == list(SEEDS)
    scores = json.loads((done.path / "scores.json").read_text(encoding="utf-8"))
    assert list(scores["seeds"]) == [str(seed) for seed in SEEDS]
    assert scores["facts"]["seeds"] == list(SEEDS)
    assert "seed" not in scores["settings"]["train"]
    for key in FIGURES:
        figures = [getattr(done.seeds[seed].scores, key) for seed in SEEDS]
        assert [float(row[key]) for row in rows] == figures
        assert [scores["seeds"][str(seed)]["pooled"][key] for seed in SEEDS] == figures
        limits = [done.seeds[seed].intervals[key] for seed in SEEDS]
        assert [(float(row[f"{key}_low"]), float(row[f"{key}_high"])) for row in rows] == limits
        spread = scores["spread"][key]
        assert spread["mean"] == pytest.approx(np.mean(figures))
        assert spread["std"] == pytest.approx(np.std(figures, ddof=1))
        assert (spread["min"], spread["max"]) == (min(figures), max(figures))
        assert done.spread[key].to_dict() == spread


def test_the_report_shows_a_line_for_each_seed_and_explains_them(done):
    text = done.report_path.read_text(encoding="utf-8")
    assert text.startswith("# Light-SERNet on folders: cross-validation with 3 seeds\n")
    for seed in SEEDS:
        one = done.seeds[seed]
        cells = " | ".join(interval(getattr(one.scores, key), one.intervals[key]) for key in FIGURES)
        assert f"| [{seed}](seed_{seed}/report.md) | {cells} |" in text
    for key, spread in done.spread.items():
        cells = " | ".join(percent(value) for value in (spread.mean, spread.std, spread.min, spread.max))
        assert f"| {FIGURE_NAMES[key]} | {cells} |" in text
    assert "It does not cover other speakers" in text
    assert "| seed |" not in text.split("##")[0]
    assert "| seeds | 7, 42, 8 |" in text
    assert f"> **{done.notes[0]}**" in text
    assert done.notes[0].startswith("speaker-dependent: ")

    lines = done.summary().splitlines()
    assert lines[0] == f"{done.path}: 15 test utterances of 3 speakers, with 3 seeds"
    assert lines[1] == f"  {done.notes[0]}"
    assert [line.split("  WA ")[0] for line in lines[2:5]] == ["  seed  7", "  seed 42", "  seed  8"]
    assert lines[6].startswith(f"  UA          {percent(done.spread['ua'].mean)} on average, standard deviation ")
    assert Path(lines[-1].removeprefix("Report:   ")).read_text(encoding="utf-8") == text


def test_a_single_seed_has_no_standard_deviation(done, config, caplog):
    before = states(done.path)
    with caplog.at_level(logging.INFO):
        one = cross_validate(config, seeds=[8])
    assert states(done.path) == before
    assert f"{one.path / 'seed_8' / 'hold_out'} is finished" in caplog.messages
    assert list(one.seeds) == [8]
    assert "standard deviation –" in one.summary()
    assert json.loads((one.path / "scores.json").read_text(encoding="utf-8"))["spread"]["ua"]["std"] is None


def test_other_settings_are_refused_also_with_a_new_seed(done, config):
    before = sorted(done.path.rglob("*"))
    for seeds in (SEEDS, [1]):
        with pytest.raises(RunError, match=r"with train\.epochs=2\. .* \(in .*seed_\d+/config\.yaml\).*--run_name"):
            cross_validate(replace(config, train=replace(config.train, epochs=2)), seeds=seeds)
    assert sorted(done.path.rglob("*")) == before


def test_with_and_without_seeds_are_not_mixed_in_a_folder(done, config):
    with pytest.raises(
        RunError,
        match=r"Received: a cross-validation with --seeds \(seed_42, seed_7, seed_8\); choose another --run_name",
    ):
        cross_validate(config)
    assert not (done.path / "config.yaml").exists()
    with pytest.raises(RunError, match=r"Received: a cross-validation without --seeds; choose another --run_name"):
        cross_validate(replace(config, runs_dir=str(done.path), run_name="seed_7"), seeds=[1])
    names = [cross_validation_name(config), cross_validation_name(config, SEEDS)]
    assert names[0] != names[1]


@pytest.mark.parametrize("seeds", [[1, 2, 1], [-1], [2**31]])
def test_seeds_that_cannot_be_are_refused(config, seeds):
    with pytest.raises(ConfigError, match=rf"--seeds: expected numbers from 0 .*Received: {seeds[0]}"):
        cross_validate(replace(config, run_name="wrong"), seeds=seeds)
    assert not (Path(config.runs_dir) / "wrong").exists()
