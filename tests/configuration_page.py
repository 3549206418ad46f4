"""Write docs/configuration.md from the docstrings of the settings: ``python -m tests.configuration_page``."""

import dataclasses
import json
import typing
from pathlib import Path

import docstring_parser

from lightsernet_tf.tune.settings import SearchSettings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
_INTRODUCTION = """\
# Configuration

Every key of a YAML file of settings; each is also an option, `--train.epochs 40`, which overrides the file. A file may
build on another: `extends: emodb.yaml`. A key that does not exist or a value that does not fit stops the command.

This page is generated from the docstrings in `lightsernet_tf/config.py` and `lightsernet_tf/tune/settings.py` by
`python -m tests.configuration_page`.
"""


def _described(kind: type) -> dict[str, str]:
    """Return what the docstring says of each key."""
    parsed = docstring_parser.parse(kind.__doc__)
    return {one.arg_name: " ".join(one.description.split()).replace("``", "`") for one in parsed.params}


def _type(kind: object) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    return f"`{kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else kind}`".replace("typing.", "")


def _table(kind: type, prefix: str = "") -> list[str]:
    types, meaning, default = typing.get_type_hints(kind), _described(kind), kind()
    rows = [
        (prefix + key.name, _type(types[key.name]), json.dumps(getattr(default, key.name)), meaning[key.name])
        for key in dataclasses.fields(kind)
        if not dataclasses.is_dataclass(types[key.name])
    ]
    escaped = [(f"`{name}`", type_, f"`{value}`", text) for name, type_, value, text in rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in escaped]
    return ["| key | type or choices | default | |", "| :-- | :-- | :-- | :-- |", *lines]


def page() -> str:
    """Return the text of the page."""
    lines = [_INTRODUCTION]
    for name, kind in typing.get_type_hints(SearchSettings).items():
        if dataclasses.is_dataclass(kind):
            about = docstring_parser.parse(kind.__doc__).short_description
            note = " Read by `python -m lightsernet_tf.tune` alone." if name == "search" else ""
            lines += [f"## {name}", "", f"{about}{note}", "", *_table(kind, f"{name}."), ""]
    lines += ["## Folders", "", "Keys that stand outside of any section.", "", *_table(SearchSettings.__base__)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
