"""Errors in what the user gave, which commands print in one line and end with status 2, and their wording."""


def one_line(error: Exception | str, most: int | None = None) -> str:
    """Return the message of an exception in one line, cut to at most so many characters, to be quoted in another.

    For an ``OSError`` or an error of libsndfile that is the reason alone, without number and file name; for a
    ``KeyError``, ``no 'key'``; for an exception without a message, its class.
    """
    reasons = (getattr(error, name, None) for name in ("strerror", "error_string", "message"))
    text = next(filter(None, reasons), f"no {error}" if isinstance(error, KeyError) else error)
    return " ".join(str(text).split())[:most] or type(error).__name__


class InputError(ValueError):
    """Something given cannot work: the message names the file or key, what was expected and what came."""


class ConfigError(InputError):
    """A setting."""


class CorpusError(InputError):
    """A corpus: its folder, its names, its labels or its splits."""


class AudioError(InputError):
    """An audio file or a waveform."""


class RunError(InputError):
    """A run's folder or one of its files."""


class RunExistsError(RunError):
    """A folder in which there is a run already, where a new one was to be made."""


class WriteError(RunError):
    """A run's file that could not be written: no fault of the run's settings."""


class ModelError(InputError):
    """A .tflite file: what is in it, or how it came to be."""
