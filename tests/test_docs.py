"""The documentation: its links lead somewhere, its examples run, its settings and its commands exist."""

import ast
import importlib
import re
import shlex
import shutil
import unicodedata
from dataclasses import replace
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile

import lightsernet_tf
from lightsernet_tf.config_parser import config_yaml, read_settings
from lightsernet_tf.tune.settings import SearchSettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "tflite/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_COMMAND = re.compile(r"python[\d.]* -m lightsernet_tf\.(?P<command>\w+)(?P<arguments>[^\n]*)")


def blocks(document: str, language: str) -> list[str]:
    """Return the code of all fenced blocks of a language that have no title."""
    return [found["code"] for found in _FENCE.finditer(text_of(document)) if found["info"].strip() == language]


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", prose_of(path), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = "".join(
            "-" if letter == " " else letter
            for letter in text
            if letter in " -_" or unicodedata.category(letter)[0] in "LNM"
        )
        number = 0
        while (unique := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(unique)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_and_headings_that_exist(document):
    path = ROOT / document
    for target in _LINK.findall(prose_of(path)):
        if re.match("[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_readme_is_short():
    assert len(text_of("README.md").encode()) <= 10_240


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if blocks(name, "python")])
def test_python_examples_import_public_names_only(document):
    for code in blocks(document, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lightsernet_tf"):
                assert node.module == "lightsernet_tf"
                assert {alias.name for alias in node.names} <= set(dir(lightsernet_tf))
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if alias.name.startswith("lightsernet_tf.")]


@pytest.fixture
def _a_readers_folder(tmp_path, tiny_config, monkeypatch):
    """Work where a reader would: a recording, the included model, and settings files with a tiny corpus behind them."""
    shutil.copytree(ROOT / "tflite", tmp_path / "tflite")
    config = replace(
        tiny_config,
        split=replace(tiny_config.split, protocol="stratified_hold_out"),  # of one fold
        train=replace(tiny_config.train, epochs=1),
        runs_dir=str(tmp_path / "runs"),
    )
    (tmp_path / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        (tmp_path / "configs" / path.name).write_text(config_yaml(config), encoding="utf-8")
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(tmp_path / "speech.wav", noise, 16000)
    monkeypatch.chdir(tmp_path)
    yield
    keras.utils.clear_session()


@pytest.mark.slow
@pytest.mark.usefixtures("_a_readers_folder")
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if blocks(name, "python")])
def test_python_examples_run(document):
    names: dict[str, object] = {}
    for code in blocks(document, "python"):
        exec(compile(code, document, "exec"), names)


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if blocks(name, "yaml")])
def test_settings_in_examples_are_ones_that_the_package_has(document, tmp_path):
    for code in blocks(document, "yaml"):
        path = tmp_path / "example.yaml"
        path.write_text(code, encoding="utf-8")
        read_settings(path, SearchSettings)


def commands(document: str) -> list[tuple[str, str]]:
    """Return name and arguments of each command of this package that a document shows, up to a pipe or the like."""
    found = []
    for match in _COMMAND.finditer(re.sub(r"\\\n\s*", " ", text_of(document))):
        arguments = re.split(r"`|\s#|\s[|>&]|\s{4,}", match["arguments"])[0]
        found.append((match["command"], arguments))
    return found


@pytest.fixture(scope="module")
def options_of():
    """Return a function from a command to the options in its help."""

    @cache
    def options(command: str) -> set[str]:
        with pytest.MonkeyPatch.context() as patch:
            printed = []
            patch.setattr("argparse.ArgumentParser._print_message", lambda _, text, file=None: printed.append(text))
            patch.setattr("builtins.print", lambda *texts, **_: printed.extend(map(str, texts)))
            with pytest.raises(SystemExit):
                importlib.import_module(f"lightsernet_tf.{command}.__main__").main(["--help"])
        lines = [line for line in "\n".join(printed).splitlines() if re.match(r"\s+-", line)]
        return {option for line in lines for option in re.findall(r"--[\w.-]+", line)}

    return options


# docs/extending.md shows a command that it adds; tests/test_extending.py runs it.
@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name != "docs/extending.md" and commands(name)])
def test_commands_exist_and_know_their_options(document, options_of):
    for command, arguments in commands(document):
        if command == "NAME":
            continue
        known = options_of(command)
        if command == "evaluate":  # of a file, which takes train's settings
            known |= options_of("train")
        unknown = [
            argument
            for argument in shlex.split(arguments)
            if re.match("--.", argument) and argument.split("=")[0] not in known
        ]
        if "learning_rat" not in "".join(unknown):  # an example of a misspelt option
            assert not unknown, (command, unknown)
