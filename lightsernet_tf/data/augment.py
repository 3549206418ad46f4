"""Random changes of training utterances, off by default: of their waveforms, and of their features.

Changed waveforms are a function of a seed alone. The masks are tensorflow-io's and draw from the generator of the graph
that they are traced in, so `data.batches` traces them anew, with a seed, for every epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lightsernet_tf.config import AugmentConfig

NOISE_SNR_RANGE_DB = 30.0

_OFF = AugmentConfig()


def changes_waveforms(config: AugmentConfig) -> bool:
    """Return whether features have to be computed anew from changed waveforms."""
    return any(getattr(config, key) != getattr(_OFF, key) for key in AUGMENTATIONS)


def changes_features(config: AugmentConfig) -> bool:
    """Return whether features are masked."""
    return config.time_mask_max_frames > 0 or config.frequency_mask_max_bins > 0


def augment_waveform(waveform: tf.Tensor, config: AugmentConfig, sample_rate_hz: int, seed: tf.Tensor) -> tf.Tensor:
    """Change a waveform in each way that is switched on, in the order of ``AUGMENTATIONS``.

    Parameters
    ----------
    waveform
        float32 ``[samples]``.
    config
        What is switched on, and how far it goes.
    sample_rate_hz
        Rate of the waveform.
    seed
        Integer ``[2]``; the same seed gives the same changes.

    Returns
    -------
    tf.Tensor
        float32 ``[samples]``.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(AUGMENTATIONS)))
    for (key, change), seed_of_change in zip(AUGMENTATIONS.items(), seeds, strict=True):
        if getattr(config, key) != getattr(_OFF, key):
            waveform = change(waveform, getattr(config, key), seed_of_change, sample_rate_hz)
    return waveform


def shift(waveform: tf.Tensor, max_seconds: float, seed: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Move a waveform by up to ``max_seconds`` to either side; what is vacated is silent."""
    max_samples = round(max_seconds * sample_rate_hz)
    start = tf.random.stateless_uniform([], seed, 0, 2 * max_samples + 1, tf.int32)
    padded = tf.pad(waveform, [[max_samples, max_samples]])  # [samples + 2 * max_samples]
    return tf.ensure_shape(padded[start : start + tf.size(waveform)], waveform.shape)  # [samples]


def change_level(waveform: tf.Tensor, max_db: float, seed: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Make a waveform louder or quieter by up to ``max_db``."""
    return waveform * _amplitude(tf.random.stateless_uniform([], seed, -max_db, max_db))


def add_noise(waveform: tf.Tensor, min_snr_db: float, seed: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Add white noise at a signal-to-noise ratio of ``min_snr_db`` or up to 30 dB better."""
    snr_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    snr_db = tf.random.stateless_uniform([], snr_seed, min_snr_db, min_snr_db + NOISE_SNR_RANGE_DB)
    level = tf.sqrt(tf.reduce_mean(tf.square(waveform)))  # root mean square: silence stays silent
    return waveform + level * _amplitude(-snr_db) * tf.random.stateless_normal(tf.shape(waveform), noise_seed)


def _amplitude(level_db: tf.Tensor) -> tf.Tensor:
    return tf.pow(10.0, level_db / 20.0)


# By the key of AugmentConfig that holds the amount; at its default the change is off.
AUGMENTATIONS: dict[str, Callable[[tf.Tensor, float, tf.Tensor, int], tf.Tensor]] = {
    "time_shift_max_seconds": shift,
    "gain_max_db": change_level,
    "noise_min_snr_db": add_noise,
}


def make_masks(config: AugmentConfig, input_shape: tuple[int, int, int], seed: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a function that masks one utterance's features ``[frames, bins, 1]`` (SpecAugment, Park et al., 2019).

    It is meant for a single ``Dataset.map`` without parallel calls: then the masks of the n-th element are a function
    of the seed and n. A mask is up to ``time_mask_max_frames`` or ``frequency_mask_max_bins`` wide, never all there is.
    """
    # Imported here because it takes a second, and few trainings mask anything.
    import tensorflow_io as tfio

    frames, bins, _ = input_shape
    # tensorflow-io draws widths below its parameter.
    frames_parameter = min(config.time_mask_max_frames + 1, frames)
    bins_parameter = min(config.frequency_mask_max_bins + 1, bins)

    def mask(features: tf.Tensor) -> tf.Tensor:
        # While a function is traced, this sets the seed of that function's own graph, not that of the program.
        tf.random.set_seed(seed)
        features = tf.squeeze(features, axis=-1)  # [frames, bins]
        if config.time_mask_max_frames > 0:
            features = tfio.audio.time_mask(features, frames_parameter)
        if config.frequency_mask_max_bins > 0:
            features = tfio.audio.freq_mask(features, bins_parameter)
        return tf.expand_dims(features, axis=-1)

    return mask
