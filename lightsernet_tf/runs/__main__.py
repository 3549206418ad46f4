"""``python -m lightsernet_tf.runs``: all runs below a folder as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightsernet_tf.cli import CommandParser, run_command

_EPILOG = """examples:
  python -m lightsernet_tf.runs runs
  python -m lightsernet_tf.runs runs --sort test_ua --markdown runs.md --csv runs.csv
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, collect, print."""
    from lightsernet_tf.runs.table import SORT_KEYS, collect_runs, markdown_runs, sort_runs, terminal_table

    description = (
        "List all runs in and below a folder, the folds of cross-validations among them: settings, chosen epoch, "
        "validation and test figures. A dash stands for what was not evaluated yet."
    )
    parser = CommandParser("runs", description, _EPILOG)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of runs")
    parser.add_argument(
        "--sort",
        choices=SORT_KEYS,
        default="validation_ua",
        metavar="KEY",
        help=f"one of {', '.join(SORT_KEYS)}; figures from the best down, all else from small to large "
        "(default: %(default)s; sorting by test figures to choose a run would be optimistic)",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV too, with shares from 0 to 1")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown too")
    options = parser.parse_args(arguments)

    from lightsernet_tf.files import write_csv, write_text

    rows = sort_runs(collect_runs(options.folder), options.sort)
    print(terminal_table(rows))
    if options.csv:
        write_csv(options.csv, [row.to_dict() for row in rows], SORT_KEYS)
    if options.markdown:
        write_text(options.markdown, markdown_runs(rows))
    return 0


if __name__ == "__main__":
    run_command(main, tensorflow=False)
