"""Which settings mean the same experiment: paths made whole, places left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lightsernet_tf.config import Config


def without_places(config: Config) -> Config:
    """Return settings without where things lie, which may be moved; what lies there is checked by its contents."""
    corpus = replace(config.corpus, data_dir="moved")
    return replace(config, corpus=corpus, runs_dir="", run_name=None, cache_dir=None)


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
