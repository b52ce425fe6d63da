"""The weights that ship: what they are, how they score simulated images that they never saw, and a real patient's."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import iqa_registry as iqa
from iqa_kcross.checkpoint import describe_file
from iqa_registry.registry import build_registry
from iqa_registry.statistics.inconsistency import inconsistency

ROOT = Path(__file__).parents[2]
PATIENT = ROOT.parent / "shared" / "data" / "tcga-fg-6692"
WEIGHTS = "kcross-t1-t2"
WORK_PROCESS = re.compile(r"\b(session|machine|issue|lent|shared)s?\b", re.IGNORECASE)
"""Words that a model card has no use for: it says what was run, not how the work was organized."""


@pytest.fixture(scope="module")
def registry():
    return build_registry()


@pytest.fixture(scope="module")
def kcross(registry):
    return registry.metric("kcross")


@pytest.fixture(scope="module")
def scored(registry):
    """Scores and ratings (both simulated) of images from another seed than any that was trained on."""
    dataset = registry.dataset("phantom:pairs=64,seed=977")
    return iqa.evaluate(dataset.pairs(), metrics=["kcross", "ms_ssim", "psnr"], registry=registry)


def of(table, metric):
    rows = table.filter((table["metric"] == metric) & (table["region"] == "image"))
    assert set(rows["status"]) == {"ok"}
    return rows["score"].to_numpy(), rows["rating"].to_numpy()


def test_the_file_says_what_it_is(registry):
    file = registry.weights.open(WEIGHTS)
    facts = describe_file(file)
    assert facts["simulated"] is True
    assert (facts["source"], facts["target"], facts["branches"]) == ("t1", "t2", "complex+tumor+structure")
    assert file.path.stat().st_size < 10e6
    assert registry.metric("kcross").weights_used[WEIGHTS] == file.sha256


def test_it_agrees_with_simulated_raters_better_than_its_rivals(scored):
    found = {name: inconsistency(*of(scored, name)) for name in ("kcross", "ms_ssim", "psnr")}
    assert found["kcross"] < 0.85 * min(found["ms_ssim"], found["psnr"])


def test_scores_are_on_the_raters_scale(scored):
    scores, ratings = of(scored, "kcross")
    assert abs(scores.mean() - ratings.mean()) < 0.08
    assert np.abs(scores - ratings).mean() < 0.15


def test_an_image_against_itself_is_at_the_top(registry, kcross):
    for pair in registry.dataset("phantom:pairs=4,per_subject=1,seed=978").pairs():
        reference = torch.from_numpy(pair.reference.make().pixels.copy()).float().view(1, 1, 256, 256) / 255
        assert kcross(reference, reference).item() > 0.93


@pytest.mark.skipif(not PATIENT.is_dir(), reason="needs ../shared")
def test_growing_errors_lower_the_score_of_a_patient(kcross, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import kcross_patient

    one = next(item for item in kcross_patient.read(PATIENT, slice(16, 17)) if item.name == "t2-16")
    for name in ("blur", "noise", "missing-lines", "lost-lesion"):
        error = (kcross_patient.OTHER_ERRORS | kcross_patient.LESION_ERRORS)[name]
        assert kcross_patient.fall(one, error, kcross) <= -0.9, name
    sys.modules.pop("kcross_patient")


def test_the_card_says_what_was_run(registry):
    file = registry.weights.open(WEIGHTS)
    facts, card = describe_file(file), (file.path.parent / "README.md").read_text(encoding="utf-8")
    one, two = facts["stage-one"], facts["stage-two"]
    commands = card.split("```")[1].replace("\\\n", " ")
    assert commands.count("iqa kcross train --stage") == 2
    assert f"--data {facts['data']} " in commands
    assert f"--rated {facts['rated']} " in commands
    assert f"--steps-one {one['steps']} --set stage_one.batch_size={one['batch_size']} " in commands
    assert f"--steps-two {two['steps']} " in commands
    assert f"iqa kcross export TWO/model.safetensors {file.path.name}" in commands
    for stage, value in ((one, f"{one['slices']} slices"), (two, f"{two['pairs']:,} rated pairs")):
        assert value in card
        assert f"{stage['seconds']:,.0f} s" in card
    assert f"{two['held_out_inconsistency']:.4f}" in card
    assert not WORK_PROCESS.search(card)
