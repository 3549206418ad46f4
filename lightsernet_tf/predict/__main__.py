"""``python -m lightsernet_tf.predict``: recognise emotions in files, folders, a pipe or a microphone."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import os
import sys
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from lightsernet_tf.audio.rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from lightsernet_tf.cli import CommandParser, native_messages_hidden, run_command
from lightsernet_tf.errors import AudioError, ConfigError, InputError, one_line

if TYPE_CHECKING:
    from lightsernet_tf.predict.recognizer import EmotionRecognizer
    from lightsernet_tf.predict.recordings import Result

Results = Generator["Result", None, None]
Source = Union[Path, str, "Result"]

_STANDARD_INPUT = "-"
_PROGRESS_AFTER_SECONDS = 2.0
_USAGE = "%(prog)s [options] FILE|FOLDER|- ...\n       %(prog)s [options] --microphone"
_EPILOG = """examples:
  python -m lightsernet_tf.predict some.wav
  python -m lightsernet_tf.predict recordings/ --format csv > results.csv
  python -m lightsernet_tf.predict meeting.flac --timeline --smooth 2 --png meeting.png
  arecord -q -f S16_LE -r 16000 -t raw | python -m lightsernet_tf.predict - --timeline
  python -m lightsernet_tf.predict --microphone
  python -m lightsernet_tf.predict -- -name-with-a-dash.wav

WAV of any encoding, FLAC, MP3, OGG and AIFF, any rate, any number of channels.
Exit status: 0 if everything was recognised, 1 if something could not be, 2 if nothing was tried.
Emotions recognised from a voice are uncertain and depend on culture: do not base
decisions about people on them."""


def main(arguments: Sequence[str]) -> int:
    """Parse, recognise, print."""
    options = _parse(arguments)
    _require("ai_edge_litert.interpreter", "the model", "ai-edge-litert")

    from lightsernet_tf.predict.lines import LINES, Layout, csv_header, escaped
    from lightsernet_tf.predict.recordings import Result

    sources = _sources(options)
    recognizer = _recognizer(options)
    named = len(sources) > 1 or not _is_timeline(options)
    names = [source.source if isinstance(source, Result) else str(source) for source in sources]
    layout = Layout(recognizer.labels, options.top, names, named)
    if options.format != "text" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # file names need not be valid text
    if options.format == "csv":
        print(csv_header(layout), flush=True)
    drawn: list[Result] = []
    failed = False
    expected = [KeyboardInterrupt] if options.microphone else []  # Ctrl-C is how a microphone session ends
    with contextlib.suppress(*expected), contextlib.closing(_results(recognizer, sources, options)) as results:
        for result in results:
            if result.problem is not None:
                failed = True
                _print_error(f"error: {escaped(result.source)}: {escaped(result.problem)}")
            if result.problem is None or options.format != "text":
                print(LINES[options.format](result, layout), flush=True)
            if options.png and result.problem is None:
                drawn.append(result)
    if options.png and drawn:
        _draw(Path(options.inputs[0]), drawn, recognizer, options.png)
    return int(failed)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    description = "Recognise emotions in speech. Needs NumPy and LiteRT, but no TensorFlow."
    parser = CommandParser("predict", description, _EPILOG, usage=_USAGE)
    parser.add_argument(
        "inputs", nargs="*", metavar="FILE|FOLDER|-", help="sound files, folders of them, or - for raw samples"
    )
    add = parser.add_argument
    add("--model", type=Path, metavar="M", help="a .tflite file of lightsernet_tf.export (default: the shipped one)")
    add("--format", choices=("text", "json", "csv"), default="text", help="output format (default: text)")
    add("--top", type=_whole(1), metavar="K", help="print the K most probable labels (default: text 3, others all)")
    add("--threads", type=_whole(1, 1024), default=1, metavar="N", help="threads of the network (default: 1)")
    add = parser.add_argument_group("results over time").add_argument
    add("--timeline", action="store_true", help="one result per hop, each for the window that ends there")
    add("--hop", type=float, metavar="S", help="seconds between results (default: 0.5)")
    add("--smooth", type=float, metavar="S", help="average probabilities over S seconds (default: off)")
    add("--png", type=Path, metavar="OUT", help="draw the timeline of one file above its waveform")
    add("--microphone", action="store_true", help="a timeline of the default microphone, until Ctrl-C")
    add = parser.add_argument_group("raw samples").add_argument
    add("--pcm", choices=("s16le", "s32le", "f32le"), default="s16le", help="sample encoding of - (default: s16le)")
    add(
        "--rate",
        type=_whole(LOWEST_RATE_HZ, HIGHEST_RATE_HZ),
        metavar="HZ",
        help="sample rate of - and of the microphone (default: the model's)",
    )
    add("--channels", type=_whole(1, 64), default=1, metavar="N", help="channels of - (default: 1)")

    arguments = list(arguments)
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_intermixed_args(arguments[:options_end])  # options may stand anywhere among the names
    options.inputs += arguments[options_end + 1 :]
    _check(options)
    return options


def _whole(least: int, most: int = 2**31 - 1) -> Any:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 12 or not least <= int(text) <= most:
            bounds = f"of at least {least}" if most == 2**31 - 1 else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number {bounds}. Received: {text}")
        return int(text)

    return parse


def _check(options: argparse.Namespace) -> None:
    if bool(options.inputs) == options.microphone:
        raise ConfigError("expected files, folders or -, or else --microphone. Received: " + _received(options))
    for name in ("hop", "smooth", "png"):
        if getattr(options, name) is not None and not _is_timeline(options):
            raise ConfigError(f"--{name}: expected --timeline with it. Received: none")
    if "" in options.inputs:
        raise ConfigError("expected names. Received: an empty one")
    if options.inputs.count(_STANDARD_INPUT) > 1:
        raise ConfigError("-: expected once. Received: more often")
    if options.png:
        if len(options.inputs) != 1 or options.inputs == [_STANDARD_INPUT] or Path(options.inputs[0]).is_dir():
            raise ConfigError("--png: expected one sound file with it. Received: " + _received(options))
        if options.png.resolve() == Path(options.inputs[0]).resolve() or options.png.is_dir():
            raise ConfigError(f"--png: expected a name of its own. Received: {options.png}, a folder or the recording")
        if options.png.suffix.lower() != ".png" or not options.png.absolute().parent.is_dir():
            raise ConfigError(
                f"--png: expected a name that ends in .png in a folder that is there. Received: {options.png}"
            )
        _require("matplotlib.figure", "--png", "matplotlib")


def _received(options: argparse.Namespace) -> str:
    return " ".join([*options.inputs, *(["--microphone"] if options.microphone else [])]) or "neither"


def _is_timeline(options: argparse.Namespace) -> bool:
    return options.timeline or options.microphone


def _require(module: str, what: str, package: str) -> None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library that the package needs is missing
        raise ConfigError(f"{what}: expected {package} (pip install {package}). Received: {one_line(error)}") from error


def _sources(options: argparse.Namespace) -> list[Source]:
    """Return files, standard input and, in place of folders that cannot be used, results that say why, in order."""
    from lightsernet_tf.predict.recordings import Result, find_recordings

    sources: list[Source] = []
    for name in options.inputs:
        if name == _STANDARD_INPUT:
            sources.append(name)
            continue
        try:
            sources += find_recordings([Path(name)])
        except AudioError as error:  # an empty folder; the other inputs can still be recognised
            if len(options.inputs) == 1:
                raise
            sources.append(Result(name, problem=str(error).removeprefix(f"{name}: ")))
    if _STANDARD_INPUT in sources and (sys.stdin is None or sys.stdin.isatty()):
        what = "none" if sys.stdin is None else "a terminal"
        raise ConfigError(f"-: expected raw samples from a pipe or a file. Received: {what}")
    if any(isinstance(source, Path) for source in sources):
        _require("soundfile", "sound files", "soundfile")
    return sources


def _recognizer(options: argparse.Namespace) -> EmotionRecognizer:
    from lightsernet_tf.predict.recognizer import EmotionRecognizer
    from lightsernet_tf.predict.recordings import shipped_model
    from lightsernet_tf.predict.stream import DEFAULT_HOP_SECONDS

    with native_messages_hidden():
        recognizer = EmotionRecognizer(options.model or shipped_model(), options.threads)
    if recognizer.description.document.get("proof", {}).get("passed") is False:
        _print_error(f"note: {recognizer.path} did not pass its check against Keras when it was exported, see its card")
    options.rate = options.rate or recognizer.sample_rate_hz
    options.hop = DEFAULT_HOP_SECONDS if options.hop is None else options.hop
    options.smooth = options.smooth or 0.0
    try:
        recognizer.stream(recognizer.sample_rate_hz, options.hop, options.smooth)
    except AudioError as error:
        raise ConfigError(f"--hop, --smooth: {error}") from error
    return recognizer


def _results(recognizer: EmotionRecognizer, sources: Sequence[Source], options: argparse.Namespace) -> Results:
    from lightsernet_tf.predict.lines import escaped
    from lightsernet_tf.predict.recordings import TOO_LONG, Result, chunks_of, read_file, recognize, timeline

    if options.microphone:
        yield from _microphone(recognizer, options)
    for source in _progress(sources, "files") if len(sources) > 1 else sources:
        if source == _STANDARD_INPUT:
            yield from _pipe(recognizer, options)
            continue
        if isinstance(source, Result):
            yield source
            continue
        path = Path(source)
        try:
            with native_messages_hidden():  # of the MP3 decoder
                recording = read_file(path)
        except (InputError, MemoryError) as error:
            problem = TOO_LONG if isinstance(error, MemoryError) else str(error).removeprefix(f"{path}: ")
            yield Result(str(path), problem=problem)
            continue
        if LOWEST_RATE_HZ <= recording.rate_hz < recognizer.sample_rate_hz:
            _print_error(
                f"note: {escaped(str(path))}: {recording.rate_hz} Hz, but the model was trained at "
                f"{recognizer.sample_rate_hz} Hz and misses the high frequencies: do not trust its result"
            )
        if not options.timeline:
            yield recognize(recognizer, recording)
            continue
        pieces = chunks_of(recording)
        chunks = _progress(pieces, recording.source) if len(sources) == 1 else pieces
        yield from timeline(recognizer, recording.source, chunks, recording.rate_hz, options.hop, options.smooth)


def _pipe(recognizer: EmotionRecognizer, options: argparse.Namespace) -> Results:
    from lightsernet_tf.predict.recordings import TOO_LONG, Recording, Result, joined, read_pcm, recognize, timeline

    with contextlib.suppress(OSError, ValueError):  # it may be no real pipe, or non-blocking
        os.set_blocking(sys.stdin.fileno(), True)
    chunks = read_pcm(sys.stdin.buffer, options.pcm, options.channels, options.rate)
    if options.timeline:
        yield from timeline(recognizer, _STANDARD_INPUT, chunks, options.rate, options.hop, options.smooth)
        return
    try:
        result = recognize(recognizer, Recording(_STANDARD_INPUT, joined(list(chunks), options.channels), options.rate))
    except AudioError as error:
        result = Result(_STANDARD_INPUT, problem=str(error))
    except MemoryError:
        result = Result(_STANDARD_INPUT, problem=TOO_LONG)
    yield result


def _microphone(recognizer: EmotionRecognizer, options: argparse.Namespace) -> Results:
    from lightsernet_tf.predict.recordings import record, timeline

    chunks = record(options.rate)
    first = next(chunks)
    _print_error(f"listening at {options.rate} Hz until Ctrl-C")
    yield from timeline(
        recognizer, "microphone", itertools.chain([first], chunks), options.rate, options.hop, options.smooth
    )


def _progress(items: Collection[Any], what: str) -> Iterator[Any]:
    """Show a progress bar for slow inputs in a terminal, unless the results themselves appear there."""
    from tqdm import tqdm

    watched = sys.stderr is not None and sys.stderr.isatty() and not (sys.stdout and sys.stdout.isatty())
    form = "{desc} {percentage:3.0f} % |{bar:30}| {elapsed} so far, {remaining} left"
    yield from tqdm(items, desc=what, delay=_PROGRESS_AFTER_SECONDS, disable=not watched, bar_format=form, leave=False)


def _print_error(message: str) -> None:
    from tqdm import tqdm

    if sys.stderr is not None:
        tqdm.write(message, file=sys.stderr)  # above the progress bar, if there is one


def _draw(path: Path, results: Sequence[Result], recognizer: EmotionRecognizer, png: Path) -> None:
    from lightsernet_tf.predict.lines import escaped
    from lightsernet_tf.predict.recordings import read_file
    from lightsernet_tf.predict.timeline_figure import draw_timeline

    with native_messages_hidden():
        recording = read_file(path)
    decisions: list[Any] = [result.prediction for result in results]
    draw_timeline(recording.samples, recording.rate_hz, decisions, recognizer.labels, png, title=path.name)
    _print_error(f"drew {escaped(str(png))}")


if __name__ == "__main__":
    run_command(main, tensorflow=False)
