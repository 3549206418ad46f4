"""Read a search space from YAML, every value checked before the first trial.

The form of a space is described in `tune.space`.
"""

from __future__ import annotations

import difflib
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import fitted, key_types, with_values
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.space import Parameter, SearchSpace

_NEVER = {
    "cache_dir": "it changes nothing of a trial",
    "split.protocol": "they have to be judged in one way, and never on test data",
}
_CHOICE_KEYS, _RANGE_KEYS = ("choice", "when"), ("min", "max", "scale", "step", "when")
_NUMBERS = (int, float, int | None, float | None)
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
    is_space = isinstance(entries, Mapping) and bool(entries)
    _expect(is_space, "search.space", "at least one key of the configuration", entries if entries else "none")
    types, forbidden = key_types(Config), {**_NEVER, **forbidden}
    for key in entries:
        if key not in types:
            raise ConfigError(f"search.space.{key}: no such key. {_nearest(key, types)}")
        if key in forbidden:
            raise ConfigError(f"search.space.{key}: expected a key that trials may differ in: {forbidden[key]}")
    space = SearchSpace(tuple(_parents_first([_parameter(key, entry, types) for key, entry in entries.items()])))
    together = "conditions that hold together, with those of the keys that they name"
    for parameter in space.parameters:
        for key, values in space.conditions_of(parameter).items():
            where, found = f"search.space.{parameter.key}.when", f"none of {key}'s values for all"
            _expect(bool(values), where, together, found)
    for parameter in space.parameters:
        for value in parameter.checked:
            _check_value(space, config, parameter, value)
    return space


def _expect(holds: bool, where: str, expected: str, received: object) -> None:
    if not holds:
        raise ConfigError(f"{where}: expected {expected}. Received: {received}")


def _parameter(key: str, entry: Any, types: Mapping[str, Any]) -> Parameter:
    where = f"search.space.{key}"
    entry = {"choice": entry} if isinstance(entry, (list, tuple)) else entry
    is_entry = isinstance(entry, Mapping) and ("choice" in entry) != ("min" in entry or "max" in entry)
    _expect(is_entry, where, "a list of values, {choice: [...]} or {min: ..., max: ...}", repr(entry))
    known = _CHOICE_KEYS if "choice" in entry else _RANGE_KEYS
    for name in entry:
        if name not in known:
            raise ConfigError(f"{where}.{name}: no such key. Expected one of {', '.join(known)}")
    when = _condition(f"{where}.when", entry.get("when"), types)
    if "choice" in entry:
        return Parameter(key, _choice(f"{where}.choice", entry["choice"], types[key]), when=when)
    low, high, log = _range(where, entry, types[key])
    step = None if entry.get("step") is None else _number(f"{where}.step", entry["step"], type(low))
    if step is not None:
        _expect(step > log, f"{where}.step", f"more than {int(log)}", f"step={step!r}")
        fits = step <= (high / low if log else high - low)
        _expect(fits, f"{where}.step", "one that fits between min and max", f"step={step!r}")
    return Parameter(key, low=low, high=high, step=step, log=log, when=when)


def _condition(where: str, when: Any, types: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    _expect(isinstance(when, (Mapping, type(None))), where, "keys and their values", repr(when))
    condition = {}
    for key, given in (when or {}).items():
        wanted = given if isinstance(given, (list, tuple)) else (given,)
        _expect(bool(wanted), f"{where}.{key}", "at least one value", given)
        condition[key] = tuple(fitted(one, types[key], f"{where}.{key}") if key in types else one for one in wanted)
    return condition


def _choice(where: str, given: Any, kind: Any) -> tuple[Any, ...]:
    is_list = isinstance(given, (list, tuple)) and bool(given)
    _expect(is_list, where, "a list of at least one value", repr(given))
    values = tuple(fitted(value, kind, where) for value in given)
    repeated = any(value in values[:index] for index, value in enumerate(values))
    _expect(not repeated, where, "each value once", list(given))
    return values


def _range(where: str, entry: Mapping[str, Any], kind: Any) -> tuple[Any, Any, bool]:
    _expect(kind in _NUMBERS, where, "a choice, for the key holds no number", dict(entry))
    low, high = (_number(f"{where}.{name}", entry.get(name), kind) for name in ("min", "max"))
    scale = entry.get("scale", "linear")
    _expect(scale in ("linear", "log"), f"{where}.scale", "linear or log", f"scale={scale!r}")
    _expect(low < high, where, "a min below max", f"min={low:g}, max={high:g}")
    _expect(low > 0 or scale == "linear", f"{where}.min", "more than 0 on a logarithmic scale", f"min={low:g}")
    return low, high, scale == "log"


def _number(where: str, value: Any, kind: Any) -> Any:
    number = fitted(value, kind, where)
    _expect(number is not None and math.isfinite(number), where, "a number", value)
    return number


def _parents_first(parameters: Sequence[Parameter]) -> list[Parameter]:
    by_key = {parameter.key: parameter for parameter in parameters}
    for parameter in parameters:
        for key, wanted in parameter.when.items():
            where, parent = f"search.space.{parameter.key}.when.{key}", by_key.get(key)
            found = "one that is not in it" if parent is None else "one with a range"
            choice = parent.values if parent else ()
            _expect(bool(choice), where, "a key with a choice in this space", found)
            known = set(map(repr, wanted)) <= set(map(repr, choice))
            _expect(known, where, f"values of its choice {list(choice)}", list(wanted))
    ordered: list[Parameter] = []
    while len(ordered) < len(parameters):
        placed = {parameter.key for parameter in ordered}
        waiting = [parameter for parameter in parameters if parameter.key not in placed]
        ready = [parameter for parameter in waiting if set(parameter.when) <= placed]
        circle = ", ".join(parameter.key for parameter in waiting)
        _expect(bool(ready), "search.space", "conditions without a circle", f"one through {circle}")
        ordered.append(ready[0])
    return ordered


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
            values[parameter.key] = chance.choice(parameter.checked)
    return values


def _nearest(key: Any, keys: Mapping[str, Any]) -> str:
    section, _, last = str(key).partition(".")
    within = [name for name in keys if name.startswith(f"{section}.")]
    near = difflib.get_close_matches(str(key), list(keys), n=1)
    near += [name for name in keys if name.endswith(f".{last or section}")]
    if near and (last or not within):
        return f"Did you mean {near[0]}?"
    if within:
        return f"Expected one of {', '.join(within)}"
    sections = dict.fromkeys(name.split(".")[0] for name in keys if "." in name)
    return f"Expected one such as train.epochs, of {', '.join(sections)}"
