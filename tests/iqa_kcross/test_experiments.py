"""The experiments' numbers, compared with the metric itself and the statistics of the core."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import iqa_registry as iqa
from iqa_kcross.branch import BranchSettings
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.experiments.ablate import ablate, combinations
from iqa_kcross.experiments.domain_gap import domain_gap
from iqa_kcross.experiments.evaluate import evaluate
from iqa_kcross.experiments.opening import open_rated, read_model
from iqa_kcross.experiments.running import Bench, columns_of, judge_columns, kcross_text, rows_of, score
from iqa_kcross.experiments.segmenters import compare_segmenters
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.agreement.comparison import against
from iqa_registry.agreement.judging import Settings
from iqa_registry.agreement.ratings import Rated
from iqa_registry.agreement.scores import Scores, combine
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


@pytest.fixture(scope="module")
def registry():
    return build_registry()


@pytest.fixture(scope="module")
def bench(registry):
    return Bench(registry, progress_bar, Settings(resamples=0))


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
    return open_rated(DATA, registry)


@pytest.fixture(scope="module")
def direct(opened, models):
    """Scores by the metric itself, branches chosen by its own parameter: one column per set of branches."""
    columns = {}
    for chosen in (["complex", "structure"], ["tumor"], ["complex", "tumor", "structure"]):
        text = f"kcross:weights={models[0].path},branches={'+'.join(chosen)},segmenter=labels"
        table = iqa.evaluate(opened.pairs.inputs.pairs, [text], **SHOWN).filter(pl.col("region") == "image")
        columns["+".join(chosen)] = table["score"].to_numpy()
    return columns


@pytest.fixture(scope="module")
def evaluation(opened, models, bench):
    grouped = replace(bench, settings=Settings(group_by=["lesion"], resamples=100))
    return evaluate(opened, models[0], "labels", grouped, ["psnr", "mae"])


def by_hand(scores, ratings):
    known = ~np.isnan(scores)
    return inconsistency(align_to_levels(scores[known], ratings[known]), ratings[known])


def test_scores_of_branches_are_those_of_the_metric(opened, models, bench, direct):
    text = kcross_text(models[0], "labels", bench.registry)
    rated, failures = score(opened, [text], "labels", bench)
    columns = {names: columns_of(text, models[0], names.split("+")) for names in direct}
    for names, parts in columns.items():
        expected = direct[names]
        np.testing.assert_allclose(
            combine(rated.scores, columns).table[names].to_numpy(), expected, atol=1e-6
        )
        assert (parts == [text]) == (names == "complex+tumor+structure")
    (group,) = judge_columns(rated, columns, bench.settings)
    assert [judged.metric for judged in group.judged][-1] == "tumor"
    assert 0 < rows_of(group)["tumor"]["n"] < rows_of(group)["complex+structure"]["n"] == 24
    assert not failures


def test_the_numbers_are_algorithm_4(opened, evaluation, direct):
    found, ratings = rows_of(evaluation.groups[0]), opened.pairs.rated.ratings
    assert ratings.tolist() == [pair.groups["rating"] for pair in opened.pairs.inputs.pairs]
    names = {
        "kcross-healthy": "complex+structure",
        "kcross": "complex+tumor+structure",
        "kcross-tumor": "tumor",
    }
    for name, branches in names.items():
        row = found[name]
        assert row["inconsistency"] == pytest.approx(by_hand(direct[branches], ratings), abs=1e-9)
        assert row["n"] == np.count_nonzero(~np.isnan(direct[branches]))
    psnr = (
        iqa.evaluate(opened.pairs.inputs.pairs, ["psnr"])
        .filter(pl.col("region") == "image")["score"]
        .to_numpy()
    )
    assert found["psnr"]["inconsistency"] == pytest.approx(by_hand(psnr, ratings), abs=1e-9)


def test_groups_follow_all_images_and_the_healthy_half_has_no_tumor_branch(evaluation):
    whole, *halves = evaluation.groups
    assert [group.keys for group in halves] == [{"lesion": False}, {"lesion": True}]
    assert len(whole.ratings) == sum(len(group.ratings) for group in halves)
    healthy, ill = map(rows_of, halves)
    assert "kcross-tumor" not in healthy
    assert "kcross-tumor" in ill
    assert healthy["kcross"]["inconsistency"] == healthy["kcross-healthy"]["inconsistency"]
    assert all("simulated" in row["group"] for row in evaluation.tables["rows"])


def test_k_cross_is_compared_with_each_baseline_by_group(evaluation):
    judged = {item.metric: item for item in evaluation.groups[0].judged}
    rows = evaluation.tables["comparisons"]
    expected = against(judged["kcross"], [judged["psnr"], judged["mae"]])
    assert [{key: row[key] for key in expected[0]} for row in rows[:2]] == expected
    assert [row["challenger"] for row in rows[:4]] == ["kcross"] * 2 + ["kcross-healthy"] * 2
    assert {row["lesion"] for row in rows} == {None, False, True}


def test_without_resamples_there_are_differences_and_no_intervals(opened, models, bench):
    found = evaluate(opened, models[0], "none", bench, ["psnr"])
    assert "kcross-tumor" not in rows_of(found.groups[0])
    row = found.tables["comparisons"][0]
    assert "difference_low" not in row
    assert abs(row["difference"]) < 1


@pytest.mark.parametrize("name", ["kcross", "kcross-healthy"])
def test_k_cross_is_not_a_baseline_of_its_own(opened, models, bench, name):
    with pytest.raises(UsageError, match=f"--metric {name}: .* compared anyway"):
        evaluate(opened, models[0], "none", bench, ["psnr", name])


def by_branches(found):
    return {row["branches"]: row for row in found.tables["rows"]}


def test_the_parameters_of_a_segmenter_may_be_in_brackets(models, registry):
    text = kcross_text(models[0], "nnunet:path=FOLDER,fold=0", registry)
    assert text.endswith("[nnunet:path=FOLDER,fold=0]")
    table = {"pair_id": ["a", "b", "c"], text: [0.1, 0.2, 0.3], f"{text}[tumor]": [0.5, None, None]}
    rated = Rated(
        Scores(pl.DataFrame(table), dict.fromkeys(list(table)[1:], True), "here"), np.array([0, 0.5, 1])
    )
    columns = {"whole": columns_of(text, models[0], models[0].settings.branches)}
    columns |= {"tumor": columns_of(text, models[0], ["tumor"])}
    (group,) = judge_columns(rated, columns, Settings(resamples=0))
    assert [(judged.metric, judged.row["n"]) for judged in group.judged] == [("whole", 3), ("tumor", 1)]


def test_ablation_judges_every_combination(opened, models, bench, direct):
    found = by_branches(ablate(opened, models[0], "labels", bench))
    assert list(found) == ["+".join(item) for item in combinations(models[0].settings.branches)]
    assert len(found) == 7
    assert not found["tumor"]["all_images"]
    assert not found["tumor"]["best"]
    comparable = {name: cell["inconsistency"] for name, cell in found.items() if cell["all_images"]}
    assert found[min(comparable, key=comparable.__getitem__)]["best"]
    expected = by_hand(direct["complex+structure"], opened.pairs.rated.ratings)
    assert found["complex+structure"]["inconsistency"] == pytest.approx(expected, abs=1e-9)


def test_ablation_on_the_same_images_and_by_correlation(opened, models, bench, direct):
    found = by_branches(ablate(opened, models[0], "labels", bench, "srocc", same_images=True))
    there = ~np.isnan(direct["tumor"])
    assert {cell["n"] for cell in found.values()} == {np.count_nonzero(there)}
    expected = srocc(direct["tumor"][there], opened.pairs.rated.ratings[there])
    assert found["tumor"]["srocc"] == pytest.approx(expected)
    assert max(cell["srocc"] for cell in found.values()) == next(
        cell["srocc"] for cell in found.values() if cell["best"]
    )
    with pytest.raises(UsageError, match="every branch"):
        ablate(opened, models[0], "none", bench, same_images=True)


def test_segmenters_are_compared_with_the_first(opened, models, bench, direct):
    found = compare_segmenters(opened, models[0], ["labels", "none"], bench)
    first, second = direct["complex+tumor+structure"], direct["complex+structure"]
    start, row = found.tables["shifts"]
    change = np.abs(second - first)
    assert row["mean_change"] == pytest.approx(change.mean(), abs=1e-6)
    assert row["largest_change"] == pytest.approx(change.max(), abs=1e-6)
    assert row["srocc"] == pytest.approx(srocc(second, first), abs=1e-9)
    assert (start["with_lesion"], row["with_lesion"]) == (np.count_nonzero(~np.isnan(direct["tumor"])), 0)
    values = [by_hand(scores, opened.pairs.rated.ratings) for scores in (first, second)]
    assert [row["inconsistency"] for row in found.tables["rows"]] == pytest.approx(values, abs=1e-9)
    assert [row["segmenter"] for row in found.tables["rows"]] == ["labels", "none"]
    (spread,) = found.tables["spreads"]
    assert spread["deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert spread["variance"] == pytest.approx(spread["deviation"] ** 2)


def test_a_model_without_tumor_branch_has_nothing_to_compare_segmenters_by(tmp_path, opened, bench):
    path = tmp_path / "healthy.safetensors"
    settings = ModelSettings(("complex", "structure"), BranchSettings(width=4))
    save_model(KCrossModel(settings), path, History())
    with pytest.raises(UsageError, match="no branch that looks at lesions"):
        compare_segmenters(opened, read_model(str(path), bench.registry), ["labels", "none"], bench)


def test_domain_gap_has_a_cell_for_each_model_and_test_set(opened, models, bench, evaluation):
    other = open_rated("phantom:pairs=16,size=128,seed=5,source=t2,target=flair", bench.registry)
    rows = domain_gap(models, [opened, other], "labels", bench, ["psnr"]).tables["rows"]
    cells = list(dict.fromkeys((row["weights"], row["test"]) for row in rows))
    assert cells == [(model.weights, test.place) for test in (opened, other) for model in models]
    first, second = (
        {row["metric"]: row["inconsistency"] for row in rows if (row["weights"], row["test"]) == cell}
        for cell in cells[:2]
    )
    judged = rows_of(evaluation.groups[0])
    assert list(first) == ["psnr", "kcross-structure", "kcross-complex", "kcross-healthy", "kcross"]
    for name, value in first.items():
        assert value == pytest.approx(judged[name]["inconsistency"], abs=1e-9)
    assert first["psnr"] == second["psnr"]
    assert first["kcross"] != second["kcross"]
    assert {row["training"] for row in rows} == {"phantom:seed=0", "phantom:seed=1"}


def test_models_for_other_modalities_are_refused(models, bench):
    other = open_rated("phantom:pairs=8,size=128,target=flair", bench.registry)
    with pytest.raises(
        WeightsError, match=r"seed-0.safetensors: is for t1 to t2, but the target of sim-0001-01"
    ):
        evaluate(other, models[0], "none", bench, ["psnr"])


def test_an_interrupted_experiment_resumes_from_its_folder(tmp_path, opened, models, bench):
    kept = replace(bench, folder=tmp_path / "run")
    first = evaluate(opened, models[0], "none", kept, ["psnr"])
    parts = sorted((tmp_path / "run" / "scores").iterdir())
    before = [path.stat().st_mtime_ns for path in parts]
    second = evaluate(opened, models[0], "none", kept, ["psnr"])
    assert parts
    assert [path.stat().st_mtime_ns for path in parts] == before
    assert defined(first.tables["rows"]) == defined(second.tables["rows"])
    with pytest.raises(UsageError, match="other arguments"):
        evaluate(open_rated(f"{DATA},seed=3", bench.registry), models[0], "none", kept, ["psnr"])


def test_ratings_of_a_table_choose_the_pairs(tmp_path, opened, models, bench):
    table = tmp_path / "ratings.csv"
    names = [pair.pair_id for pair in opened.pairs.inputs.pairs[:10]]
    pl.DataFrame({"pair_id": names, "rating": np.linspace(0, 0.9, 10)}).write_csv(table)
    some = open_rated(DATA, bench.registry, ratings=table)
    assert [pair.pair_id for pair in some.pairs.inputs.pairs] == names
    assert "14 images" in some.pairs.notes[0]
    found = evaluate(some, models[0], "none", bench, ["psnr"])
    assert rows_of(found.groups[0])["psnr"]["n"] == 10


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


def test_models_are_trained_once(tmp_path, bench):
    pytest.importorskip("lightning")
    from iqa_kcross.training.several import train_models

    config = tmp_path / "small.toml"
    config.write_text(CONFIG)
    where = (bench.registry, progress_bar)
    (path,) = train_models([config], tmp_path / "runs", *where)
    before = Path(path).stat().st_mtime_ns
    assert train_models([config], tmp_path / "runs", *where) == [path]
    assert Path(path).stat().st_mtime_ns == before
    model = read_model(path, bench.registry)
    assert model.history.simulated
    assert model.trained_on == "phantom:pairs=24,size=128,per_subject=4"
    with pytest.raises(UsageError, match="two settings files are called small"):
        train_models([config, config], tmp_path / "runs", *where)
