"""Read a search space from YAML, every value checked before the first trial.

The form of a space is described in `tune.space`.
"""

from __future__ import annotations

import contextlib
import difflib
import math
import random
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import key_types, with_values
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.space import Parameter, SearchSpace

_NEVER = {
    "cache_dir": "it changes nothing of a trial",
    "split.protocol": "they have to be judged in one way, and never on test data",
}
_CHOICE_KEYS, _RANGE_KEYS = ("choice", "when"), ("min", "max", "scale", "step", "when")
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
    reader = _Reader(config, types)
    space = SearchSpace(tuple(_parents_first([reader.parameter(key, entry) for key, entry in entries.items()])))
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


class _Reader:
    """Reads one entry of the space after the other; conditions and combinations are checked when all are read."""

    def __init__(self, config: Config, types: Mapping[str, str]) -> None:
        self._config, self._types = config, types

    def parameter(self, key: str, entry: Any) -> Parameter:
        where = f"search.space.{key}"
        entry = {"choice": entry} if isinstance(entry, (list, tuple)) else entry
        is_entry = isinstance(entry, Mapping) and ("choice" in entry) != ("min" in entry or "max" in entry)
        _expect(is_entry, where, "a list of values, {choice: [...]} or {min: ..., max: ...}", repr(entry))
        known = _CHOICE_KEYS if "choice" in entry else _RANGE_KEYS
        for name in entry:
            if name not in known:
                raise ConfigError(f"{where}.{name}: no such key. Expected one of {', '.join(known)}")
        when = self._condition(where, entry.get("when"))
        if "choice" in entry:
            return Parameter(key, self._choice(where, key, entry["choice"]), when=when)
        return self._range(where, key, entry, when)

    def _condition(self, where: str, when: Any) -> dict[str, tuple[Any, ...]]:
        _expect(isinstance(when, (Mapping, type(None))), f"{where}.when", "keys and their values", repr(when))
        condition = {}
        for key, given in (when or {}).items():
            wanted = given if isinstance(given, (list, tuple)) else (given,)
            _expect(bool(wanted), f"{where}.when.{key}", "at least one value", given)
            condition[key] = tuple(self._as_configured(key, value) if key in self._types else value for value in wanted)
        return condition

    def _choice(self, where: str, key: str, given: Any) -> tuple[Any, ...]:
        is_list = isinstance(given, (list, tuple)) and bool(given)
        _expect(is_list, f"{where}.choice", "a list of at least one value", repr(given))
        values = tuple(self._as_configured(key, value) for value in given)
        repeated = any(value in values[:index] for index, value in enumerate(values))
        _expect(not repeated, f"{where}.choice", "each value once", list(given))
        return values

    def _range(self, where: str, key: str, entry: Mapping[str, Any], when: dict[str, tuple[Any, ...]]) -> Parameter:
        is_number = self._types[key].startswith(("int", "float"))
        _expect(is_number, where, "a choice, for the key holds no number", dict(entry))
        low, high = (_number(f"{where}.{name}", self._as_configured(key, entry.get(name))) for name in ("min", "max"))
        scale = entry.get("scale", "linear")
        _expect(scale in ("linear", "log"), f"{where}.scale", "linear or log", f"scale={scale!r}")
        log = scale == "log"
        _expect(low < high, where, "a min below max", f"min={low:g}, max={high:g}")
        _expect(low > 0 or not log, f"{where}.min", "more than 0 on a logarithmic scale", f"min={low:g}")
        step = entry.get("step")
        if step is not None:
            step = _number(f"{where}.step", _as_float(step) if self._types[key].startswith("float") else step)
            least, whole = int(log), isinstance(low, int)
            expected = f"{'a whole number' if whole else 'a number'} of more than {least}"
            fine = step > least and (isinstance(step, int) or not whole)
            _expect(fine, f"{where}.step", expected, f"step={step!r}")
            fits = step <= (high / low if log else high - low)
            _expect(fits, f"{where}.step", "one that fits between min and max", f"step={step!r}")
        return Parameter(key, low=low, high=high, step=step, log=log, when=when)

    def _as_configured(self, key: str, value: Any) -> Any:
        """Return a value as the configuration holds it, e.g. 1 as 1.0; also where it fits only beside other values."""
        try:
            return attrgetter(key)(with_values(self._config, {key: value}))
        except ConfigError:
            return _as_float(value) if self._types[key].startswith("float") else value


def _number(where: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    _expect(is_number, where, "a number", "nothing" if value is None else repr(value))
    return value


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
