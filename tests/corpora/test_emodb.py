import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Skipped, Utterance
from lightsernet_tf.corpora.emodb import READER
from lightsernet_tf.errors import CorpusError

HEADER = "Nr.\tSatz\terkannt\tnatuerlich\r\n"


def entries(folder):
    return {entry.path.name: entry for entry in READER.read(CorpusConfig(name="emodb", data_dir=str(folder)))}


def test_every_field(make_files):
    folder = make_files(*(f"wav/08b10{letter}d.wav" for letter in "WLEAFTN"))
    found = entries(folder)
    assert tuple(entry.label for entry in found.values()) != READER.labels  # the files come in the order of their names
    assert [found[f"08b10{letter}d.wav"].label for letter in "WLEAFTN"] == list(READER.labels)
    assert found["08b10Wd.wav"] == Utterance(
        folder / "wav/08b10Wd.wav", "anger", "08", attributes={"text": "b10", "version": "d", "sex": "female"}
    )


def test_listeners_judgement(make_files):
    folder = make_files("wav/03a01Fa.wav", "wav/03a01Nc.wav")
    no_break = "\xa0" * 3
    line = f"1{no_break}\t03a01Fa.wav\t90,50{no_break}\t75,00{no_break}\r\n\r\n"
    (folder / "erkennung.txt").write_bytes((HEADER + line).encode("latin-1"))
    for data_dir in (folder, folder / "wav"):
        found = entries(data_dir)
        assert found["03a01Fa.wav"].attributes["recognised_percent"] == 90.5
        assert found["03a01Fa.wav"].attributes["natural_percent"] == 75.0
        assert "natural_percent" not in found["03a01Nc.wav"].attributes


@pytest.mark.parametrize("line", ["1\t03a01Fa.wav\tninety\t75,00", "1\t03a01Fa.wav"])
def test_damaged_judgement(make_files, line):
    folder = make_files("wav/03a01Fa.wav")
    (folder / "erkennung.txt").write_text(HEADER + line, encoding="latin-1")
    with pytest.raises(CorpusError, match=r"erkennung\.txt, line 2: expected number, name, percent, percent"):
        entries(folder)


@pytest.mark.parametrize(
    "name", ["03a01Xa.wav", "3a01Fa.wav", "03c01Fa.wav", "03a01F.wav", "03a01Fab.wav", "０３a01Fa.wav"]
)
def test_other_names(make_files, name):
    (entry,) = entries(make_files(name)).values()
    assert isinstance(entry, Skipped)
