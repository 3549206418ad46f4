"""The command ``predict``, most of it in this process, what is about processes in others."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from lightsernet_tf.cli import run_command
from lightsernet_tf.errors import InputError
from lightsernet_tf.predict import __main__ as predict
from lightsernet_tf.predict import recordings as predicting
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from lightsernet_tf.reporting.tables import padded
from tests import device

pytestmark = pytest.mark.usefixtures("logging_as_before")

RATE_HZ, LABELS = device.RATE_HZ, device.LABELS
WITHOUT = "import sys\nfor name in sys.argv.pop(1).split(','): sys.modules[name] = None\n"
RUN = "from lightsernet_tf.predict.__main__ import main, run_command\nrun_command(main)\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(device.write_model(tmp_path_factory.mktemp("model") / "predict.tflite"))


@pytest.fixture(scope="module")
def recognizer(model):
    return EmotionRecognizer(model)


@pytest.fixture
def sounds(tmp_path):
    """Three sounds in a folder."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, waveform in zip(("a", "b", "c"), device.sounds(3, RATE_HZ), strict=True):
        soundfile.write(folder / f"{name}.wav", waveform, RATE_HZ)
    return folder


@pytest.fixture
def run(model, capsys):
    """Run the command as a process would: status, lines of its output, lines of its errors."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            run_command(predict.main, ["--model", model, *map(str, arguments)])
        out, err = capsys.readouterr()
        return left.value.code, out.splitlines(), err.splitlines()

    return call


def start(model, *arguments, code=RUN, **options):
    command = [sys.executable, "-c", code, *map(os.fspath, arguments), "--model", model]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **(pipes | options))


def finish(process, given=None):
    """Return the status, the output and the errors of a process."""
    out, err = process.communicate(given, timeout=60)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def pcm(waveform, scale=2**15, kind="<i2"):
    return (waveform * scale).astype(kind).tobytes()


@pytest.mark.slow
def test_each_file_is_a_line_with_what_the_recogniser_hears(run, sounds, recognizer):
    names = [sounds / "b.wav", sounds / "a.wav", sounds / "b.wav"]
    status, out, err = run(*names)
    assert (status, err) == (0, [])
    for name, line in zip(names, out, strict=True):
        (label, value), *_ = recognizer.predict(*soundfile.read(name)).ranked()
        assert line.startswith(f"{name}  {padded(label, 7)} {100 * value:5.1f} %")


def test_a_folder_is_heard_file_by_file(run, sounds):
    status, out, _ = run(sounds, "--top", "1")
    assert status == 0
    assert [line.split()[0] for line in out] == [str(sounds / f"{name}.wav") for name in "abc"]
    assert {line.count("%") for line in out} == {1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("wav", {"subtype": "PCM_24"}),
        ("wav", {"subtype": "DOUBLE"}),
        ("wav", {"subtype": "ULAW"}),
        ("flac", {}),
        ("mp3", {}),
        ("ogg", {}),
    ],
)
def test_any_format_rate_and_number_of_channels_is_heard(run, tmp_path, ending, options):
    soundfile.write(tmp_path / f"x.{ending}", np.repeat(device.sounds(1, 44100).T, 2, axis=1), 44100, **options)
    status, out, err = run(tmp_path, "--timeline", "--hop", "0.5")
    assert (status, len(out), err) == (0, 2, [])


def test_json_lines_parse(run, sounds, recognizer):
    status, out, _ = run(sounds, "--format", "json")
    rows = [json.loads(line) for line in out]
    assert status == 0
    assert [row["file"] for row in rows] == [str(sounds / f"{name}.wav") for name in "abc"]
    expected = recognizer.predict(*soundfile.read(sounds / "a.wav"))
    assert rows[0]["label"] == expected.label
    assert rows[0]["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-6)


def test_csv_parses(run, sounds):
    status, out, _ = run(sounds, "--format", "csv", "--timeline", "--hop", "0.5")
    rows = list(csv.DictReader(out))
    assert status == 0
    assert [(row["start_seconds"], row["end_seconds"]) for row in rows[:2]] == [("0.2", "0.5"), ("0.7", "1.0")]
    assert len(rows) == 6
    for row in rows:
        assert sum(float(row[f"p({label})"]) for label in LABELS) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("style", ["text", "json", "csv"])
def test_a_bad_file_is_one_line_and_the_others_are_still_heard(run, sounds, style):
    (sounds / "a1.wav").write_bytes(b"")
    (sounds / "a2.mp3").write_text("no sound\n" * 99)
    (sounds / "a3.wav").write_bytes((sounds / "a.wav").read_bytes()[:-99])
    soundfile.write(sounds / "a4.wav", np.full(10, 0.1), RATE_HZ)
    soundfile.write(sounds / "a5.wav", np.full(5000, np.nan), RATE_HZ, subtype="FLOAT")
    soundfile.write(sounds / "a6.wav", np.zeros(0), RATE_HZ)
    soundfile.write(sounds / "a7.wav", np.zeros(5000), 999)
    soundfile.write(sounds / "a8.wav", np.zeros((5000, 70)), RATE_HZ)
    (sounds / "a9.wav").symlink_to("nothing")
    bad = sorted(sounds.glob("a[1-9].*"))
    os.mkfifo(sounds / "pipe.wav")
    for over_time in ([], ["--timeline", "--hop", "9"]):
        status, out, err = run(sounds, "--format", style, *over_time)
        assert status == 1
        assert [line.split(": ")[:2] for line in err] == [["error", str(path)] for path in bad]
        assert len(out) == {"text": 3, "json": 12, "csv": 13}[style]
    if style == "json":
        assert [json.loads(line).get("error", "") == "" for line in out] == [True] + 9 * [False] + 2 * [True]


@pytest.mark.parametrize("name", ["gone.wav", "/dev/null", "pipe"])
def test_what_is_no_file_is_told(run, tmp_path, sounds, name):
    os.mkfifo(tmp_path / "pipe")
    status, out, err = run(tmp_path / name, sounds / "a.wav")
    assert (status, len(out)) == (1, 1)
    (line,) = err
    assert line.startswith(f"error: {tmp_path / name}: expected an audio file, received: ")


def test_what_the_mp3_decoder_writes_by_itself_is_not_seen(model, tmp_path):
    path = tmp_path / "damaged.mp3"
    soundfile.write(path, device.sounds(1, 48000)[0], RATE_HZ)
    contents = bytearray(path.read_bytes())
    contents[300::97] = bytes(255 - one for one in contents[300::97])
    path.write_bytes(contents)
    status, out, err = finish(start(model, path))
    assert (status, out.count("\n"), err) == (0, 1, "")


@pytest.mark.parametrize("options", [[], ["--timeline"]])
def test_silence_is_said(run, tmp_path, options):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), RATE_HZ)
    status, out, _ = run(tmp_path / "x.wav", *options)
    assert status == 0
    assert out[0].endswith("  silence")


@pytest.mark.slow
def test_odd_names_end_in_no_traceback(model, sounds):
    names = [b'a, "b".wav', b"two\nlines.wav", b"\xff\xfe.wav", "Ärger 声.wav".encode(), b"-dash.wav"]
    for name in names:
        os.link(sounds / "a.wav", os.path.join(os.fsencode(sounds), name))  # noqa: PTH118
    for name in ("a", "b", "c"):
        (sounds / f"{name}.wav").unlink()
    ascii_terminal = os.environ | {"PYTHONIOENCODING": "ascii"}
    processes = {
        style: start(model, sounds, "--format", style, env=ascii_terminal) for style in ("text", "json", "csv")
    }
    status, out, err = finish(processes["text"])
    assert (status, len(out.splitlines()), err) == (0, 5, "")
    status, out, _ = finish(processes["json"])
    read = [os.fsencode(json.loads(line)["file"]) for line in out.splitlines()]
    assert sorted(read) == sorted(os.path.join(os.fsencode(sounds), name) for name in names)  # noqa: PTH118
    status, out, _ = finish(processes["csv"])
    read = [row["file"] for row in csv.DictReader(io.StringIO(out, newline=""))]
    assert sorted(read)[:2] == [f"{sounds}/-dash.wav", f"{sounds}/\\udcff\\udcfe.wav"]
    assert f"{sounds}/two\nlines.wav" in read
    assert f'{sounds}/a, "b".wav' in read
    assert f"{sounds}/Ärger 声.wav" in read


def test_names_may_start_with_a_dash_behind_two_dashes(run, sounds, monkeypatch):
    monkeypatch.chdir(sounds)
    (sounds / "a.wav").rename("-a.wav")
    assert [line.split()[0] for line in run("b.wav", "--top", "1", "--", "-a.wav", "c.wav")[1]] == [
        "b.wav",
        "-a.wav",
        "c.wav",
    ]
    assert run("-a.wav") == (2, [], ["error: unrecognized arguments: -a.wav"])


def test_options_may_stand_between_the_names(run, sounds):
    status, out, _ = run(sounds / "a.wav", "--top", "1", sounds / "b.wav")
    assert (status, len(out)) == (0, 2)


def test_a_timeline_of_one_file_leaves_its_name_out(run, sounds):
    assert run(sounds / "a.wav", "--timeline", "--hop", "1")[1][0].startswith("   0.70 -    1.00 s  ")
    out = run(sounds / "a.wav", sounds / "b.wav", "--timeline", "--hop", "1")[1]
    assert [line.split()[0] for line in out] == [str(sounds / "a.wav"), str(sounds / "b.wav")]


def test_smoothing_averages_the_timeline(run, sounds):
    rows = [
        [json.loads(line)["probabilities"]["anger"] for line in run(sounds / "a.wav", *options, "--format", "json")[1]]
        for options in (["--timeline", "--hop", "0.5"], ["--timeline", "--hop", "0.5", "--smooth", "0.5"])
    ]
    assert rows[1] == pytest.approx([rows[0][0], np.mean(rows[0])], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected files, folders or -, or else --microphone. Received: neither"),
        (["x", "--microphone"], "expected files, folders or -, or else --microphone. Received: x --microphone"),
        (["-", "-"], "-: expected once. Received: more often"),
        (["x", "--hop", "1"], "--hop: expected --timeline with it. Received: none"),
        (["x", "--smooth", "0"], "--smooth: expected --timeline with it. Received: none"),
        (["x", "--png", "x.png"], "--png: expected --timeline with it. Received: none"),
        (["x", "--hop", "fast"], "argument --hop: invalid float value: 'fast'"),
        (["x", "--rate", "0"], "argument --rate: expected a whole number from 1000 to 768000. Received: 0"),
        (["x", "--channels", "100"], "argument --channels: expected a whole number from 1 to 64. Received: 100"),
        (["x", "--threads", "0"], "argument --threads: expected a whole number from 1 to 1024. Received: 0"),
        (["x", "--top", "-1"], "argument --top: expected a whole number of at least 1. Received: -1"),
        (["x", "--top", "1.5"], "argument --top: expected a whole number of at least 1. Received: 1.5"),
        (["x", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["x", "--loud"], "unrecognized arguments: --loud"),
        (["x", "y", "--timeline", "--png", "x.png"], "--png: expected one sound file with it. Received: x y"),
        (["-", "--timeline", "--png", "x.png"], "--png: expected one sound file with it. Received: -"),
        ([".", "--timeline", "--png", "x.png"], "--png: expected one sound file with it. Received: ."),
        (["x", "--timeline", "--png", "x.jpg"], "--png: expected a name that ends in .png in a folder that is there."),
        (["x", "--timeline", "--png", "no/x.png"], "--png: expected a name that ends in .png in a folder that is"),
        (["x", "--timeline", "--hop", "0"], "--hop, --smooth: hop_seconds: expected 0.01 to 3600 seconds."),
        (["x", "--timeline", "--hop", "nan"], "--hop, --smooth: hop_seconds: expected 0.01 to 3600 seconds."),
        (["x", "--timeline", "--smooth", "-1"], "--hop, --smooth: smoothing_seconds: expected"),
        (["x", "--model", "gone.tflite"], "gone.tflite: expected a .tflite file. Received: No such file or directory"),
        (["x", "--model", "."], ".: expected a .tflite file. Received: Is a directory"),
        (["x", "--model", "/dev/null"], "/dev/null: expected a TFLite model. Received: an empty file"),
        (["."], ".: expected sound files (.wav, .flac, "),
        (["-"], "-: expected raw samples from a pipe or a file. Received: "),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line_and_status_2(run, tmp_path, monkeypatch, arguments, message):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Terminal())
    status, out, err = run(*arguments)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"error: {message}")


def test_without_a_model_the_shipped_one_is_used(model, sounds, monkeypatch, capsys):
    monkeypatch.setattr(predicting, "shipped_model", lambda: model)
    assert predict.main([str(sounds / "a.wav")]) == 0
    assert capsys.readouterr().out.startswith(str(sounds / "a.wav"))


@pytest.mark.parametrize(
    ("options", "scale", "kind"),
    [(["--pcm", "s16le"], 2**15, "<i2"), (["--pcm", "s32le"], 2**31 - 129, "<i4"), (["--pcm", "f32le"], 1, "<f4")],
)
def test_raw_samples_are_heard(run, monkeypatch, recognizer, options, scale, kind):
    waveform = device.sounds(1, 6000)[0]
    standard_input(monkeypatch, pcm(np.repeat(waveform, 2), scale, kind) + b"x")
    status, out, err = run("-", "--channels", "2", *options, "--format", "json")
    assert (status, err) == (0, [])
    row = json.loads(out[0])
    assert row["file"] == "-"
    expected = recognizer.predict(waveform, RATE_HZ).probabilities
    assert row["probabilities"] == pytest.approx(dict(expected), abs=2e-2)


def test_raw_samples_of_another_rate_are_converted(run, monkeypatch):
    standard_input(monkeypatch, pcm(device.sounds(1, 48000)[0]))
    assert len(run("-", "--timeline", "--rate", "48000", "--hop", "0.25")[1]) == 4


@pytest.mark.parametrize("over_time", [[], ["--timeline"]])
def test_raw_samples_that_cannot_be_heard_do_not_stop_the_files(run, monkeypatch, sounds, over_time):
    for content, message in ((b"", "waveform: expected"), (b"RIFF" + bytes(99), "expected raw samples, s16le.")):
        standard_input(monkeypatch, content)
        status, out, err = run("-", sounds / "a.wav", "--hop", "9", "--timeline") if over_time else run("-", sounds)
        assert (status, len(err)) == (1, 1)
        assert err[0].startswith(f"error: -: {message}")
        assert out[0].split()[0] == str(sounds / "a.wav")


def test_what_comes_through_a_pipe_is_heard_while_it_is_open(model):
    process = start(model, "-", "--timeline", "--hop", "0.25", stdin=subprocess.PIPE)
    lines = []
    for waveform in device.sounds(2, 4100):
        process.stdin.write(pcm(waveform))
        process.stdin.flush()
        lines.append(process.stdout.readline().decode())  # would wait for ever, were it not told by now
    status, out, err = finish(process)
    assert (status, out.count("\n"), err) == (0, 1, "")
    assert [line[:21] for line in lines] == ["   0.00 -    0.25 s  ", "   0.20 -    0.50 s  "]


def test_a_reader_that_has_seen_enough_ends_it_quietly(model, sounds):
    process = start(model, *[sounds] * 60)
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    status, _, err = finish(process)
    assert (status, err) == (141, "")


def test_ctrl_c_between_files_is_status_130(run, sounds, monkeypatch):
    read_file = predicting.read_file

    def interrupt(path):
        if path.name == "b.wav":
            raise KeyboardInterrupt
        return read_file(path)

    monkeypatch.setattr(predicting, "read_file", interrupt)
    status, out, err = run(sounds)
    assert (status, len(out), err) == (130, 1, ["interrupted"])


def test_a_full_disk_and_closed_outputs_end_in_no_traceback(model, sounds):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        status, _, err = finish(start(model, sounds, stdout=full))
    assert (status, err) == (2, "error: output: No space left on device\n")
    closed = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", RUN, "--model", model, sounds, "gone.wav"]
    assert subprocess.run(closed, check=False).returncode == 1


@pytest.mark.parametrize(
    ("missing", "options", "message"),
    [
        ("soundfile", [], "sound files: expected soundfile (pip install soundfile). Received: "),
        ("matplotlib.figure", ["--timeline", "--png", "x.png"], "--png: expected matplotlib (pip install matplotlib)."),
        ("ai_edge_litert.interpreter", [], "the model: expected ai-edge-litert (pip install ai-edge-litert). Received"),
    ],
)
def test_a_missing_package_is_a_sentence_and_status_2(run, sounds, monkeypatch, missing, options, message):
    monkeypatch.setitem(sys.modules, missing, None)
    status, out, err = run(sounds / "a.wav", *options)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"error: {message}")


def test_a_device_needs_neither_training_s_packages_nor_soxr(model, sounds):
    soundfile.write(sounds / "d.wav", device.sounds(1, 44100)[0], 44100)
    missing = "tensorflow,tensorflow_io,keras,librosa,sklearn,scipy,matplotlib,soxr,sounddevice,yaml,jsonargparse"
    status, out, err = finish(start(model, missing, sounds, code=WITHOUT + RUN))
    assert (status, len(out.splitlines())) == (1, 3)
    sentence = "sample_rate_hz: expected the model's own rate, or soxr to convert (pip install soxr)"
    assert err == f"error: {sounds / 'd.wav'}: {sentence}\n"


def test_raw_samples_do_not_need_soundfile(model):
    process = start(model, "soundfile,soxr", "-", code=WITHOUT + RUN, stdin=subprocess.PIPE)
    assert finish(process, pcm(device.sounds(1, 5000)[0]))[0] == 0


def test_help_is_light():
    code = (
        "import sys\nfrom lightsernet_tf.predict.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as left: assert left.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'soundfile', 'soxr', 'matplotlib', 'ai_edge_litert', 'sounddevice'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m lightsernet_tf.predict [options] FILE|FOLDER|- ...\n")
    assert max(map(len, done.stdout.splitlines())) <= 100


class Watched(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("watched", [True, False])
def test_progress_is_shown_where_somebody_looks(model, sounds, monkeypatch, capsys, watched):
    stream = Watched() if watched else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(predict, "_PROGRESS_AFTER_SECONDS", 0)
    (sounds / "a1.wav").write_bytes(b"")
    assert predict.main(["--model", model, str(sounds)]) == 1
    assert predict.main(["--model", model, str(sounds / "a.wav"), "--timeline"]) == 0
    shown = stream.getvalue()
    assert ("files   0 % |" in shown) == watched
    assert (f"{sounds / 'a.wav'}   0 % |" in shown) == watched
    assert f"error: {sounds / 'a1.wav'}: expected audio, received an empty file\n" in shown
    assert "%|" not in capsys.readouterr().out


def test_the_lines_in_a_terminal_are_progress_enough(model, sounds, monkeypatch):
    out, err = Watched(), Watched()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(predict, "_PROGRESS_AFTER_SECONDS", 0)
    assert predict.main(["--model", model, str(sounds)]) == 0
    assert (len(out.getvalue().splitlines()), err.getvalue()) == (3, "")


def test_png_draws_the_timeline_of_a_file(run, sounds):
    path = sounds / "x.png"
    status, out, err = run(sounds / "a.wav", "--timeline", "--png", path)
    assert (status, len(out), err) == (0, 2, [f"drew {path}"])
    assert path.read_bytes().startswith(b"\x89PNG")


def test_png_of_a_file_that_cannot_be_heard_is_not_drawn(run, sounds):
    (sounds / "a.wav").write_bytes(b"")
    status, out, err = run(sounds / "a.wav", "--timeline", "--png", sounds / "x.png")
    assert (status, out, len(err)) == (1, [], 1)
    assert not (sounds / "x.png").exists()


FAKE_MICROPHONE = """
import threading
import numpy as np
class PortAudioError(Exception): pass
class InputStream:
    def __init__(self, samplerate, channels, dtype, callback):
        assert (samplerate, channels, dtype) == (16000, 1, "float32")
        self.callback = callback
    def speak(self):
        noise = np.random.default_rng(0).normal(0, 0.1, (5000, 1)).astype(np.float32)
        for _ in range(2):
            self.callback(noise, len(noise), None, None)
    def __enter__(self):
        threading.Thread(target=self.speak, daemon=True).start()
    def __exit__(self, *_): pass
"""


def test_the_microphone_is_heard_until_ctrl_c(model, tmp_path):
    (tmp_path / "sounddevice.py").write_text(FAKE_MICROPHONE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    process = start(model, "--microphone", "--hop", "0.3", env=environment)
    lines = [process.stdout.readline().decode() for _ in range(2)]
    assert [line[:21] for line in lines] == ["   0.00 -    0.30 s  ", "   0.30 -    0.60 s  "]
    time.sleep(0.1)  # it waits for more
    process.send_signal(signal.SIGINT)
    assert finish(process) == (0, "", "listening at 16000 Hz until Ctrl-C\n")


@pytest.mark.parametrize("missing", ["sounddevice", "portaudio", "microphone"])
def test_without_a_microphone_a_sentence_says_so(run, tmp_path, monkeypatch, missing):
    contents = {
        "sounddevice": "raise ImportError('No module')",
        "portaudio": "raise OSError('PortAudio library not found')",
        "microphone": FAKE_MICROPHONE.replace(
            "assert (samp", 'raise PortAudioError("no device")\n        assert (samp'
        ),
    }
    (tmp_path / "sounddevice.py").write_text(contents[missing])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    status, out, err = run("--microphone")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith("error: --microphone: expected ")


def test_the_examples_of_the_help_are_understood(sounds, monkeypatch):
    monkeypatch.chdir(sounds)
    examples = [line.split("predict ", 1)[1] for line in predict._EPILOG.splitlines() if "python -m" in line]
    assert len(examples) == 6
    for example in examples:
        try:
            predict._parse(example.split(" > ")[0].split())
        except InputError as error:
            pytest.fail(f"{example}: {error}")


def test_a_rate_below_the_models_is_warned_of(run, tmp_path):
    soundfile.write(tmp_path / "low.wav", device.sounds(1, 4000)[0], RATE_HZ // 2)
    status, out, err = run(tmp_path / "low.wav")
    assert (status, len(out)) == (0, 1)
    (line,) = err
    assert line.startswith(
        f"note: {tmp_path / 'low.wav'}: {RATE_HZ // 2} Hz, but the model was trained at {RATE_HZ} Hz"
    )


def test_an_empty_folder_is_told_and_the_others_are_heard(run, sounds, tmp_path):
    (tmp_path / "empty").mkdir()
    status, out, err = run(tmp_path / "empty", sounds / "a.wav")
    assert (status, len(out)) == (1, 1)
    (line,) = err
    assert line.startswith(f"error: {tmp_path / 'empty'}: expected sound files")


def test_an_empty_name_is_refused(run):
    assert run("") == (2, [], ["error: expected names. Received: an empty one"])


def test_a_picture_does_not_replace_the_recording(run, sounds, tmp_path):
    recording = tmp_path / "a.png"
    recording.write_bytes((sounds / "a.wav").read_bytes())
    status, out, (line,) = run(recording, "--timeline", "--png", recording)
    assert (status, out) == (2, [])
    assert line.startswith("error: --png: expected a name of its own")
    assert recording.read_bytes() == (sounds / "a.wav").read_bytes()
