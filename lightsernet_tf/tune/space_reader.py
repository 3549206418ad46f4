"""From what a YAML file says of a search space to the space, every value checked before the first trial."""

from __future__ import annotations

import contextlib
import difflib
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import key_types, with_values
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.space import Parameter, SearchSpace, config_value

_NEVER = {
    "cache_dir": "it changes nothing of a trial",
    "split.protocol": "they have to be judged in one way, and never on test data",
}
_COMBINATIONS_TRIED = 50  # before a value is said to fit with no other


def make_space(entries: Mapping[str, Any], config: Config, forbidden: Mapping[str, str]) -> SearchSpace:
    """Check what a search is to try and return it.

    Parameters
    ----------
    entries
        As in YAML: by key a list of values, ``{choice: [...]}`` or ``{min, max, scale, step}``, each with an optional
        ``when``.
    config
        The settings that all trials share.
    forbidden
        Keys that cannot be searched here, and why, beside those that never can.

    Raises
    ------
    ConfigError
        If a key does not exist or cannot be searched, a value does not fit it (at all, or beside any values of the
        others), or a condition cannot hold; the message names it.
    """
    if not isinstance(entries, Mapping) or not entries:
        raise ConfigError(
            f"search.space: expected at least one key of the configuration. Received: {entries if entries else 'none'}"
        )
    types, forbidden = key_types(Config), {**_NEVER, **forbidden}
    parameters = []
    for key, entry in entries.items():
        if key not in types:
            raise ConfigError(f"search.space.{key}: no such key. {_nearest(key, types)}")
        if key in forbidden:
            raise ConfigError(f"search.space.{key}: expected a key that trials may differ in: {forbidden[key]}")
        parameters.append(_parameter(key, types, entry, config))
    space = SearchSpace(tuple(_parents_first(parameters)))
    _check_conditions(space)
    _check_combinations(space, config)
    return space


def _parameter(key: str, types: Mapping[str, str], entry: Any, config: Config) -> Parameter:
    where = f"search.space.{key}"
    if isinstance(entry, (list, tuple)):
        entry = {"choice": entry}
    if not isinstance(entry, Mapping) or ("choice" in entry) == ("min" in entry or "max" in entry):
        raise ConfigError(
            f"{where}: expected a list of values, {{choice: [...]}} or {{min: ..., max: ...}}. Received: {entry!r}"
        )
    known = ("choice", "when") if "choice" in entry else ("min", "max", "scale", "step", "when")
    for name in entry:
        if name not in known:
            raise ConfigError(f"{where}.{name}: no such key. Expected one of {', '.join(known)}")
    when = _condition(where, entry.get("when"), types, config)
    if "choice" in entry:
        return Parameter(key, values=_choice(where, key, types[key], entry["choice"], config), when=when)
    return _range(where, key, types[key], entry, config, when)


def _condition(where: str, when: Any, types: Mapping[str, str], config: Config) -> dict[str, tuple[Any, ...]]:
    if not isinstance(when, (Mapping, type(None))):
        raise ConfigError(f"{where}.when: expected keys and their values. Received: {when!r}")
    condition = {}
    for key, given in (when or {}).items():
        wanted = given if isinstance(given, (list, tuple)) else (given,)
        if not wanted:
            raise ConfigError(f"{where}.when.{key}: expected at least one value. Received: {given}")
        condition[key] = tuple(_as_configured(key, types[key], one, config) if key in types else one for one in wanted)
    return condition


def _choice(where: str, key: str, type_name: str, given: Any, config: Config) -> tuple[Any, ...]:
    if not isinstance(given, (list, tuple)) or not given:
        raise ConfigError(f"{where}.choice: expected a list of at least one value. Received: {given!r}")
    values = tuple(_as_configured(key, type_name, value, config) for value in given)
    if any(value in values[:index] for index, value in enumerate(values)):
        raise ConfigError(f"{where}.choice: expected each value once. Received: {list(given)}")
    return values


def _range(
    where: str, key: str, type_name: str, entry: Mapping[str, Any], config: Config, when: dict[str, tuple[Any, ...]]
) -> Parameter:
    if not type_name.startswith(("int", "float")):
        raise ConfigError(f"{where}: expected a choice, for the key holds no number. Received: {dict(entry)}")
    low, high = (
        _number(f"{where}.{name}", _as_configured(key, type_name, entry.get(name), config)) for name in ("min", "max")
    )
    scale = entry.get("scale", "linear")
    if scale not in ("linear", "log"):
        raise ConfigError(f"{where}.scale: expected linear or log. Received: scale={scale!r}")
    log = scale == "log"
    if not low < high:
        raise ConfigError(f"{where}: expected a min below max. Received: min={low:g}, max={high:g}")
    if log and low <= 0:
        raise ConfigError(f"{where}.min: expected more than 0 on a logarithmic scale. Received: min={low:g}")
    step = entry.get("step")
    if step is not None:
        step = _number(f"{where}.step", _as_float(step) if type_name.startswith("float") else step)
        if not step > (1 if log else 0) or (isinstance(low, int) and not isinstance(step, int)):
            whole = "a whole number" if isinstance(low, int) else "a number"
            raise ConfigError(f"{where}.step: expected {whole} of more than {1 if log else 0}. Received: step={step!r}")
        if step > (high / low if log else high - low):
            raise ConfigError(f"{where}.step: expected one that fits between min and max. Received: step={step!r}")
    return Parameter(key, low=low, high=high, step=step, log=log, when=when)


def _number(where: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{where}: expected a number. Received: {'nothing' if value is None else repr(value)}")
    return value


def _as_configured(key: str, type_name: str, value: Any, config: Config) -> Any:
    """Return a value as the configuration holds it, e.g. 1 as 1.0; also where it does not fit alone (see below)."""
    try:
        return config_value(with_values(config, {key: value}), key)
    except ConfigError:
        return _as_float(value) if type_name.startswith("float") else value


def _as_float(value: Any) -> Any:
    """Return the number for a whole one, and for the text that YAML takes 1e-5 for; all else as it is."""
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            return float(value)
    return value


def _parents_first(parameters: Sequence[Parameter]) -> list[Parameter]:
    by_key = {parameter.key: parameter for parameter in parameters}
    for parameter in parameters:
        for key, wanted in parameter.when.items():
            parent = by_key.get(key)
            if parent is None or not parent.values:
                raise ConfigError(
                    f"search.space.{parameter.key}.when.{key}: expected a key with a choice in this space. "
                    f"Received: {'one with a range' if parent else 'one that is not in it'}"
                )
            if not set(map(repr, wanted)) <= set(map(repr, parent.values)):
                raise ConfigError(
                    f"search.space.{parameter.key}.when.{key}: expected values of its choice "
                    f"{list(parent.values)}. Received: {list(wanted)}"
                )
    ordered: list[Parameter] = []
    while len(ordered) < len(parameters):
        placed = {parameter.key for parameter in ordered}
        ready = [p for p in parameters if p.key not in placed and set(p.when) <= placed]
        if not ready:
            circle = ", ".join(p.key for p in parameters if p.key not in placed)
            raise ConfigError(f"search.space: expected conditions without a circle. Received: one through {circle}")
        ordered.append(ready[0])
    return ordered


def _check_conditions(space: SearchSpace) -> None:
    for parameter in space.parameters:
        for key, values in space.conditions_of(parameter).items():
            if not values:
                raise ConfigError(
                    f"search.space.{parameter.key}.when: expected conditions that hold together, with those of the "
                    f"keys that they name. Received: none of {key}'s values for all"
                )


def _check_combinations(space: SearchSpace, config: Config) -> None:
    for parameter in space.parameters:
        for value in parameter.checked:
            _check_value(space, config, parameter, value)


def _check_value(space: SearchSpace, config: Config, parameter: Parameter, value: Any) -> None:
    """Look for settings with which a value is fine: first the configured ones, then any of the space."""
    conditions = space.conditions_of(parameter)  # whatever must hold for it to be tried
    chance, first_problem = random.Random(0), None
    tried: list[dict[str, Any]] = []
    for attempt in range(1 + _COMBINATIONS_TRIED):
        fixed = {key: wanted[0] if attempt == 0 else chance.choice(wanted) for key, wanted in conditions.items()}
        fixed[parameter.key] = value
        values = fixed if attempt == 0 else _any_combination(space, fixed, chance)
        if values in tried:
            continue
        tried.append(values)
        try:
            with_values(config, values)
            return
        except ConfigError as error:
            first_problem = first_problem or error
    raise ConfigError(f"search.space.{parameter.key}: {first_problem}") from first_problem


def _any_combination(space: SearchSpace, fixed: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.key in fixed:
            values[parameter.key] = fixed[parameter.key]
        elif parameter.is_active(values):
            values[parameter.key] = parameter.sample(chance)
    return values


def _nearest(key: Any, keys: Mapping[str, Any]) -> str:
    section, _, last = str(key).partition(".")
    within = [name for name in keys if name.startswith(f"{section}.")]
    near = difflib.get_close_matches(str(key), list(keys), n=1)
    near += [name for name in keys if name.endswith(f".{last or section}")]
    if near and not (within and not last):
        return f"Did you mean {near[0]}?"
    if within:
        return f"Expected one of {', '.join(within)}"
    sections = dict.fromkeys(name.split(".")[0] for name in keys if "." in name)
    return f"Expected one such as train.epochs, of {', '.join(sections)}"
