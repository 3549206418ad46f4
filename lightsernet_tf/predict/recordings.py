"""The inputs of `predict`: files, folders, raw samples from a pipe, a microphone.

Recognising is the business of `recognizer`, formatting the results that of `lines`.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import queue
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.audio.sound_files import SUFFIXES, find_sound_files, read_sound_file
from lightsernet_tf.errors import AudioError, ConfigError, ModelError, one_line
from lightsernet_tf.predict.prediction import Prediction
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from lightsernet_tf.predict.stream import DEFAULT_HOP_SECONDS

SHIPPED_MODEL = "light_sernet_emodb_int8.tflite"
Encoding = Literal["s16le", "s32le", "f32le"]
ENCODINGS: dict[Encoding, str] = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}
# First bytes of sound files that might be piped in by mistake: WAV and relatives, FLAC, OGG, AIFF, AU, CAF, MP3.
_SOUND_FILES = (b"RIFF", b"RIFX", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd", b"caff", b"ID3", b"\xff\xfb")
TOO_LONG = "expected a recording that fits into memory. Received: a longer one; cut it, or pipe it in with --timeline"
_CHUNK_SECONDS = 0.1
_MOST_WAITING = 1000  # blocks, of some 10 ms each
_SILENT_MICROPHONE_SECONDS = 5.0


@dataclass(frozen=True)
class Recording:
    """Samples [samples, channels] and where they come from."""

    source: str
    samples: NDArray[Any]
    rate_hz: int


@dataclass(frozen=True)
class Result:
    """A prediction for a recording or a span of it, or the problem that prevented one."""

    source: str
    prediction: Prediction | None = None
    problem: str | None = None


def shipped_model() -> Path:
    """Return the path of the model that comes with this package.

    Raises
    ------
    ModelError
        If it was not installed.
    """
    here = Path(__file__).parents[2] / "tflite" / SHIPPED_MODEL
    if here.is_file():
        return here
    try:
        installed = importlib.metadata.files("lightsernet-tf") or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate()))
        if path.name == SHIPPED_MODEL and path.is_file():
            return path.resolve()
    raise ModelError(f"--model: expected a .tflite file, as {SHIPPED_MODEL} did not come with this installation")


def find_recordings(names: Iterable[Path]) -> list[Path]:
    """Return the files, and in place of each folder the sound files below it, sorted.

    See ``audio.sound_files.find_sound_files``.

    Raises
    ------
    AudioError
        If a folder holds none or may not be read.
    """
    found: list[Path] = []
    for name in names:
        inside = find_sound_files(name) if _is_folder(name) else [name]
        if not inside:
            raise AudioError(f"{name}: expected sound files ({', '.join(SUFFIXES)}) in the folder. Received: none")
        found += inside
    return found


def _is_folder(name: Path) -> bool:
    try:
        return name.is_dir()
    except OSError:  # an impossible name; reading it raises an error that explains
        return False


def read_file(path: Path) -> Recording:
    """Read a sound file; for errors see ``read_sound_file``."""
    samples, rate_hz = read_sound_file(path)
    return Recording(str(path), samples, rate_hz)


def recognize(recognizer: EmotionRecognizer, recording: Recording) -> Result:
    """Recognise a whole recording."""
    try:
        return Result(recording.source, recognizer.predict(recording.samples, recording.rate_hz))
    except AudioError as error:
        return Result(recording.source, problem=str(error))
    except MemoryError:
        return Result(recording.source, problem=TOO_LONG)


def timeline(
    recognizer: EmotionRecognizer,
    source: str,
    chunks: Iterable[NDArray[Any]],
    rate_hz: int,
    hop_seconds: float = DEFAULT_HOP_SECONDS,
    smoothing_seconds: float = 0.0,
) -> Iterator[Result]:
    """Yield a result per hop as soon as its samples have arrived; at least one."""
    decided, samples = False, 0
    try:
        stream = recognizer.stream(rate_hz, hop_seconds, smoothing_seconds)
        for chunk in chunks:
            samples += len(chunk)
            for decision in stream.feed(chunk):
                decided = True
                yield Result(source, decision)
        for decision in stream.finish():
            decided = True
            yield Result(source, decision)
        if not decided:
            shortest = recognizer.description.min_samples / recognizer.sample_rate_hz
            problem = f"waveform: expected at least {shortest:.3f} s. Received: {samples / rate_hz:.3f} s"
            yield Result(source, problem=problem)
    except AudioError as error:
        yield Result(source, problem=str(error))


def chunks_of(recording: Recording) -> list[NDArray[Any]]:
    """Cut a recording into short chunks, so that decisions appear while it is processed."""
    length = max(1, round(_CHUNK_SECONDS * recording.rate_hz))
    return [recording.samples[start : start + length] for start in range(0, len(recording.samples), length)]


def read_pcm(stream: BinaryIO, encoding: Encoding, channels: int, rate_hz: int) -> Iterator[NDArray[Any]]:
    """Yield raw samples [samples, channels] as they arrive; an incomplete last frame is dropped.

    Raises
    ------
    AudioError
        If the stream begins like a sound file.
    """
    dtype = np.dtype(ENCODINGS[encoding])
    frame_bytes = dtype.itemsize * channels
    chunk_bytes = max(1, round(_CHUNK_SECONDS * rate_hz)) * frame_bytes
    rest = stream.read(4)
    if rest.startswith(_SOUND_FILES):
        raise AudioError(f"expected raw samples, {encoding}. Received: a sound file; give its name instead of -")
    while content := _read_some(stream, chunk_bytes):
        rest += content
        whole = len(rest) // frame_bytes * frame_bytes
        yield np.frombuffer(rest[:whole], dtype).reshape(-1, channels)
        rest = rest[whole:]
    if len(rest) >= frame_bytes:
        yield np.frombuffer(rest[: len(rest) // frame_bytes * frame_bytes], dtype).reshape(-1, channels)


def _read_some(stream: BinaryIO, most: int) -> bytes:
    # Whatever has arrived, without waiting for more: a live stream must not lag.
    read = getattr(stream, "read1", stream.read)
    return read(most)


def record(rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Yield samples [samples, 1] of the default microphone until Ctrl-C.

    Raises
    ------
    ConfigError
        If there is no microphone, or no library to access it.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise ConfigError(
            "--microphone: expected the package sounddevice and the PortAudio library "
            f"(pip install sounddevice; on Debian also: apt install libportaudio2). Received: {one_line(error)}"
        ) from error
    recorded: queue.Queue[NDArray[np.float32]] = queue.Queue(maxsize=_MOST_WAITING)

    def keep(samples: NDArray[np.float32], *_: Any) -> None:
        with contextlib.suppress(queue.Full):  # the consumer is hopelessly behind: drop new samples
            recorded.put_nowait(samples.copy())

    try:
        with sounddevice.InputStream(samplerate=rate_hz, channels=1, dtype="float32", callback=keep):
            while True:
                yield recorded.get(timeout=_SILENT_MICROPHONE_SECONDS)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ConfigError(
            f"--microphone: expected a microphone that gives {rate_hz} Hz (--rate). Received: {one_line(error)}"
        ) from error
    except queue.Empty as error:
        raise ConfigError(
            f"--microphone: expected samples. Received: none for {_SILENT_MICROPHONE_SECONDS:g} s"
        ) from error


def joined(chunks: Sequence[NDArray[Any]], channels: int) -> NDArray[Any]:
    """Return chunks [samples, channels] as one array."""
    return np.concatenate(chunks) if chunks else np.zeros((0, channels), np.float32)
