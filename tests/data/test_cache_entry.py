from __future__ import annotations

import logging

import numpy as np
import pytest

from lightsernet_tf.data import cache_entry
from lightsernet_tf.data.cache_entry import is_whole, read_array, read_record, write_entry

ARRAY = np.random.default_rng(0).standard_normal((50, 7, 3)).astype(np.float32)
RECORD = {"names": ["a", "ü", None], "numbers": [1, 2]}


@pytest.fixture
def entry(tmp_path):
    path = tmp_path / "entry.npy"
    write_entry(path, (7, 3), np.array_split(ARRAY, 6), RECORD)
    return path


def test_what_was_written_is_read(entry):
    np.testing.assert_array_equal(read_array(entry), ARRAY)
    np.testing.assert_array_equal(np.load(entry), ARRAY)  # a plain .npy file to anybody else
    assert isinstance(read_array(entry), np.memmap)
    assert read_record(entry) == RECORD


def test_the_record_may_be_filled_by_the_batches(tmp_path):
    record = {"rows": []}

    def batches():
        for row in ARRAY:
            record["rows"].append(len(record["rows"]))
            yield row[np.newaxis]

    write_entry(tmp_path / "entry.npy", (7, 3), batches(), record)
    assert read_record(tmp_path / "entry.npy") == {"rows": list(range(50))}


def test_a_file_of_many_chunks_is_whole(entry, monkeypatch):
    for chunk_bytes in (1, 7, entry.stat().st_size - 8, 1 << 20):
        monkeypatch.setattr(cache_entry, "CHUNK_BYTES", chunk_bytes)
        assert is_whole(entry)


def test_no_entry_is_no_damage(tmp_path, caplog):
    assert not is_whole(tmp_path / "none.npy")
    assert not caplog.records


def flip(position):
    def damage(content):
        damaged = bytearray(content)
        damaged[position] ^= 1
        return bytes(damaged)

    return damage


DAMAGES = {
    "a bit of the header": flip(20),
    "a bit of the array": flip(1000),
    "a bit of the record": flip(-20),
    "a bit of the checksum": flip(-1),
    "half of it": lambda content: content[: len(content) // 2],
    "the last byte": lambda content: content[:-1],
    "one byte more": lambda content: content + b"0",
    "less than a checksum": lambda content: content[:5],
    "nothing left": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_noticed(entry, caplog, damage):
    entry.write_bytes(damage(entry.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert not is_whole(entry)
    assert f"{entry} is damaged" in caplog.text


def test_an_error_leaves_what_was_there(entry):
    def batches():
        yield ARRAY
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write_entry(entry, (7, 3), batches(), {})
    assert is_whole(entry)
    assert read_record(entry) == RECORD
    assert list(entry.parent.iterdir()) == [entry]
