import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.iemocap import LABEL_OF
from lightsernet_tf.errors import CorpusError

IMPROVISED = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
A-E3:\tval 3; act 2; dom  2;\t(caf\xe9)

[10.0100 - 11.3925]\tSes01F_impro01_M000\texc\t[4.0000, 3.5000, 2.0000]
[14.8872 - 18.0175]\tSes01F_impro01_M001\thap\t[4.0000, 3.5000, 2.0000]
"""
SCRIPTED = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.5 - 1]\tSes05M_script01_1b_F007\tang\t[1.5000, 4.0000, 4.5000]
"""


@pytest.fixture
def iemocap(make_files, tmp_path):
    return make_tree(make_files, tmp_path / "IEMOCAP_full_release", IMPROVISED)


def make_tree(make_files, folder, improvised):
    make_files(
        *(f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{turn}.wav" for turn in ("F000", "M000", "M001")),
        "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F007.wav",
        folder=folder,
    )
    for session, dialog, text in ((1, "Ses01F_impro01", improvised), (5, "Ses05M_script01_1b", SCRIPTED)):
        path = folder / f"Session{session}/dialog/EmoEvaluation/{dialog}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="latin-1")
        path.with_name(f"._{dialog}.txt").write_bytes(b"\x00\x05\x16\x07")  # as in the published archive
    return folder


def load(folder, **settings):
    return load_corpus(CorpusConfig(name="iemocap", data_dir=str(folder), **settings))


def test_every_field(iemocap):
    corpus = load(iemocap)
    assert corpus.labels == ("anger", "happiness", "neutral", "excited")
    assert [(u.path.stem, u.label, u.speaker) for u in corpus.utterances] == [
        ("Ses01F_impro01_F000", "neutral", "Ses01F"),
        # The speaker is the letter of the last part; the first one says who wears the markers.
        ("Ses01F_impro01_M000", "excited", "Ses01M"),
        ("Ses01F_impro01_M001", "happiness", "Ses01M"),
        ("Ses05M_script01_1b_F007", "anger", "Ses05F"),
    ]
    assert corpus.utterances[3].attributes == {
        "dialog": "Ses05M_script01_1b",
        "part": "scripted",
        "sex": "female",
        "start_seconds": 0.5,
        "end_seconds": 1.0,
        "valence": 1.5,
        "activation": 4.0,
        "dominance": 4.5,
    }


@pytest.mark.parametrize(("part", "turns"), [("improvised", 3), ("scripted", 1), ("all", 4)])
def test_parts(iemocap, part, turns):
    corpus = load(iemocap, part=part)
    assert len(corpus.utterances) == turns
    assert {u.attributes["part"] for u in corpus.utterances} <= {"improvised", "scripted"}


def test_happiness_and_excited_merge_on_demand(iemocap):
    corpus = load(iemocap, merge_excited=True, part="improvised")
    assert corpus.labels == ("happiness", "neutral")
    assert [u.label for u in corpus.utterances] == ["neutral", "happiness", "happiness"]


def test_the_four_usual_classes(iemocap):
    dropped = tuple(set(LABEL_OF.values()) - {"anger", "happiness", "neutral", "sadness"})
    assert load(iemocap, merge_excited=True, drop_labels=dropped).labels == ("anger", "happiness", "neutral")


def test_every_code(make_files, tmp_path):
    for number, code in enumerate(LABEL_OF):
        folder = make_tree(make_files, tmp_path / f"copy {number}", IMPROVISED.replace("neu", code))
        assert LABEL_OF[code] in {u.label for u in load(folder).utterances}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1 - 2]\tSes01F_impro01_F000\tjoy\t[1, 2, 3]", r"Ses01F_impro01\.txt: line 10: expected .* ang, hap.*joy"),
        ("[1 - 2]\tSes01F_impro01_F000\tneu", r"Ses01F_impro01\.txt: line 10: expected a line like"),
        ("[1 - 2]\tSes01F_impro01_X000\tneu\t[1, 2, 3]", r"Ses01F_impro01\.txt: line 10"),
        ("[1 - 2]\tSes01F_impro01_F009\tneu\t[1, 2, 3]", r"F009\.wav: expected the recording that .* names in line 10"),
    ],
)
def test_faulty_lines(make_files, tmp_path, line, message):
    folder = make_tree(make_files, tmp_path / "faulty", IMPROVISED + "\n" + line)
    with pytest.raises(CorpusError, match=message):
        load(folder)
    corpus = load(folder, on_error="skip")
    assert (len(corpus.utterances), len(corpus.skipped)) == (4, 1)


def test_folder_of_something_else(make_files):
    with pytest.raises(CorpusError, match=r"Session\*/dialog/EmoEvaluation/\*\.txt.*none"):
        load(make_files("a.wav"))
