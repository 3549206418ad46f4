"""What a user may do wrong, through the real commands: one line that says it, status 2, and nothing half-written."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.cli import run_command
from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.corpora import __main__ as corpora
from lightsernet_tf.cross_validate import __main__ as cross_validate
from lightsernet_tf.evaluate import __main__ as evaluate
from lightsernet_tf.features import __main__ as features
from lightsernet_tf.files import PARTIAL_PREFIX
from lightsernet_tf.runs import __main__ as runs
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train import __main__ as train

pytestmark = pytest.mark.slow

BAD_FILE = ("Änne", "calm", "take 0.wav")


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def call(capsys):
    """Run a command in this process: its status, what it printed, and the lines of its standard error stream."""

    def run(command, *arguments) -> tuple[int, str, list[str]]:
        with pytest.raises(SystemExit) as left:
            run_command(command.main, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return left.value.code, out, [line for line in err.splitlines() if line.strip()]

    return run


@pytest.fixture
def refused(call, tmp_path):
    """Run a command that has to refuse: one line says why, and it leaves no file but whole ones of the cache."""

    def run(command, *arguments) -> str:
        before = files_below(tmp_path)
        status, out, lines = call(command, *arguments)
        messages = [line for line in lines if line.startswith("error: ")]
        assert (status, len(messages), lines[-1:], out) == (2, 1, messages, ""), lines
        assert not [line for line in lines if "Traceback" in line or line.startswith("usage")]
        new = files_below(tmp_path) - before
        assert {path.suffix for path in new if not path.name.startswith(PARTIAL_PREFIX)} <= {".npy"}, new
        assert not [path for path in new if path.name.startswith(PARTIAL_PREFIX)]
        assert not list(tmp_path.glob("runs/*"))
        return messages[0].removeprefix("error: ")

    return run


@pytest.fixture
def options(tmp_path, tiny_config):
    """Options that train for a moment in ``tmp_path`` on a corpus in a folder."""

    def of(folder: Path, *more, cache_dir: str | Path | None = None) -> list[str]:
        config = replace(
            tiny_config,
            corpus=replace(tiny_config.corpus, data_dir=str(folder)),
            train=replace(tiny_config.train, epochs=1),
            runs_dir=str(tmp_path / "runs"),
            cache_dir=str(cache_dir or tiny_config.cache_dir),
        )
        settings = tmp_path / "settings of the test.yaml"
        settings.write_text(config_yaml(config), encoding="utf-8")
        return ["--config", str(settings), *map(str, more)]

    return of


@pytest.fixture
def copied(tiny_corpus, tmp_path):
    """Return a copy of the tiny corpus that may be spoilt."""
    return Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))


# --- The corpus -------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(refused, options, tmp_path):
    assert refused(train, *options(tmp_path / "nowhere")) == (
        f"corpus.data_dir: expected the folder of folders. Received: '{tmp_path / 'nowhere'}' (nothing there)"
    )
    for command, arguments in (
        (cross_validate, options(tmp_path / "nowhere")),
        (corpora, ["emodb", "--data-dir", tmp_path / "nowhere"]),
    ):
        assert "(nothing there)" in refused(command, *arguments)
    (tmp_path / "file").write_text("x")
    assert refused(train, *options(tmp_path / "file")).endswith(f"Received: '{tmp_path / 'file'}' (a file)")


def test_a_folder_without_audio(refused, options, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "read me.txt").write_text("no audio here")
    expected = f"{folder}: expected audio files such as {{speaker}}/{{label}}/{{name}}.wav. Received: none"
    assert refused(train, *options(folder)) == expected
    assert refused(corpora, "folders", "--data-dir", folder) == expected


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


SPOILT = {
    "truncated": (cut_in_half, "expected 9600 bytes of samples by its header, received 4778"),
    "empty": (lambda path: path.write_bytes(b""), "expected audio, received an empty file"),
    "text": (lambda path: path.write_text("no audio"), "expected audio that can be decoded, received"),
    "nan": (
        lambda path: soundfile.write(path, np.full(4800, np.nan, np.float32), 16000, subtype="FLOAT"),
        "expected finite samples, received NaN or infinity",
    ),
    "shorter than a frame": (
        lambda path: soundfile.write(path, np.full(800, 0.1), 16000),
        "expected at least 1024 samples at 16000 Hz, received 800",
    ),
    "link to nothing": (
        lambda path: (path.unlink(), path.symlink_to(path.parent / "gone")),
        "expected an audio file, received: No such file or directory",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_bad_file_is_named(refused, options, copied, tmp_path, kind):
    spoil, problem = SPOILT[kind]
    path = copied.joinpath(*BAD_FILE)
    spoil(path)
    message = refused(train, *options(copied, cache_dir=tmp_path / "cache"))
    assert message.startswith(f"{path}: {problem}")
    assert message.endswith("; corpus.on_error: skip leaves such files out")
    assert refused(features, path, "--png", tmp_path / "x.png").startswith(f"{path}: {problem}")


def test_only_bad_files(refused, options, copied, tmp_path):
    for path in copied.rglob("*.wav"):
        path.write_bytes(b"")
    message = refused(train, *options(copied, "--corpus.on_error", "skip", cache_dir=tmp_path / "cache"))
    assert message.endswith("received an empty file (and 35 more of 36 files); no file can be read")


@pytest.mark.parametrize(
    ("corpus", "example"),
    [
        ("emodb", "wav/03a01Fa.wav"),
        ("ravdess", "Actor_12/03-01-06-01-02-01-12.wav"),
        ("crema_d", "AudioWAV/1001_DFA_ANG_XX.wav"),
    ],
)
def test_a_name_that_cannot_be_parsed(refused, tmp_path, corpus, example):
    path = tmp_path / "corpus" / "my holiday.wav"
    path.parent.mkdir()
    soundfile.write(path, np.full(4800, 0.1), 16000)
    for command, arguments in (
        (train, ["--corpus.name", corpus, "--corpus.data_dir", path.parent]),
        (corpora, [corpus, "--data-dir", path.parent]),
    ):
        message = refused(command, *arguments)
        assert message.startswith(f"{path}: expected a name like {example} (")
        assert message.endswith(
            "Received: " + "/".join(path.parts[-3:]) + ". Set corpus.on_error: skip to leave such files out"
        )
    message = refused(corpora, corpus, "--data-dir", path.parent, "--on_error", "skip")
    assert message.startswith(
        f"corpus.data_dir: no utterance of {corpus} could be read in {path.parent}; 1 files left out"
    )


LABELS_THAT_DO_NOT_FIT = {
    "unknown in label_map": (
        ["--corpus.label_map", "{low: [calm, clam], high: [loud, shrill]}"],
        "corpus.label_map",
        "clam",
    ),
    "unknown in drop_labels": (["--corpus.drop_labels", "[angry]"], "corpus.drop_labels", "angry"),
    "dropping everything": (["--corpus.drop_labels", "[calm, loud, shrill]"], "corpus.drop_labels", "calm (12)"),
    "one class left": (["--corpus.drop_labels", "[loud, shrill]"], "corpus.labels", "only calm"),
    "merging everything": (["--corpus.label_map", "{all: [calm, loud, shrill]}"], "corpus.labels", "only all"),
    "forgetting one": (["--corpus.labels", "[calm, loud]"], "corpus.labels", "shrill in neither"),
    "fold": (["--split.fold", "99"], "split.fold", "expected 0 to 2 under leave_one_speaker_out. Received: fold=99"),
    "folds": (["--split.protocol", "group_k_fold"], "split.folds", "expected at most 3"),
    "no manifest": (["--split.protocol", "manifest"], "", "column split"),
    "all tested": (
        ["--split.protocol", "random_hold_outs", "--split.test_fraction", "0.99"],
        "split.test_fraction",
        "36",
    ),
    "too few tested": (
        ["--split.protocol", "stratified_hold_out", "--split.test_fraction", "0.01"],
        "split.test_fraction",
        "calm 12",
    ),
    "lowest band": (
        ["--features.max_frequency_hz", "161", "--features.mel_bins", "4", "--features.mfcc_coefficients", "4"],
        "features.max_frequency_hz",
        "161",
    ),
    "class weights": (
        ["--train.balance", "class_weight", "--train.class_weights", "{clam: 2}"],
        "train.class_weights",
        "clam",
    ),
}


@pytest.mark.parametrize("case", LABELS_THAT_DO_NOT_FIT)
def test_settings_that_do_not_fit_the_corpus(refused, options, tiny_corpus, case):
    arguments, key, received = LABELS_THAT_DO_NOT_FIT[case]
    message = refused(train, *options(tiny_corpus, *arguments))
    assert message.startswith(key)
    assert received in message


def test_a_class_with_no_training_utterance(refused, options, copied, tmp_path):
    path = copied / "ben b" / "rare" / "take 0.wav"
    path.parent.mkdir()
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 4800), 16000)
    for command in (train, cross_validate):
        message = refused(command, *options(copied, cache_dir=tmp_path / "cache"))
        assert "expected training utterances of every class. Received: none of rare. Drop the class" in message
        assert message.startswith("speaker_ben b: ")


def test_a_single_speaker(refused, options, copied, tmp_path):
    shutil.rmtree(copied / "ben b")
    message = refused(train, *options(copied, cache_dir=tmp_path / "cache"))
    assert "speakers beside the tested ones. Received: 1 (" in message
    shutil.rmtree(copied / "声")
    assert "Received: 0 (none)" in refused(train, *options(copied, cache_dir=tmp_path / "cache"))


def test_the_same_audio_on_two_sides(refused, options, copied, tmp_path):
    for speaker in ("ben b", "声"):
        shutil.copy(copied.joinpath(*BAD_FILE), copied / speaker / "calm" / "take 0.wav")
    message = refused(train, *options(copied, cache_dir=tmp_path / "cache"))
    assert message.startswith("leak in speaker_")
    assert "corpus.duplicates: drop" in message


def test_digital_silence_trains_as_zeros(call, options, copied, tmp_path):
    for samples, path in enumerate(sorted(copied.rglob("*.wav")), start=4800):
        soundfile.write(path, np.zeros(samples), 16000)
    status, _, lines = call(
        train, *options(copied, "--run_name", "silent", "--features.kind", "mfcc", cache_dir=tmp_path / "cache")
    )
    assert status == 0, lines
    (row,) = Run.open(tmp_path / "runs" / "silent").history()
    assert all(np.isfinite(value) for value in row.values())


# --- Settings ---------------------------------------------------------------------------------------------------------

SETTINGS = {
    "tarin: {epochs: 3}": "tarin: no such key. Did you mean train?",
    "train: {epohcs: 3}": "train.epohcs: no such key. Did you mean train.epochs?",
    "corpus: {bogus: 3}": "corpus.bogus: no such key. Expected one of data_dir, drop_labels,",
    "train: {epochs: many}": "train.epochs: expected a whole number. Received: many",
    "train: {epochs: 1.5}": "train.epochs: expected a whole number. Received: 1.5",
    "train: {epochs: true}": "train.epochs: expected a whole number. Received: True",
    "train: {epochs: }": "train.epochs: expected a value. Received: nothing",
    "train: {epochs: 0}": "train.epochs: expected at least 1. Received: epochs=0",
    "train: {learning_rate: .nan}": "train.learning_rate: expected more than 0 and at most 1. Received: ",
    "train: {loss: hinge}": "train.loss: expected one of cross_entropy, focal. Received: hinge",
    "train: 3": "train: expected keys and values. Received: train=3",
    "train: {class_weights: {no: 2}}": "train.class_weights: expected text as keys (in YAML put quotes around no,",
    "split: {seed: 99999999999}": "split.seed: expected 0 or more and less than 2**31. Received: seed=99999999999",
    "corpus: {name: emo}": "corpus.name: expected one of demo, emodb, ravdess,",
    "corpus: {name: emodb}": "corpus.data_dir: expected the folder of emodb. Received: data_dir=None",
    "corpus: {labels: happy}": "corpus.labels: expected a list. Received: happy",
    "runs_dir: 3": "runs_dir: expected text. Received: 3",
    "- 3": "expected keys and values. Received: list",
    "train: [": "expected YAML. Received: while parsing",
    "extends: 3": "extends: expected the name of a YAML file. Received: extends=3",
    "extends: bad.yaml": "extends: expected a file that does not build on this one. Received: bad.yaml",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_a_file_of_settings_with_a_mistake(refused, tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    for command in (train, cross_validate):
        message = refused(command, "--config", path)
        assert message.removeprefix(f"{path}: ").startswith(SETTINGS[text])


def test_a_file_of_settings_that_is_none(refused, tmp_path):
    path = tmp_path / "bad.yaml"
    assert refused(train, "--config", path).startswith(
        f"{path}: expected a YAML file of settings. Received: No such file"
    )
    assert (
        refused(train, "--config", tmp_path)
        == f"{tmp_path}: expected a YAML file of settings. Received: Is a directory"
    )
    path.write_bytes(bytes(range(256)))
    assert refused(train, "--config", path).startswith(f"{path}: expected YAML. Received: 'utf-8' codec can't decode")
    assert refused(train, "--config", path, f"--config={path}").startswith("--config: expected one file;")


OPTIONS = {
    "--train.epohcs 3": "unrecognized arguments: --train.epohcs 3. Did you mean --train.epochs?",
    "--epochs 3": "unrecognized arguments: --epochs 3. Did you mean --train.epochs?",
    "--train.epochs x": "train.epochs: expected a whole number. Received: x",
    "--train.epochs=-1": "train.epochs: expected at least 1. Received: epochs=-1",
    "--train.epochs": "argument --train.epochs: expected one argument",
    "--train.gamma inf": "train.gamma: expected a ",
    "--train 3": "train: expected keys and values, or one of them as --train.KEY. Received: 3",
    "--corpus.label_map {a: 1}": "corpus.label_map: expected a list. Received: 1",
    "--features.kind mel": "features.kind: expected one of mfcc, log_mel_spectrogram, spectrogram. Received: mel",
    "--config": "argument --config: expected one argument",
    "emodb": "unrecognized arguments: emodb",
    "--train.batch_size 99999999999999999999": "train.batch_size: expected less than 2**31.",
    "--audio.duration_seconds 0.01": "audio.duration_seconds: expected 0.1 to 600 seconds. Received: ",
}


@pytest.mark.parametrize("line", OPTIONS)
def test_an_option_with_a_mistake(refused, line):
    for command in (train, cross_validate):
        assert refused(command, *line.split(" ", 1)).startswith(OPTIONS[line])


OTHER_COMMANDS = {
    "evaluate": (evaluate, [], "the following arguments are required: RUN"),
    "evaluate --bogus": (evaluate, ["x", "--bogus"], "unrecognized arguments: --bogus"),
    "evaluate --epoch": (evaluate, ["x", "--epoch"], "argument --epoch: expected one argument"),
    "runs": (runs, [], "the following arguments are required: DIR"),
    "runs --sort x": (runs, ["x", "--sort", "x"], "argument --sort: invalid choice: 'x'"),
    "cross_validate --jobs 0": (cross_validate, ["--jobs", "0"], "--jobs: expected at least 1. Received: 0"),
    "cross_validate --jobs x": (cross_validate, ["--jobs", "x"], "jobs: expected a whole number. Received: x"),
    "features": (features, [], "the following arguments are required: files, png"),
    "features --features.kind": (
        features,
        ["x.wav", "--png", "x.png", "--features.kind", "mel"],
        "features.kind: expected one of mfcc, log_mel_spectrogram, spectrogram. Received: mel",
    ),
    "features --features.mel_bins": (
        features,
        ["x.wav", "--png", "x.png", "--features.mel_bins", "1"],
        "features.mel_bins: expected at least 4.",
    ),
    "features to a text": (features, ["x.wav", "--png", "x.txt"], "--png: expected a name that ends in .png."),
    "features into nothing": (features, ["x.wav", "--png", "no/x.png"], "--png: expected a folder that is there."),
    "corpora": (corpora, [], "the following arguments are required: name"),
    "corpora emo": (corpora, ["emo"], "argument name: invalid choice: 'emo'"),
    "corpora emodb": (corpora, ["emodb"], "corpus.data_dir: expected the folder of emodb. Received: data_dir=None"),
    "corpora --on_error": (
        corpora,
        ["emodb", "--data-dir", "x", "--on_error", "ignore"],
        "on_error: expected one of stop, skip. Received: ignore",
    ),
    "corpora --download": (corpora, ["ravdess", "--download"], "--download: expected --data-dir,"),
}


@pytest.mark.parametrize("line", OTHER_COMMANDS)
def test_other_commands_with_a_mistake(refused, line):
    command, arguments, message = OTHER_COMMANDS[line]
    assert refused(command, *arguments).startswith(message)


def test_other_commands_with_a_folder_that_does_not_fit(refused, tmp_path):
    file, folder, picture = tmp_path / "file", tmp_path / "folder", tmp_path / "picture.png"
    file.write_text("x")
    folder.mkdir()
    picture.mkdir()
    for path in (file, folder, tmp_path / "nowhere"):
        assert refused(evaluate, path) == f"{path}: expected a run's folder. Received: no run.json in it"
        assert refused(train, "--resume", path) == f"{path}: expected a run's folder. Received: no run.json in it"
        assert refused(runs, path).startswith(f"{path}: expected ")
    assert refused(features, folder, "--png", tmp_path / "x.png").startswith(f"{folder}: expected an audio file")
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.full(4800, 0.1), 16000)
    assert refused(features, sound, "--png", picture) == f"{picture}: Is a directory"


def test_folders_that_cannot_be_written(refused, options, tiny_corpus, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert refused(train, *options(tiny_corpus, "--runs_dir", file, "--run_name", "x")) == (
        f"{file / 'x'}: expected a folder that can be made (runs_dir, run_name). Received: Not a directory"
    )
    assert "File name too long" in refused(train, *options(tiny_corpus, "--run_name", "x" * 300))
    assert str(file) in refused(cross_validate, *options(tiny_corpus, "--runs_dir", file, "--run_name", "x"))
    assert refused(train, *options(tiny_corpus, cache_dir=file)).startswith(
        "cache_dir: expected a folder with room for"
    )
    assert file.read_text() == "x"


@contextlib.contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_while_features_are_cached(refused, options, tiny_corpus, tmp_path):
    arguments = options(tiny_corpus, cache_dir=tmp_path / "cache")
    with files_up_to(20_000):
        message = refused(train, *arguments)
    assert message == (
        "cache_dir: expected a folder with room for the features; nothing half-written is left there. "
        f"Received: {str(tmp_path / 'cache')!r} (File too large)"
    )
    assert not files_below(tmp_path / "cache")


def test_initial_weights_that_are_none(refused, options, tiny_corpus, tmp_path):
    for given, message in (
        (tmp_path, f"{tmp_path}: expected a run's folder. Received: no run.json in it"),
        (tmp_path / "x.weights.h5", f"{tmp_path / 'x.weights.h5'}: expected a file of weights. Received: no such file"),
    ):
        assert refused(train, *options(tiny_corpus, "--train.initial_weights", given)) == message


# --- Runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_config, tiny_corpus, tmp_path_factory) -> tuple[Path, list[str]]:
    """A run with everything odd that still has to work, by the command; and what it logged as warnings.

    Spaces and other scripts in paths, class names in Chinese, a file that cannot be read, and a class that the tested
    speaker never shows.
    """
    folder = tmp_path_factory.mktemp("全部 ünd more")
    corpus = Path(shutil.copytree(tiny_corpus, folder / "语料 库"))
    for speaker in ("Änne", "ben b", "声"):
        for label, name in (("calm", "平静"), ("loud", "愤怒"), ("shrill", "惊讶")):
            (corpus / speaker / label).rename(corpus / speaker / name)
    cut_in_half(corpus / "声" / "平静" / "take 0.wav")
    shutil.copytree(corpus / "ben b" / "愤怒", corpus / "第四 个" / "愤怒")
    shutil.rmtree(corpus / "ben b" / "愤怒")
    shutil.copytree(tiny_corpus / "ben b" / "calm", corpus / "第四 个" / "平静")
    shutil.copytree(tiny_corpus / "ben b" / "shrill", corpus / "第四 个" / "惊讶")
    for path in sorted((corpus / "第四 个").rglob("*.wav")):
        samples, rate_hz = soundfile.read(path)
        soundfile.write(path, samples[::-1], rate_hz)
    config: Config = replace(
        tiny_config,
        corpus=replace(tiny_config.corpus, data_dir=str(corpus), on_error="skip"),
        split=replace(tiny_config.split, fold=0),
        train=replace(tiny_config.train, epochs=1),
        runs_dir=str(folder / "läufe und mehr"),
        run_name="声 1",
    )
    speakers = sorted(path.name for path in corpus.iterdir())
    config = replace(config, split=replace(config.split, fold=speakers.index("ben b")))
    settings = folder / "我的 settings.yaml"
    settings.write_text(config_yaml(config), encoding="utf-8")
    warned: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warned.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(SystemExit) as left:
            run_command(train.main, ["--config", str(settings)])
    finally:
        logging.getLogger().removeHandler(handler)
    assert left.value.code == 0
    return folder / "läufe und mehr" / "声 1", warned


def test_other_scripts_and_spaces_all_the_way(trained):
    path, warned = trained
    run = Run.open(path)
    assert set(run.labels) == {"平静", "愤怒", "惊讶"}
    report = (run.report_dir(1) / "report.md").read_text(encoding="utf-8")
    assert all(label in report for label in run.labels)
    assert {"confusion_test.png", "confusion_training.png", "curves.png"} <= {
        picture.name for picture in run.report_dir(1).glob("*.png")
    }
    assert len([message for message in warned if "no installed font" in message]) <= 1
    assert not [message for message in warned if "Glyph" in message]


def test_an_empty_class_in_the_test_data_is_said(trained):
    run = Run.open(trained[0])
    scores = run.scores(1)
    assert scores["test"]["absent"] == ["愤怒"]
    position = scores["test"]["labels"].index("愤怒")
    recalls = [recall for place, recall in enumerate(scores["test"]["recall"]) if place != position]
    assert scores["test"]["recall"][position] is None
    assert scores["test"]["ua"] == pytest.approx(np.mean(recalls))
    report = (run.report_dir(1) / "report.md").read_text(encoding="utf-8")
    assert "Without an utterance: 愤怒. UA and macro F1 are means over the 2 classes present." in report


def test_skipped_files_are_counted_and_listed(trained):
    path, warned = trained
    skipped = path.parents[1] / "语料 库" / "声" / "平静" / "take 0.wav"
    reason = "expected 9600 bytes of samples by its header, received 4778"
    assert [message for message in warned if str(skipped) in message]
    report = (Run.open(path).report_dir(1) / "report.md").read_text(encoding="utf-8")
    assert "## Files left out (1)" in report
    assert f"{skipped}: {reason}" in report
    assert not [
        name
        for part in ("training", "validation", "test")
        for name in Run.open(path).split[part]["utterances"]
        if name == "声/平静/take 0.wav"
    ]


def as_json(**changes):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}))


def text(content: str):
    return lambda path: path.write_text(content, encoding="utf-8")


DAMAGE = {
    "another version": ("run.json", as_json(format=99), ": expected a run of format 1. Received: format=99", True),
    "half of run.json": ("run.json", cut_in_half, "/run.json: expected JSON. Received: ", True),
    "run.json a list": ("run.json", text("[1]"), "/run.json: expected a JSON object. Received: list", True),
    "no run.json": ("run.json", Path.unlink, ": expected a run's folder. Received: no run.json in it", True),
    "half of split.json": ("split.json", cut_in_half, "/split.json: expected JSON. Received: ", True),
    "half of config.yaml": ("config.yaml", cut_in_half, "/config.yaml: expected YAML. Received: ", True),
    "no config.yaml": (
        "config.yaml",
        Path.unlink,
        "/config.yaml: expected a YAML file of settings. Received: No such",
        True,
    ),
    "other keys": (
        "config.yaml",
        text("train: {epohcs: 3}"),
        "/config.yaml: train.epohcs: no such key. Did you mean",
        True,
    ),
    "half of epochs.csv": ("epochs.csv", cut_in_half, "/epochs.csv: expected ", False),
    "binary epochs.csv": (
        "epochs.csv",
        lambda path: path.write_bytes(bytes(range(256))),
        "/epochs.csv: expected ",
        False,
    ),
    "half of the weights": (
        "checkpoints/epoch_0001.weights.h5",
        cut_in_half,
        "/checkpoints/epoch_0001.weights.h5: expected the weights of this network. Received: ",
        False,
    ),
    "no weights": (
        "checkpoints/epoch_0001.weights.h5",
        Path.unlink,
        "/checkpoints/epoch_0001.weights.h5: expected the weights of the best epoch",
        False,
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run(refused, trained, tmp_path, damage):
    name, harm, message, stops_resuming = DAMAGE[damage]
    run = Path(shutil.copytree(trained[0], tmp_path / "run"))
    shutil.rmtree(run / "reports")
    harm(run / name)
    assert refused(evaluate, run).startswith(f"{run}{message}")
    if stops_resuming:
        assert refused(train, "--resume", run).startswith(f"{run}{message}")


@pytest.mark.parametrize("harm", [cut_in_half, Path.unlink, text("no archive")])
def test_a_damaged_state(refused, trained, tmp_path, harm):
    run = Path(shutil.copytree(trained[0], tmp_path / "run"))
    before = (run / "epochs.csv").read_bytes()
    harm(run / "state.npz")
    message = refused(train, "--resume", run)
    assert message.startswith(f"{run / 'state.npz'}: expected the state of a training. Received: ")
    assert (run / "epochs.csv").read_bytes() == before


def test_an_epoch_that_is_not_kept(refused, trained):
    for epoch in ("9", "0", "-1", "x", "²"):
        message = refused(evaluate, trained[0], f"--epoch={epoch}")
        assert message == (f"{trained[0]}: expected best, last or one of the kept epochs 1. Received: epoch={epoch}")


def test_resuming_takes_no_other_option(refused, trained):
    for arguments in (
        ["--resume", trained[0], "--train.epochs", "3"],
        ["--train.epochs=3", f"--resume={trained[0]}"],
    ):
        message = refused(train, *arguments)
        assert message.startswith(
            "--resume: expected no other option, the run has its settings. Received: --train.epochs"
        )
    assert refused(train, "--resume") == "argument --resume: expected one argument"


def test_a_folder_with_a_run_is_not_trained_into(refused, options, tiny_corpus, trained):
    more = ["--runs_dir", trained[0].parent, "--run_name", trained[0].name]
    assert "expected a new folder. Received: one with a run" in refused(train, *options(tiny_corpus, *more))
    assert "expected the folder of this cross-validation, or none. Received: a run" in refused(
        cross_validate, *options(tiny_corpus, *more)
    )


def test_the_table_of_runs_leaves_out_a_damaged_one(call, trained, tmp_path):
    whole = Path(shutil.copytree(trained[0], tmp_path / "all" / "whole"))
    damaged = Path(shutil.copytree(trained[0], tmp_path / "all" / "damaged"))
    cut_in_half(damaged / "run.json")
    status, out, _ = call(runs, whole.parent)
    assert status == 0
    assert out.startswith("1 run, ")
    assert call(runs, whole.parent, "--csv", "")[0] == 2
    status, _, lines = call(runs, whole.parent, "--markdown", whole)
    assert (status, lines[-1]) == (2, f"error: {whole}: Is a directory")


# --- Processes --------------------------------------------------------------------------------------------------------


def process(*command: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        **options,
    )


def test_a_bad_file_in_a_process_of_its_own(options, copied, tmp_path):
    path = copied.joinpath(*BAD_FILE)
    cut_in_half(path)
    arguments = options(copied, cache_dir=tmp_path / "cache")
    done = process(sys.executable, "-m", "lightsernet_tf.train", *arguments)
    out, err = done.communicate(timeout=240)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (done.returncode, out, len(lines)) == (2, "", 1), err
    assert lines[0].startswith(f"error: {path}: expected 9600 bytes")
    assert err.rstrip().endswith(lines[0])
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_before_the_training_leaves_nothing(options, tiny_corpus, tmp_path):
    # A shell starts what it runs in the background with SIGINT ignored, and children inherit that.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from lightsernet_tf.cli import run_command; from lightsernet_tf.train.__main__ import main;"
        "print('ready', flush=True); run_command(main, sys.argv[1:])"
    )
    done = process(sys.executable, "-c", code, *options(tiny_corpus, cache_dir=tmp_path / "cache"))
    assert done.stdout.readline() == "ready\n"
    time.sleep(0.3)  # somewhere in the imports of TensorFlow
    done.send_signal(signal.SIGINT)
    out, err = done.communicate(timeout=240)
    assert (done.returncode, out) == (130, ""), err
    assert err.rstrip().endswith("interrupted")
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()
    assert not [path for path in files_below(tmp_path) if path.name.startswith(PARTIAL_PREFIX)]


def test_a_reader_that_has_seen_enough(trained):
    with process(sys.executable, "-m", "lightsernet_tf.runs", str(trained[0].parent)) as done:
        done.stdout.close()
        err = done.stderr.read()
    assert (done.returncode, err) == (141, "")
