"""The pooled report: its figures against scikit-learn's, its notes, and damaged predictions."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from lightsernet_tf.config import SplitConfig
from lightsernet_tf.cross_validate import pooled_report
from lightsernet_tf.cross_validate.folds import cross_validate
from lightsernet_tf.cross_validate.pooled_report import CrossValidation, pool
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.run import evaluate_run
from lightsernet_tf.runs.run import Run

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]

OPTIMISTIC_NOTE = PROTOCOLS["published"].note

FOLD = "published_01"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory):
    return replace(
        tiny_config,
        runs_dir=str(tmp_path_factory.mktemp("cross validations")),
        run_name="öffentlich",
        split=SplitConfig(protocol="published", folds=2, test_fraction=0.4),
        train=replace(tiny_config.train, epochs=1),
    )


@pytest.fixture(scope="module")
def done(config) -> CrossValidation:
    return cross_validate(config)


def test_the_pooled_figures_are_those_of_scikit_learn(done):
    rows = read_csv(done.path / "predictions.csv")
    true, predicted = [row["true"] for row in rows], [row["predicted"] for row in rows]
    scores = json.loads((done.path / "scores.json").read_text(encoding="utf-8"))
    assert scores["pooled"]["wa"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert scores["pooled"]["ua"] == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0)
    assert scores["pooled"]["macro_f1"] == pytest.approx(f1)
    by_speaker = []
    for speaker in sorted({row["speaker"] for row in rows}):
        mine = [(row["true"], row["predicted"]) for row in rows if row["speaker"] == speaker]
        by_speaker.append(metrics.balanced_accuracy_score(*zip(*mine, strict=True)))
    assert len(by_speaker) == 3
    spread = scores["speakers"]["spread"]["ua"]
    assert spread["mean"] == pytest.approx(np.mean(by_speaker))
    assert spread["std"] == pytest.approx(np.std(by_speaker, ddof=1))
    assert (scores["corpus"], scores["utterances"], scores["protocol"]) == ("folders", 36, "published")
    for name, (low, high) in scores["intervals"].items():
        assert low <= scores["pooled"][name] <= high


def test_the_published_protocol_is_called_optimistic_everywhere(done, config, monkeypatch):
    drawn = []
    draw = pooled_report.draw_confusion

    def recording(scores, path, title, notes):
        drawn.append(notes)
        draw(scores, path, title, notes)

    monkeypatch.setattr(pooled_report, "draw_confusion", recording)
    again = pool(done.path, prepare(config))
    assert again.notes == done.notes
    assert drawn == [done.notes]
    assert done.notes[0] == OPTIMISTIC_NOTE
    assert done.notes[1].startswith("speaker-dependent: 3 of the 3 test speakers")
    rows = read_csv(done.path / "predictions.csv")
    repeated = len(rows) - len({row["utterance"] for row in rows})
    assert repeated > 0
    assert done.notes[2].startswith(f"test data overlaps: {repeated} of the {len(rows)} predictions")
    assert json.loads((done.path / "scores.json").read_text(encoding="utf-8"))["notes"] == done.notes
    text = done.report_path.read_text(encoding="utf-8")
    for note in done.notes:
        assert f"> **{note}**" in text
        assert f"  {note}" in done.summary().splitlines()
    assert evaluate_run(Run.open(done.path / FOLD)).notes[0] == OPTIMISTIC_NOTE


@pytest.mark.parametrize("damage", ["gone", "other label", "a line less", "no column", "no text"])
def test_damaged_predictions_are_named(done, config, tmp_path, damage):
    run = Run.open(Path(shutil.copytree(done.path, tmp_path / "copy")) / FOLD)
    path = run.report_dir(run.resolve_epoch("best")) / "predictions.csv"
    text = path.read_text(encoding="utf-8")
    spoilt = {
        "other label": text.replace("calm", "tame"),
        "a line less": "\n".join(text.splitlines()[:-1]) + "\n",
        "no column": text.replace("part,", "side,", 1),
    }
    path.unlink()
    if damage == "no text":
        path.write_bytes(b"\xff\xfe\x00part")
    elif damage != "gone":
        path.write_text(spoilt[damage], encoding="utf-8")
    with pytest.raises(RunError, match=r"predictions\.csv: expected"):
        pool(run.path.parent, prepare(config))
