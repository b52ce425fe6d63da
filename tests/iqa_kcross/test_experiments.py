"""The experiments' numbers, compared with the metric itself and the statistics of the core."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import iqa_registry as iqa
from iqa_kcross.branch import BranchSettings
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.experiments.ablate import ablate
from iqa_kcross.experiments.domain_gap import domain_gap, train_models
from iqa_kcross.experiments.evaluate import evaluate
from iqa_kcross.experiments.judging import of_group
from iqa_kcross.experiments.opening import Source, open_source, read_model
from iqa_kcross.experiments.scoring import Place, combinations, kcross_text, score
from iqa_kcross.experiments.segmenters import compare_segmenters
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.agreement.comparison import compare
from iqa_registry.agreement.judging import Settings
from iqa_registry.cli.progress import progress_bar
from iqa_registry.errors import UsageError, WeightsError
from iqa_registry.registry import build_registry
from iqa_registry.statistics.agreement import srocc
from iqa_registry.statistics.inconsistency import align_to_levels, inconsistency
from iqa_registry.tables.writing import defined

pytest.importorskip("nilearn")

SHOWN = {"label_names": {"lesions": (4, 5, 6)}, "use_labels": True}
"""The options that show the lesions of the phantom to metrics."""
DATA = "phantom:pairs=24,size=128"
SETTINGS = Settings(resamples=100)
PLAIN = Settings(resamples=0)


@pytest.fixture(scope="module")
def registry():
    return build_registry()


@pytest.fixture(scope="module")
def place(registry):
    return Place(registry, progress_bar)


@pytest.fixture(scope="module")
def models(tmp_path_factory, registry):
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        path = tmp_path_factory.mktemp("models") / f"seed-{seed}.safetensors"
        model = KCrossModel(ModelSettings(branch=BranchSettings(width=4)))
        save_model(model, path, History(data=f"phantom:seed={seed}", simulated=True))
        found.append(read_model(str(path), registry))
    return found


@pytest.fixture(scope="module")
def opened(registry):
    return open_source(Source(data=DATA), registry)


@pytest.fixture(scope="module")
def direct(opened, models):
    """Scores by the metric itself, branches chosen by its own parameter: one column per set of branches."""
    columns = {}
    for chosen in (["complex", "structure"], ["tumor"], ["complex", "tumor", "structure"]):
        text = f"kcross:weights={models[0].path},branches={'+'.join(chosen)},segmenter=labels"
        table = iqa.evaluate(opened.pairs, [text], **SHOWN).filter(pl.col("region") == "image")
        columns["+".join(chosen)] = table["score"].to_numpy()
    return columns


@pytest.fixture(scope="module")
def evaluation(opened, models, place):
    settings = Settings(group_by=["lesion"], resamples=100)
    return evaluate(opened, models[0], "labels", place, settings, ["psnr", "mae"])


def by_hand(scores, ratings):
    known = ~np.isnan(scores)
    return inconsistency(align_to_levels(scores[known], ratings[known]), ratings[known])


def test_scores_of_branches_are_those_of_the_metric(opened, models, place, direct):
    text = kcross_text(models[0], "labels", place.registry)
    scored = score(opened, [text], "labels", place)
    for names, expected in direct.items():
        column = scored.branches(text, models[0], names.split("+"))
        assert column.apart == (names == "tumor")
        np.testing.assert_allclose(column.scores.to_numpy(), expected, atol=1e-6)
    assert scored.applies(text, "tumor") == np.count_nonzero(~np.isnan(direct["tumor"])) > 0


def test_the_numbers_are_algorithm_4(opened, evaluation, direct):
    found, ratings = of_group(evaluation.groups[0]), opened.rated.ratings
    assert ratings.tolist() == [pair.groups["rating"] for pair in opened.pairs]
    names = {
        "kcross-healthy": "complex+structure",
        "kcross": "complex+tumor+structure",
        "kcross-tumor": "tumor",
    }
    for name, branches in names.items():
        row = found[name].row
        assert row["inconsistency"] == pytest.approx(by_hand(direct[branches], ratings), abs=1e-9)
        assert row["n"] == np.count_nonzero(~np.isnan(direct[branches]))
    psnr = iqa.evaluate(opened.pairs, ["psnr"]).filter(pl.col("region") == "image")["score"].to_numpy()
    assert found["psnr"].row["inconsistency"] == pytest.approx(by_hand(psnr, ratings), abs=1e-9)


def test_groups_follow_all_images_and_the_healthy_half_has_no_tumor_branch(evaluation):
    whole, *halves = evaluation.groups
    assert [group.keys for group in halves] == [{"lesion": False}, {"lesion": True}]
    assert len(whole.ratings) == sum(len(group.ratings) for group in halves)
    healthy, ill = map(of_group, halves)
    assert "kcross-tumor" not in healthy
    assert "kcross-tumor" in ill
    assert healthy["kcross"].row["inconsistency"] == healthy["kcross-healthy"].row["inconsistency"]
    assert all("simulated" in row["group"] for row in evaluation.rows())


def test_the_comparison_is_the_core_s_and_the_reduction_a_share(evaluation):
    judged = of_group(evaluation.groups[0])
    rows = {row["baseline"]: row for row in evaluation.comparisons[0] if row["challenger"] == "kcross"}
    (expected,) = compare([judged["kcross"], judged["psnr"]])
    row = rows["psnr"]
    assert {name: row[name] for name in ("difference", "difference_low", "p_value")} == {
        name: expected[name] for name in ("difference", "difference_low", "p_value")
    }
    ours, theirs = (judged[name].row["inconsistency"] for name in ("kcross", "psnr"))
    assert row["reduction"] == pytest.approx(1 - ours / theirs)
    assert row["reduction_low"] < row["reduction"] < row["reduction_high"]
    assert row["p_holm"] >= row["p_value"]
    assert [row["baseline"] for row in evaluation.comparisons[0][:2]] == sorted(
        rows, key=lambda name: judged[name].row["inconsistency"]
    )


def test_without_resamples_there_are_differences_and_no_intervals(opened, models, place):
    found = evaluate(opened, models[0], "none", place, PLAIN, ["psnr"])
    assert "kcross-tumor" not in of_group(found.groups[0])
    row = found.comparisons[0][0]
    assert "difference_low" not in row
    assert abs(row["difference"]) < 1


def test_ablation_judges_every_combination(opened, models, place, direct):
    found = ablate(opened, models[0], "labels", place, PLAIN)
    (cells,) = map(found.cells, found.groups)
    assert list(cells) == ["+".join(item) for item in combinations(models[0].settings.branches)]
    assert len(cells) == 7
    assert not cells["tumor"]["all_images"]
    assert not cells["tumor"]["best"]
    comparable = {name: cell["inconsistency"] for name, cell in cells.items() if cell["all_images"]}
    assert cells[min(comparable, key=comparable.__getitem__)]["best"]
    expected = by_hand(direct["complex+structure"], opened.rated.ratings)
    assert cells["complex+structure"]["inconsistency"] == pytest.approx(expected, abs=1e-9)


def test_ablation_on_the_same_images_and_by_correlation(opened, models, place, direct):
    found = ablate(opened, models[0], "labels", place, PLAIN, "srocc", same_images=True)
    (cells,) = map(found.cells, found.groups)
    there = ~np.isnan(direct["tumor"])
    assert {cell["n"] for cell in cells.values()} == {np.count_nonzero(there)}
    expected = srocc(direct["tumor"][there], opened.rated.ratings[there])
    assert cells["tumor"]["srocc"] == pytest.approx(expected)
    assert max(cell["srocc"] for cell in cells.values()) == next(
        cell["srocc"] for cell in cells.values() if cell["best"]
    )
    with pytest.raises(UsageError, match="every branch"):
        ablate(opened, models[0], "none", place, PLAIN, same_images=True)


def test_segmenters_are_held_against_the_first(opened, models, place, direct):
    found = compare_segmenters(opened, models[0], ["labels", "none"], place, PLAIN)
    first, second = direct["complex+tumor+structure"], direct["complex+structure"]
    _, row = found.shifts
    change = np.abs(second - first)
    assert row["mean_change"] == pytest.approx(change.mean(), abs=1e-6)
    assert row["largest_change"] == pytest.approx(change.max(), abs=1e-6)
    assert row["srocc"] == pytest.approx(srocc(second, first), abs=1e-9)
    assert (found.shifts[0]["with_lesion"], row["with_lesion"]) == (
        np.count_nonzero(~np.isnan(direct["tumor"])),
        0,
    )
    values = [by_hand(scores, opened.rated.ratings) for scores in (first, second)]
    (spread,) = found.spreads()
    assert spread["deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert spread["variance"] == pytest.approx(spread["deviation"] ** 2)


def test_a_model_without_tumor_branch_has_nothing_to_compare_segmenters_by(tmp_path, opened, place, registry):
    path = tmp_path / "healthy.safetensors"
    settings = ModelSettings(("complex", "structure"), BranchSettings(width=4))
    save_model(KCrossModel(settings), path, History())
    with pytest.raises(UsageError, match="no branch that looks at lesions"):
        compare_segmenters(opened, read_model(str(path), registry), ["labels", "none"], place, PLAIN)


def test_domain_gap_has_a_cell_for_each_model_and_test_set(opened, models, place, registry, evaluation):
    other = open_source(Source(data="phantom:pairs=16,size=128,seed=5,source=t2,target=flair"), registry)
    found = domain_gap(models, [opened, other], "labels", place, PLAIN, ["psnr"])
    places = [(cell.model, cell.opened) for cell in found.cells]
    assert places == [(model, test) for test in (opened, other) for model in models]
    first, second = found.cells[:2]
    for name, row in ((name, judged.row) for name, judged in of_group(evaluation.groups[0]).items()):
        if name in first.judged:
            assert first.judged[name].row["inconsistency"] == pytest.approx(row["inconsistency"], abs=1e-9)
    assert first.judged["psnr"].row["inconsistency"] == second.judged["psnr"].row["inconsistency"]
    assert first.judged["kcross"].row["inconsistency"] != second.judged["kcross"].row["inconsistency"]
    assert {row["training"] for row in found.rows()} == {"phantom:seed=0", "phantom:seed=1"}


def test_models_for_other_modalities_are_refused(models, place, registry):
    other = open_source(Source(data="phantom:pairs=8,size=128,target=flair"), registry)
    with pytest.raises(
        WeightsError, match=r"seed-0.safetensors: is for t1 to t2, but the target of sim-0001-01"
    ):
        evaluate(other, models[0], "none", place, PLAIN, ["psnr"])


def test_a_run_folder_is_gone_on_from(tmp_path, opened, models, registry):
    kept = Place(registry, progress_bar, tmp_path / "run")
    first = evaluate(opened, models[0], "none", kept, PLAIN, ["psnr"])
    parts = sorted((tmp_path / "run" / "scores").iterdir())
    before = [path.stat().st_mtime_ns for path in parts]
    second = evaluate(opened, models[0], "none", kept, PLAIN, ["psnr"])
    assert parts
    assert [path.stat().st_mtime_ns for path in parts] == before
    assert defined(first.rows()) == defined(second.rows())
    with pytest.raises(UsageError, match="other arguments"):
        evaluate(
            open_source(Source(data=f"{DATA},seed=3"), registry), models[0], "none", kept, PLAIN, ["psnr"]
        )


def test_ratings_of_a_table_choose_the_pairs(tmp_path, opened, models, place, registry):
    table = tmp_path / "ratings.csv"
    names = [pair.pair_id for pair in opened.pairs[:10]]
    pl.DataFrame({"pair_id": names, "rating": np.linspace(0, 0.9, 10)}).write_csv(table)
    some = open_source(Source(data=DATA, ratings=table), registry)
    assert [pair.pair_id for pair in some.pairs] == names
    assert "14 images" in some.notes[0]
    found = evaluate(some, models[0], "none", place, PLAIN, ["psnr"])
    assert of_group(found.groups[0])["psnr"].row["n"] == 10


CONFIG = """
[data]
data = "phantom:pairs=24,size=128,per_subject=4"
segmenter = "none"
size = 128
[network]
width = 2
branches = ["structure"]
[stage_one]
steps = 2
batch_size = 2
[stage_two]
steps = 2
[run]
accelerator = "cpu"
"""


def test_models_are_trained_once(tmp_path, place):
    pytest.importorskip("lightning")
    config = tmp_path / "small.toml"
    config.write_text(CONFIG)
    (path,) = train_models([config], tmp_path / "runs", place)
    before = Path(path).stat().st_mtime_ns
    assert train_models([config], tmp_path / "runs", place) == [path]
    assert Path(path).stat().st_mtime_ns == before
    model = read_model(path, place.registry)
    assert model.history.simulated
    assert model.trained_on == "phantom:pairs=24,size=128,per_subject=4"
