"""Fetch a corpus from its official address: verified, resumable, and under its final name only when it is whole.

pooch checks and places the archive. It cannot continue a partial download, so the transfer itself is done here: what
has arrived is kept, and the server is asked for the rest (HTTP Range, RFC 9110 section 14).
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm import tqdm

from lightsernet_tf.audio.sound_files import find_sound_files
from lightsernet_tf.corpora.base import Archive
from lightsernet_tf.corpora.inspection import inspect_recording
from lightsernet_tf.errors import ConfigError, CorpusError, InputError

_CHUNK_BYTES = 1 << 13  # as much as a broken connection loses of what had arrived
_TIMEOUT_SECONDS = 30


def download(archive: Archive, folder: Path) -> Path:
    """Fetch a corpus into ``folder``, which is made as the last step.

    An interrupted transfer leaves what has arrived in a hidden file beside ``folder``; the next call continues it.

    Parameters
    ----------
    archive
        What to fetch.
    folder
        Must not exist, or be empty.

    Returns
    -------
    pathlib.Path
        ``folder``, fit as ``corpus.data_dir``.

    Raises
    ------
    ConfigError
        If ``folder`` holds something.
    CorpusError
        If the server cannot be reached, the disk is full, or what came is not the published corpus.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--data-dir: expected a new or empty folder to download to. Received: '{folder}', not empty")
    path = folder.parent / f".{folder.name}-{Path(archive.url).name}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _fetch(archive, path)
        _extract(archive, path, folder)
    except OSError as error:
        raise CorpusError(f"{folder}: could not be written: {error}. What has arrived is kept; try again") from error
    path.unlink()
    return folder


def content_digest(folder: Path) -> str:
    """Return one SHA-256 over the names and the samples (`Recording.content`) of all WAV files below ``folder``.

    It is that of the lines ``name <space> SHA-256 of the samples``, sorted; so it depends on neither the files'
    headers nor their dates nor the archive's packing.
    """
    lines = sorted(f"{path.name} {inspect_recording(path).content}\n" for path in _recordings(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _fetch(archive: Archive, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")

    def resume(url: str, output_file: str, _: Any) -> None:
        # pooch takes the checksum of the output file.
        _transfer(url, partial)
        partial.replace(output_file)

    pooch.get_logger().setLevel(logging.WARNING)  # its remarks on a missing checksum are for programmers
    try:
        pooch.retrieve(archive.url, archive.known_hash, path.name, path.parent, downloader=resume)
    except requests.RequestException as error:
        arrived = partial.stat().st_size if partial.exists() else 0
        kept = f". {arrived} bytes have arrived and are kept; the same command continues" if arrived else ""
        if not arrived:
            partial.unlink(missing_ok=True)
        raise CorpusError(f"{archive.url}: could not be downloaded: {error}{kept}") from error
    except ValueError as error:  # pooch's error for a wrong checksum; it has removed the file
        raise CorpusError(
            f"{archive.url}: expected an archive with {archive.known_hash}. Received another; removed"
        ) from error


def _transfer(url: str, partial: Path) -> None:
    """Download to ``partial``, or what is missing of it."""
    arrived = partial.stat().st_size if partial.exists() else 0
    response = _get(url, arrived)
    if response.status_code == requests.codes.requested_range_not_satisfiable:
        response.close()
        if response.headers.get("Content-Range") == f"bytes */{arrived}":  # nothing is missing
            return
        response = _get(url, 0)
    with response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            arrived = 0
        total = arrived + int(response.headers.get("Content-Length", 0))
        with (
            partial.open("ab" if arrived else "wb") as file,
            tqdm(desc=Path(url).name, initial=arrived, total=total or None, unit="B", unit_scale=True) as progress,
        ):
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                progress.update(len(chunk))


def _get(url: str, start: int) -> requests.Response:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    return requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS)


def _extract(archive: Archive, path: Path, folder: Path) -> None:
    """Unpack beside ``folder``, check, and only then give the name; an archive that fails is removed."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        unpacked = Path(beside, folder.name)
        try:
            with zipfile.ZipFile(path) as contents:
                needed = sum(member.file_size for member in contents.infolist())
                free = shutil.disk_usage(folder.parent).free
                if needed > free:
                    raise OSError(f"{needed} bytes are needed, {free} are free")
                contents.extractall(unpacked)  # nothing outside of it, whatever the members are called
            _check_recordings(archive, unpacked)
        except (zipfile.BadZipFile, InputError) as error:
            path.unlink()
            raise CorpusError(f"{archive.url}: expected the published archive. Received: {error}; removed") from error
        if folder.exists():
            folder.rmdir()
        unpacked.replace(folder)


def _check_recordings(archive: Archive, folder: Path) -> None:
    found = len(_recordings(folder))
    if found != archive.recordings:
        raise CorpusError(f"{found} recordings instead of {archive.recordings}")
    if archive.content is not None and content_digest(folder) != archive.content:
        raise CorpusError(f"{found} recordings, but not the samples of the published ones")


def _recordings(folder: Path) -> list[Path]:
    return find_sound_files(folder, (".wav",))
