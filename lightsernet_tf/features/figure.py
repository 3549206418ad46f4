"""A picture of what the front end makes of audio files.

Matplotlib's objects are used without pyplot, as in figures.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import librosa
import librosa.display
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.features.front_end import FEATURES, extract
from lightsernet_tf.features.windows import normalize
from lightsernet_tf.reporting.fonts import drawable, names_and_font
from lightsernet_tf.reporting.pictures import write_png

LOWEST_DB = -80.0


def draw_features(files: Sequence[Path], path: Path, config: FeatureConfig) -> None:
    """Draw the waveform and every feature below each other, one column for each file.

    The whole file is drawn, at the level that the network gets. The colours of a row mean the same in every column.

    Parameters
    ----------
    files
        Audio files.
    path
        The PNG file, written whole or not at all.
    config
        The front end; its ``kind`` does not matter, as all are drawn.

    Raises
    ------
    AudioError
        A file cannot be read or is shorter than a frame.
    """
    waveforms = [
        normalize(load_waveform(file, config.sample_rate_hz, config.frame_length_samples)).numpy() for file in files
    ]
    height_ratios = (2, *(4 for _ in FEATURES))
    picture = Figure(figsize=(2.0 + 5.6 * len(files), 10.0 / 14 * sum(height_ratios)), layout="constrained")
    grid = picture.subplots(
        len(height_ratios), len(files), sharex="col", sharey="row", squeeze=False, height_ratios=height_ratios
    )
    _, font = names_and_font([file.name for file in files])
    for axes, file, waveform in zip(grid[0], files, waveforms, strict=True):
        librosa.display.waveshow(waveform, sr=config.sample_rate_hz, ax=axes, color="#1f6f9c", linewidth=0.6)
        axes.set_title(drawable(file.name, font), font=font, fontsize=11, parse_math=False)
        axes.set(ylim=(-1.05, 1.05), xlabel="")
    grid[0, 0].set_ylabel("waveform\n(levelled)")
    for row, kind in zip(grid[1:], FEATURES, strict=True):
        _draw_row(picture, row, waveforms, dataclasses.replace(config, kind=kind))
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.label_outer()
    for axes, waveform in zip(grid[-1], waveforms, strict=True):
        axes.set(xlabel="time (s)", xlim=(0.0, len(waveform) / config.sample_rate_hz))
    write_png(picture, path)


def _draw_row(picture: Figure, row: Sequence[Axes], waveforms: Sequence[np.ndarray], config: FeatureConfig) -> None:
    """Draw the feature ``config.kind`` of every file."""
    axis, bins = FEATURES[config.kind].axis, FEATURES[config.kind].bins(config)
    colours = _COLOURS[axis.values]([extract(waveform, config).numpy() for waveform in waveforms], config)
    for axes, image in zip(row, colours.images, strict=True):
        middles = np.arange(len(image)) * config.frame_step_samples + config.frame_length_samples / 2
        mesh = librosa.display.specshow(
            image.T,
            x_coords=middles / config.sample_rate_hz,
            y_coords=bins,
            x_axis="time",
            y_axis=None if axis.scale == "count" else axis.scale,
            sr=config.sample_rate_hz,
            ax=axes,
            cmap=colours.map,
            vmin=colours.lowest,
            vmax=colours.highest,
            rasterized=True,
        )
        axes.set(xlabel="", ylabel="")
    picture.colorbar(mesh, ax=list(row), label=colours.label, pad=0.01, aspect=30)
    if axis.scale == "mel":
        ticks_hz = [hz for hz in (250, 500, 1000, 2000, 4000, 8000, 16000) if hz < bins[-1]]
        row[0].set_yticks(ticks_hz, [str(hz) for hz in ticks_hz])
    elif axis.scale == "count":
        row[0].set_yticks(range(0, len(bins), 5))
    row[0].set_ylabel(axis.label)


class _Colours(NamedTuple):
    """What is drawn, [frames, bins] of each file, and in which colours."""

    images: Sequence[np.ndarray]
    lowest: float
    highest: float
    label: str
    map: str = "magma"


def _of_magnitudes(features: Sequence[np.ndarray], _: FeatureConfig) -> _Colours:
    loudest = max(float(np.max(magnitudes)) for magnitudes in features) or 1.0
    images = [librosa.amplitude_to_db(magnitudes, ref=loudest, top_db=None) for magnitudes in features]
    return _Colours(images, LOWEST_DB, 0.0, "dB below the loudest")


def _of_logarithms(features: Sequence[np.ndarray], _: FeatureConfig) -> _Colours:
    return _Colours(features, min(map(np.min, features)), max(map(np.max, features)), "natural logarithm")


def _of_clipped(features: Sequence[np.ndarray], config: FeatureConfig) -> _Colours:
    return _Colours(features, -config.mfcc_clip, config.mfcc_clip, "value", "RdBu_r")


_COLOURS = {"magnitude": _of_magnitudes, "logarithm": _of_logarithms, "clipped": _of_clipped}
