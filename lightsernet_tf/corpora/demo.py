"""The bundled demo corpus: 240 synthetic utterances, made on first use, so that everything runs without a download.

Nobody speaks in it. Sounds like speech are synthesised (see ``synthesis``) in eight voices and three manners whose
differences follow what is reported of emotional speech (Banse & Scherer, 1996; Juslin & Laukka, 2003; on smiling
Tartter, 1980): livelier, higher, brighter for ``positive``; lower, slower, softer and rougher for ``negative``. Manners
overlap by design. What a network reaches here says that the software works; it says nothing about people.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import soundfile
from tqdm import tqdm

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.articulation import SAMPLE_RATE_HZ, Delivery
from lightsernet_tf.corpora.base import Reader, Utterance
from lightsernet_tf.corpora.synthesis import synthesize
from lightsernet_tf.errors import CorpusError
from lightsernet_tf.files import write_csv

NOTICE = "synthetic: figures on the demo corpus show that the software works and say nothing about people"
VERSION = "1"  # of the content: another synthesis, seed or plan is another version
SEED = 2022
COUNTS = {"positive": 104, "neutral": 114, "negative": 22}  # 240 in the published ratio of 1943 : 2145 : 406
SEPARATION = 1.6  # how far the manners lie apart: 0 leaves nothing to learn, at 2.5 little is left to get wrong
MANIFEST = "manifest.csv"
ATTRIBUTES = ("f0_hz", "syllables_per_second", "snr_db")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voice:
    """What a speaker brings along, whatever the manner."""

    f0_hz: float
    formant_scale: float
    syllables_per_second: float
    breathiness: float
    tilt_db_per_octave: float
    peak_db: float
    snr_db: float


VOICES = {
    "S1": Voice(98, 0.97, 4.2, 0.02, -0.6, -4, 30),
    "S2": Voice(112, 1.00, 4.9, 0.03, 0.4, -7, 26),
    "S3": Voice(121, 1.04, 4.5, 0.02, 0.0, -5, 24),
    "S4": Voice(134, 1.02, 5.2, 0.05, -0.8, -9, 28),
    "S5": Voice(178, 1.12, 4.4, 0.04, 0.5, -4, 27),
    "S6": Voice(195, 1.16, 5.0, 0.03, -0.3, -6, 31),
    "S7": Voice(208, 1.14, 4.7, 0.07, -0.9, -8, 25),
    "S8": Voice(226, 1.19, 5.3, 0.03, 0.2, -5, 23),
}


@dataclass(frozen=True)
class Manner:
    """How a class of emotions moves a voice at full strength."""

    f0_semitones: float = 0.0
    f0_range_octaves: float = 0.0
    rate_octaves: float = 0.0
    formants_octaves: float = 0.0
    tilt_db_per_octave: float = 0.0
    breathiness_octaves: float = 0.0
    roughness_octaves: float = 0.0


MANNERS = {
    "positive": Manner(2.0, 0.5, 0.20, 0.07, 2.0, -0.2, 0.0),
    "neutral": Manner(),
    "negative": Manner(-1.0, -0.4, -0.25, -0.06, -1.5, 0.8, 1.0),
}
# Standard deviation from one utterance to the next within a manner.
VARIATION = Manner(1.2, 0.35, 0.12, 0.025, 0.8, 0.4, 0.4)


@dataclass(frozen=True)
class PlannedUtterance:
    """One line of the plan: which file says what in whose voice."""

    index: int
    label: str
    speaker: str

    @property
    def path(self) -> str:
        """Where the file lies below the corpus's folder, with slashes."""
        return f"{self.speaker}/{self.label}/demo_{self.index:03d}.wav"


def read(config: CorpusConfig) -> Iterator[Utterance]:
    """Yield the demo corpus in the order of its paths, after making or mending it where needed.

    Parameters
    ----------
    config
        ``data_dir`` is where the corpus is or will be; none: the user's cache directory.

    Raises
    ------
    CorpusError
        The folder cannot be read, made or written.
    """
    if config.data_dir:
        folder = Path(config.data_dir).expanduser()
    else:
        folder = Path(platformdirs.user_cache_dir("lightsernet_tf"), "demo_corpus", VERSION)
    try:
        if not _is_intact(folder):
            make(folder)
            if not _is_intact(folder):
                raise CorpusError(f"{folder}: expected the demo corpus as just written. Received: other content")
    except OSError as error:
        raise CorpusError(f"{folder}: expected a folder to keep the demo corpus in. Received: {error}") from error
    for utterance in plan():
        delivery = deliver(utterance, _generator(utterance))
        attributes = {name: round(getattr(delivery, name), 2) for name in ATTRIBUTES}
        yield Utterance(folder / utterance.path, utterance.label, utterance.speaker, attributes=attributes)


def plan() -> list[PlannedUtterance]:
    """Deal classes to speakers: every speaker gets 30 utterances and some of each class; sorted by path."""
    labels = [label for label, count in COUNTS.items() for _ in range(count)]
    speakers = tuple(VOICES)
    planned = [PlannedUtterance(i, label, speakers[i % len(speakers)]) for i, label in enumerate(labels)]
    return sorted(planned, key=lambda utterance: utterance.path)


def deliver(utterance: PlannedUtterance, rng: np.random.Generator) -> Delivery:
    """Draw how an utterance is spoken: the speaker's voice, moved by the manner, with variation from time to time."""
    voice, manner = VOICES[utterance.speaker], MANNERS[utterance.label]
    strength = SEPARATION * rng.uniform(0.5, 1.5)

    def moved(name: str) -> float:
        return strength * getattr(manner, name) + getattr(VARIATION, name) * float(rng.standard_normal())

    roughness = 2 ** moved("roughness_octaves")
    return Delivery(
        duration_seconds=rng.uniform(1.55, 3.95),
        f0_hz=voice.f0_hz * 2 ** (moved("f0_semitones") / 12),
        f0_range_semitones=4.0 * 2 ** moved("f0_range_octaves"),
        syllables_per_second=voice.syllables_per_second * 2 ** moved("rate_octaves"),
        formant_scale=voice.formant_scale * 2 ** moved("formants_octaves"),
        tilt_db_per_octave=voice.tilt_db_per_octave + moved("tilt_db_per_octave"),
        breathiness=voice.breathiness * 2 ** moved("breathiness_octaves"),
        jitter=0.008 * roughness,
        shimmer=0.05 * roughness,
        channel_db_per_octave=0.4 * float(rng.standard_normal()),
        snr_db=voice.snr_db + rng.uniform(-6, 6),
        peak_db=voice.peak_db + rng.uniform(-3, 3),
    )


def make(folder: Path) -> None:
    """Synthesise the corpus beside its place and move it there; what else lies in ``folder`` stays untouched.

    Any number of processes may do so at once: all write the same bytes, and a file appears under its name only whole.

    Raises
    ------
    OSError
        The folder cannot be made or written; nothing half-made is left.
    """
    _logger.info("Making the demo corpus in %s (%s)", folder, NOTICE)
    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=".demo_corpus-", dir=folder if folder.exists() else folder.parent))
    try:
        rows = [_record(utterance, workshop) for utterance in tqdm(plan(), desc="demo corpus", unit="utterance")]
        write_csv(workshop / MANIFEST, rows)
        for name in [row["path"] for row in rows] + [MANIFEST]:  # the manifest last: it vouches for the others
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (workshop / name).replace(folder / name)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _record(utterance: PlannedUtterance, folder: Path) -> dict[str, str]:
    """Write one file below ``folder`` and return its line of the manifest."""
    rng = _generator(utterance)
    speech = synthesize(deliver(utterance, rng), rng)
    path = folder / utterance.path
    path.parent.mkdir(parents=True, exist_ok=True)
    # Rounded here, so that differences between processors in the last bit of a double do not reach the file.
    soundfile.write(path, np.round(speech * 32767).astype(np.int16), SAMPLE_RATE_HZ, subtype="PCM_16")
    return _manifest_row(utterance, path)


def _generator(utterance: PlannedUtterance) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([SEED, utterance.index]))


def _manifest_row(utterance: PlannedUtterance, path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"path": utterance.path, "label": utterance.label, "speaker": utterance.speaker, "sha256": digest}


def _is_intact(folder: Path) -> bool:
    """Say whether the manifest follows the plan and vouches for every file."""
    try:
        with (folder / MANIFEST).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return rows == [_manifest_row(utterance, folder / utterance.path) for utterance in plan()]
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, csv.Error):
        return False


READER = Reader(tuple(COUNTS), read, terms="synthetic, made by this package", notice=NOTICE)
