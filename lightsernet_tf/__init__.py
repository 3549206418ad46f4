"""Light-SERNet in Keras: train, judge and export a network of 0.46 M parameters that recognises emotion in speech.

The public names are loaded on first use, so that importing the package costs no TensorFlow:

  Settings
    load_config                 read a YAML file of settings
    demo_config                 the settings of the bundled synthetic corpus
    Config                      the settings of an experiment, with a section for each of the following
    CorpusConfig                which recordings, under which labels
    AudioConfig                 how a recording becomes a waveform of fixed length
    FeatureConfig               what the front end computes from it
    AugmentConfig               random changes of the training utterances
    SplitConfig                 which speakers and utterances are trained on, validated and tested
    ModelConfig                 the network's dropout and weight decay
    TrainConfig                 how the network is trained
    InputError                  what is raised for settings, files and folders that cannot work

  Data
    load_corpus                 read a corpus: its utterances, labels and speakers
    prepare                     read the corpus of an experiment, compute its features and make its folds
    Experiment                  what `prepare` returns

  Training and evaluation
    train                       train one fold into a new run
    resume                      continue a stopped run
    cross_validate              train and evaluate all folds of a protocol
    Run                         a run's folder; `Run.open(path)` opens one
    evaluate                    evaluate an epoch of a run on training, validation and test data
    evaluate_file               evaluate a .tflite file in the same way
    score                       accuracies, recalls and confusion matrix of predicted probabilities
    build_hypermodel            a hypermodel for any tuner of Keras Tuner

  Network
    light_sernet                the network, as a Keras model of features
    FrontEnd                    the Keras layer from waveforms to features
    SparseCategoricalFocalLoss  the focal loss on probabilities or logits

  On a device
    export                      make .tflite files of a run, checked against Keras
    ExportOptions               which files: their input, precisions, licence
    EmotionRecognizer           recognise emotions with a .tflite file, without TensorFlow
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightsernet_tf.config import AudioConfig as AudioConfig
    from lightsernet_tf.config import AugmentConfig as AugmentConfig
    from lightsernet_tf.config import Config as Config
    from lightsernet_tf.config import CorpusConfig as CorpusConfig
    from lightsernet_tf.config import FeatureConfig as FeatureConfig
    from lightsernet_tf.config import ModelConfig as ModelConfig
    from lightsernet_tf.config import SplitConfig as SplitConfig
    from lightsernet_tf.config import TrainConfig as TrainConfig
    from lightsernet_tf.config import demo_config as demo_config
    from lightsernet_tf.config_parser import load_config as load_config
    from lightsernet_tf.corpora import load_corpus as load_corpus
    from lightsernet_tf.cross_validate.folds import cross_validate as cross_validate
    from lightsernet_tf.data.experiment import Experiment as Experiment
    from lightsernet_tf.data.experiment import prepare as prepare
    from lightsernet_tf.errors import InputError as InputError
    from lightsernet_tf.evaluate.run import evaluate_run as evaluate  # noqa: F401  (a public name)
    from lightsernet_tf.evaluate.scores import score as score
    from lightsernet_tf.evaluate.tflite_file import evaluate_file as evaluate_file
    from lightsernet_tf.export.files import ExportOptions as ExportOptions
    from lightsernet_tf.export.files import export as export
    from lightsernet_tf.features.front_end import FrontEnd as FrontEnd
    from lightsernet_tf.model.light_sernet import light_sernet as light_sernet
    from lightsernet_tf.model.losses import SparseCategoricalFocalLoss as SparseCategoricalFocalLoss
    from lightsernet_tf.predict.recognizer import EmotionRecognizer as EmotionRecognizer
    from lightsernet_tf.runs.run import Run as Run
    from lightsernet_tf.train.fold import resume as resume
    from lightsernet_tf.train.fold import train as train
    from lightsernet_tf.tune.hypermodel import build_hypermodel as build_hypermodel

__version__ = "0.1.0"

# Read by TensorFlow when it is imported, so they are set before any module of the package can import it. oneDNN is off
# by default on CPUs without VNNI, where it trains this network about 1.6 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_HOMES = {
    "AudioConfig": "config.AudioConfig",
    "AugmentConfig": "config.AugmentConfig",
    "Config": "config.Config",
    "CorpusConfig": "config.CorpusConfig",
    "EmotionRecognizer": "predict.recognizer.EmotionRecognizer",
    "Experiment": "data.experiment.Experiment",
    "ExportOptions": "export.files.ExportOptions",
    "FeatureConfig": "config.FeatureConfig",
    "FrontEnd": "features.front_end.FrontEnd",
    "InputError": "errors.InputError",
    "ModelConfig": "config.ModelConfig",
    "Run": "runs.run.Run",
    "SparseCategoricalFocalLoss": "model.losses.SparseCategoricalFocalLoss",
    "SplitConfig": "config.SplitConfig",
    "TrainConfig": "config.TrainConfig",
    "build_hypermodel": "tune.hypermodel.build_hypermodel",
    "cross_validate": "cross_validate.folds.cross_validate",
    "demo_config": "config.demo_config",
    "evaluate": "evaluate.run.evaluate_run",
    "evaluate_file": "evaluate.tflite_file.evaluate_file",
    "export": "export.files.export",
    "light_sernet": "model.light_sernet.light_sernet",
    "load_config": "config_parser.load_config",
    "load_corpus": "corpora.load_corpus",
    "prepare": "data.experiment.prepare",
    "resume": "train.fold.resume",
    "score": "evaluate.scores.score",
    "train": "train.fold.train",
}


class _Package(ModuleType):
    """A package whose public names are imported on first use (see PEP 562).

    ``train``, ``evaluate``, ``cross_validate`` and ``export`` are functions here and also names of subpackages. The
    import system binds a subpackage in its parent once it is imported, by whomever; refusing that leaves the function
    in its place. ``from lightsernet_tf.train import fold`` and ``python -m lightsernet_tf.train`` do not need the
    attribute; ``import lightsernet_tf.train.fold as fold`` does, and fails.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, _, attribute = _HOMES[name].rpartition(".")
        value = getattr(importlib.import_module(f"{self.__name__}.{module}"), attribute)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted([*_HOMES, *(name for name in self.__dict__ if name.startswith("__"))])


sys.modules[__name__].__class__ = _Package
