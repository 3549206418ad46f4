"""The one notion of "the same settings": which keys differ, but for those that do not matter for a purpose.

A key that saved settings lack was added to the configuration later. It means its default, which has to be what was done
before there was the key; so a new key leaves saved runs, cross-validations, searches and exports valid.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightsernet_tf.config import Config

PLACES = ("corpus.data_dir", "runs_dir", "run_name", "cache_dir")
"""Where things lie. They may be moved; what lies there is checked by its contents."""

NOT_TRAINING = ("corpus", "split", "runs_dir", "run_name", "cache_dir", "train.keep", "train.strategy")
"""What the trainings of one setup may differ in: who is trained on, which is compared by its contents, and what changes
no network: where it lies, which epochs are kept, and on how many devices they are trained."""


def differing_keys(
    found: Config | Mapping[str, Any],
    expected: Config | Mapping[str, Any],
    *,
    ignore: Collection[str] = (),
    only: Collection[str] = (),
) -> dict[str, tuple[Any, Any]]:
    """Return the keys in which two settings differ.

    Parameters
    ----------
    found, expected
        Settings, or plain data as `Config.to_dict` returns it. A missing key or section means its default.
    ignore
        Keys (``"split.fold"``) and whole sections (``"train"``) that do not matter.
    only
        The keys and sections that matter; none: all.

    Returns
    -------
    dict
        By dotted key the value found and the one expected, in the order of the configuration.

    Examples
    --------
    >>> differing_keys({"split": {"fold": 1}, "train": {"gamma": 1.0}}, Config(), ignore=["split.fold"])
    {'train.gamma': (1.0, 2.0)}
    """
    defaults = _dotted(Config())
    for settings in (found, expected):
        if isinstance(settings, Config):
            defaults |= _dotted(type(settings)())  # a kind of it may have more keys
    left, right = defaults | _dotted(found), defaults | _dotted(expected)
    return {
        key: (left.get(key, "no such key"), right.get(key, "no such key"))
        for key in left | right
        if (not only or _is_among(key, only))
        and not _is_among(key, ignore)
        and (key not in left or key not in right or left[key] != right[key])
    }


def without_keys(config: Config, keys: Collection[str]) -> dict[str, Any]:
    """Return settings as plain data, without some keys or sections."""
    settings = config.to_dict()
    for key in keys:
        section, _, name = key.rpartition(".")
        del (settings[section] if section else settings)[name]
    return settings


def with_whole_paths(config: Config) -> Config:
    """Return settings that mean the same from whatever folder they are read."""

    def whole(path: str | None) -> str | None:
        return str(Path(path).expanduser().absolute()) if path else path

    return replace(
        config,
        corpus=replace(config.corpus, data_dir=whole(config.corpus.data_dir)),
        train=replace(config.train, initial_weights=whole(config.train.initial_weights)),
        cache_dir=whole(config.cache_dir),
    )


def _dotted(settings: Config | Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by dotted key; below a section, a value may itself be a mapping (``train.class_weights``)."""
    dotted: dict[str, Any] = {}
    for key, value in (settings.to_dict() if isinstance(settings, Config) else settings).items():
        dotted |= (
            {f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, Mapping) else {key: value}
        )
    return dotted


def _is_among(key: str, keys: Collection[str]) -> bool:
    return key in keys or key.partition(".")[0] in keys
