import hashlib
import http.server
import io
import re
import socket
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Archive
from lightsernet_tf.corpora.download import content_digest, download
from lightsernet_tf.corpora.emodb import READER as EMODB_READER
from lightsernet_tf.errors import ConfigError, CorpusError

FILE = "/some corpus.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    """One file, in ranges if asked for; hangs up early where the server says so."""

    def do_GET(self):
        start = 0
        body = self.server.body
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.server.ranges.append(self.headers.get("Range"))
        if self.server.status:
            self.send_error(self.server.status)
            return
        if asked and self.server.knows_ranges:
            start = int(asked[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.server.hangs_up_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.body, server.ranges, server.knows_ranges, server.status, server.hangs_up_at = b"", [], True, None, None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def recording(level):
    stream = io.BytesIO()
    soundfile.write(stream, np.full(16000, level), 16000, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def archive(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as contents:
        for name, content in members.items():
            contents.writestr(name, content)
    return stream.getvalue()


EMODB = {"wav/03a01Fa.wav": recording(0.1), "wav/08a01Wa.wav": recording(0.2), "erklaerung.txt": b"a text"}


@pytest.fixture
def source(server, tmp_path):
    server.body = archive(EMODB)
    for name in ("wav/03a01Fa.wav", "wav/08a01Wa.wav"):
        path = tmp_path / "reference" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(EMODB[name])
    return Archive(
        url=f"http://127.0.0.1:{server.server_port}{FILE}",
        known_hash=f"md5:{hashlib.md5(server.body).hexdigest()}",
        recordings=2,
        content=content_digest(tmp_path / "reference"),
    )


@pytest.fixture
def fetch(source, tmp_path):
    """Return a function that downloads to a folder of its own, and that folder."""
    folder = tmp_path / "data sets" / "Körpus"

    def fetch(**changes):
        return download(replace(source, **changes), folder)

    return fetch, folder


def left_in(folder):
    return sorted(path.name for path in folder.parent.iterdir()) if folder.parent.exists() else []


def test_whole(fetch, server, capsys):
    fetch, folder = fetch
    assert fetch() == folder
    assert left_in(folder) == [folder.name]
    corpus = load_corpus(CorpusConfig(name="emodb", data_dir=str(folder)))
    assert [u.label for u in corpus.utterances] == ["happiness", "anger"]
    assert server.ranges == [None]
    assert "corpus.zip" in capsys.readouterr().err  # the progress bar


def test_into_an_empty_folder(fetch):
    fetch, folder = fetch
    folder.mkdir(parents=True)
    fetch()
    assert (folder / "erklaerung.txt").read_bytes() == b"a text"


@pytest.mark.parametrize("known_hash", ["published", None])
def test_continues_an_interrupted_transfer(fetch, server, known_hash):
    fetch, folder = fetch
    changes = {} if known_hash else {"known_hash": None}
    server.hangs_up_at = 20000
    with pytest.raises(CorpusError, match=r"could not be downloaded.* (\d+) bytes have arrived and are kept") as error:
        fetch(**changes)
    partial = folder.parent / ".Körpus-some corpus.zip.part"
    assert left_in(folder) == [partial.name]
    arrived = partial.stat().st_size
    assert 20000 - 8192 <= arrived <= 20000
    assert f" {arrived} bytes have arrived" in str(error.value)
    assert server.body.startswith(partial.read_bytes())
    server.hangs_up_at = None
    fetch(**changes)
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert left_in(folder) == [folder.name]
    assert (folder / "wav/08a01Wa.wav").read_bytes() == EMODB["wav/08a01Wa.wav"]


def test_nothing_is_kept_where_nothing_came(fetch, server):
    fetch, folder = fetch
    server.hangs_up_at = 0
    with pytest.raises(CorpusError, match="could not be downloaded"):
        fetch()
    assert left_in(folder) == []


def test_starts_over_where_the_server_knows_no_ranges(fetch, server):
    fetch, folder = fetch
    server.hangs_up_at, server.knows_ranges = 20000, False
    with pytest.raises(CorpusError):
        fetch()
    server.hangs_up_at = None
    fetch()
    assert left_in(folder) == [folder.name]


@pytest.mark.parametrize(("surplus", "ranges"), [(0, 1), (10, 2)])
def test_partial_file_that_is_whole_or_too_long(fetch, server, surplus, ranges):
    fetch, folder = fetch
    folder.parent.mkdir(parents=True)
    partial = folder.parent / ".Körpus-some corpus.zip.part"
    partial.write_bytes(server.body + b"x" * surplus)
    fetch()
    assert left_in(folder) == [folder.name]
    assert len(server.ranges) == ranges


def test_wrong_checksum(fetch):
    fetch, folder = fetch
    with pytest.raises(CorpusError, match=r"some corpus\.zip: expected an archive with md5:0000"):
        fetch(known_hash="md5:" + "0" * 32)
    assert left_in(folder) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"content": "0" * 64}, "2 recordings, but not the samples"),
        ({"recordings": 3}, "2 recordings instead of 3"),
    ],
)
def test_other_recordings(fetch, changes, message):
    fetch, folder = fetch
    with pytest.raises(CorpusError, match=message):
        fetch(known_hash=None, **changes)
    assert left_in(folder) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>moved</html>",
        archive(EMODB).replace(EMODB["wav/03a01Fa.wav"][-100:], b"x" * 100, 1),
        archive(EMODB | {"wav/03a01Fa.wav": b"no audio"}),
    ],
    ids=["no zip", "damaged member", "no audio"],
)
def test_bad_archives(fetch, server, body):
    fetch, folder = fetch
    server.body = body
    with pytest.raises(CorpusError, match="expected the published archive"):
        fetch(known_hash=None)
    assert left_in(folder) == []


def test_nothing_is_written_outside_of_the_folder(fetch, server, tmp_path):
    fetch, folder = fetch
    server.body = archive(EMODB | {"../outside.txt": b"x", f"{tmp_path}/absolute.txt": b"x"})
    fetch(known_hash=None)
    assert {path.parent for path in tmp_path.rglob("outside.txt")} == {folder}
    assert not (tmp_path / "absolute.txt").exists()


def test_missing_server(fetch):
    fetch, folder = fetch
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(CorpusError, match=f"http://127.0.0.1:{port}/x.zip: could not be downloaded"):
        fetch(url=f"http://127.0.0.1:{port}/x.zip")
    assert left_in(folder) == []


@pytest.mark.parametrize("status", [404, 503])
def test_refusing_server(fetch, server, status):
    fetch, folder = fetch
    server.status = status
    with pytest.raises(CorpusError, match=f"could not be downloaded: {status}"):
        fetch()
    assert left_in(folder) == []


def test_full_folder_is_left_alone(fetch, server):
    fetch, folder = fetch
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match=r"--data-dir: expected a new or empty folder.*not empty"):
        fetch()
    assert server.ranges == []
    assert (folder / "mine.txt").read_text() == "precious"


def test_full_disk(fetch, monkeypatch):
    fetch, folder = fetch
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(CorpusError, match=r"could not be written.*10 are free.*kept"):
        fetch()
    assert left_in(folder) == [".Körpus-some corpus.zip"]
    monkeypatch.undo()
    fetch()
    assert left_in(folder) == [folder.name]


def test_content_of_the_real_emodb(emodb_dir):
    assert content_digest(emodb_dir) == EMODB_READER.archive.content
    assert len(list((emodb_dir / "wav").iterdir())) == EMODB_READER.archive.recordings
