import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.errors import CorpusError


@pytest.fixture
def load(make_files):
    """Return a function that writes a CSV file beside two recordings and reads it."""
    folder = make_files("audio/one 1.wav", "audio/zwei ä.wav")

    def write_and_load(text, encoding="utf-8", **settings):
        manifest = folder / "my list.csv"
        manifest.write_bytes(text.encode(encoding))
        return load_corpus(CorpusConfig(name="manifest", data_dir=str(manifest), **settings))

    return write_and_load


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_column(load, encoding, newline):
    lines = ["path,label,speaker,split,room", "audio/one 1.wav,生气,甲,train,a", '"audio/zwei ä.wav", joy ,"B, b",,']
    corpus = load(newline.join(lines), encoding)
    first, second = corpus.utterances
    assert (first.label, first.speaker, first.split, first.attributes) == ("生气", "甲", "train", {"room": "a"})
    assert (second.label, second.speaker, second.split, second.attributes) == ("joy", "B, b", None, {"room": ""})
    assert corpus.labels == ("joy", "生气")
    assert all(u.path.is_file() for u in corpus.utterances)


def test_columns_in_any_order_and_no_split(load):
    (utterance,) = load("speaker,path,label\nann,audio/one 1.wav,joy\n").utterances
    assert (utterance.speaker, utterance.label, utterance.split) == ("ann", "joy", None)


def test_absolute_paths(load, tmp_path):
    path = tmp_path / "audio/one 1.wav"
    (utterance,) = load(f"path,label,speaker\n{path},joy,ann\n").utterances
    assert utterance.path == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"my list\.csv, line 1: expected the columns path, label, speaker.*nothing"),
        ("path,label\na,b\n", "line 1: expected the columns.*path, label$"),
        ("path;label;speaker\n", "line 1: expected the columns.*path;label;speaker"),
        ("path,label,speaker,label\n", "each once"),
        ("path,label,speaker\naudio/none.wav,joy,ann\n", r"line 2: expected a file that is there.*audio/none\.wav"),
        ("path,label,speaker\n\naudio/one 1.wav,,ann\n", "line 3: expected a label. Received: label=''"),
        ("path,label,speaker\naudio/one 1.wav,joy\n", "line 2: expected 3 fields. Received: 2"),
        ("path,label,speaker\naudio/one 1.wav,joy,ann,x\n", "line 2: expected 3 fields. Received: 4"),
        ("path,label,speaker,split\naudio/one 1.wav,joy,ann,dev\n", "split of train, validation, test.*dev"),
        (
            "path,label,speaker\naudio/one 1.wav,a,b\naudio/one 1.wav,a,b\n",
            "line 3: expected each path once.*also in line 2",
        ),
        ('path,label,speaker\n"audio/one 1.wav,joy,ann\n', "line 2: expected CSV"),
        ("path,label,speaker\n", "no utterance of manifest"),
    ],
)
def test_faults_are_named_with_their_line(load, text, message):
    with pytest.raises(CorpusError, match=message):
        load(text)


def test_other_encodings_are_refused(load):
    with pytest.raises(CorpusError, match=r"expected UTF-8\. Received: byte 0xe4"):
        load("path,label,speaker\naudio/zwei ä.wav,joy,ann\n", "latin-1")


def test_faulty_lines_can_be_skipped(load):
    corpus = load("path,label,speaker\naudio/none.wav,joy,ann\naudio/one 1.wav,joy,ann\n", on_error="skip")
    assert len(corpus.utterances) == 1
    ((path, reason),) = corpus.skipped
    assert path.name == "my list.csv"
    assert "line 2" in reason


@pytest.mark.parametrize(("name", "found"), [("none.csv", "nothing there"), ("audio", "a folder")])
def test_no_csv_file(make_files, name, found):
    folder = make_files("audio/1.wav")
    with pytest.raises(CorpusError, match=rf"corpus\.data_dir: expected a CSV file.*{found}"):
        load_corpus(CorpusConfig(name="manifest", data_dir=str(folder / name)))
