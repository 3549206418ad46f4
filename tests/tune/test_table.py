from lightsernet_tf.tune.table import short_names, text_blocks, trial_columns, ua_text, with_ranks
from lightsernet_tf.tune.trial import FoldOutcome, Trial

FOLDS = (
    FoldOutcome("a", 7, 40, ua=0.7, wa=0.7, macro_f1=0.7, ua_low=0.64, ua_high=0.76),
    FoldOutcome("b", 19, 40, ua=0.5, wa=0.5, macro_f1=0.5, ua_low=0.42, ua_high=0.58),
    FoldOutcome("c", 12, 40, ua=0.6, wa=0.6, macro_f1=0.6, ua_low=0.6, ua_high=0.6),
)
COMPLETED = Trial("04", "completed", {"train.learning_rate": 0.00012345678, "x": None}, 20, 20, 754, folds=FOLDS)
RUNNING = Trial("05", "running", {"train.learning_rate": 1e-5, "x": True}, 20, 7, 60)
FAILED = Trial("03", "failed", {"train.learning_rate": 1e-2}, 20, 3, reason="loss is nan")
COLUMNS = {
    "rank": ["1", "failed"],
    "trial": ["0", "1"],
    "kind": ["mfcc", "spectrogram"],
    "frequency_mask_max_bins": ["1", "24"],
}


def test_only_completed_trials_have_a_rank():
    assert [(rank, trial.name) for rank, trial in with_ranks([FAILED, COMPLETED, RUNNING])] == [
        (1, "04"),
        (None, "05"),
        (None, "03"),
    ]


def test_the_cells_of_several_folds():
    assert trial_columns([FAILED, COMPLETED, RUNNING], in_full=False) == {
        "rank": ["1", "running", "failed"],
        "trial": ["04", "05", "03"],
        "UA": ["60.0 ± 3.3", "–", "–"],  # sqrt(0.06 ** 2 + 0.08 ** 2) / 3
        "lowest–highest": ["50.0–70.0", "–", "–"],
        "epochs": ["20", "20", "20"],
        "chosen": ["7–19", "–", "–"],
        "minutes": ["12.6", "1.0", "0.0"],
        "train.learning_rate": ["0.000123457", "1e-05", "0.01"],
        "x": ["none", "true", "–"],
    }
    assert trial_columns([COMPLETED], in_full=True)["chosen"] == ["7, 19, 12"]


def test_one_fold_has_no_range_and_what_continues_another_names_it():
    alone = Trial("1", "completed", {}, 20, 20, folds=FOLDS[:1])
    columns = trial_columns(
        [alone, Trial("2", "completed", {}, 20, 20, continues="1", folds=FOLDS[1:2])], in_full=False
    )
    assert "lowest–highest" not in columns
    assert columns["chosen"] == ["7", "19"]
    assert columns["continues"] == ["–", "1"]
    assert "continues" not in trial_columns([alone], in_full=False)


def test_the_figure_of_a_trial():
    assert ua_text(COMPLETED) == "60.0 ± 3.3"
    assert ua_text(RUNNING) == "–"


def test_keys_are_shortened_where_that_is_not_ambiguous():
    keys = ["train.learning_rate", "train.seed", "split.seed", "train.epochs", "runs_dir"]
    assert short_names(keys) == {
        "train.learning_rate": "learning_rate",
        "train.seed": "train.seed",
        "split.seed": "split.seed",
        "train.epochs": "train.epochs",  # there is a column of that name
        "runs_dir": "runs_dir",
    }


def test_a_table_that_fits_is_one_block():
    right = {"rank", "trial", "frequency_mask_max_bins"}
    (block,) = text_blocks(COLUMNS, right, 52)
    assert block == (
        "  rank  trial  kind         frequency_mask_max_bins\n"
        "     1      0  mfcc                               1\n"
        "failed      1  spectrogram                       24"
    )
    assert text_blocks(COLUMNS, right, len(block.split("\n")[0])) == [block]


def test_headings_are_broken_before_the_table_is():
    (block,) = text_blocks(COLUMNS, {"rank", "trial", "frequency_mask_max_bins"}, 40)
    assert block == (
        "                            frequency_\n"
        "                                 mask_\n"
        "                                  max_\n"
        "  rank  trial  kind               bins\n"
        "     1      0  mfcc                  1\n"
        "failed      1  spectrogram          24"
    )


def test_a_narrow_table_goes_on_below_with_rank_and_trial_again():
    blocks = text_blocks(COLUMNS, (), 30)
    assert blocks == [
        "rank    trial  kind\n1       0      mfcc\nfailed  1      spectrogram",
        "               frequency_\n               mask_\n               max_\nrank    trial  bins\n"
        "1       0      1\nfailed  1      24",
    ]
    assert len(text_blocks(COLUMNS, (), 1)) == 2  # no narrower than a column


def test_an_overlong_value_is_shortened_in_the_middle():
    (block,) = text_blocks({**COLUMNS, "kind": ["mfcc", "a" * 50 + "b" * 50]}, (), 120)
    assert "a" * 15 + "…" + "b" * 16 in block.split()


def test_columns_line_up_beside_chinese_values():
    (block,) = text_blocks({**COLUMNS, "kind": ["频谱", "mfcc"]}, {"rank", "trial", "frequency_mask_max_bins"}, 80)
    assert block.split("\n")[1:] == [
        "     1      0  频谱                        1",
        "failed      1  mfcc                       24",
    ]
