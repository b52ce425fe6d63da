"""Physics: images hold what the signal equations, written out here once more, give for their tissues."""

import math

import numpy as np
import pytest

from iqa_datasets.phantom.contrast import (
    HEALTHY,
    LESION,
    MODALITIES,
    PROTOCOLS,
    draw_tissues,
    signal,
    signals,
)

DRAWN = [draw_tissues(np.random.default_rng(seed)) for seed in range(30)]


def spin_echo(density, t1, t2, repetition, echo):
    return density * (1 - math.exp(-repetition / t1)) * math.exp(-echo / t2)


def inversion_recovery(density, t1, t2, repetition, echo, inversion):
    recovered = abs(1 - 2 * math.exp(-inversion / t1) + math.exp(-repetition / t1))
    return density * recovered * math.exp(-echo / t2)


EXPECTED = {
    "t1": lambda tissue: spin_echo(tissue.density, tissue.t1, tissue.t2, 500, 12),
    "t2": lambda tissue: spin_echo(tissue.density, tissue.t1, tissue.t2, 4500, 100),
    "pd": lambda tissue: spin_echo(tissue.density, tissue.t1, tissue.t2, 5000, 15),
    "flair": lambda tissue: inversion_recovery(tissue.density, tissue.t1, tissue.t2, 9000, 110, 1704),
}


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_signals_of_tissues_are_those_of_the_equations(draw, modality, seed):
    scene = draw(seed, lesion=False, size=256)
    brightest = max(EXPECTED[modality](tissue) for tissue in (HEALTHY | LESION).values())
    core = (EXPECTED[modality](HEALTHY["csf"]) + EXPECTED[modality](LESION["solid"])) / 2
    gain = 0.85 / max(brightest, core)
    for label, name in enumerate(("csf", "grey", "white"), start=1):
        pure = (scene.anatomy.fractions[label - 1] > 0.995) & (scene.anatomy.brain > 0.99)
        # Receive field and texture are divided out; the noise of the image averages out, but for the Rician bias.
        measured = (scene.image(modality)[pure] / scene.shade[pure]).mean()
        assert pure.sum() > 100
        assert measured == pytest.approx(gain * EXPECTED[modality](scene.tissues[name]), rel=0.015, abs=0.02)


@pytest.mark.parametrize("tissues", DRAWN)
def test_order_of_tissues(tissues):
    for modality, order in (
        ("t1", ("white", "grey", "csf")),
        ("t2", ("csf", "grey", "white")),
        ("pd", ("csf", "grey", "white")),
    ):
        values = [signal(tissues[name], PROTOCOLS[modality]) for name in order]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("tissues", DRAWN)
def test_flair_has_dark_fluid_and_bright_lesions(tissues):
    csf, grey, white, _, solid, oedema = signals(tissues, "flair")
    assert csf < 0.3 * white
    assert min(solid, oedema) > 1.2 * max(grey, white)


@pytest.mark.parametrize("tissues", DRAWN)
def test_lesions_are_bright_in_t2_and_no_brighter_than_white_matter_in_t1(tissues):
    t1, t2 = (signals(tissues, name) for name in ("t1", "t2"))
    assert t2[3:].min() > 1.15 * t2[1]
    assert t1[3:].max() < t1[2]


def test_signals_lie_in_the_unit_interval():
    for modality in MODALITIES:
        values = signals(HEALTHY | LESION, modality)
        assert values.max() == pytest.approx(0.85)
        assert values.min() >= 0


def test_the_inversion_nulls_fluid():
    assert signal(HEALTHY["csf"], PROTOCOLS["flair"]) < 0.001


def test_constants_are_those_of_brainweb():
    assert [(t.density, t.t1, t.t2) for t in HEALTHY.values()] == [
        (1, 2569, 329),
        (0.86, 833, 83),
        (0.77, 500, 70),
    ]
