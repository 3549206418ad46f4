"""Exporting a run, with export_source and description: the files, what they say of themselves, and what may fail."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import SplitConfig
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import ConfigError, ModelError, RunError
from lightsernet_tf.export import files as exporting
from lightsernet_tf.export import source as export_source
from lightsernet_tf.export.files import ExportError, ExportOptions, export
from lightsernet_tf.export.flatbuffer import Graph
from lightsernet_tf.export.graph import float_graph
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.export.proof import prove
from lightsernet_tf.files import PARTIAL_PREFIX
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import read_model_file
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import train
from tests.export.test_expectations import cross_validated

pytestmark = pytest.mark.slow

NO_TEST_NOTE = PROTOCOLS["final"].note
OPTIMISTIC_NOTE = PROTOCOLS["published"].note

_CALIBRATED = {
    "float32": "",
    "float16": "weights rounded on 12 training utterances",
    "dynamic_int8": "weights rounded on 12 training utterances",
    "int8": "rounded and calibrated on 12 training utterances",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exported runs")


@pytest.fixture(scope="module")
def experiment(tiny_config):
    return prepare(tiny_config)


@pytest.fixture(scope="module", autouse=True)
def _converted_once():
    """Equal networks are converted once, which takes longest."""
    made = {}

    def once(network, *more):
        key = (*more, *(one.tobytes() for one in network.get_weights()))
        if key not in made:
            made[key] = float_graph(network, *more)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_source, "float_graph", once)
        yield


@pytest.fixture(scope="module")
def trained(tiny_config, experiment, folder) -> Run:
    return train(replace(tiny_config, runs_dir=str(folder), run_name="lauf ü"), experiment)


@pytest.fixture(scope="module")
def exported(trained, experiment, folder):
    return export(trained, output=folder / "out", experiment=experiment)


@pytest.fixture(scope="module")
def validated(experiment, folder) -> Path:
    """The figures of a real cross-validation, as if it were one of the settings of ``trained``."""
    (folder / "all folds").mkdir()
    (folder / "all folds/scores.json").write_text(json.dumps(cross_validated(experiment)), encoding="utf-8")
    return folder / "all folds"


@pytest.fixture
def run(trained, tmp_path) -> Run:
    """A copy to spoil."""
    return Run.open(Path(shutil.copytree(trained.path, tmp_path / "lauf")))


def quick(run, experiment, output, *, epoch="best", name=None, cross_validation=None, **options):
    """Export one small file."""
    chosen = ExportOptions(**{"kind": "features", "precisions": ["float32"], **options})
    places = {"output": output, "name": name, "cross_validation": cross_validation}
    return export(run, epoch, chosen, experiment=experiment, **places)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def document_of(path):
    return read_model_file(path).description.document


def test_each_precision_becomes_a_file_with_its_card(exported, folder):
    assert [one.precision for one in exported] == list(PRECISIONS)
    expected = [f"lauf ü_{precision}.{ending}" for precision in PRECISIONS for ending in ("tflite", "md")]
    assert names(folder / "out") == sorted(expected)
    for one in exported:
        assert one.path.stat().st_size == one.size_bytes
        assert one.card_path.read_text(encoding="utf-8").startswith(f"# {one.path.name}\n")
        assert one.proof.passed


def test_a_file_says_what_it_is(exported, trained, tiny_config):
    for one in exported:
        description = read_model_file(one.path).description
        document = description.document
        assert list(description.labels) == list(trained.labels) == ["calm", "loud", "shrill"]
        assert (description.sample_rate_hz, description.window_samples, description.min_samples) == (16000, 4800, 1024)
        assert (description.input, description.segments) == ("waveform", "centre")
        assert document["input"]["duration_seconds"] == 0.3
        assert "99.9th percentile" in document["input"]["normalization"]
        assert document["input"]["shape"] == [1, 4800]
        assert document["input"]["dtype"] == document["output"]["dtype"] == "float32"
        assert document["features"]["mfcc_coefficients"] == 40
        assert document["features"]["kind"] == "mfcc"
        assert document["precision"] == one.precision
        assert document["training"]["corpus"] == "folders, 36 utterances"
        assert document["training"]["protocol"] == "leave_one_speaker_out, split seed 42"
        assert document["training"]["epoch"] == f"{trained.resolve_epoch('best')} of 3"
        assert document["licence"] == "Apache-2.0"
        assert {"tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "python"} <= set(document["versions"])
        assert set(document["measured"]) == {"validation", "test"}
        assert document["measured"]["test"]["scores"]["utterances"] == 12
        assert document["proof"] == asdict(one.proof)
        assert document["level"]["utterances"] == 36
        assert document["calibration"].startswith(_CALIBRATED[one.precision])
        assert document["latency"]["milliseconds"].keys() == {"1", "2"}
        operators = sorted({operator.name for operator in Graph(read_model_file(one.path).content).operators()})
        assert document["operators"] == operators
        assert document["expected"] is None


def test_nothing_tells_where_this_machine_keeps_its_files(exported, tiny_config, folder):
    for one in exported:
        texts = json.dumps(document_of(one.path), ensure_ascii=False) + one.card_path.read_text(encoding="utf-8")
        for place in (tiny_config.corpus.data_dir, str(folder), str(Path.home()), str(Path.cwd()), "data_dir"):
            assert place not in texts
            assert place.encode() not in one.path.read_bytes()


def test_a_file_gives_what_the_runs_report_gives(exported, trained, experiment):
    for one in exported:
        measured = document_of(one.path)["measured"]["validation"]["scores"]
        row = trained.history()[trained.resolve_epoch("best") - 1]
        if one.precision in ("float32", "float16"):
            assert measured["ua"] == pytest.approx(row["val_ua"])
        assert measured["ua"] == one.proof.file_ua
        assert one.proof.keras_ua == pytest.approx(row["val_ua"])


def test_the_same_export_twice_gives_the_same_model(exported, trained, experiment, tmp_path):
    again = export(
        trained, output=tmp_path, experiment=experiment, options=ExportOptions(precisions=["float32", "int8"])
    )
    for first, second in zip((exported[0], exported[3]), again, strict=True):
        before, after = document_of(first.path), document_of(second.path)
        assert before.pop("latency").keys() == after.pop("latency").keys()
        assert before == after  # the digest of the flatbuffer among it
        assert first.path.name == second.path.name


def fail_for(precision):
    def failing(*arguments, limit, **more):
        proof = prove(*arguments, limit=limit, **more)
        return replace(proof, passed=False) if limit is PRECISIONS[precision].limit else proof

    return failing


def test_a_file_that_does_not_hold_does_not_appear(trained, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "prove", fail_for("float16"))
    with pytest.raises(
        ExportError, match=r"^lauf ü_features_float16\.tflite: expected probabilities that differ by at most 0\.001"
    ) as caught:
        quick(trained, experiment, tmp_path, precisions=["float32", "float16", "dynamic_int8"])
    assert "this file is not written (force keeps the file and marks it)" in str(caught.value)
    assert [one.precision for one in caught.value.exported] == ["float32", "dynamic_int8"]
    expected = [
        f"lauf ü_features_{kind}.{ending}" for kind in ("float32", "dynamic_int8") for ending in ("md", "tflite")
    ]
    assert names(tmp_path) == sorted(expected)


def test_force_keeps_and_marks_it(trained, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "prove", fail_for("float32"))
    (one,) = quick(trained, experiment, tmp_path, force=True)
    assert document_of(one.path)["proof"]["passed"] is False
    card = one.card_path.read_text(encoding="utf-8")
    assert "> **This file did not pass its check against Keras, see below.**" in card
    assert ". **Not passed**." in card


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_gives_no_numbers_never_appears(trained, experiment, tmp_path, monkeypatch, force):
    monkeypatch.setattr(LiteRTNetwork, "predict_batch", lambda network, batch: np.full((len(batch), 3), np.nan))
    with pytest.raises(ExportError, match=r"float32\.tflite: expected probabilities\. Received: NaN or infinity"):
        quick(trained, experiment, tmp_path, force=force)
    assert names(tmp_path) == []


def test_a_run_that_diverged_is_named(run, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(
        export_source, "keras_predictor", lambda network: lambda batch: np.full((len(batch), 3), np.nan)
    )
    with pytest.raises(RunError, match=r"expected a network that gives probabilities\..*choose another --epoch"):
        quick(run, experiment, tmp_path)


def test_a_precision_that_cannot_be_converted_leaves_the_others(trained, experiment, tmp_path, monkeypatch):
    convert = exporting.quantize

    def failing(observed, precision, kind, io):
        if precision == "int8":
            raise ModelError("int8: expected a graph that can be converted. Received: no")
        return convert(observed, precision, kind, io)

    monkeypatch.setattr(exporting, "quantize", failing)
    with pytest.raises(ExportError, match=r"^lauf ü_features_int8\.tflite: int8: expected a graph") as caught:
        quick(trained, experiment, tmp_path, precisions=["int8", "float16"])
    assert [one.precision for one in caught.value.exported] == ["float16"]


def test_a_full_disk_leaves_neither_file_nor_card(trained, experiment, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ExportError, match="No space left") as caught:
        quick(trained, experiment, tmp_path, precisions=["float32", "float16"])
    assert str(caught.value).count("No space left") == 1  # the rest would fare no better
    assert not [
        name for name in names(tmp_path) if name.endswith((".tflite", ".md")) or name.startswith(PARTIAL_PREFIX)
    ]


def test_a_folder_that_cannot_be_made_is_found_before_the_work(trained, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(export_source, "float_graph", lambda *arguments: pytest.fail("worked for nothing"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        quick(trained, experiment, tmp_path / "file" / "out")


def test_which_epoch(run, experiment, tmp_path):
    kept = run.kept_epochs()
    for wanted, number in {"last": 3, str(kept[0]): kept[0]}.items():
        (one,) = quick(run, experiment, tmp_path / wanted, epoch=wanted)
        assert document_of(one.path)["training"]["epoch"] == f"{number} of 3"
    run.weights_path(kept[0]).unlink()
    with pytest.raises(RunError, match=f"expected best, last or one of the kept epochs .*epoch={kept[0]}"):
        quick(run, experiment, tmp_path / "gone", epoch=str(kept[0]))
    assert not (tmp_path / "gone").exists()


def test_without_an_output_the_files_lie_in_the_run(run, experiment):
    (one,) = quick(run, experiment, None, name="mine")
    assert one.path == run.path / "export" / "mine_features_float32.tflite"


def test_a_corpus_that_changed_is_refused(run, tiny_config, tiny_corpus, tmp_path):
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))
    soundfile.write(corpus / "声" / "calm" / "one more.wav", 0.1 * np.cos(np.arange(4800)), 16000)
    changed = prepare(replace(run.config, corpus=replace(run.config.corpus, data_dir=str(corpus))))
    with pytest.raises(RunError, match="expected the corpus that the run was trained on"):
        quick(run, changed, tmp_path / "out")


def test_a_corpus_elsewhere_is_the_same(run, tiny_corpus, tmp_path):
    corpus = Path(shutil.copytree(tiny_corpus, tmp_path / "moved"))
    moved = prepare(replace(run.config, corpus=replace(run.config.corpus, data_dir=str(corpus))))
    assert quick(run, moved, tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "precisions"), [("waveform", ["int8"]), ("features", ["float32"]), ("features", ["int8", "float16"])]
)
def test_integers_in_and_out_are_for_features_alone(trained, experiment, tmp_path, kind, precisions):
    with pytest.raises(ConfigError, match="io int8: expected input features and precision int8"):
        quick(trained, experiment, tmp_path, kind=kind, precisions=precisions, io="int8")


@pytest.mark.parametrize(("io", "expected"), [(None, "int8"), ("int8", "int8"), ("float32", "float32")])
def test_the_network_alone_in_integers(trained, experiment, tmp_path, io, expected):
    (one,) = quick(trained, experiment, tmp_path, precisions=["int8"], io=io, force=True)
    document = document_of(one.path)
    assert document["input"]["kind"] == "features"
    assert document["input"]["shape"] == [1, 15, 40, 1]
    assert document["input"]["dtype"] == document["output"]["dtype"] == expected
    assert document["level"] is None
    assert "EmotionRecognizer" not in one.card_path.read_text(encoding="utf-8")


def test_a_precision_twice_is_one_file(trained, experiment, tmp_path):
    assert len(quick(trained, experiment, tmp_path, precisions=["float32", "float32"])) == 1


def test_what_a_cross_validation_says_of_new_speakers(trained, experiment, validated, tmp_path):
    (one,) = quick(trained, experiment, tmp_path, cross_validation=validated)
    scores = json.loads((validated / "scores.json").read_text(encoding="utf-8"))
    expected = document_of(one.path)["expected"]
    assert expected["pooled"] == scores["pooled"]
    assert expected["protocol"] == "leave_one_speaker_out, split seed 42"
    assert expected["speakers"] == 10
    assert expected["validation_speakers"] == 1
    card = one.card_path.read_text(encoding="utf-8")
    assert f"expect a UA of about {100 * scores['speakers']['spread']['ua']['mean']:.1f} %" in card


def test_levels_that_depend_on_padding_are_refused(trained, experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(export_source, "normalize_padded", lambda waveforms: 0 * waveforms)
    with pytest.raises(ModelError, match=r"expected the same decision for 99 % of the utterances.*Received: "):
        export(trained, output=tmp_path, experiment=experiment, options=ExportOptions(precisions=["float32"]))
    assert names(tmp_path) == []


def exported_under(tiny_config, tmp_path, kind="waveform", **options):
    config = replace(tiny_config, runs_dir=str(tmp_path), run_name="run", train=replace(tiny_config.train, epochs=1))
    changed = replace(config, **options)
    (one,) = export(train(changed), options=ExportOptions(kind, ["float32"]), output=tmp_path / "out")
    return document_of(one.path), one.card_path.read_text(encoding="utf-8")


def test_a_network_to_ship_has_no_test_data(tiny_config, tmp_path):
    document, card = exported_under(tiny_config, tmp_path, "features", split=SplitConfig(protocol="final"))
    assert list(document["measured"]) == ["validation"]
    assert document["training"]["test speakers"] == "none"
    assert document["notes"] == [NO_TEST_NOTE]
    assert f"> **{NO_TEST_NOTE}**" in card
    assert "| test data |" not in card


def test_the_published_protocol_is_marked(tiny_config, tmp_path):
    document, card = exported_under(tiny_config, tmp_path, split=SplitConfig(protocol="published"))
    assert OPTIMISTIC_NOTE in document["notes"]
    assert any(note.startswith("speaker-dependent: ") for note in document["notes"])
    assert f"> **{OPTIMISTIC_NOTE}**" in card
    assert document["level"]["utterances"] == 36


def test_all_segments_and_labels_of_odd_names(tiny_config, tmp_path):
    odd = {"a|b": ["calm"], "`laut` *ü*": ["loud", "shrill"]}
    document, card = exported_under(
        tiny_config,
        tmp_path,
        audio=replace(tiny_config.audio, duration_seconds=0.14, segments="all"),
        corpus=replace(tiny_config.corpus, label_map=odd),
    )
    assert document["labels"] == list(odd)
    assert document["input"]["segments"] == "all"
    assert document["input"]["window_samples"] == 2240
    assert "every window, averaged" in card
    assert "1 a\\|b" in card
    (path,) = (tmp_path / "out").glob("*.tflite")
    assert "a|b\n`laut` *ü*\n".encode() in path.read_bytes()


def test_a_label_of_two_lines_is_refused(trained, experiment, tmp_path, monkeypatch):
    description = exporting.describe

    def odd(*arguments):
        return {**description(*arguments), "labels": ["ca\nlm", "loud", "shrill"]}

    monkeypatch.setattr(exporting, "describe", odd)
    with pytest.raises(ExportError, match=r"labels: expected at least two different lines of text\. Received: \['ca"):
        quick(trained, experiment, tmp_path)
    assert names(tmp_path) == []


def test_settings_or_weights_that_were_changed_since_are_refused(trained, experiment, tmp_path):
    run = Run.open(Path(shutil.copytree(trained.path, tmp_path / "changed")))
    shorter = replace(run.config.features, mfcc_coefficients=20)
    (run.path / "config.yaml").write_text(config_yaml(replace(run.config, features=shorter)), encoding="utf-8")
    with pytest.raises(RunError, match="expected features of the shape that was trained on"):
        quick(Run.open(run.path), None, tmp_path / "out")

    history = run.history()
    run.write_history([{**row, "val_ua": 1 - row["val_ua"]} for row in history])
    shutil.copy(trained.path / "config.yaml", run.path)
    with pytest.raises(RunError, match="expected the validation UA of epoch"):
        quick(Run.open(run.path), None, tmp_path / "out", epoch="last")


def test_an_older_card_does_not_stay_beside_another_model(trained, experiment, tmp_path):
    (one,) = quick(trained, experiment, tmp_path)
    before = one.card_path.read_text(encoding="utf-8")
    (tmp_path / "taken").mkdir()
    one.path.unlink()
    one.path.mkdir()
    with pytest.raises(ExportError, match="Is a directory"):
        quick(trained, experiment, tmp_path)
    assert one.card_path.read_text(encoding="utf-8") == before
