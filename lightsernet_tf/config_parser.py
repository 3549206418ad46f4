"""From YAML files and the command line to a ``Config``: every key checked, every error with the key's name."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from lightsernet_tf.config import Config, demo_config
from lightsernet_tf.errors import ConfigError

_PLAIN_NAMES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "keys and values",
    "NoneType": "null",
}
_QUOTE_HINT = " (YAML reads no, yes, on, off and numbers as something else than text: put quotes around them)"


class _HelpFormatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leave the examples at the end as they are written."""


def config_parser(
    command: str, description: str, epilog: str = "", kind: type[Config] = Config
) -> jsonargparse.ArgumentParser:
    """Return a parser with ``--config FILE`` and an option for every key of ``Config``, or of a kind of it."""
    parser = jsonargparse.ArgumentParser(
        prog=f"python -m lightsernet_tf.{command}",
        description=description,
        epilog=epilog,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_HelpFormatter,
    )
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML file of settings; options override it")
    parser.add_class_arguments(kind, None)
    return parser


def parse_config(
    parser: jsonargparse.ArgumentParser, arguments: Sequence[str], kind: type[Config] = Config
) -> tuple[Config, jsonargparse.Namespace]:
    """Parse a command line.

    Without ``--config`` and without another corpus the demo's settings are the start.

    Returns
    -------
    config, namespace
        The settings, and the parsed command line with the command's own options.

    Raises
    ------
    ConfigError
        If a key does not exist or a value does not fit; the message names it.
    """
    files = [argument for argument in arguments if argument.split("=")[0] == "--config"]
    if len(files) > 1:
        raise ConfigError(
            f"--config: expected one file; it may build on another by its key extends. Received: {len(files)} of them"
        )
    namespace = _parsed(parser, arguments, _checked(parser, demo_config().to_dict()))
    if namespace.config is not None:
        file = Path(namespace.config)
        namespace = _parsed(parser, arguments, _checked(parser, read_settings(file, kind), f"{file}: "))
    elif namespace.corpus.name != "demo":
        namespace = _parsed(parser, arguments, _checked(parser, kind().to_dict()))
    return _instantiate(parser, namespace, kind), namespace


def load_config(path: str | Path, kind: type[Config] = Config) -> Config:
    """Read a YAML file of settings.

    Raises
    ------
    ConfigError
        If the file is not there or not YAML, a key does not exist, or a value does not fit.
    """
    path, parser = Path(path), _file_parser(kind)
    namespace = _checked(parser, read_settings(path, kind), f"{path}: ")
    try:
        return _instantiate(parser, namespace, kind)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return settings with some keys set, e.g. ``{"train.gamma": 1.0}``, checked as those of a file are.

    Raises
    ------
    ConfigError
        If a value does not fit, alone or beside the other settings.
    """
    settings = config.to_dict()
    types = key_types(type(config))
    for key, value in values.items():
        if value is None and not types[key].endswith("| None"):
            raise ConfigError(f"{key}: expected a value. Received: nothing")
        section, _, name = key.rpartition(".")
        (settings[section] if section else settings)[name] = value
    return config_from(settings, type(config))


def config_from(settings: dict[str, Any], kind: type[Config] = Config) -> Config:
    """Return the settings that ``Config.to_dict`` gave.

    Raises
    ------
    ConfigError
        If a value does not fit.
    """
    parser = _file_parser(kind)
    return _instantiate(parser, _checked(parser, settings), kind)


def key_types(kind: type[Config]) -> dict[str, str]:
    """Return the type of every key, such as "float | None" of ``features.max_frequency_hz``."""
    sections = _sections(kind)
    types = {field.name: str(field.type) for field in dataclasses.fields(kind) if field.name not in sections}
    for name, section in sections.items():
        types |= {f"{name}.{field.name}": str(field.type) for field in dataclasses.fields(section)}
    return types


def config_yaml(config: Config) -> str:
    """Return the settings as YAML, as ``load_config`` reads them."""
    return yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)


def read_settings(path: Path, kind: type[Config] = Config, _built_on_it: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a YAML file, on top of the file that it names under ``extends``.

    A section is merged key by key; a value, also one that is a mapping, replaces what it builds on.

    Raises
    ------
    ConfigError
        If a file is not there or not YAML, builds on itself, or holds a key that does not exist or has no value.
    """
    settings = _read_yaml(path)
    base_name = settings.pop("extends", None)
    sections = _sections(kind)
    settings = {key: {} if key in sections and value is None else value for key, value in settings.items()}
    _check_keys(settings, path, kind)
    if base_name is None:
        return settings
    if not isinstance(base_name, str):
        raise ConfigError(f"{path}: extends: expected the name of a YAML file. Received: extends={base_name!r}")
    chain = (*_built_on_it, path.resolve())
    base_path = path.parent / base_name
    if base_path.resolve() in chain:
        raise ConfigError(f"{path}: extends: expected a file that does not build on this one. Received: {base_name}")
    base = read_settings(base_path, kind, chain)
    for key, value in settings.items():
        base[key] = {**base.get(key, {}), **value} if key in sections else value
    return base


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file of settings. Received: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected YAML. Received: {' '.join(str(error).split())}") from error
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected keys and values. Received: {type(settings).__name__}")
    return settings


def _sections(kind: type[Config]) -> dict[str, Any]:
    found = {field.name: field.default_factory for field in dataclasses.fields(kind)}
    return {name: section for name, section in found.items() if dataclasses.is_dataclass(section)}


def _check_keys(settings: Mapping[Any, Any], path: Path, kind: type[Config]) -> None:
    sections = _sections(kind)
    for key, value in settings.items():
        _check_key(key, value, kind, path, "")
        if key in sections:
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {key}: expected keys and values. Received: {key}={value!r}")
            for inner_key, inner in value.items():
                _check_key(inner_key, inner, sections[key], path, f"{key}.")


def _check_key(key: Any, value: Any, section: Any, path: Path, prefix: str) -> None:
    types = {field.name: str(field.type) for field in dataclasses.fields(section)}
    if key not in types:
        near = difflib.get_close_matches(str(key), list(types), n=1)
        hint = f"Did you mean {prefix}{near[0]}?" if near else f"Expected one of {', '.join(sorted(types))}"
        if (prefix, key) == ("", "search"):
            hint = "A file with it is one for tune"
        raise ConfigError(f"{path}: {prefix}{key}: no such key. {hint}")
    if value is None and not types[key].endswith("| None"):
        raise ConfigError(f"{path}: {prefix}{key}: expected a value. Received: nothing")


@functools.cache
def _parser_of(kind: type[Config]) -> jsonargparse.ArgumentParser:
    return config_parser("train", "", kind=kind)


def _file_parser(kind: type[Config]) -> jsonargparse.ArgumentParser:
    # It takes longer to build than to use, and a folder may hold hundreds of runs.
    return _parser_of(kind)  # type: ignore[arg-type]  # mypy takes the hash of a Config for that of the class


def _checked(parser: jsonargparse.ArgumentParser, settings: dict[str, Any], source: str = "") -> jsonargparse.Namespace:
    try:
        return parser.parse_object(settings, defaults=True)
    except argparse.ArgumentError as error:
        raise ConfigError(source + readable(error)) from error


def _parsed(
    parser: jsonargparse.ArgumentParser, arguments: Sequence[str], defaults: jsonargparse.Namespace
) -> jsonargparse.Namespace:
    try:
        return parser.parse_args(list(arguments), namespace=defaults)
    except argparse.ArgumentError as error:
        raise ConfigError(readable(error) + _similar_option(parser, error)) from error


def _similar_option(parser: jsonargparse.ArgumentParser, error: argparse.ArgumentError) -> str:
    unknown = re.search(r"unrecognized arguments: (--[^\s=]+)", str(error))
    options = [option for action in parser._actions for option in action.option_strings]
    near = difflib.get_close_matches(unknown[1], options, n=1) if unknown else []
    return f". Did you mean {near[0]}?" if near else ""


def _instantiate(parser: jsonargparse.ArgumentParser, namespace: jsonargparse.Namespace, kind: type[Config]) -> Config:
    names = [field.name for field in dataclasses.fields(kind)]
    instances = parser.instantiate(namespace)
    return kind(**{name: instances[name] for name in names})


def readable(error: argparse.ArgumentError) -> str:
    """Return what jsonargparse says of a value as other errors say it: the key, what was expected and what came."""
    text = " ".join(str(error).split())
    text = re.sub(r"<class '(\w+)'>", r"\1", text).replace("typing.", "")
    section = re.match(r"Parser key \"(\w+)\": Unable to load config '(.*?)' - ", text)
    if section:
        return f"{section[1]}: expected keys and values, or one of them as --{section[1]}.KEY. Received: {section[2]}"
    found = re.match(r'Parser key "([\w.]+)": Expected an? (.*?)\. Got value: (.*)', text) or re.match(
        r'Parser key "([\w.]+)": Does not validate .*?Subtypes: \[(.*?)\].*Given value: (.*)', text
    )
    if found is None:
        return text
    key, expected, received = found.groups()
    choices = re.fullmatch(r"Literal\[(.*)\]", expected)
    if choices:
        expected = "one of " + choices[1].replace("'", "")
    else:
        expected = " or ".join(_PLAIN_NAMES.get(name, name) for name in expected.split(", "))
    return f"{key}: expected {expected}. Received: {received}{_QUOTE_HINT * expected.startswith('text')}"
