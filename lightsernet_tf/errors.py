"""What goes wrong with what the user gave; commands print these in one line and end with status 2."""


def one_line(error: Exception | str, most: int | None = None) -> str:
    """Return what an exception says in one line, for a message of this package, of at most so many characters.

    Of an ``OSError`` that is the system's reason, without the error's number and the file's name; of an exception that
    says nothing, its class.
    """
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
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
