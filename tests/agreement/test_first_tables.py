"""Tables of ratings as people send them: decimal commas, words, marks for missing values, ids and means."""

import unicodedata

import pandas as pd
import polars as pl
import pytest
from scipy.stats import spearmanr

import iqa_registry as iqa
from iqa_registry.agreement.matching import differences
from iqa_registry.agreement.ratings import HowRated, rate
from iqa_registry.agreement.scores import Scores, read_scores
from iqa_registry.agreement.study import judge
from iqa_registry.errors import UsageError
from iqa_registry.registry import build_registry

PSNR = [20.0, 30.0, 25.0, 22.0, 27.0]
SCORES = Scores(pl.DataFrame({"pair_id": list("abcde"), "psnr": PSNR}), {"psnr": True}, "scores.csv")


def written(tmp_path, text, name="r.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def rows(values, separator=",", header="pair_id,rating"):
    lines = [f"{name}{separator}{value}" for name, value in zip("abcde", values, strict=True)]
    return "\n".join([header.replace(",", separator), *lines])


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + rows(["1,5", "4,33", "3", "2,5", "1,0"], ";"),
        rows(['"1,5"', '"4,33"', "3", '"2,5"', '"1,0"']),
        rows(["1,5", "4,33", "3", "2,5", "1,0"], "\t"),
    ],
)
def test_decimal_commas_are_read_and_noted(tmp_path, text):
    rated = rate(SCORES, written(tmp_path, text))
    assert rated.ratings.tolist() == [1.5, 4.33, 3.0, 2.5, 1.0]
    assert rated.remarks == [f"{tmp_path / 'r.csv'} has decimal commas in rating, read as decimal points"]
    row = judge(rated)[0].judged[0].row
    assert row["srocc"] == pytest.approx(spearmanr(PSNR, [1.5, 4.33, 3.0, 2.5, 1.0]).statistic)


def test_thousands_of_a_semicolon_table_are_decimals_and_of_another_are_not_guessed(tmp_path):
    values = ["1,500", "4,333", "3,000", "2,500", "1,000"]
    rated = rate(SCORES, written(tmp_path, rows(values, ";")))
    assert rated.ratings.tolist() == [1.5, 4.333, 3.0, 2.5, 1.0]
    with pytest.raises(UsageError, match=r"line 2 has '1,500'\. Write a number with a decimal point"):
        rate(SCORES, written(tmp_path, rows(values, "\t")))


def test_scores_with_decimal_commas(tmp_path):
    path = written(tmp_path, "pair_id;psnr\na;20,5\nb;30\n")
    assert read_scores(path, build_registry()).table["psnr"].to_list() == [20.5, 30.0]


@pytest.mark.parametrize("word", ["excellent", "4 - good", "80 %", "4/5", "3..5"])
def test_a_word_is_shown_with_its_line(tmp_path, word):
    path = written(tmp_path, rows([4, "NA", word, 2, 1]))
    with pytest.raises(UsageError, match=r"column 'rating' does not hold only numbers: line 4 has '" + word):
        rate(SCORES, path)


def test_marks_for_missing_ratings_are_counted_once(tmp_path):
    rated = rate(SCORES, written(tmp_path, rows([4, "n/a", "-", 2, "NA"])))
    assert rated.ratings.tolist() == [4, 2]
    assert rated.remarks == [f"3 ratings are missing ('n/a', '-', 'NA') in {tmp_path / 'r.csv'}"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("{}.png", "the suffix"),
        ("{}.nii.gz", "the suffix"),
        ("test/{}", "the folder before the name"),
        ("C:\\out\\{}", "the folder before the name"),
        ("00{}", "leading zeros"),
    ],
)
def test_ids_that_do_not_match_show_both_sides_and_the_cause(change, cause):
    names = ["1", "2", "3"]
    scores = Scores(pl.DataFrame({"pair_id": names, "psnr": PSNR[:3]}), {"psnr": True}, "scores.csv")
    other = [change.format(name) for name in names]
    with pytest.raises(UsageError) as error:
        rate(scores, pl.DataFrame({"pair_id": other, "rating": [1, 2, 3]}))
    assert f"scores.csv has 1, 2 and 1 more; the ratings has {other[0]}, {other[1]} and 1 more" in str(
        error.value
    )
    assert f"They differ in {cause}" in str(error.value)


def test_case_unicode_forms_and_several_causes_are_recognized():
    assert differences(["IMG_a"], ["img_a"]) == ["upper and lower case"]
    assert differences([unicodedata.normalize("NFD", "M\u00fcller")], ["M\u00fcller"])[0].startswith(
        "different Unicode"
    )
    assert len(differences(["run/IMG_007"], ["img_7.png"])) == 4
    assert differences(["a", "b"], ["q", "r"]) == []


def test_some_matching_ids_still_get_the_hint():
    table = pl.DataFrame({"pair_id": ["a", "b.png", "c.png"], "rating": [1, 2, 3]})
    assert rate(SCORES, table).notes[-1].endswith("ids of the two sides differ in the suffix")


def test_a_column_named_mean_or_equal_to_the_mean_is_no_rater():
    raters = {"rater_1": [1, 5, 3, 2, 4], "rater_2": [2, 5, 4, 2, 4], "rater_3": [1, 4, 4, 3, 5]}
    means = [round(sum(values) / 3, 2) for values in zip(*raters.values(), strict=True)]
    for name, reason in (("rater_mean", "its name says so"), ("rater_4", "it is the mean of the others")):
        table = pl.DataFrame({"pair_id": list("abcde"), **raters, name: means})
        rated = rate(SCORES, table)
        assert list(rated.raters) == list(raters)
        assert rated.remarks == [f"{name} is not used as a rater: {reason}; to use it, name it with --raters"]
        chosen = rate(SCORES, table, HowRated(raters=[*raters, name]))
        assert len(chosen.raters) == 4
        assert chosen.remarks == [f"{name} seems not to be a rater: {reason}"]


def test_constant_ratings_have_no_pairs_and_no_best_metric():
    row = (
        judge(rate(SCORES, pl.DataFrame({"pair_id": list("abcde"), "rating": [3.3333] * 5})))[0].judged[0].row
    )
    assert row["best"] is False
    for name in ("pairwise_accuracy", "skill", "srocc", "krocc"):
        assert row[name] != row[name], name


def test_pandas_frames_are_taken_and_other_things_are_named():
    ratings = [0.1, 0.9, 0.3, 0.5, 0.6]
    scores = pd.DataFrame({"pair_id": list("abcde"), "psnr": PSNR})
    rated = pd.DataFrame({"pair_id": list("abcde"), "rating": ratings})
    found = iqa.agree(scores, rated, resamples=0)
    assert found["srocc"][0] == pytest.approx(spearmanr(PSNR, ratings).statistic)
    with pytest.raises(UsageError, match=r"scores: got dict\. Give a polars or pandas DataFrame"):
        iqa.agree({"psnr": PSNR}, resamples=0)
