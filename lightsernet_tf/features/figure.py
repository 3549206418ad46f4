"""A picture of what the front end makes of audio files.

Matplotlib's objects are used without pyplot, as in figures.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import librosa
import librosa.display
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lightsernet_tf.audio.decoding import load_waveform
from lightsernet_tf.config import FeatureConfig, FeatureKind
from lightsernet_tf.features.front_end import extract, mel_centres_hz
from lightsernet_tf.features.windows import normalize
from lightsernet_tf.reporting.fonts import drawable, names_and_font
from lightsernet_tf.reporting.pictures import write_png

LOWEST_DB = -80.0


def draw_features(files: Sequence[Path], path: Path, config: FeatureConfig) -> None:
    """Draw waveform, spectrogram, log mel spectrogram and MFCC below each other, one column for each file.

    The whole file is drawn, at the level that the network hears. The colours of a row mean the same in every column.

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
    picture = Figure(figsize=(2.0 + 5.6 * len(files), 10.0), layout="constrained")
    grid = picture.subplots(4, len(files), sharex="col", sharey="row", squeeze=False, height_ratios=(2, 4, 4, 4))
    _, font = names_and_font([file.name for file in files])
    for axes, file, waveform in zip(grid[0], files, waveforms, strict=True):
        librosa.display.waveshow(waveform, sr=config.sample_rate_hz, ax=axes, color="#1f6f9c", linewidth=0.6)
        axes.set_title(drawable(file.name, font), font=font, fontsize=11, parse_math=False)
        axes.set(ylim=(-1.05, 1.05), xlabel="")
    grid[0, 0].set_ylabel("waveform\n(levelled)")
    for row, draw in zip(grid[1:], (_draw_spectrograms, _draw_log_mel_spectrograms, _draw_mfccs), strict=True):
        draw(picture, row, waveforms, config)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.label_outer()
    for axes, waveform in zip(grid[-1], waveforms, strict=True):
        axes.set(xlabel="time (s)", xlim=(0.0, len(waveform) / config.sample_rate_hz))
    write_png(picture, path)


def _features(waveforms: Sequence[np.ndarray], config: FeatureConfig, kind: FeatureKind) -> list[np.ndarray]:
    return [extract(waveform, dataclasses.replace(config, kind=kind)).numpy() for waveform in waveforms]


def _draw_spectrograms(
    picture: Figure, row: Sequence[Axes], waveforms: Sequence[np.ndarray], config: FeatureConfig
) -> None:
    spectrograms = _features(waveforms, config, "spectrogram")  # [frames, bins] each
    loudest = max(float(np.max(spectrogram)) for spectrogram in spectrograms) or 1.0
    images = [librosa.amplitude_to_db(spectrogram, ref=loudest, top_db=None) for spectrogram in spectrograms]
    bins_hz = np.arange(images[0].shape[-1]) * config.sample_rate_hz / config.frame_length_samples
    _draw_row(picture, row, images, config, bins_hz, "dB below the loudest", y_axis="hz", vmin=LOWEST_DB, vmax=0.0)
    row[0].set_ylabel("spectrogram (Hz)")


def _draw_log_mel_spectrograms(
    picture: Figure, row: Sequence[Axes], waveforms: Sequence[np.ndarray], config: FeatureConfig
) -> None:
    images = _features(waveforms, config, "log_mel_spectrogram")  # [frames, mel_bins] each
    limits = {"vmin": min(map(np.min, images)), "vmax": max(map(np.max, images))}
    _draw_row(picture, row, images, config, mel_centres_hz(config), "natural logarithm", y_axis="mel", **limits)
    highest_hz = mel_centres_hz(config)[-1]
    ticks_hz = [hz for hz in (250, 500, 1000, 2000, 4000, 8000, 16000) if hz < highest_hz]
    row[0].set_yticks(ticks_hz, [str(hz) for hz in ticks_hz])
    row[0].set_ylabel("log mel spectrogram (Hz)")


def _draw_mfccs(picture: Figure, row: Sequence[Axes], waveforms: Sequence[np.ndarray], config: FeatureConfig) -> None:
    images = _features(waveforms, config, "mfcc")  # [frames, coefficients] each
    limits = {"vmin": -config.mfcc_clip, "vmax": config.mfcc_clip}
    _draw_row(picture, row, images, config, np.arange(images[0].shape[-1]), "value", cmap="RdBu_r", **limits)
    row[0].set_yticks(range(0, images[0].shape[-1], 5))
    row[0].set_ylabel("MFCC (coefficient)")


def _draw_row(
    picture: Figure,
    row: Sequence[Axes],
    images: Sequence[np.ndarray],
    config: FeatureConfig,
    y_coordinates: np.ndarray,
    scale: str,
    cmap: str = "magma",
    **options: Any,
) -> None:
    for axes, image in zip(row, images, strict=True):
        middles = np.arange(len(image)) * config.frame_step_samples + config.frame_length_samples / 2
        mesh = librosa.display.specshow(
            image.T,
            x_coords=middles / config.sample_rate_hz,
            y_coords=y_coordinates,
            x_axis="time",
            sr=config.sample_rate_hz,
            ax=axes,
            cmap=cmap,
            rasterized=True,
            **options,
        )
        axes.set(xlabel="", ylabel="")
    picture.colorbar(mesh, ax=list(row), label=scale, pad=0.01, aspect=30)
