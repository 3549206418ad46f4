"""``python -m lightsernet_tf.export``: make .tflite files of a run, prove them, and print how they compare."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import get_args

from lightsernet_tf.cli import CommandParser, native_messages_hidden, run_command
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.export.precisions import PRECISIONS, Io
from lightsernet_tf.predict.model_file import InputKind

_LIMITS = "\n".join(f"  {name:13} {precision.limit}" for name, precision in PRECISIONS.items())
_EPILOG = f"""examples:
  python -m lightsernet_tf.export runs/NAME
  python -m lightsernet_tf.export runs/NAME --precision int8 float16 --output device/
  python -m lightsernet_tf.export runs/NAME --input features --precision int8

Every file goes from raw samples (or features) to named emotions with operators that TensorFlow Lite has built in. It is
held against Keras on the run's validation utterances before it appears under its name:
{_LIMITS}"""


def main(arguments: Sequence[str]) -> int:
    """Parse, export, print."""
    given = _parser().parse_args(arguments)
    name = given.name
    if name is not None and (not name.strip() or Path(name).name != name or not name.isprintable()):
        raise ConfigError(f"--name: expected the beginning of a file's name. Received: {name!r}")

    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.export.files import Exported, ExportError, ExportOptions, export
    from lightsernet_tf.export.proof import proof_table
    from lightsernet_tf.runs.run import Run

    options = ExportOptions(given.input, given.precision, given.io, given.licence, given.force)
    run = Run.open(given.run)
    config = run.config
    if given.data_dir is not None:
        config = replace(config, corpus=replace(config.corpus, data_dir=given.data_dir))
    experiment = prepare(config)
    exported: list[Exported] = []
    failure = None
    try:
        # The quantiser draws progress bars and logs to the root; what this package logs is still shown.
        logging.getLogger("lightsernet_tf").setLevel(logging.INFO)
        logging.getLogger().setLevel(logging.WARNING)
        with native_messages_hidden(), redirect_stderr(io.StringIO()):
            exported = export(
                run,
                given.epoch,
                options,
                output=given.output,
                name=name,
                cross_validation=given.cross_validation,
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


def _parser() -> CommandParser:
    description = "Make .tflite files of a trained run, each checked, with its labels and its model card."
    parser = CommandParser("export", description, _EPILOG)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run")
    add("--epoch", default="best", metavar="best|last|N", help="which kept epoch (default: the one chosen in training)")
    add("--input", choices=get_args(InputKind), default="waveform", help="raw samples (default), or features")
    names = tuple(PRECISIONS)
    add("--precision", nargs="+", choices=names, default=names, help="one file each (default: all)")
    add(
        "--io",
        choices=get_args(Io),
        help="type of input and output; int8 is for --input features --precision int8, where it is the default",
    )
    add("--output", type=Path, metavar="DIR", help="folder of the files (default: RUN/export)")
    add("--name", help="how the files' names begin (default: the run's name)")
    add(
        "--cross-validation",
        type=Path,
        metavar="DIR",
        help="a cross-validation of the same settings, whose figures say in the card what to expect of new speakers",
    )
    add("--licence", default="Apache-2.0", help="of the model (default: Apache-2.0)")
    add("--data-dir", metavar="DIR", help="where the corpus lies, if it was moved since training")
    add("--force", action="store_true", help="keep files that do not compare as they should, marked so")
    return parser


if __name__ == "__main__":
    run_command(main)
