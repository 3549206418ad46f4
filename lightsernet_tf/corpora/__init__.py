"""One reader per corpus layout, behind one registry.

A corpus is added by writing a module with a ``READER`` (see ``base.Reader``) and adding the module's name to
``config.CorpusName``; docs/extending.md shows one.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import get_args

from lightsernet_tf.config import CorpusConfig, CorpusName
from lightsernet_tf.corpora.base import Corpus, Reader, Skipped, Utterance, choose_labels
from lightsernet_tf.errors import CorpusError

READERS: dict[CorpusName, Reader] = {name: import_module(f"{__name__}.{name}").READER for name in get_args(CorpusName)}

_logger = logging.getLogger(__name__)


def load_corpus(config: CorpusConfig) -> Corpus:
    """Find the recordings of a corpus, with the labels that the configuration asks for.

    Parameters
    ----------
    config
        Which corpus, where it lies, and which labels are merged or dropped.

    Returns
    -------
    Corpus
        Utterances in the order of their paths; labels in the order of the network's outputs.

    Raises
    ------
    CorpusError
        If the folder is not there or holds no audio of that layout, if a name cannot be parsed (unless ``on_error`` is
        ``skip``), or if the labels found and the labels configured do not fit.
    """
    reader = READERS[config.name]
    utterances: list[Utterance] = []
    skipped: list[Skipped] = []
    for entry in reader.read(config):
        if isinstance(entry, Utterance):
            utterances.append(entry)
        elif config.on_error == "skip":
            skipped.append(entry)
        else:
            raise CorpusError(f"{entry.path}: {entry.reason}. Set corpus.on_error: skip to leave such files out")
    if skipped:
        _logger.warning("%s: left out %d files, e.g. %s: %s", config.name, len(skipped), *skipped[0])
    if not utterances:
        reason = f"; {len(skipped)} files left out, e.g. {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise CorpusError(f"corpus.data_dir: no utterance of {config.name} could be read in {config.data_dir}{reason}")
    # As strings: the order of Path objects differs between Python versions.
    utterances.sort(key=lambda utterance: utterance.path.as_posix())
    kept, labels = choose_labels(utterances, config, reader.labels)
    return Corpus(config.name, kept, labels, tuple(skipped), reader.notice)
