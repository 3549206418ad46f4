"""Judging parts of a corpus, and the report of that."""

import csv
import json

import numpy as np
import pytest

from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.evaluate.judgement import judge, judge_parts
from lightsernet_tf.evaluate.report import Evaluation, write_report
from lightsernet_tf.evaluate.scores import score


@pytest.fixture(scope="module")
def experiment(tiny_config):
    return prepare(tiny_config)


def knowing(experiment, wrong=()):
    """Predict every utterance rightly, but for some."""

    def predict(positions):
        classes = len(experiment.labels)
        classes_of = [(experiment.class_ids[one] + (one in wrong)) % classes for one in positions]
        return 0.1 + 0.7 * np.eye(classes)[classes_of]

    return predict


def test_a_judgement_is_the_scores_of_what_is_predicted(experiment):
    judged = judge(knowing(experiment, wrong={3}), experiment, (1, 3, 9))
    assert judged.positions == (1, 3, 9)
    np.testing.assert_array_equal(judged.true, experiment.class_ids[[1, 3, 9]])
    assert judged.scores.wa == pytest.approx(2 / 3)
    assert judged.scores.to_dict() == score(judged.true, judged.probabilities, experiment.labels).to_dict()
    low, high = judged.intervals["wa"]
    assert low < 2 / 3 < high


def test_parts_without_utterances_are_left_out(experiment):
    fold = Fold("some", train=(0, 1), validation=(4,), test=())
    assert list(judge_parts(knowing(experiment), experiment, fold)) == ["training", "validation"]


def test_a_report_of_parts(experiment, tmp_path):
    fold = experiment.folds[0]
    parts = judge_parts(knowing(experiment, wrong=set(fold.test[:3])), experiment, fold)
    path = write_report(
        tmp_path, "Name", experiment, parts, ["a note"], facts={"a": "fact"}, sections=["more"], epoch=3
    )
    text = path.read_text(encoding="utf-8")
    assert "| test | 12 | 75.0 %" in text
    headings = [line for line in text.splitlines() if line.startswith(("#", "more"))]
    assert headings == [
        "# Light-SERNet on folders: Name",
        "## Figures",
        "## Test",
        "## Validation",
        "## Training",
        "more",
    ]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"confusion_{part}.png" for part in sorted(parts)]

    lines = Evaluation("the title", ["a note"], parts, path).summary().splitlines()
    assert lines[:2] == ["the title", "  a note"]
    assert [line.split()[0] for line in lines[2:5]] == ["training", "validation", "test"]
    assert "UA 75.0 %" in lines[4]
    assert lines[4].endswith("(12 utterances)")

    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["epoch"] == 3
    assert scores["notes"] == ["a note"]
    assert scores["test"]["wa"] == 0.75
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 36
    assert sum(row["true"] != row["predicted"] for row in rows) == 3


def test_facts_name_the_speakers(experiment):
    facts = experiment_facts(experiment, Fold("one", train=(0,), validation=(12,), test=()))
    assert facts["fold"] == "one"
    assert facts["training speakers"] == [experiment.corpus.utterances[0].speaker]
    assert facts["test speakers"] == "none"
    assert facts["labels"] == experiment.labels
