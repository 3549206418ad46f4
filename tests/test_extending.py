"""Every section of docs/extending.md, applied literally to a copy of the package, passes its own test."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


class Block(NamedTuple):
    path: str
    place: str  # new, replace, before or after
    line: str | None
    text: str


_BLOCK = re.compile(
    r'^```\w+ title="([^"\n]+)" (?:new|(replace|before|after)="([^\n]*)")\n(.*?)^```$', re.MULTILINE | re.DOTALL
)


def sections() -> dict[str, list[Block]]:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)[1:]
    return {
        heading: [Block(path, place or "new", line, code) for path, place, line, code in _BLOCK.findall(body)]
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


def applied(block: Block, text: str) -> str:
    lines = text.splitlines(keepends=True)
    (index,) = [number for number, line in enumerate(lines) if line.rstrip("\n") == block.line]
    first, last = {"replace": (index, index + 1), "before": (index, index), "after": (index + 1, index + 1)}[
        block.place
    ]
    return "".join([*lines[:first], block.text, *lines[last:]])


@pytest.mark.parametrize("section", sections())
def test_following_a_section_literally_works(section, tmp_path):
    blocks = sections()[section]
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lightsernet_tf", tmp_path / "lightsernet_tf", ignore=ignored)
    for name in ("tests/conftest.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for block in blocks:
        path = tmp_path / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        assert path.exists() == (block.place != "new")
        path.write_text(
            block.text if block.place == "new" else applied(block, path.read_text(encoding="utf-8")), encoding="utf-8"
        )
    tests = [block.path for block in blocks if block.path.startswith("tests/")]
    for command in (["ruff", "check"], ["pytest", "-p", "no:cacheprovider", *tests]):
        completed = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize("section", sections())
def test_a_section_takes_one_code_file_and_one_test(section):
    text_of = defaultdict(str)
    for block in sections()[section]:
        text_of[block.path] += block.text
    assert len([path for path in text_of if path.startswith("tests/")]) == 1
    package = {path: text for path, text in text_of.items() if path.startswith("lightsernet_tf/")}
    code = [path for path, text in package.items() if re.search(r"^\s*(def|class) ", text, re.MULTILINE)]
    assert len(code) == 1
