from pathlib import Path

import pytest
import yaml

from lightsernet_tf.config import Config, CorpusConfig, FeatureConfig, SplitConfig, TrainConfig, demo_config
from lightsernet_tf.config_parser import (
    config_from,
    config_parser,
    config_yaml,
    key_types,
    load_config,
    parse_config,
    read_settings,
    with_values,
)
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings

QUOTE = "(YAML reads no, yes, on, off and numbers as something else than text: put quotes around them)"


PARSER = config_parser("train", "Train.")


def parse(*arguments):
    return parse_config(PARSER, arguments)[0]


@pytest.fixture
def write(tmp_path):
    def write_yaml(text, name="x.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_yaml


# What arrives


def test_nothing_given_is_the_demo():
    assert parse() == demo_config()
    assert parse("--corpus.name", "demo") == demo_config()


def test_an_option_overrides_the_demo():
    config = parse("--train.epochs", "3", "--model.dropout=0")
    demo = demo_config().to_dict()
    assert config.to_dict() == demo | {"train": demo["train"] | {"epochs": 3}, "model": demo["model"] | {"dropout": 0}}


@pytest.mark.parametrize(
    "arguments", [("--corpus.name=emodb", "--corpus.data_dir=x"), ("--corpus={name: emodb, data_dir: x}",)]
)
def test_another_corpus_starts_from_the_papers_settings(arguments):
    assert parse(*arguments) == Config(corpus=CorpusConfig(name="emodb", data_dir="x"))


def test_a_file_starts_from_the_papers_settings_even_for_the_demo(write):
    assert parse("--config", str(write("model: {dropout: 0.2}"))).train == TrainConfig()


@pytest.mark.parametrize("form", ["--config {}", "--config={}"])
def test_options_override_the_file_wherever_they_stand(write, form):
    path = write("train: {epochs: 7, batch_size: 8}\nsplit: {folds: 3}")
    arguments = form.format(path).split()
    for line in ([*arguments, "--train.epochs", "9"], ["--train.epochs", "9", *arguments]):
        config = parse(*line)
        assert config.train == TrainConfig(epochs=9, batch_size=8)
        assert config.split == SplitConfig(folds=3)


def test_every_kind_of_value_is_read(write):
    config = load_config(
        write(
            """
            corpus:
              name: folders
              data_dir: my corpus/录音
              label_map: {积极: [happiness], "no": [anger, sadness]}
              drop_labels: ["off", neutral]
            features: {kind: spectrogram, max_frequency_hz: 4000, log_offset: 1e-8}
            train:
              learning_rate: 1e-5
              balance: class_weight
              class_weights: {积极: 2, "no": 0.5}
              keep: every 10
            """
        )
    )
    assert config.corpus.data_dir == "my corpus/录音"
    assert config.corpus.label_map == {"积极": ["happiness"], "no": ["anger", "sadness"]}
    assert list(config.corpus.label_map) == ["积极", "no"]
    assert config.corpus.drop_labels == ("off", "neutral")
    assert config.features.max_frequency_hz == 4000.0
    assert config.features.log_offset == 1e-8
    assert config.train.learning_rate == 1e-5  # YAML 1.1 reads 1e-5, without a point, as text
    assert config.train.class_weights == {"积极": 2.0, "no": 0.5}


def test_lists_and_maps_come_from_the_command_line_too():
    config = parse(
        *("--corpus.label_map", "{positive: [happiness], negative: [fear, anger]}"),
        *("--train.balance", "class_weight", "--train.class_weights.negative", "2"),
        *("--train.initial_weights", "null"),
    )
    assert config.corpus.label_map == {"positive": ["happiness"], "negative": ["fear", "anger"]}
    assert config.train.class_weights == {"negative": 2.0}
    assert config.train.initial_weights is None
    assert parse("--corpus.labels", "[fear, anger]").corpus.labels == ("fear", "anger")


def test_the_commands_own_options_are_in_the_namespace():
    parser = config_parser("train", "Train.")
    parser.add_argument("--resume", type=str)
    _, options = parse_config(parser, ["--resume", "runs/x"])
    assert options.resume == "runs/x"


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        demo_config(),
        Config(
            corpus=CorpusConfig("emodb", "a b/语", label_map={"no": ["fear"], "1": ["2"]}, drop_labels=("off",)),
            train=TrainConfig(learning_rate=1e-6, balance="class_weight", class_weights={"no": 2.0}),
            run_name="123",
        ),
    ],
)
def test_a_written_config_reads_back_the_same(write, config):
    assert load_config(write(config_yaml(config))) == config


@pytest.mark.parametrize("text", ["", "# nothing\n", "train:\n", "train: null\ncorpus:\n  # nothing set\n"])
def test_an_empty_file_or_section_sets_nothing(write, text):
    assert load_config(write(text)) == Config()


def test_the_help_shows_keys_defaults_and_what_they_mean(capsys):
    with pytest.raises(SystemExit) as left:
        config_parser("train", "Train a network.", "Examples: none").parse_args(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for part in ("Train a network.", "Examples: none", "--train.learning_rate", "Adam's", "1e-04", "--config FILE"):
        assert part in shown or (part == "1e-04" and "0.0001" in shown)


def test_the_configs_of_the_project_are_valid():
    paths = sorted((Path(__file__).parents[1] / "configs").rglob("*.yaml"))
    assert paths
    for path in paths:
        assert isinstance(load_config(path, SearchSettings if path.name.startswith("tune_") else Config), Config)


# One file on top of another


def test_a_file_builds_on_another_key_by_key(write):
    write("train: {epochs: 7, batch_size: 8}\nrun_name: base\nruns_dir: here", "base.yaml")
    settings = read_settings(write("extends: base.yaml\ntrain: {epochs: 9, seed: 1}\nsplit: {fold: 2}\nrun_name: top"))
    assert settings == {
        "train": {"epochs": 9, "batch_size": 8, "seed": 1},
        "run_name": "top",
        "runs_dir": "here",
        "split": {"fold": 2},
    }


def test_a_map_replaces_the_one_it_builds_on(write):
    write("corpus: {label_map: {a: [fear], b: [anger]}, labels: [], duplicates: drop}", "base.yaml")
    top = write("extends: base.yaml\ncorpus: {label_map: {c: [sadness]}}")
    assert read_settings(top)["corpus"] == {"label_map": {"c": ["sadness"]}, "labels": (), "duplicates": "drop"}
    assert load_config(top).corpus.label_map == {"c": ["sadness"]}


@pytest.mark.parametrize("top", ["train:", "train: {}", "train: null"])
def test_an_empty_section_keeps_what_it_builds_on(write, top):
    write("train: {epochs: 7}", "base.yaml")
    assert load_config(write(f"extends: base.yaml\n{top}")).train.epochs == 7


def test_null_takes_back_what_it_builds_on(write):
    write("features: {max_frequency_hz: 4000}\nrun_name: base", "base.yaml")
    config = load_config(write("extends: base.yaml\nfeatures: {max_frequency_hz: null}\nrun_name: null"))
    assert config.features.max_frequency_hz is None
    assert config.run_name is None


def test_a_chain_is_followed_from_each_files_own_folder(tmp_path, write):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write("train: {epochs: 1, batch_size: 1, seed: 1}", "base.yaml")
    write("extends: ../base.yaml\ntrain: {epochs: 2, batch_size: 2}", "deep/middle.yaml")
    path = write("extends: ../middle.yaml\ntrain: {epochs: 3}", "deep/er/top.yaml")
    assert read_settings(path) == {"train": {"epochs": 3, "batch_size": 2, "seed": 1}}


@pytest.mark.parametrize("files", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
def test_a_circle_is_refused(write, files):
    for name, base in files.items():
        write(f"extends: {base}.yaml", f"{name}.yaml")
    path = write(f"extends: {files['a']}.yaml", "a.yaml")
    with pytest.raises(ConfigError, match=r"\.yaml: extends: expected a file that does not build on this one\. Rec"):
        load_config(path)


def test_two_files_may_build_on_the_same(write):
    write("train: {epochs: 7}", "base.yaml")
    for name in ("a.yaml", "b.yaml"):
        assert load_config(write("extends: base.yaml", name)).train.epochs == 7


def test_a_base_that_is_not_there_is_named(tmp_path, write):
    with pytest.raises(ConfigError) as caught:
        load_config(write("extends: nowhere.yaml"))
    assert str(caught.value).startswith(f"{tmp_path / 'nowhere.yaml'}: expected a YAML file of settings. Received: ")


def test_an_error_in_a_base_names_the_base(tmp_path, write):
    write("train: {epoch: 7}", "base.yaml")
    with pytest.raises(ConfigError) as caught:
        load_config(write("extends: base.yaml"))
    assert str(caught.value).startswith(f"{tmp_path / 'base.yaml'}: train.epoch: no such key")


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trian: {epochs: 3}", "trian: no such key. Did you mean train?"),
        ("train: {epoch: 3}", "train.epoch: no such key. Did you mean train.epochs?"),
        ("features: {mel_min: 3}", "features.mel_min: no such key. Did you mean features.mel_min_hz?"),
        ("model: {zzz: 3}", "model.zzz: no such key. Expected one of dropout, l2"),
        ("zzz: 3", "zzz: no such key. Expected one of audio, augment, cache_dir, corpus, features, model, run_name"),
        ("no: 3", "False: no such key."),
        ("train: 3", "train: expected keys and values. Received: train=3"),
        ("train: [epochs]", "train: expected keys and values. Received: train=['epochs']"),
        ("- train", "expected keys and values. Received: list"),
        ("train", "expected keys and values. Received: str"),
        ("train: {epochs: [", "expected YAML. Received: while parsing"),
        ("train:\n\tepochs: 3", "expected YAML. Received: while scanning"),
        ("extends: 3", "extends: expected the name of a YAML file. Received: extends=3"),
        ("train: {epochs: many}", "train.epochs: expected a whole number. Received: many"),
        ("train: {epochs: 1.5}", "train.epochs: expected a whole number. Received: 1.5"),
        ("train: {epochs: true}", "train.epochs: expected a whole number. Received: True"),
        ("train: {epochs: }", "train.epochs: expected a value. Received: nothing"),
        ("corpus: {label_map: }", "corpus.label_map: expected a value. Received: nothing"),
        ("runs_dir: null", "runs_dir: expected a value. Received: nothing"),
        ("train: {learning_rate: fast}", "train.learning_rate: expected a number. Received: fast"),
        ("corpus: {merge_excited: 3}", "corpus.merge_excited: expected true or false. Received: 3"),
        ("features: {max_frequency_hz: low}", "features.max_frequency_hz: expected a number or null. Received: low"),
        (
            "features: {kind: mfc}",
            "features.kind: expected one of mfcc, log_mel_spectrogram, spectrogram. Received: mfc",
        ),
        ("split: {protocol: loso}", "split.protocol: expected one of leave_one_speaker_out, group_k_fold, stratified"),
        ("corpus: {labels: fear}", "corpus.labels: expected a list. Received: fear"),
        ("corpus: {labels: [1, 2]}", f"corpus.labels: expected text. Received: 1 {QUOTE}"),
        ("corpus: {drop_labels: [off]}", f"corpus.drop_labels: expected text. Received: False {QUOTE}"),
        ("corpus: {label_map: [fear]}", "corpus.label_map: expected keys and values. Received: ['fear']"),
        ("corpus: {label_map: {a: fear}}", "corpus.label_map: expected a list. Received: fear"),
        ("corpus: {label_map: {a: [no]}}", f"corpus.label_map: expected text. Received: False {QUOTE}"),
        (
            "corpus: {label_map: {no: [fear]}}",
            "corpus.label_map: expected text as keys (in YAML put quotes around no, yes, on, off and numbers). "
            "Received: label_map={False: ['fear']}",
        ),
        (
            "train: {balance: class_weight, class_weights: {on: 2}}",
            "train.class_weights: expected text as keys (in YAML put quotes around no, yes, on, off and numbers). "
            "Received: class_weights={True: 2.0}",
        ),
        ("run_name: 3", f"run_name: expected text or null. Received: 3 {QUOTE}"),
        ("train: {epochs: 0}", "train.epochs: expected at least 1. Received: epochs=0"),
        ("corpus: {name: emodb}", "corpus.data_dir: expected the folder of emodb. Received: data_dir=None"),
        ("augment: {gain_max_db: .inf}", "augment.gain_max_db: expected a finite number. Received: gain_max_db=inf"),
        ("train: {learning_rate: .nan}", "train.learning_rate: expected more than 0 and at most 1. Received: learning"),
    ],
)
def test_a_file_that_cannot_work_is_named_with_its_key(write, text, message):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError) as from_the_command_line:
        parse("--config", str(path))
    assert message in str(from_the_command_line.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train.epochs", "many"], "train.epochs: expected a whole number. Received: many"),
        (["--train.epochs", "0"], "train.epochs: expected at least 1. Received: epochs=0"),
        (["--train.epochs"], "argument --train.epochs: expected one argument"),
        (["--config"], "argument --config: expected one argument"),
        (["--trian.epochs", "3"], "unrecognized arguments: --trian.epochs 3. Did you mean --train.epochs?"),
        (["--trian.epochs=3"], "unrecognized arguments: --trian.epochs=3. Did you mean --train.epochs?"),
        (["--train.epoch", "3"], "unrecognized arguments: --train.epoch 3. Did you mean --train.epochs?"),
        (["--conf", "x.yaml"], "unrecognized arguments: --conf x.yaml. Did you mean --config?"),
        (["configs/emodb.yaml"], "unrecognized arguments: configs/emodb.yaml"),
        (["--corpus.name", "emodb"], "corpus.data_dir: expected the folder of emodb. Received: data_dir=None"),
        (["--corpus.name", "emo"], "corpus.name: expected one of demo, emodb, ravdess, iemocap, crema_d, savee, tess"),
        (["--corpus.labels", "[no, yes]"], f"corpus.labels: expected text. Received: False {QUOTE}"),
        (["--corpus.label_map", "{no: [fear]}"], "corpus.label_map: expected text as keys (in YAML put quotes around"),
    ],
)
def test_a_command_line_that_cannot_work_names_the_key(arguments, message):
    with pytest.raises(ConfigError) as caught:
        parse(*arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            parse("--config", str(path))
        assert str(caught.value).startswith(f"{path}: expected a YAML file of settings. Received: ")
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF\xff\xfe\x80")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: expected YAML. Received: ")


def test_a_wrong_option_is_refused_beside_a_good_file(write):
    with pytest.raises(ConfigError, match=r"^train\.epochs: expected a whole number\. Received: x"):
        parse("--config", str(write("train: {epochs: 3}")), "--train.epochs", "x")


def test_config_yaml_is_in_the_order_of_the_dataclass_and_readable():
    text = config_yaml(Config(corpus=CorpusConfig(label_map={"积极": ["b"], "a": ["c"]})))
    assert text.startswith("corpus:\n  name: demo\n")
    assert "积极" in text
    assert list(yaml.safe_load(text)["corpus"]["label_map"]) == ["积极", "a"]


# Settings changed key by key, and other kinds of them


def test_with_values_sets_keys_and_nothing_else():
    config = Config(corpus=CorpusConfig("emodb", "x", drop_labels=("fear",)), run_name="x")
    changed = with_values(config, {"train.gamma": 1, "features.max_frequency_hz": 4000.0, "run_name": None})
    assert changed == Config(
        corpus=config.corpus, features=FeatureConfig(max_frequency_hz=4000.0), train=TrainConfig(gamma=1.0)
    )
    assert isinstance(changed.train.gamma, float)
    assert config.train.gamma == 2.0
    assert with_values(config, {}) == config


def test_with_values_reads_numbers_lists_and_maps_as_a_file_does():
    values = {"train.learning_rate": "1e-5", "corpus.labels": ["b", "a"]}
    changed = with_values(Config(), values)
    assert (changed.train.learning_rate, changed.corpus.labels) == (1e-5, ("b", "a"))
    assert with_values(Config(), {"corpus.label_map": {"积极": ["b"]}}).corpus.label_map == {"积极": ["b"]}


def test_with_values_checks_values_beside_each_other():
    assert with_values(Config(), {"features.mel_bins": 20, "features.mfcc_coefficients": 13}).features.mel_bins == 20
    with pytest.raises(ConfigError, match=r"^features\.mfcc_coefficients: expected 4 up to mel_bins\. Received: mfcc"):
        with_values(Config(), {"features.mel_bins": 20})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train.epochs": "many"}, "train.epochs: expected a whole number. Received: many"),
        ({"train.epochs": None}, "train.epochs: expected a value. Received: nothing"),
        ({"runs_dir": None}, "runs_dir: expected a value. Received: nothing"),
        ({"train.epochs": 0}, "train.epochs: expected at least 1. Received: epochs=0"),
    ],
)
def test_with_values_names_the_key_of_what_does_not_fit(values, message):
    with pytest.raises(ConfigError) as caught:
        with_values(Config(), values)
    assert str(caught.value) == message


def test_with_values_keeps_the_kind():
    settings = SearchSettings(search=SearchConfig({"train.loss": ["focal"]}))
    changed = with_values(settings, {"search.trials": 7, "train.epochs": 3})
    assert changed == SearchSettings(
        train=TrainConfig(epochs=3), search=SearchConfig({"train.loss": ["focal"]}, trials=7)
    )


@pytest.mark.parametrize("config", [demo_config(), SearchSettings(search=SearchConfig({"train.keep": ["1", None]}))])
def test_what_to_dict_gives_reads_back_the_same(config):
    found = config_from(config.to_dict(), type(config))
    assert type(found) is type(config)
    assert found == config


def test_key_types_are_those_of_every_key():
    types = key_types(Config)
    assert types["features.max_frequency_hz"] == float | None
    assert types["train.epochs"] is int
    assert types["runs_dir"] is str
    settings = Config().to_dict()
    inner = {f"{section}.{key}" for section, keys in settings.items() if isinstance(keys, dict) for key in keys}
    assert set(types) == inner | {key for key, value in settings.items() if not isinstance(value, dict)}
    assert set(key_types(SearchSettings)) - set(types) == {f"search.{key}" for key in vars(SearchConfig())}


def test_a_file_for_a_search_is_refused_elsewhere_with_a_word_on_where_it_goes(write):
    path = write("search: {trials: 3}")
    for read in (load_config, lambda path: parse("--config", str(path))):
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: search: no such key. A file with it is one for tune"
    write("extends: x.yaml", "top.yaml")
    with pytest.raises(ConfigError, match=r"x\.yaml: search: no such key\. A file with it is one for tune$"):
        load_config(path.parent / "top.yaml")
