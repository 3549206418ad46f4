"""From YAML files and the command line to a ``Config``: every key checked, every error with the key's name."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import jsonargparse
import yaml

from lightsernet_tf.cli import CommandParser
from lightsernet_tf.config import Config, demo_config
from lightsernet_tf.errors import ConfigError, one_line

COMMON_KEYS = (
    *("search.space", "search.strategy", "search.trials", "search.folds"),
    *("corpus.name", "corpus.data_dir", "corpus.labels", "corpus.label_map"),
    *("split.protocol", "split.fold", "split.folds"),
    *("features.kind", "features.max_frequency_hz", "audio.duration_seconds"),
    *("augment.time_mask_max_frames", "augment.frequency_mask_max_bins", "augment.noise_min_snr_db"),
    *("train.epochs", "train.batch_size", "train.learning_rate", "train.schedule", "train.loss", "train.balance"),
    *("train.seed", "run_name", "runs_dir", "cache_dir"),
)
_PLAIN_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    dict: "keys and values",
}
_QUOTE_HINT = " (YAML reads no, yes, on, off and numbers as something else than text: put quotes around them)"


class _HelpFormatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leave the examples at the end as they are written, and show types and defaults where they are informative."""

    def _get_help_string(self, action: argparse.Action) -> str:
        help_string = super()._get_help_string(action).replace("``", "")
        if action.default is None or action.nargs == 0:
            help_string = help_string.replace(", default: %(default)s", "").replace(" (default: %(default)s)", "")
        return help_string

    def _get_type_str(self, action: argparse.Action) -> str | None:
        name = super()._get_type_str(action)
        return None if name is None or name.startswith(("str", "Literal[")) else name


class SettingsParser(CommandParser, jsonargparse.ArgumentParser):
    """The parser of a command whose options are keys of settings."""

    def __init__(self, command: str, description: str, epilog: str = "", **kwargs: Any) -> None:
        kwargs |= {"formatter_class": _HelpFormatter, "allow_abbrev": False}
        super().__init__(command, description, epilog, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a ``ConfigError`` that names the key, what was expected and what came, as for a file of settings."""
        message = one_line(message)
        _, prefix, unknown = message.partition("unrecognized arguments: ")
        if prefix:
            for near in difflib.get_close_matches(unknown.split()[0].split("=")[0], self._option_string_actions, n=1):
                message += f". Did you mean {near}?"
        elif message.startswith("Parser key "):
            self._check_again(message.split('"')[1])
        raise ConfigError(message) from ex

    def _check_again(self, key: str) -> None:
        """Raise the one-line error of `fitted` for a key on the command line, where jsonargparse gives paragraphs."""
        option, following = f"--{key}", [*self.args[1:], ""]
        kind = getattr(self._option_string_actions[option], "_typehint", None)
        for argument, next_argument in zip(self.args, following, strict=True):
            name, equals, value = argument.partition("=")
            if name == option:
                text = value if equals else next_argument
                if kind is None:
                    raise ConfigError(
                        f"{key}: expected keys and values, or one of them as {option}.KEY. Received: {text}"
                    )
                fitted(_loaded(text), kind, key)


def config_parser(
    command: str, description: str, epilog: str = "", kind: type[Config] = Config
) -> jsonargparse.ArgumentParser:
    """Return a parser with ``--config FILE`` and an option for every key of ``Config``, or of a kind of it."""
    parser = SettingsParser(command, description, epilog, usage="%(prog)s [--config FILE] [options]")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML file of settings; options override it")
    parser.add_class_arguments(kind, None)
    _arrange_help(parser, kind)
    return parser


def _arrange_help(parser: SettingsParser, kind: type[Config]) -> None:
    common = parser.add_argument_group("Settings that are changed most often; all others follow, section by section")
    for key in COMMON_KEYS:
        action = parser._option_string_actions.get(f"--{key}")
        for group in parser._action_groups:
            if action in group._group_actions:
                group._group_actions.remove(action)
                common._group_actions.append(action)
    for section in _sections(kind):
        parser._option_string_actions[f"--{section}"].help = argparse.SUPPRESS  # a file or mapping for all of it
    positionals, own_options, *sections, common = parser._action_groups
    parser._action_groups = [positionals, own_options, common, *sections]


def parse_config(
    parser: jsonargparse.ArgumentParser, arguments: Sequence[str], kind: type[Config] = Config
) -> tuple[Config, jsonargparse.Namespace]:
    """Parse a command line.

    Without ``--config`` and without another corpus, the demo's settings are the defaults.

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
    namespace = _parsed(parser, arguments, demo_config().to_dict())
    if namespace.config is not None:
        namespace = _parsed(parser, arguments, read_settings(Path(namespace.config), kind))
    elif namespace.corpus.name != "demo":
        namespace = _parsed(parser, arguments, {})
    settings = namespace.as_dict()
    return config_from({name: settings[name] for name in _types_of(kind)}, kind), namespace


def _parsed(
    parser: jsonargparse.ArgumentParser, arguments: Sequence[str], defaults: Mapping[str, Any]
) -> jsonargparse.Namespace:
    namespace = jsonargparse.Namespace()
    for name, value in defaults.items():
        for key, inner in value.items() if isinstance(value, dict) else ():
            namespace[f"{name}.{key}"] = inner
        if not isinstance(value, dict):
            namespace[name] = value
    return parser.parse_args(list(arguments), namespace=namespace)


def load_config(path: str | Path, kind: type[Config] = Config) -> Config:
    """Read a YAML file of settings.

    Raises
    ------
    ConfigError
        If the file is not there or not YAML, a key does not exist, or a value does not fit.
    """
    settings = read_settings(Path(path), kind)
    with _naming(path):
        return config_from(settings, kind)


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return settings with some keys set, e.g. ``{"train.gamma": 1.0}``, checked as those of a file are.

    Raises
    ------
    ConfigError
        If a value does not fit, alone or beside the other settings.
    """
    settings = config.to_dict()
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (settings[section] if section else settings)[name] = value
    return config_from(settings, type(config))


def config_from(settings: Mapping[str, Any], kind: type[Config] = Config) -> Config:
    """Return the settings that ``Config.to_dict`` gave; a key that is missing has its default.

    Raises
    ------
    ConfigError
        If a key does not exist or a value does not fit.
    """
    sections = _sections(kind)
    checked = _checked(settings, kind)
    return kind(**{key: sections[key](**value) if key in sections else value for key, value in checked.items()})


def key_types(kind: type[Config]) -> dict[str, Any]:
    """Return the type of every key, such as ``float | None`` of ``features.max_frequency_hz``."""
    sections = _sections(kind)
    types = {name: of_key for name, of_key in _types_of(kind).items() if name not in sections}
    for name, section in sections.items():
        types |= {f"{name}.{key}": of_key for key, of_key in _types_of(section).items()}
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
        If a file is not there or not YAML, builds on itself, or holds a key that does not exist or a value of another
        type.
    """
    with _naming(path):
        settings = _read_yaml(path)
        base_name = settings.pop("extends", None)
        settings = _checked(settings, kind)
        if base_name is None:
            return settings
        if not isinstance(base_name, str):
            raise ConfigError(f"extends: expected the name of a YAML file. Received: extends={base_name!r}")
        chain = (*_built_on_it, path.resolve())
        base_path = path.parent / base_name
        if base_path.resolve() in chain:
            raise ConfigError(f"extends: expected a file that does not build on this one. Received: {base_name}")
    base = read_settings(base_path, kind, chain)
    for key, value in settings.items():
        base[key] = base.get(key, {}) | value if key in _sections(kind) else value
    return base


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read_yaml(path: Path) -> dict[Any, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"expected a YAML file of settings. Received: {one_line(error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"expected YAML. Received: {one_line(error)}") from error
    if not isinstance(settings, dict | None):
        raise ConfigError(f"expected keys and values. Received: {type(settings).__name__}")
    return settings or {}


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _types_of(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _sections(kind: type) -> dict[str, Any]:
    return {name: section for name, section in _types_of(kind).items() if dataclasses.is_dataclass(section)}


def _checked(settings: Mapping[Any, Any], kind: type, prefix: str = "") -> dict[str, Any]:
    """Return settings, each value as its type holds it; what is missing stays missing."""
    known, sections, checked = _types_of(kind), _sections(kind), {}
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {prefix}{near[0]}?" if near else f"Expected one of {', '.join(sorted(known))}"
            if (prefix, key) == ("", "search"):
                hint = "A file with it is one for tune"
            raise ConfigError(f"{prefix}{key}: no such key. {hint}")
        if key not in sections:
            checked[key] = fitted(value, known[key], prefix + key)
        elif isinstance(value, dict | None):
            checked[key] = _checked(value or {}, known[key], f"{key}.")
        else:
            raise ConfigError(f"{key}: expected keys and values. Received: {key}={value!r}")
    return checked


def fitted(value: Any, kind: Any, key: str) -> Any:
    """Return a value as its type holds it, e.g. 3 as 3.0 or a list as a tuple.

    Raises
    ------
    ConfigError
        If it does not fit.
    """
    optional = types.NoneType in typing.get_args(kind)
    if optional:
        if value is None:
            return None
        (kind,) = set(typing.get_args(kind)) - {types.NoneType}
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Any or (origin is Literal and value in inner) or (type(value) is origin and not inner):
        return value
    if origin in (list, tuple) and isinstance(value, (list, tuple)):
        return origin(fitted(one, inner[0], key) for one in value)
    if origin is dict and isinstance(value, dict):
        return {name: fitted(one, inner[1], key) for name, one in value.items()}
    if origin is float and type(value) in (int, str):  # YAML 1.1 reads 1e-5, without a point, as text
        with contextlib.suppress(ValueError, OverflowError):
            if math.isfinite(float(value)):
                return float(value)
    if value is None:
        raise ConfigError(f"{key}: expected a value. Received: nothing")
    expected = f"one of {', '.join(inner)}" if origin is Literal else _PLAIN_NAMES[origin]
    raise ConfigError(
        f"{key}: expected {expected}{' or null' * optional}. Received: {value}{_QUOTE_HINT * (origin is str)}"
    )
