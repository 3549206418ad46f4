"""From YAML files and the command line to a ``Config``: every key checked, every error with the key's name."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from lightsernet_tf.config import Config, demo_config
from lightsernet_tf.errors import ConfigError

_SECTIONS = {field.name for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.default_factory)}


def config_parser(command: str, description: str, epilog: str = "") -> jsonargparse.ArgumentParser:
    """Return a parser with ``--config FILE`` and an option for every key of ``Config``."""
    parser = jsonargparse.ArgumentParser(
        prog=f"python -m lightsernet_tf.{command}", description=description, epilog=epilog, exit_on_error=False
    )
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML file of settings; options override it")
    parser.add_class_arguments(Config, None)
    return parser


def parse_config(
    parser: jsonargparse.ArgumentParser, arguments: Sequence[str]
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
    first_look = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first_look.add_argument("--config")
    first_look.add_argument("--corpus.name", dest="corpus")
    known, _ = first_look.parse_known_args(list(arguments))
    if known.config is not None:
        settings, source = read_settings(Path(known.config)), f"{known.config}: "
    else:
        settings, source = (demo_config() if known.corpus in (None, "demo") else Config()).to_dict(), ""
    try:
        defaults = parser.parse_object(settings, defaults=True)
    except (argparse.ArgumentError, TypeError) as error:
        raise ConfigError(source + _readable(error)) from error
    try:
        namespace = parser.parse_args(list(arguments), namespace=defaults)
    except argparse.ArgumentError as error:
        raise ConfigError(_readable(error)) from error
    return _instantiate(parser, namespace), namespace


def load_config(path: Path) -> Config:
    """Read a YAML file of settings.

    Raises
    ------
    ConfigError
        If the file is not there or not YAML, a key does not exist, or a value does not fit.
    """
    parser = config_parser("train", "")
    try:
        return _instantiate(parser, parser.parse_object(read_settings(path), defaults=True))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{path}: {_readable(error)}") from error


def config_yaml(config: Config) -> str:
    """Return the settings as YAML, as ``load_config`` reads them."""
    return yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)


def read_settings(path: Path, _built_on_it: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Read a YAML file, on top of the file that it names under ``extends``.

    A section is merged key by key; a value, also one that is a mapping, replaces what it builds on.
    """
    settings = _read_yaml(path)
    base_name = settings.pop("extends", None)
    _check_keys(settings, path)
    if base_name is None:
        return settings
    if not isinstance(base_name, str):
        raise ConfigError(f"{path}: extends: expected the name of a YAML file. Received: extends={base_name!r}")
    chain = (*_built_on_it, path.resolve())
    base_path = path.parent / base_name
    if base_path.resolve() in chain:
        raise ConfigError(f"{path}: extends: expected a file that does not build on this one. Received: {base_name}")
    base = read_settings(base_path, chain)
    for key, value in settings.items():
        base[key] = {**base.get(key, {}), **value} if key in _SECTIONS else value
    return base


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file of settings. Received: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected YAML. Received: {' '.join(str(error).split())}") from error
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected keys and values. Received: {type(settings).__name__}")
    return settings


def _check_keys(settings: Mapping[Any, Any], path: Path) -> None:
    sections = {field.name: field for field in dataclasses.fields(Config)}
    for key, value in settings.items():
        _check_key(key, sections, path, "")
        if key in _SECTIONS:
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {key}: expected keys and values. Received: {key}={value!r}")
            names = {field.name for field in dataclasses.fields(getattr(Config(), key))}
            for inner in value:
                _check_key(inner, names, path, f"{key}.")


def _check_key(key: Any, known: Sequence[str] | set[str] | Mapping[str, Any], path: Path, prefix: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(str(key), list(known), n=1)
    hint = f"Did you mean {prefix}{near[0]}?" if near else f"Expected one of {', '.join(sorted(known))}"
    raise ConfigError(f"{path}: {prefix}{key}: no such key. {hint}")


def _instantiate(parser: jsonargparse.ArgumentParser, namespace: jsonargparse.Namespace) -> Config:
    names = [field.name for field in dataclasses.fields(Config)]
    instances = parser.instantiate(namespace)
    return Config(**{name: instances[name] for name in names})


def _readable(error: Exception) -> str:
    text = " ".join(str(error).split())
    text = re.sub(r"<class '(\w+)'>", r"\1", text).replace("typing.", "")
    union = re.match(r'Parser key "([\w.]+)": Does not validate .*Subtypes: \[(.*?)\].*Given value: (.*)', text)
    if union:
        return f"{union[1]}: expected {union[2].replace(', NoneType', ' or null')}. Received: {union[3]}"
    return re.sub(r'Parser key "([\w.]+)": Expected an? ', r"\1: expected ", text).replace(
        ". Got value:", ". Received:"
    )
