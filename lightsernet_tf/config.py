"""Every choice of an experiment, as frozen dataclasses that a YAML file and the command line fill.

It neither reads corpora nor needs TensorFlow. Every module may import it; it imports only `errors`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lightsernet_tf.errors import ConfigError

CorpusName = Literal["demo", "emodb", "ravdess", "iemocap", "crema_d", "savee", "tess", "casia", "folders", "manifest"]
FeatureKind = Literal["mfcc", "log_mel_spectrogram", "spectrogram"]
Schedule = Literal["published", "plateau", "constant", "cosine"]
LossName = Literal["cross_entropy", "focal"]
Balance = Literal["none", "class_weight", "oversample"]
ProtocolName = Literal[
    "leave_one_speaker_out", "group_k_fold", "stratified_hold_out", "random_hold_outs", "manifest", "published", "final"
]

_STRATEGIES = ("one_device", "mirrored")
_MULTI_WORKER = re.compile("worker|parameterserver|tpu|collective|horovod|multi(node|host|machine|process)")
_TEXT_KEYS = "text as keys (in YAML put quotes around no, yes, on, off and numbers)"


def require(section: Any, prefix: str, key: str, holds: bool, expected: str) -> None:
    """Raise a ``ConfigError`` that names a key of a section, what was expected and what came, unless it holds."""
    if not holds:
        raise ConfigError(f"{prefix}.{key}: expected {expected}. Received: {key}={getattr(section, key)!r}")


def _instead_of(strategy: str) -> str:
    """Return the alternatives if a strategy is one for several machines, in any spelling; otherwise nothing."""
    if not _MULTI_WORKER.search(re.sub("[^a-z]", "", str(strategy).lower())):
        return ""
    return (
        "; multi-worker strategies do not work with Keras 3 (keras#20585): a search spreads over machines with `tune`, "
        "cross-validations with `cross_validate --scheduler`"
    )


def require_each(section: Any, prefix: str, bounds: Mapping[str, tuple[bool, str]]) -> None:
    """Call `require` for each key, given whether its value fits and what was expected, in order."""
    for key, (holds, expected) in bounds.items():
        require(section, prefix, key, holds, expected)


def are_text(labels: Mapping[Any, Any]) -> bool:
    """Return whether all keys are text; YAML makes booleans and numbers of some words."""
    return all(isinstance(label, str) for label in labels)


@dataclass(frozen=True)
class CorpusConfig:
    """Which recordings, under which labels.

    Parameters
    ----------
    name
        Corpus layout, see ``python -m lightsernet_tf.corpora --help``.
    data_dir
        Folder of the corpus (for ``manifest``: the CSV file). The demo corpus needs none.
    template
        Layout for ``folders``: where speaker, label and name stand in a path below ``data_dir``.
    labels
        Labels in the order of the network's outputs. Empty: the corpus's own documented order.
    label_map
        Merged labels, e.g. ``{positive: [happiness], negative: [anger, sadness]}``; its keys are the labels, in order.
    drop_labels
        Labels of the corpus to leave out.
    part
        IEMOCAP only: which sessions' dialogues to read.
    merge_excited
        IEMOCAP only: count ``excited`` as ``happiness``.
    duplicates
        What to do where two files hold the same audio: stop (``error``) or keep the first (``drop``).
    on_error
        What to do with a file that cannot be read: ``stop``, or ``skip`` it, count it and list it in the report.
    """

    name: CorpusName = "demo"
    data_dir: str | None = None
    template: str = "{speaker}/{label}/{name}.wav"
    labels: tuple[str, ...] = ()
    label_map: dict[str, list[str]] = field(default_factory=dict)
    drop_labels: tuple[str, ...] = ()
    part: Literal["all", "improvised", "scripted"] = "all"
    merge_excited: bool = False
    duplicates: Literal["error", "drop"] = "error"
    on_error: Literal["stop", "skip"] = "stop"

    def __post_init__(self) -> None:
        require(self, "corpus", "data_dir", self.name == "demo" or bool(self.data_dir), f"the folder of {self.name}")
        require(self, "corpus", "labels", len(set(self.labels)) == len(self.labels), "each label once")
        require(self, "corpus", "label_map", are_text(self.label_map), _TEXT_KEYS)
        sources = [label for merged in self.label_map.values() for label in merged]
        require(self, "corpus", "label_map", len(set(sources)) == len(sources), "each source label once")
        require(self, "corpus", "labels", not (self.labels and self.label_map), "nothing beside label_map")


@dataclass(frozen=True)
class AudioConfig:
    """How a recording becomes a waveform of fixed length.

    Parameters
    ----------
    duration_seconds
        Length of the network's window.
    segments
        ``centre``: the middle of a longer recording; ``all``: consecutive pieces of it, judged by their mean
        probability.
    """

    duration_seconds: float = 3.0
    segments: Literal["centre", "all"] = "centre"

    def __post_init__(self) -> None:
        require(self, "audio", "duration_seconds", 0.1 <= self.duration_seconds <= 600, "0.1 to 600 seconds")


@dataclass(frozen=True)
class FeatureConfig:
    """The front end; the defaults are those of the paper (Aftab et al., ICASSP 2022).

    Parameters
    ----------
    kind
        What the network sees.
    sample_rate_hz
        Rate of every waveform that reaches a feature function.
    frame_length_samples
        Length of a frame; also the length of its FFT.
    frame_step_samples
        Hop from frame to frame.
    mel_bins
        Bands of the mel filter bank.
    mel_min_hz
        Lower edge of the lowest band.
    mel_max_hz
        Upper edge of the highest band.
    mfcc_coefficients
        Cepstral coefficients that are kept.
    mfcc_clip
        Coefficients are clipped to plus or minus this value.
    log_offset
        Added to the mel energies before the logarithm.
    max_frequency_hz
        Keep only spectrogram bins (or mel bands) up to this frequency; the network's input shrinks with it.
    """

    kind: FeatureKind = "mfcc"
    sample_rate_hz: int = 16000
    frame_length_samples: int = 1024
    frame_step_samples: int = 256
    mel_bins: int = 128
    mel_min_hz: float = 80.0
    mel_max_hz: float = 7600.0
    mfcc_coefficients: int = 40
    mfcc_clip: float = 10.0
    log_offset: float = 1e-6
    max_frequency_hz: float | None = None

    def __post_init__(self) -> None:
        nyquist_hz, frame, top = self.sample_rate_hz / 2, self.frame_length_samples, self.max_frequency_hz
        bounds = {
            "sample_rate_hz": (1000 <= self.sample_rate_hz <= 192000, "1000 to 192000 Hz"),
            "frame_length_samples": (frame >= 16 and frame.bit_count() == 1, "a power of two of at least 16"),
            "frame_step_samples": (1 <= self.frame_step_samples <= frame, "1 to frame_length_samples"),
            "mel_bins": (self.mel_bins >= 4, "at least 4"),
            "mel_min_hz": (0 <= self.mel_min_hz < self.mel_max_hz, "0 up to below mel_max_hz"),
            "mel_max_hz": (self.mel_max_hz <= nyquist_hz, f"at most half the sample rate, {nyquist_hz:g} Hz"),
            "mfcc_coefficients": (4 <= self.mfcc_coefficients <= self.mel_bins, "4 up to mel_bins"),
            "mfcc_clip": (self.mfcc_clip > 0, "more than 0"),
            "log_offset": (self.log_offset > 0, "more than 0"),
            "max_frequency_hz": (
                top is None or 2 * self.mel_min_hz < top <= nyquist_hz,
                f"none, or more than twice mel_min_hz and at most {nyquist_hz:g} Hz",
            ),
        }
        require_each(self, "features", bounds)


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of the training utterances, all off by default.

    Parameters
    ----------
    time_mask_max_frames
        Longest run of frames set to zero (SpecAugment, Park et al., Interspeech 2019).
    frequency_mask_max_bins
        Widest band of bins set to zero.
    time_shift_max_seconds
        Furthest shift of the waveform to either side; what is vacated is silent.
    gain_max_db
        Largest change of level, up or down.
    noise_min_snr_db
        White noise at this signal-to-noise ratio or up to 30 dB better; none: no noise.
    """

    time_mask_max_frames: int = 0
    frequency_mask_max_bins: int = 0
    time_shift_max_seconds: float = 0.0
    gain_max_db: float = 0.0
    noise_min_snr_db: float | None = None

    def __post_init__(self) -> None:
        for key in ("time_mask_max_frames", "frequency_mask_max_bins", "time_shift_max_seconds", "gain_max_db"):
            require(self, "augment", key, getattr(self, key) >= 0, "0 (off) or more")


@dataclass(frozen=True)
class SplitConfig:
    """Which speakers and utterances are trained on, validated and tested.

    Parameters
    ----------
    protocol
        How the folds are made. Only ``published`` chooses the epoch on the test data and only ``final`` tests nobody
        (for a network to ship); every result made with them carries a note.
    fold
        Which fold ``train`` trains, counted from 0, speakers in the order of their names; ``cross_validate``
        trains them all.
    folds
        Number of folds of ``group_k_fold`` and of hold-outs of ``random_hold_outs`` and ``published``.
    validation_speakers
        Speakers held out to choose the epoch under the speaker-independent protocols.
    validation_fraction
        Share of the utterances that are not tested, held out to choose the epoch under the other protocols.
    test_fraction
        Share of the utterances tested by the hold-out protocols.
    seed
        Chooses speakers and utterances.
    """

    protocol: ProtocolName = "stratified_hold_out"
    fold: int = 0
    folds: int = 10
    validation_speakers: int = 1
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        bounds = {
            "fold": (self.fold >= 0, "0 or more"),
            "folds": (2 <= self.folds <= 1000, "at least 2 and at most 1000"),
            "validation_speakers": (self.validation_speakers >= 1, "at least 1"),
            "validation_fraction": (0 < self.validation_fraction < 1, "more than 0 and less than 1"),
            "test_fraction": (0 < self.test_fraction < 1, "more than 0 and less than 1"),
            "seed": (0 <= self.seed < 2**31, "0 or more and less than 2**31"),
        }
        require_each(self, "split", bounds)


@dataclass(frozen=True)
class ModelConfig:
    """The network's two free parameters.

    Parameters
    ----------
    dropout
        Share of the 320 pooled channels dropped in training.
    l2
        Weight decay of the kernels of the second part.
    """

    dropout: float = 0.3
    l2: float = 1e-6

    def __post_init__(self) -> None:
        require(self, "model", "dropout", 0 <= self.dropout < 1, "0 up to below 1")
        require(self, "model", "l2", self.l2 >= 0, "0 or more")


@dataclass(frozen=True)
class TrainConfig:
    """How the network is trained.

    Parameters
    ----------
    epochs
        Passes over the training utterances.
    batch_size
        Utterances a step, over all devices together.
    learning_rate
        Adam's, before the schedule changes it.
    schedule
        ``published``: constant for 50 epochs, then times exp(-0.15) every 20; ``plateau``: halved after 10 epochs
        without a better validation loss; ``constant``; ``cosine``: down to zero over the epochs.
    loss
        ``cross_entropy`` or ``focal`` (Lin et al., ICCV 2017).
    gamma
        The focal loss's focusing parameter; 0 is cross entropy.
    balance
        ``class_weight``: rare classes weigh more; ``oversample``: rare classes are drawn as often as the largest.
    class_weights
        Weight by label for ``class_weight``; empty: by inverse frequency.
    seed
        Of the initial weights, dropout, order and augmentation.
    keep
        Which epochs' weights stay: ``all``, ``best_and_last`` or ``every N``.
    choose_by
        The validation figure that chooses the epoch.
    initial_weights
        A run's folder (its chosen epoch), or one of its ``.weights.h5`` files, to start from; refused where that run
        was trained on, or chose its epoch by, what this fold tests.
    strategy
        ``one_device``, or ``mirrored``: every batch is shared out over all GPUs of the machine.
    """

    epochs: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-4
    schedule: Schedule = "published"
    loss: LossName = "cross_entropy"
    gamma: float = field(default=2.0, metadata={"loss": "focal"})
    balance: Balance = "none"
    class_weights: dict[str, float] = field(default_factory=dict)
    seed: int = 42
    keep: str = "all"
    choose_by: Literal["ua", "wa", "macro_f1", "loss"] = "ua"
    initial_weights: str | None = None
    strategy: str = "one_device"

    def __post_init__(self) -> None:
        def check(key: str, holds: bool, expected: str) -> None:
            require(self, "train", key, holds, expected)

        check("epochs", self.epochs >= 1, "at least 1")
        check("batch_size", self.batch_size >= 1, "at least 1")
        for key in ("epochs", "batch_size"):  # a larger one overflows in TensorFlow
            check(key, getattr(self, key) < 2**31, "less than 2**31")
        check("learning_rate", 0 < self.learning_rate <= 1, "more than 0 and at most 1")
        check("gamma", self.gamma >= 0, "0 or more")
        check("class_weights", are_text(self.class_weights), _TEXT_KEYS)
        check("class_weights", all(weight > 0 for weight in self.class_weights.values()), "weights of more than 0")
        unused = bool(self.class_weights) and self.balance != "class_weight"
        check("class_weights", not unused, "none, or balance class_weight")
        check("seed", 0 <= self.seed < 2**31, "0 up to below 2**31")
        keeps = re.fullmatch(r"all|best_and_last|every [1-9]\d*", self.keep) is not None
        check("keep", keeps, "all, best_and_last or every N")
        check("strategy", self.strategy in _STRATEGIES, " or ".join(_STRATEGIES) + _instead_of(self.strategy))

    def loss_parameters(self) -> dict[str, float]:
        """Return the keys that belong to the chosen loss, by their metadata, and their values."""
        keys = [key.name for key in dataclasses.fields(self) if key.metadata.get("loss") == self.loss]
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class Config:
    """One experiment.

    Parameters
    ----------
    corpus
        Which recordings, under which labels.
    audio
        How a recording becomes a waveform.
    features
        What the network sees of it.
    augment
        Random changes in training.
    split
        Which speakers and utterances are trained on, validated and tested.
    model
        The network.
    train
        How it is trained.
    runs_dir
        Where run folders are made.
    run_name
        Name of the run's folder; none: made of the corpus, the features, the loss and, for one run, the time, for a
        cross-validation the protocol (so that the same command goes on).
    cache_dir
        Where features are kept between runs; none: the user's cache directory.
    """

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    runs_dir: str = "runs"
    run_name: str | None = None
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        for section in dataclasses.fields(self):
            values = getattr(self, section.name)
            for key in dataclasses.fields(values) if dataclasses.is_dataclass(values) else ():
                finite = not isinstance(getattr(values, key.name), float) or math.isfinite(getattr(values, key.name))
                require(values, section.name, key.name, finite, "a finite number")
        frame_seconds = self.features.frame_length_samples / self.features.sample_rate_hz
        require(
            self.audio,
            "audio",
            "duration_seconds",
            self.audio.duration_seconds >= frame_seconds,
            f"at least one frame, {frame_seconds:g} s",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested data (dicts, lists, strings, numbers), as YAML and JSON hold it."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


def demo_config() -> Config:
    """Return the settings of ``configs/demo.yaml``, the defaults of a command without arguments."""
    return Config(
        split=SplitConfig(protocol="group_k_fold", folds=4, validation_speakers=2),
        train=TrainConfig(
            epochs=40, batch_size=8, learning_rate=3e-4, schedule="cosine", balance="class_weight", keep="best_and_last"
        ),
    )
