"""Fetch a corpus from its official address: verified, resumable, and under its final name only when it is whole.

pooch checks and places the archive. It cannot continue a partial download, so the transfer itself is done by
`ResumingDownloader`, which keeps what has arrived and asks the server for the rest (HTTP Range, RFC 9110 section 14).
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm

from lightsernet_tf.corpora.inspection import inspect_recording
from lightsernet_tf.errors import ConfigError, CorpusError, InputError

_CHUNK_BYTES = 1 << 13  # as much as a broken connection loses of what had arrived
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Source:
    """Where a corpus is published and how to know that it is the one.

    Parameters
    ----------
    url
        Of the zip archive.
    known_hash
        The archive's published checksum as pooch takes it (``md5:...``); none where the publisher gives none.
    recordings
        Number of WAV files in the archive.
    content
        Digest of the recordings' samples, see `content_digest`; none where the archive's checksum says it all.
    terms
        Licence and whom to cite.
    """

    url: str
    known_hash: str | None
    recordings: int
    content: str | None
    terms: str


SOURCES: dict[str, Source] = {
    # No checksum of this archive is published, so its recordings are checked.
    "emodb": Source(
        url="http://emodb.bilderbar.info/download/download.zip",
        known_hash=None,
        recordings=535,
        content="8e25dcdc29ebaa4a94f1d9554137bedf7eb24809c67013a927531b2f06d91126",
        terms="CC0 1.0; Burkhardt et al., A Database of German Emotional Speech, Interspeech 2005",
    ),
    "ravdess": Source(
        url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        known_hash="md5:bc696df654c87fed845eb13823edef8a",
        recordings=1440,
        content=None,
        terms="CC BY-NC-SA 4.0; Livingstone and Russo, PLoS ONE 13(5): e0196391, 2018",
    ),
}


def download(name: str, folder: Path, *, sources: Mapping[str, Source] = SOURCES) -> Path:
    """Fetch a corpus into ``folder``, which is made as the last step.

    An interrupted transfer leaves what has arrived in a hidden file beside ``folder``; the next call continues it.

    Parameters
    ----------
    name
        A key of ``sources``.
    folder
        Must not exist, or be empty.
    sources
        Where the corpora are.

    Returns
    -------
    pathlib.Path
        ``folder``, fit as ``corpus.data_dir``.

    Raises
    ------
    ConfigError
        If ``name`` has no source or ``folder`` holds something.
    CorpusError
        If the server cannot be reached, the disk is full, or what came is not the published corpus.
    """
    if name not in sources:
        raise ConfigError(
            f"--download: expected one of {', '.join(sources)}. Received: {name}; see its publisher's page"
        )
    folder = folder.expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--data-dir: expected a new or empty folder to download to. Received: '{folder}', not empty")
    source = sources[name]
    archive = folder.parent / f".{folder.name}-{Path(source.url).name}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _fetch(source, archive)
        _extract(source, archive, folder)
    except OSError as error:
        raise CorpusError(f"{folder}: could not be written: {error}. What has arrived is kept; try again") from error
    archive.unlink()
    return folder


class ResumingDownloader:
    """A downloader for pooch that continues where an earlier transfer to ``partial`` stopped."""

    def __init__(self, partial: Path) -> None:
        self.partial = partial

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Transfer ``url`` to ``partial``, then move it to ``output_file``, where pooch takes its checksum."""
        arrived = self.partial.stat().st_size if self.partial.exists() else 0
        response = _get(url, arrived)
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            response.close()
            if response.headers.get("Content-Range") == f"bytes */{arrived}":  # nothing is missing
                self.partial.replace(output_file)
                return
            response = _get(url, 0)
        with response:
            response.raise_for_status()
            self._receive(response, arrived if response.status_code == requests.codes.partial_content else 0)
        self.partial.replace(output_file)

    def _receive(self, response: requests.Response, arrived: int) -> None:
        total = arrived + int(response.headers.get("Content-Length", 0))
        name = Path(response.url).name
        with (
            self.partial.open("ab" if arrived else "wb") as file,
            tqdm(desc=name, initial=arrived, total=total or None, unit="B", unit_scale=True) as progress,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                progress.update(len(chunk))


def content_digest(folder: Path) -> str:
    """Return one SHA-256 over the names and the samples (`Recording.content`) of all WAV files below ``folder``.

    It is that of the lines ``name <space> SHA-256 of the samples``, sorted; so it depends on neither the files'
    headers nor their dates nor the archive's packing.
    """
    lines = sorted(f"{path.name} {inspect_recording(path).content}\n" for path in _recordings(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _get(url: str, start: int) -> requests.Response:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS)


def _fetch(source: Source, archive: Path) -> None:
    partial = archive.with_name(f"{archive.name}.part")
    pooch.get_logger().setLevel(logging.WARNING)  # its remarks on a missing checksum are for programmers
    try:
        pooch.retrieve(
            source.url, source.known_hash, archive.name, archive.parent, downloader=ResumingDownloader(partial)
        )
    except requests.RequestException as error:
        arrived = partial.stat().st_size if partial.exists() else 0
        kept = f". {arrived} bytes have arrived and are kept; the same command continues" if arrived else ""
        if not arrived:
            partial.unlink(missing_ok=True)
        raise CorpusError(f"{source.url}: could not be downloaded: {error}{kept}") from error
    except ValueError as error:  # pooch's word for a wrong checksum; it has removed the file
        raise CorpusError(
            f"{source.url}: expected an archive with {source.known_hash}. Received another; removed"
        ) from error


def _extract(source: Source, archive: Path, folder: Path) -> None:
    """Unpack beside ``folder``, check, and only then give the name; an archive that fails is removed."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        unpacked = Path(beside, folder.name)
        try:
            with zipfile.ZipFile(archive) as contents:
                _check_members(contents, unpacked)
                contents.extractall(unpacked)
            _check_recordings(source, unpacked)
        except (zipfile.BadZipFile, InputError) as error:
            archive.unlink()
            raise CorpusError(f"{source.url}: expected the published archive. Received: {error}; removed") from error
        if folder.exists():
            folder.rmdir()
        unpacked.replace(folder)


def _check_members(contents: zipfile.ZipFile, target: Path) -> None:
    root = target.resolve()
    for member in contents.infolist():
        if not (root / member.filename).resolve().is_relative_to(root):
            raise CorpusError(f"a file that would be written outside of the folder, {member.filename!r}")
    needed = sum(member.file_size for member in contents.infolist())
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise OSError(f"{needed} bytes are needed, {free} are free")


def _check_recordings(source: Source, folder: Path) -> None:
    found = len(_recordings(folder))
    if found != source.recordings:
        raise CorpusError(f"{found} recordings instead of {source.recordings}")
    if source.content is not None and content_digest(folder) != source.content:
        raise CorpusError(f"{found} recordings, but not the samples of the published ones")


def _recordings(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.wav") if not path.name.startswith(".")]
