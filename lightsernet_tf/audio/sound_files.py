"""Sound files through libsndfile, the one reader of corpora, training and devices; it needs no TensorFlow.

What this module does not do: convert rates or levels.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.errors import AudioError, one_line

if TYPE_CHECKING:
    import soundfile

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au")
_BLOCK_FRAMES = 2**16
_UNKNOWN_BYTES = 0xFFFFFFFF  # written by programs that stream and do not know the length yet


def find_sound_files(folder: Path, suffixes: Collection[str] = SUFFIXES) -> list[Path]:
    """Return the files below a folder whose names end in one of ``suffixes`` (lower case), sorted.

    Hidden files are passed over: macOS leaves ``._name.wav`` beside ``name.wav`` in archives. Links are followed; a
    folder that several lead to is read once. A link to nothing is returned, so that its reader reports it; pipes and
    devices are not.

    Raises
    ------
    AudioError
        If a folder may not be read.
    """
    found: list[Path] = []
    visited: set[str] = set()  # where the links lead, so that none leads round in circles
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        resolved = os.path.realpath(parent)
        if resolved in visited:
            folders.clear()
            continue
        visited.add(resolved)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found += (path for path in paths if path.suffix.lower() in suffixes and (path.is_file() or not path.exists()))
    return sorted(found)


def _refuse_folder(error: OSError) -> None:
    raise AudioError(f"{error.filename}: expected a folder that can be read. Received: {one_line(error)}") from error


def read_sound_file(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a WAV, FLAC, MP3, OGG or other file that libsndfile reads.

    Returns
    -------
    samples, rate
        float32 [samples, channels], and its rate in Hz.

    Raises
    ------
    AudioError
        See `open_sound_file`.
    """
    with open_sound_file(path) as audio:
        return np.concatenate([np.zeros((0, audio.channels), np.float32), *blocks(audio)]), audio.samplerate


@contextmanager
def open_sound_file(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file, to be read by `blocks`.

    Raises
    ------
    AudioError
        If it cannot be read, or is a WAV or FLAC file that is cut short; of other formats what is there is read. The
        message names the file, as it does for every ``AudioError`` that is raised while the file is open.
    """
    try:
        soundfile = _libsndfile()
        with _open_regular_file(path) as file:
            _check_wav_header(file)
            file.seek(0)
            try:
                # By descriptor: libsndfile then goes by the content and not by the name's ending.
                with soundfile.SoundFile(file.fileno(), closefd=False) as audio:
                    yield audio
            except (OSError, soundfile.LibsndfileError) as error:
                raise AudioError(f"expected audio that can be decoded, received: {one_line(error)}") from error
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def blocks(audio: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of an open file, float32 [at most 65536, channels] at a time."""
    # Never all at once: a damaged header may promise more than any memory holds.
    received = 0
    while len(block := audio.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        received += len(block)
        yield block
    if audio.format in ("FLAC", "WAV", "WAVEX") and received < audio.frames:
        raise AudioError(f"expected the {audio.frames} samples that its header promises, received {received}")


def mix(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the channels: [samples, channels] -> [samples]."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=-1)  # a mean of one makes -0.0 to 0.0


def _libsndfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, libsndfile is not
        raise AudioError(
            f"expected soundfile to read it with (pip install soundfile), received: {one_line(error)}"
        ) from error
    return soundfile


def _open_regular_file(path: Path) -> BinaryIO:
    try:
        # A pipe would keep its reader waiting, and cannot be read twice. Opening a folder fails by itself.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise AudioError("expected an audio file, received: a pipe or a device")
        return path.open("rb", buffering=0)  # unbuffered, as libsndfile reads on from the descriptor's own position
    except OSError as error:
        raise AudioError(f"expected an audio file, received: {one_line(error)}") from error


def _check_wav_header(file: BinaryIO) -> None:
    """Refuse an empty file and a WAV file that is cut short, of which libsndfile would read what is there."""
    riff = file.read(12)
    if not riff:
        raise AudioError("expected audio, received an empty file")
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        return
    num_bytes: dict[bytes, int] = {}  # of the chunks up to the samples, by name
    while b"data" not in num_bytes and len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        num_bytes[name] = length
        if name != b"data":
            file.seek(length + length % 2, os.SEEK_CUR)
    if num_bytes.get(b"fmt ", 0) < 16 or b"data" not in num_bytes:
        raise AudioError("expected a WAV header with fmt and data, received one without")
    promised, received = num_bytes[b"data"], os.fstat(file.fileno()).st_size - file.tell()
    if received < promised != _UNKNOWN_BYTES:
        raise AudioError(f"expected {promised} bytes of samples by its header, received {received}")
