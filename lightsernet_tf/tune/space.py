"""What a search tries: keys of the configuration with choices, ranges and conditions.

    space:
      features.kind: {choice: [mfcc, spectrogram]}
      train.learning_rate: {min: 1.0e-5, max: 1.0e-3, scale: log}
      train.batch_size: {min: 8, max: 32, step: 8}
      train.loss: {choice: [cross_entropy, focal]}
      train.gamma: {min: 0.5, max: 4.0, when: {train.loss: focal}}

What this module does not do: check it (see space_reader.py), or import Keras Tuner; it calls the ``HyperParameters``
that it is given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any

from lightsernet_tf.config import Config


@dataclass(frozen=True)
class Parameter:
    """One key of the configuration and what a search may set it to: ``values``, or ``low`` to ``high``.

    Parameters
    ----------
    key
        Such as ``train.gamma``.
    values
        A choice; empty for a range.
    low, high
        A range, both ends included.
    step
        From value to value of a range, on a logarithmic scale a factor; none: anything between.
    log
        Whether the range is searched on a logarithmic scale.
    when
        The values of other keys under which this one is searched; otherwise it stays as it is configured.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def integer(self) -> bool:
        """Whether the range holds whole numbers."""
        return isinstance(self.low, int)

    @property
    def checked(self) -> tuple[Any, ...]:
        """The values that are checked: all of a choice, both ends of a range, and some between if it has gaps."""
        last = self._last_index
        if self.values or last is None:
            return self.values or (self.low, self.high)
        return tuple(self._at(index) for index in sorted({0, last // 4, last // 2, 3 * last // 4, last}))

    @property
    def _last_index(self) -> int | None:
        """Of a range's values, counted by its step or as whole numbers; none: it has no gaps."""
        if self.step is None and not self.integer:
            return None
        if self.step is not None and self.log:
            return int(math.log(self.high / self.low, self.step) + 1e-8)
        return int((self.high - self.low) / (self.step or 1) + 1e-8)  # sums of 0.1 miss what they should come to

    def _at(self, index: int) -> Any:
        if self.step is not None and self.log:
            value = self.low * self.step**index
        else:
            value = self.low + index * (self.step or 1)
        return min(value, self.high)

    @cached_property
    def codes(self) -> list[Any]:
        """The choice as Keras Tuner takes it: numbers and texts as they are, all else, and a mixture, as JSON."""
        if {type(value) for value in self.values} in ({int}, {float}, {str}):
            return list(self.values)
        return [json.dumps(value, ensure_ascii=False) for value in self.values]

    def num_values(self) -> float:
        """Return how many values it can take, infinite for a continuous range."""
        if self.values:
            return len(self.values)
        return math.inf if self._last_index is None else self._last_index + 1

    def decoded(self, code: Any) -> Any:
        """Return the setting for what Keras Tuner chose."""
        if self.values:
            return self.values[self.codes.index(code)]
        number = int(code) if self.integer else float(code)  # the Bayesian oracle chooses NumPy's numbers
        return min(number, self.high)  # see _register

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds, given the values of the keys before this one."""
        return all(key in values and values[key] in wanted for key, wanted in self.when.items())

    def __str__(self) -> str:
        text = ", ".join(map(value_text, self.values))
        if not self.values:
            text = f"{self.low:g} to {self.high:g}" + ", logarithmic" * self.log
            if self.step is not None:
                text += f", {'factor' if self.log else 'step'} {self.step:g}"
        conditions = (f"{key} {' or '.join(map(value_text, wanted))}" for key, wanted in self.when.items())
        return f"{self.key}: {text}" + (f" (where {' and '.join(conditions)})" if self.when else "")


@dataclass(frozen=True)
class SearchSpace:
    """All parameters of a search, each after those that its condition names."""

    parameters: tuple[Parameter, ...]

    def declare(self, hyperparameters: Any, config: Config) -> None:
        """Register every parameter; what ``config`` holds is the default where the parameter can take it."""
        for parameter in self.parameters:
            with ExitStack() as conditions:
                for key, wanted in self.conditions_of(parameter).items():
                    parent = self._by_key[key]
                    codes = [parent.codes[parent.values.index(value)] for value in wanted]
                    conditions.enter_context(hyperparameters.conditional_scope(key, codes))
                _register(hyperparameters, parameter, attrgetter(parameter.key)(config))

    def conditions_of(self, parameter: Parameter) -> dict[str, tuple[Any, ...]]:
        """Return what must hold for a parameter to be searched: its condition, and those of the keys that it names.

        Keys come after those on which they depend, and any combination of the values makes all of them active; no
        values for a key: there is no such combination.
        """
        found: dict[str, tuple[Any, ...]] = {}
        for key, wanted in parameter.when.items():
            for name, values in (*self.conditions_of(self._by_key[key]).items(), (key, wanted)):
                found[name] = tuple(value for value in found.get(name, values) if value in values)
        return found

    @cached_property
    def _by_key(self) -> dict[str, Parameter]:
        return {parameter.key: parameter for parameter in self.parameters}

    def num_settings(self) -> float:
        """Return how many different settings there are at most, conditions apart; infinite with stepless ranges."""
        return math.prod(parameter.num_values() for parameter in self.parameters)

    def values_of(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that Keras Tuner's values stand for, without those whose condition does not hold."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.key in chosen and parameter.is_active(values):
                values[parameter.key] = parameter.decoded(chosen[parameter.key])
        return values


def value_text(value: Any) -> str:
    """Return a setting's value as reports show it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _register(hyperparameters: Any, parameter: Parameter, configured: Any) -> None:
    if parameter.values:
        default = parameter.codes[parameter.values.index(configured)] if configured in parameter.values else None
        hyperparameters.Choice(parameter.key, parameter.codes, default=default)
        return
    in_range = parameter.step is None and configured is not None and parameter.low <= configured <= parameter.high
    add = hyperparameters.Int if parameter.integer else hyperparameters.Float
    high = parameter.high
    if parameter.step is not None and not parameter.integer:
        high += 1e-8 * parameter.step  # Keras Tuner would count two steps of 0.1 from 0 to 0.3
    add(
        parameter.key,
        parameter.low,
        high,
        step=parameter.step,
        sampling="log" if parameter.log else "linear",
        default=configured if in_range else parameter.low,
    )
