"""Show what is in a corpus, and download one of those that anybody may download."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from lightsernet_tf.cli import run_command
from lightsernet_tf.config import CorpusConfig, CorpusName
from lightsernet_tf.config_parser import SettingsParser
from lightsernet_tf.corpora import READERS, load_corpus
from lightsernet_tf.corpora.base import Corpus
from lightsernet_tf.corpora.download import download
from lightsernet_tf.corpora.inspection import CorpusSummary, inspect_corpus
from lightsernet_tf.corpora.summary_text import format_summary
from lightsernet_tf.errors import ConfigError

_PUBLISHED = [name for name, reader in READERS.items() if reader.archive]
_EPILOG = f"""examples:
  python -m lightsernet_tf.corpora emodb --data-dir data/emodb --download
  python -m lightsernet_tf.corpora iemocap --data-dir IEMOCAP_full_release --part improvised --merge_excited true
  python -m lightsernet_tf.corpora folders --data-dir "my corpus" --template "{{speaker}}/{{label}}/{{name}}.flac"
  python -m lightsernet_tf.corpora manifest --data-dir my_corpus.csv

--download knows {" and ".join(_PUBLISHED)}; the other corpora are handed out by their owners on request."""


def main(arguments: Sequence[str]) -> int:
    """Parse, download if asked to, read, print."""
    description = "Show what is in a corpus, and download one of those that anybody may download."
    parser = SettingsParser("corpora", description, _EPILOG, usage="%(prog)s NAME [options]")
    parser.add_argument("name", choices=get_args(CorpusName), help="corpus or layout")
    parser.add_argument("--data-dir", "--data_dir", type=str, help="folder of the corpus; for manifest the CSV file")
    parser.add_argument("--download", action="store_true", help="fetch the corpus to --data-dir first")
    parser.add_class_arguments(CorpusConfig, None, skip={"name", "data_dir"})
    settings = parser.parse_args(list(arguments)).as_dict()
    if settings.pop("download"):
        if not settings["data_dir"]:
            raise ConfigError("--download: expected --data-dir, the folder to download to. Received: none")
        reader = READERS[settings["name"]]
        if reader.archive is None:
            raise ConfigError(
                f"--download: expected one of {', '.join(_PUBLISHED)}. Received: {settings['name']}; "
                "see its publisher's page"
            )
        folder = download(reader.archive, Path(settings["data_dir"]))
        print(f"fetched to {folder}; terms: {reader.terms}\n")
    config = CorpusConfig(**settings)
    corpus = load_corpus(config)
    summary = inspect_corpus(corpus)
    print(format_summary(summary))
    print("\nTo train on it:\n  " + _training_command(config, corpus, summary))
    return 0


def _training_command(config: CorpusConfig, corpus: Corpus, summary: CorpusSummary) -> str:
    """Return the command that trains on what was inspected, with the settings that its troubles ask for."""
    usual = CorpusConfig()
    fields = [field.name for field in dataclasses.fields(config)]
    options = {name: getattr(config, name) for name in fields if getattr(config, name) != getattr(usual, name)}
    if summary.duplicates:
        options["duplicates"] = "drop"
    if summary.unreadable:
        options["on_error"] = "skip"
    words = ["python", "-m", "lightsernet_tf.train"]
    for name, value in options.items():
        words += [f"--corpus.{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    if any(utterance.split for utterance in corpus.utterances):
        words += ["--split.protocol", "manifest"]
    elif len(summary.speakers) >= 3:  # one to train on, one to choose the epoch, one to test
        words += ["--split.protocol", "leave_one_speaker_out"]
    return shlex.join(words)


if __name__ == "__main__":
    run_command(main, tensorflow=False)
