import shlex
import subprocess
import sys

import pytest

from lightsernet_tf.cli import run_command
from lightsernet_tf.corpora.__main__ import main
from lightsernet_tf.errors import InputError


def output(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_emodb(emodb_dir, capsys):
    text = output(capsys, "emodb", "--data-dir", str(emodb_dir))
    assert "utterances  535" in text
    assert "08          12       10        -     6         11        9       10   58" in text
    assert f"--corpus.data_dir {emodb_dir} --split.protocol leave_one_speaker_out" in text


def test_settings_travel_to_the_training_command(make_files, tmp_path, capsys):
    folder = make_files("joy/ann_1.flac", "rage/bob_1.flac", folder=tmp_path / "my corpus")
    template = "{label}/{speaker}_{name}.flac"
    text = output(
        capsys, "folders", "--data-dir", str(folder), "--template", template, "--label_map", "{好: [joy], bad: [rage]}"
    )
    command = shlex.split(text.splitlines()[-1])
    assert command[:3] == ["python", "-m", "lightsernet_tf.train"]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {
        "--corpus.name": "folders",
        "--corpus.data_dir": str(folder),
        "--corpus.template": template,
        "--corpus.label_map": '{"好": ["joy"], "bad": ["rage"]}',
    }


def test_troubles_ask_for_settings(make_files, capsys):
    folder = make_files("a/joy/1.wav")
    (folder / "a/joy/2.wav").write_bytes((folder / "a/joy/1.wav").read_bytes())
    (folder / "a/joy/3.wav").write_text("no audio")
    text = output(capsys, "folders", "--data-dir", str(folder))
    assert "duplicates  1 group" in text
    assert "unreadable  1 file\n" in text
    assert text.rstrip().endswith("--corpus.duplicates drop --corpus.on_error skip")


def test_splits_of_a_manifest(make_files, capsys):
    folder = make_files("1.wav")
    (folder / "list.csv").write_text("path,label,speaker,split\n1.wav,joy,ann,train\n")
    assert "--split.protocol manifest" in output(capsys, "manifest", "--data-dir", str(folder / "list.csv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["emdb"], "invalid choice: 'emdb'"),
        (["emodb"], "corpus.data_dir: expected the folder of emodb"),
        (["emodb", "--data-dir", "/nowhere at all"], "corpus.data_dir.*/nowhere at all.*nothing there"),
        (["emodb", "--download"], "--download: expected --data-dir"),
        (["tess", "--data-dir", "/nowhere at all", "--download"], "expected one of emodb, ravdess. Received: tess"),
        (["iemocap", "--part", "half"], "part.*improvised.*half"),
        (["emodb", "--colour", "blue"], "--colour"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        main(arguments)


def test_exit_status_and_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        run_command(main, ["emodb", "--data-dir", "/nowhere at all"])
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: corpus.data_dir")
    assert captured.err.count("\n") == 1


def test_as_a_command():
    result = subprocess.run(
        [sys.executable, "-m", "lightsernet_tf.corpora", "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in result.stdout
    assert "--data-dir" in result.stdout
