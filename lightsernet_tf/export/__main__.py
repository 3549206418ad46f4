"""``python -m lightsernet_tf.export``: make .tflite files of a run, prove them, and say what came of it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lightsernet_tf.cli import CommandParser, native_messages_hidden, run_command
from lightsernet_tf.errors import ConfigError

_EPILOG = """examples:
  python -m lightsernet_tf.export runs/NAME
  python -m lightsernet_tf.export runs/NAME --precision int8 float16 --output device/
  python -m lightsernet_tf.export runs/NAME --input features --precision int8

Every file goes from raw samples (or features) to named emotions with operators that TensorFlow Lite has built in. It is
held against Keras on the run's validation utterances before it appears under its name: on the same input float32 and
float16 may differ by 1e-4 and 1e-3 of a probability; the int8 kinds may lose 1 point of UA."""


def main(arguments: Sequence[str]) -> int:
    """Parse, export, print."""
    description = "Make .tflite files of a trained run, each checked, with its labels and its model card."
    parser = CommandParser("export", description, _EPILOG)
    add = parser.add_argument
    precisions = ("float32", "float16", "dynamic_int8", "int8")
    add("run", type=Path, metavar="RUN", help="folder of a run")
    add("--epoch", default="best", metavar="best|last|N", help="which kept epoch (default: the one chosen in training)")
    add("--input", choices=("waveform", "features"), default="waveform", help="raw samples (default), or features")
    add("--precision", nargs="+", choices=precisions, default=precisions, help="one file each (default: all four)")
    add(
        "--io",
        choices=("float32", "int8"),
        help="type of input and output; int8 is for --input features --precision int8, where it is the default",
    )
    add("--output", type=Path, metavar="DIR", help="folder of the files (default: RUN/export)")
    add("--name", help="how the files' names begin (default: the run's name)")
    add(
        "--cross-validation",
        type=Path,
        metavar="DIR",
        help="a cross-validation of the same settings: its figures tell in the card what to expect of new speakers",
    )
    add("--licence", default="Apache-2.0", help="of the model (default: Apache-2.0)")
    add("--data-dir", metavar="DIR", help="where the corpus lies, if it was moved since training")
    add("--force", action="store_true", help="keep files that do not compare as they should, marked so")
    options = parser.parse_args(arguments)
    name = options.name
    if name is not None and (not name.strip() or Path(name).name != name or not name.isprintable()):
        raise ConfigError(f"--name: expected the beginning of a file's name. Received: {options.name!r}")

    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.export.files import Exported, ExportError, export
    from lightsernet_tf.export.proof import proof_table
    from lightsernet_tf.runs.run import Run

    run = Run.open(options.run)
    config = run.config
    if options.data_dir is not None:
        config = replace(config, corpus=replace(config.corpus, data_dir=options.data_dir))
    experiment = prepare(config)
    exported: list[Exported] = []
    failure = None
    try:
        with _progress_shown(), native_messages_hidden():
            exported = export(
                run,
                options.epoch,
                kind=options.input,
                precisions=options.precision,
                io=options.io,
                output=options.output,
                name=options.name,
                cross_validation=options.cross_validation,
                licence=options.licence,
                force=options.force,
                experiment=experiment,
            )
    except ExportError as error:
        exported, failure = error.exported, error
    if exported:
        print(proof_table([(one.path.name, one.size_bytes, one.proof) for one in exported]))
    for one in exported:
        print(f"{one.path}, card {one.card_path}")
    if failure:
        raise failure
    return 0


@contextmanager
def _progress_shown() -> Iterator[None]:
    """Show what this package logs also while standard error is hidden."""
    if sys.stderr is None:  # closed by who started us
        yield
        return
    logger = logging.getLogger("lightsernet_tf")
    with os.fdopen(os.dup(2), "w") as terminal:
        handler = logging.StreamHandler(terminal)
        logger.addHandler(handler)
        propagated, logger.propagate = logger.propagate, False  # else it is told again after an error
        try:
            yield
        finally:
            logger.propagate = propagated
            logger.removeHandler(handler)


if __name__ == "__main__":
    run_command(main)
