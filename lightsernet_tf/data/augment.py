"""Random changes of training utterances, off by default: of prepared waveforms, and of features.

What the changes of a waveform are is a function of a seed alone. The masks are tensorflow-io's and draw from the
generator of the graph that they are traced in, so ``datasets`` traces them anew, with a seed, for every epoch.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from lightsernet_tf.config import AugmentConfig

NOISE_SNR_RANGE_DB = 30.0


def changes_waveforms(config: AugmentConfig) -> bool:
    """Tell whether features have to be computed anew from changed waveforms."""
    return config.time_shift_max_seconds > 0 or config.gain_max_db > 0 or config.noise_min_snr_db is not None


def changes_features(config: AugmentConfig) -> bool:
    """Tell whether features are masked."""
    return config.time_mask_max_frames > 0 or config.frequency_mask_max_bins > 0


def augment_waveform(waveform: tf.Tensor, config: AugmentConfig, sample_rate_hz: int, seed: tf.Tensor) -> tf.Tensor:
    """Shift a waveform, change its level and add noise, in this order, as far as each is switched on.

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
    shift_seed, gain_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    max_shift_samples = round(config.time_shift_max_seconds * sample_rate_hz)
    if max_shift_samples > 0:
        waveform = _shift(waveform, max_shift_samples, shift_seed)
    if config.gain_max_db > 0:
        gain_db = tf.random.stateless_uniform([], gain_seed, -config.gain_max_db, config.gain_max_db)
        waveform *= _amplitude(gain_db)
    if config.noise_min_snr_db is not None:
        waveform = _add_noise(waveform, config.noise_min_snr_db, noise_seed)
    return waveform


def _shift(waveform: tf.Tensor, max_samples: int, seed: tf.Tensor) -> tf.Tensor:
    start = tf.random.stateless_uniform([], seed, 0, 2 * max_samples + 1, tf.int32)
    padded = tf.pad(waveform, [[max_samples, max_samples]])
    return tf.ensure_shape(padded[start : start + tf.size(waveform)], waveform.shape)


def _add_noise(waveform: tf.Tensor, min_snr_db: float, seed: tf.Tensor) -> tf.Tensor:
    snr_seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    snr_db = tf.random.stateless_uniform([], snr_seed, min_snr_db, min_snr_db + NOISE_SNR_RANGE_DB)
    level = tf.sqrt(tf.reduce_mean(tf.square(waveform)))  # root mean square: silence stays silent
    return waveform + level * _amplitude(-snr_db) * tf.random.stateless_normal(tf.shape(waveform), noise_seed)


def _amplitude(level_db: tf.Tensor) -> tf.Tensor:
    return tf.pow(10.0, level_db / 20.0)


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
