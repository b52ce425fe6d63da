"""The model that ships: subjects that it has never seen, and the sizes and degradations that metrics meet."""

import json
import re

import pytest
import torch

from iqa_registry.registry import build_registry
from iqa_segmentation.nnunet_folder import SHIPPED, read_folder
from iqa_segmentation.training.samples import collect, collect_synthesized
from iqa_segmentation.training.scores import measure


@pytest.fixture(scope="module")
def segmenter():
    return build_registry().segmenter("nnunet")


@pytest.fixture(scope="module")
def samples():
    return collect(build_registry().dataset("phantom:pairs=16,per_subject=1,seed=404"), 256)


def of(samples, modality):
    return samples.take([number for number, name in enumerate(samples.modalities) if name == modality])


@pytest.mark.parametrize(("modality", "least"), [("t2", 0.8), ("flair", 0.8), ("pd", 0.5)])
def test_it_finds_the_lesions_of_other_subjects(segmenter, samples, modality, least):
    result = measure(segmenter, of(samples, modality))[-1]
    assert result["slices"] >= 5
    assert result["dice"] > least
    assert result["false_alarms"] < 0.35


def test_it_finds_them_in_degraded_images(segmenter):
    data = (
        "phantom:pairs=8,per_subject=1,seed=405,lesions=1,degradations=noise+blur+kspace-shift+checkerboard"
    )
    samples = collect_synthesized(build_registry().dataset(data), 256)
    assert measure(segmenter, samples)[-1]["dice"] > 0.6


def test_it_is_small_and_holds_nothing_but_weights():
    folder = read_folder(SHIPPED)
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*")) < 3e6
    assert (SHIPPED / "README.md").is_file()
    assert folder.configuration == "2d"
    assert all(isinstance(tensor, torch.Tensor) for tensor in folder.checkpoint["network_weights"].values())


def test_a_scale_of_the_intensities_changes_nothing(segmenter, samples):
    image = of(samples, "t2").images[:2, None] / 255
    assert torch.equal(segmenter.mask(image), segmenter.mask(image / 4))


def test_the_card_says_what_was_run():
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    facts = json.loads((SHIPPED / "training.json").read_text(encoding="utf-8"))
    commands = card.split("```")[1].replace("\\\n", " ").split("iqa segment train")[1:]
    for command, run in zip(commands, (facts["first"], facts), strict=True):
        for option in ("segmenter", "data", "steps", "seed", "dice", "precision"):
            value = re.search(rf"--{option} (\S+)", run["command"])[0]
            assert f"{value} " in command
        assert f"{run['seconds']:.0f} s" in card
    for row in facts["held_out"][:-1]:
        shown = f"{row['dice']:.3f}" if row["dice"] else "0"
        assert f"{shown} in {row['modality'].upper()}" in card
    assert not re.search(r"\b(session|machine|issue|lent|shared)s?\b", card, re.IGNORECASE)
