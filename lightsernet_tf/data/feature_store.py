"""Features computed once per corpus and configuration, and kept in a cache that every epoch, fold and run shares.

The name of an entry of the cache is a digest of the bytes of all audio files in their order and of every setting that
shapes the array, so nothing else needs to be compared: a changed file or setting leads to another entry.

Decoding is in `audio.decoding`, the features in `features.front_end`, rows and their order in `data.batches`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from lightsernet_tf.audio.decoding import decode
from lightsernet_tf.config import AudioConfig, Config, FeatureConfig
from lightsernet_tf.data.augment import changes_waveforms
from lightsernet_tf.data.cache_entry import CHUNK_BYTES, is_whole, read_array, read_record, write_entry
from lightsernet_tf.errors import AudioError, ConfigError, one_line
from lightsernet_tf.features.front_end import extract, feature_shape
from lightsernet_tf.features.windows import levelled_windows, window_samples

logger = logging.getLogger(__name__)

FORMAT = 1  # to be raised whenever the same files and settings lead to other numbers, or an entry's layout changes
FILES_PER_BATCH = 16


@dataclass(frozen=True)
class FeatureStore:
    """The features of a corpus on disk, one row per segment, in the order of the files.

    Parameters
    ----------
    features_path
        Entry of the cache with the features.
    waveforms_path
        Entry with the windows that the features are of; None unless the augmentation changes waveforms.
    utterance_of_segment
        Position of the file that each segment was cut from, shape ``[segments]``, ascending.
    content
        SHA-256 of each file's samples (decoded, mono, resampled), so that the same audio in another container counts
        as the same; None for a file that was left out.
    problems
        Why files were left out, by position.
    """

    features_path: Path
    waveforms_path: Path | None
    utterance_of_segment: NDArray[np.int64]
    content: tuple[str | None, ...]
    problems: Mapping[int, str]

    @property
    def features(self) -> NDArray[np.float32]:
        """Memory map ``[segments, frames, bins]``.

        Each access maps the file anew: pages that were read count as this process's memory until their map is gone,
        so a map that is kept for a whole training would keep the whole corpus.
        """
        return read_array(self.features_path)

    @property
    def waveforms(self) -> NDArray[np.float32]:
        """Memory map ``[segments, num_samples]``, mapped anew at each access; only where ``waveforms_path`` is set."""
        assert self.waveforms_path is not None
        return read_array(self.waveforms_path)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """What the network sees of a segment: ``(frames, bins, 1)``."""
        _, frames, bins = self.features.shape
        return frames, bins, 1

    def segments_of(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the rows of the segments of these utterances, in the given order; one that was left out has none."""
        positions = np.asarray(utterances, np.int64)
        first = np.searchsorted(self.utterance_of_segment, positions, side="left")
        end = np.searchsorted(self.utterance_of_segment, positions, side="right")
        rows = [np.arange(*span) for span in zip(first, end, strict=True)]
        return np.concatenate([np.empty(0, np.int64), *rows])


def open_feature_store(paths: Sequence[Path], config: Config) -> FeatureStore:
    """Open the features of these files, computing only what the cache does not hold whole.

    Parameters
    ----------
    paths
        Audio files; their order is that of the store.
    config
        How a file becomes segments and segments become features, whether waveforms are needed to augment them, what
        to do with unreadable files (``corpus.on_error``), and the folder of the cache.

    Raises
    ------
    AudioError
        If a file cannot be read and ``on_error`` is ``stop``, or if none can.
    ConfigError
        If the cache cannot be written, for instance because the disk is full, or the windows are too short.
    """
    audio, features = config.audio, config.features
    feature_shape(window_samples(audio, features.sample_rate_hz), features)  # raises here, not within a pipeline
    usual = platformdirs.user_cache_path("lightsernet_tf") / "features"
    folder = Path(config.cache_dir).expanduser() if config.cache_dir else usual
    files = [_file_digest(path) for path in paths]
    decoding = {"audio": dataclasses.asdict(audio), "sample_rate_hz": features.sample_rate_hz}
    decoding["min_samples"] = features.frame_length_samples

    def entry(kind: str, recipe: Mapping[str, Any], compute: Callable[[tf.Tensor], tf.Tensor]) -> tuple[Path, Any]:
        recipe = {"format": FORMAT, "kind": kind, "files": files, **decoding, **recipe}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
        path = folder / f"{kind}-{digest[:32]}.npy"
        if is_whole(path):
            logger.info("%s of %d files: from the cache, %s", kind, len(paths), path)
        else:
            _build(path, _rows(paths, audio, features, compute), kind, len(paths))  # replaces a damaged one
        return path, read_record(path)

    features_path, record = entry(
        "features", {"features": dataclasses.asdict(features)}, lambda waveform: extract(waveform, features)
    )
    problems = {int(position): text for position, text in record["problems"].items()}
    if problems and (config.corpus.on_error == "stop" or len(problems) == len(paths)):
        raise AudioError(_unreadable(problems, paths))
    return FeatureStore(
        features_path=features_path,
        waveforms_path=entry("waveforms", {}, tf.identity)[0] if changes_waveforms(config.augment) else None,
        utterance_of_segment=np.repeat(np.arange(len(paths)), record["segments"]),
        content=tuple(record["content"]),
        problems=problems,
    )


def _unreadable(problems: Mapping[int, str], paths: Sequence[Path]) -> str:
    first = min(problems)
    others = f" (and {len(problems) - 1} more of {len(paths)} files)" if len(problems) > 1 else ""
    remedy = "corpus.on_error: skip leaves such files out" if len(problems) < len(paths) else "no file can be read"
    return f"{paths[first]}: {problems[first]}{others}; {remedy}"


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
                digest.update(chunk)
    except OSError as error:  # the decoder reports it; here it only has to differ from any content
        return f"unreadable: {one_line(error)}"
    return digest.hexdigest()


def _rows(
    paths: Sequence[Path], audio: AudioConfig, features: FeatureConfig, compute: Callable[[tf.Tensor], tf.Tensor]
) -> tf.data.Dataset:
    """Stream (rows of several files, and for each file the number of its rows, its content, its problem)."""
    num_samples = window_samples(audio, features.sample_rate_hz)

    def segment(waveform: tf.Tensor, problem: tf.Tensor) -> tuple[tf.Tensor, ...]:
        segments = tf.cond(
            problem == "",
            lambda: levelled_windows(waveform, audio, features.sample_rate_hz),
            lambda: tf.zeros([0, num_samples]),
        )  # [segments, num_samples]
        content = tf.numpy_function(_content, [waveform], tf.string, stateful=False)
        return tf.ensure_shape(segments, [None, num_samples]), tf.ensure_shape(content, []), problem

    def transform(segments: tf.RaggedTensor, content: tf.Tensor, problem: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return compute(segments.values), segments.row_lengths(), content, problem

    waveforms = decode(paths, features.sample_rate_hz, features.frame_length_samples)
    segments = waveforms.map(segment, tf.data.AUTOTUNE).ragged_batch(FILES_PER_BATCH)
    return segments.map(transform, tf.data.AUTOTUNE).prefetch(1)


def _content(waveform: NDArray[np.float32]) -> bytes:
    return hashlib.sha256(waveform.data).hexdigest().encode()


def _build(path: Path, rows: tf.data.Dataset, kind: str, num_files: int) -> None:
    segments: list[int] = []
    content: list[str | None] = []
    problems: dict[int, str] = {}

    def batches() -> Generator[NDArray[np.float32], None, None]:
        with tqdm(total=num_files, desc=kind, unit="file", mininterval=1.0) as progress:
            for values, lengths, digests, reasons in rows.as_numpy_iterator():
                yield values
                problems.update({len(segments) + i: reason.decode() for i, reason in enumerate(reasons) if reason})
                content.extend(None if reason else d.decode() for d, reason in zip(digests, reasons, strict=True))
                segments.extend(lengths.tolist())
                progress.update(len(lengths))

    record = {"segments": segments, "content": content, "problems": problems}
    try:
        with closing(batches()) as values:  # the bar ends before an error is shown
            write_entry(path, tuple(rows.element_spec[0].shape[1:]), values, record)
    except OSError as error:
        raise ConfigError(
            f"cache_dir: expected a folder with room for the {kind}; nothing half-written is left there. "
            f"Received: {str(path.parent)!r} ({one_line(error)})"
        ) from error
