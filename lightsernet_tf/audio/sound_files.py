"""Sound files through libsndfile, without TensorFlow: what devices read, and what training's decoders leave over.

What this module does not do: mix channels, convert rates or levels.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.audio.wav_header import open_audio
from lightsernet_tf.errors import AudioError

if TYPE_CHECKING:
    import soundfile

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au")
_BLOCK_SAMPLES = 2**16


def read_sound_file(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a WAV, FLAC, MP3, OGG or other file of libsndfile's.

    Returns
    -------
    samples, rate
        float32 [samples, channels], and its rate in Hz.

    Raises
    ------
    AudioError
        If it cannot be read, or is a WAV or FLAC file that is cut short; the message names it. Of other formats
        libsndfile reads what is there.
    """
    try:
        _refuse_what_is_no_file(path)
        if problem := open_audio(path).problem:  # of a WAV file that is cut short libsndfile reads what is there
            raise AudioError(problem)
        return read_samples(path)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def read_samples(path: Path) -> tuple[NDArray[np.float32], int]:
    """Do the same by what libsndfile says alone, with errors that do not name the file."""
    soundfile = _libsndfile()
    try:
        # By descriptor: libsndfile then goes by the content and not by the name's ending.
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:
            samples = np.concatenate([np.zeros((0, audio.channels), np.float32), *_blocks(audio)])
            promised = audio.frames if audio.format in ("FLAC", "WAV", "WAVEX") else len(samples)
            rate_hz = audio.samplerate
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        raise AudioError(f"expected audio that can be decoded, received: {reason}") from error
    if len(samples) < promised:
        raise AudioError(f"expected the {promised} samples that its header promises, received {len(samples)}")
    return samples, rate_hz


def _libsndfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, libsndfile is not
        reason = " ".join(str(error).split())
        raise AudioError(f"expected soundfile to read it with (pip install soundfile), received: {reason}") from error
    return soundfile


def _refuse_what_is_no_file(path: Path) -> None:
    # A pipe would keep its reader waiting, and cannot be read twice.
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise AudioError(f"expected an audio file, received: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise AudioError("expected an audio file, received: a pipe or a device")


def _blocks(audio: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    # Block by block: a damaged header may promise more than any memory holds.
    while len(block := audio.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        yield block
