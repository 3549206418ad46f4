import dataclasses
import math

import pytest
import yaml

from lightsernet_tf.config import (
    AudioConfig,
    AugmentConfig,
    Config,
    CorpusConfig,
    FeatureConfig,
    ModelConfig,
    SplitConfig,
    TrainConfig,
    demo_config,
)
from lightsernet_tf.errors import ConfigError

OUT_OF_RANGE = [
    (AudioConfig, "audio", {"duration_seconds": 0.05}, "0.1 to 600 seconds"),
    (AudioConfig, "audio", {"duration_seconds": math.nan}, "0.1 to 600 seconds"),
    (FeatureConfig, "features", {"sample_rate_hz": 0}, "1000 to 192000 Hz"),
    (FeatureConfig, "features", {"frame_length_samples": 1000}, "a power of two of at least 16"),
    (FeatureConfig, "features", {"frame_length_samples": 8}, "a power of two of at least 16"),
    (FeatureConfig, "features", {"frame_length_samples": -16}, "a power of two of at least 16"),
    (FeatureConfig, "features", {"frame_step_samples": 0}, "1 to frame_length_samples"),
    (FeatureConfig, "features", {"frame_step_samples": 1025}, "1 to frame_length_samples"),
    (FeatureConfig, "features", {"mel_bins": 3}, "at least 4"),
    (FeatureConfig, "features", {"mel_min_hz": -1.0}, "0 up to below mel_max_hz"),
    (FeatureConfig, "features", {"mel_min_hz": 7600.0}, "0 up to below mel_max_hz"),
    (FeatureConfig, "features", {"mel_max_hz": 8001.0}, "at most half the sample rate, 8000 Hz"),
    (FeatureConfig, "features", {"mfcc_coefficients": 129}, "4 up to mel_bins"),
    (FeatureConfig, "features", {"mfcc_clip": 0.0}, "more than 0"),
    (FeatureConfig, "features", {"log_offset": 0.0}, "more than 0"),
    (FeatureConfig, "features", {"max_frequency_hz": 160.0}, "more than twice mel_min_hz and at most 8000 Hz"),
    (FeatureConfig, "features", {"max_frequency_hz": 8001.0}, "more than twice mel_min_hz and at most 8000 Hz"),
    (AugmentConfig, "augment", {"time_mask_max_frames": -1}, "0 (off) or more"),
    (AugmentConfig, "augment", {"frequency_mask_max_bins": -1}, "0 (off) or more"),
    (AugmentConfig, "augment", {"time_shift_max_seconds": -0.1}, "0 (off) or more"),
    (AugmentConfig, "augment", {"gain_max_db": -0.1}, "0 (off) or more"),
    (SplitConfig, "split", {"fold": -1}, "0 or more"),
    (SplitConfig, "split", {"folds": 1}, "at least 2"),
    (SplitConfig, "split", {"validation_speakers": 0}, "at least 1"),
    (SplitConfig, "split", {"validation_fraction": 0.0}, "more than 0 and less than 1"),
    (SplitConfig, "split", {"test_fraction": 1.0}, "more than 0 and less than 1"),
    (SplitConfig, "split", {"seed": -1}, "0 or more"),
    (ModelConfig, "model", {"dropout": 1.0}, "0 up to below 1"),
    (ModelConfig, "model", {"l2": -1e-6}, "0 or more"),
    (TrainConfig, "train", {"epochs": 0}, "at least 1"),
    (TrainConfig, "train", {"batch_size": 0}, "at least 1"),
    (TrainConfig, "train", {"learning_rate": 0.0}, "more than 0 and at most 1"),
    (TrainConfig, "train", {"learning_rate": math.nan}, "more than 0 and at most 1"),
    (TrainConfig, "train", {"gamma": -0.5}, "0 or more"),
    (TrainConfig, "train", {"class_weights": {"fear": 2.0}}, "none, or balance class_weight"),
    (TrainConfig, "train", {"seed": 2**31}, "0 up to below 2**31"),
    (TrainConfig, "train", {"keep": "every 0"}, "all, best_and_last or every N"),
    (TrainConfig, "train", {"keep": "some"}, "all, best_and_last or every N"),
    (TrainConfig, "train", {"strategy": "mirored"}, "expected one_device or mirrored. Received"),
    (TrainConfig, "train", {"strategy": "MirroredStrategy"}, "expected one_device or mirrored. Received"),
    (TrainConfig, "train", {"strategy": None}, "expected one_device or mirrored. Received"),
]


@pytest.mark.parametrize(("section", "name", "settings", "expected"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_named(section, name, settings, expected):
    ((key, value),) = settings.items()
    with pytest.raises(ConfigError) as caught:
        section(**settings)
    message = str(caught.value)
    assert message.startswith(f"{name}.{key}: expected ")
    assert expected in message
    assert message.endswith(f"Received: {key}={value!r}")


@pytest.mark.parametrize(
    "section",
    [
        AudioConfig(duration_seconds=0.1),
        AudioConfig(duration_seconds=600),
        FeatureConfig(frame_step_samples=1024, mel_min_hz=0.0, mel_max_hz=8000.0, mfcc_coefficients=128),
        FeatureConfig(max_frequency_hz=8000.0),
        SplitConfig(fold=0, folds=2, validation_fraction=0.999, test_fraction=0.001, seed=0),
        ModelConfig(dropout=0.0, l2=0.0),
        TrainConfig(epochs=1, batch_size=1, learning_rate=1.0, gamma=0.0, seed=2**31 - 1, keep="every 10"),
        TrainConfig(strategy="mirrored"),
    ],
)
def test_the_ends_of_the_ranges_are_allowed(section):
    assert dataclasses.replace(section) == section


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "emodb"}, "corpus.data_dir: expected the folder of emodb. Received: data_dir=None"),
        ({"name": "emodb", "data_dir": ""}, "corpus.data_dir: expected the folder of emodb. Received: data_dir=''"),
        ({"labels": ("fear", "fear")}, "corpus.labels: expected each label once. Received: labels=('fear', 'fear')"),
        (
            {"label_map": {"a": ["fear"], "b": ["anger", "fear"]}},
            "corpus.label_map: expected each source label once. Received: "
            "label_map={'a': ['fear'], 'b': ['anger', 'fear']}",
        ),
        (
            {"labels": ("a",), "label_map": {"a": ["fear"]}},
            "corpus.labels: expected nothing beside label_map. Received: labels=('a',)",
        ),
        (
            {"label_map": {False: ["fear"]}},
            "corpus.label_map: expected text as keys (in YAML put quotes around no, yes, on, off and numbers). "
            "Received: label_map={False: ['fear']}",
        ),
    ],
)
def test_labels_and_folders_that_contradict_are_refused(settings, expected):
    with pytest.raises(ConfigError) as caught:
        CorpusConfig(**settings)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [({"fear": 0.0}, "weights of more than 0"), ({1: 2.0}, "text as keys (in YAML put quotes around")],
)
def test_class_weights_are_checked(weights, expected):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(balance="class_weight", class_weights=weights)
    assert f"train.class_weights: expected {expected}" in str(caught.value)


@pytest.mark.parametrize(
    "strategy",
    [
        "multi_worker_mirrored",
        "multi-worker",
        "MultiWorkerMirroredStrategy",
        "tf.distribute.experimental.MultiWorkerMirroredStrategy",
        "parameter_server",
        "ParameterServerStrategyV2",
        "tpu",
        "TPUStrategy",
        "collective_all_reduce",
        "horovod",
    ],
)
def test_who_asks_for_several_machines_is_told_what_there_is(strategy):
    with pytest.raises(ConfigError) as caught:
        TrainConfig(strategy=strategy)
    assert str(caught.value) == (
        "train.strategy: expected one_device or mirrored; multi-worker strategies do not work with Keras 3 "
        "(keras#20585): a search spreads over machines with `tune`, cross-validations with "
        f"`cross_validate --scheduler`. Received: strategy={strategy!r}"
    )


def test_a_window_holds_at_least_one_frame():
    features = FeatureConfig(frame_length_samples=4096)  # 0.256 s
    assert Config(audio=AudioConfig(duration_seconds=0.256), features=features)
    with pytest.raises(ConfigError) as caught:
        Config(audio=AudioConfig(duration_seconds=0.25), features=features)
    assert str(caught.value) == (
        "audio.duration_seconds: expected at least one frame, 0.256 s. Received: duration_seconds=0.25"
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"augment": AugmentConfig(gain_max_db=math.inf)}, "augment.gain_max_db"),
        ({"augment": AugmentConfig(noise_min_snr_db=math.nan)}, "augment.noise_min_snr_db"),
        ({"model": ModelConfig(l2=math.inf)}, "model.l2"),
        ({"features": FeatureConfig(mfcc_clip=math.inf)}, "features.mfcc_clip"),
    ],
)
def test_numbers_are_finite(settings, key):
    with pytest.raises(ConfigError, match=rf"^{key}: expected a finite number\. Received: \w+=(inf|nan)"):
        Config(**settings)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().train.epochs = 3


def test_defaults_are_those_of_the_paper():
    config = Config()
    assert (config.features.frame_length_samples, config.features.frame_step_samples) == (1024, 256)
    assert (config.features.mel_bins, config.features.mfcc_coefficients) == (128, 40)
    assert (config.train.epochs, config.train.batch_size, config.train.learning_rate) == (300, 32, 1e-4)
    assert config.model.dropout == 0.3


def test_to_dict_is_plain_data():
    config = Config(corpus=CorpusConfig(labels=("fear", "anger"), drop_labels=("neutral",)))
    plain = config.to_dict()
    assert plain["corpus"]["labels"] == ["fear", "anger"]
    assert plain["corpus"]["drop_labels"] == ["neutral"]
    assert yaml.safe_load(yaml.safe_dump(plain)) == plain
    assert list(plain) == [field.name for field in dataclasses.fields(Config)]


def test_the_demo_is_speaker_independent_and_fits_its_eight_speakers():
    config = demo_config()
    assert config.corpus == CorpusConfig()
    assert config.split.protocol == "group_k_fold"
    tested_at_once = 8 / config.split.folds
    assert tested_at_once + config.split.validation_speakers < 8
    assert config.run_name is None


def test_every_setting_is_documented():
    sections = [field.default_factory for field in dataclasses.fields(Config)]
    for section in [Config, *(one for one in sections if dataclasses.is_dataclass(one))]:
        lines = section.__doc__.splitlines()
        for field in dataclasses.fields(section):
            assert f"    {field.name}" in lines, f"{section.__name__}.{field.name}"
