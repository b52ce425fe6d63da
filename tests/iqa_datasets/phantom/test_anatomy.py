"""Anatomy, lesions and label maps: shares that add up, brains that look like brains, labels that fit the images."""

import numpy as np
import pytest
from scipy import ndimage

from iqa_datasets.phantom.contrast import MODALITIES, signals
from iqa_datasets.phantom.fields import Grid, smooth_fields
from iqa_datasets.phantom.lesions import plan_lesion, push_tissue, unite

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_shares_add_up(draw, seed):
    scene = draw(seed)
    np.testing.assert_allclose(scene.fractions.sum(axis=0), 1, atol=1e-5)
    assert scene.fractions.min() >= -1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_a_brain_has_the_size_and_the_tissues_of_a_brain(draw, seed):
    scene = draw(seed, lesion=False)
    inside = scene.anatomy.brain > 0.5
    area = inside.sum() * scene.grid.spacing**2 / 100
    csf, grey, white = ((scene.labels() == label).sum() / inside.sum() for label in (1, 2, 3))
    assert 110 < area < 240  # cm2 of an axial slice through the ventricles
    assert 0.03 < csf < 0.3
    assert 0.25 < grey < 0.65
    assert 0.25 < white < 0.65


def test_a_brain_lies_within_the_field_of_view(draw):
    for seed in SEEDS:
        brain = draw(seed).anatomy.brain
        frame = np.concatenate([brain[0], brain[-1], brain[:, 0], brain[:, -1]])
        assert frame.max() == 0


def test_anterior_is_up_and_right_is_left():
    grid = Grid(128, (10.0,), volume=False)
    x, y, z = grid.points()
    assert y[0, 0] > y[-1, 0]
    assert x[0, 0] > x[0, -1]
    assert set(np.unique(z)) == {10.0}
    assert np.isclose(x[0, 0] - x[0, 1], grid.spacing)


def test_the_ventricles_lie_in_the_middle(draw):
    scene = draw(1, lesion=False)
    fluid = scene.anatomy.fractions[0] * ndimage.binary_erosion(scene.anatomy.brain > 0.5, iterations=8)
    centre = np.array(ndimage.center_of_mass(fluid)) / 128
    np.testing.assert_allclose(centre, 0.5, atol=0.12)


def test_a_seed_gives_the_same_field_at_every_resolution():
    coarse, fine = (
        smooth_fields(np.random.default_rng(3), Grid(n, (0.0,), False), 30.0)[0] for n in (128, 256)
    )
    averaged = fine.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(averaged, coarse, atol=0.01)


def test_fields_have_mean_0_and_variance_1():
    fields = smooth_fields(np.random.default_rng(0), Grid(128, (0.0,), False), 12.0, 300)
    assert abs(fields.mean()) < 0.02
    assert abs(fields.var() - 1) < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lesion_shows_only_where_there_is_one(draw, seed):
    assert (draw(seed, lesion=True).labels() > 3).sum() > 60
    assert not draw(seed, lesion=False).has_lesion


def test_a_lesion_has_its_core_inside(draw):
    labels = draw(2).labels()
    core, solid, oedema = (labels == label for label in (4, 5, 6))
    assert min(core.sum(), solid.sum(), oedema.sum()) > 20
    around = ndimage.binary_dilation(core, iterations=1) & ~core
    assert np.isin(labels[around], [1, 5]).mean() > 0.9


def test_a_lesion_pushes_tissue_outwards():
    grid = Grid(128, (10.0,), volume=False)
    plan = plan_lesion(np.random.default_rng(0), 10.0)
    offset = grid.points() - np.array(plan.centre).reshape(3, 1, 1)
    push = push_tissue(grid, plan)
    assert (push * offset).sum(axis=0).min() >= 0
    assert 0.2 * plan.radius < np.linalg.norm(push, axis=0).max() < 0.3 * plan.radius


def test_overlapping_lesions_do_not_add_up():
    one = np.array([0.5, 0.3, 0.1], np.float32).reshape(3, 1, 1)
    other = np.array([0.2, 0.7, 0.1], np.float32).reshape(3, 1, 1)
    np.testing.assert_allclose(unite([one, other], (1, 1))[:, 0, 0], [0.5, 0.5, 0.0], atol=1e-6)


@pytest.mark.parametrize("lesion", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_labels_and_images_are_aligned(draw, seed, lesion):
    """Told by its four signals alone, a pixel that is nearly pure tissue is what the label map says."""
    scene = draw(seed, lesion)
    pure = (scene.fractions.max(axis=0) > 0.95) & (scene.anatomy.brain > 0.99)
    images = np.stack([scene.clean(name) / scene.shade.clip(1e-3) for name in MODALITIES])[:, pure]
    means = np.stack([signals(scene.tissues, name) for name in MODALITIES])
    nearest = np.linalg.norm(images[:, None] - means[:, :, None], axis=0).argmin(axis=0) + 1
    assert (nearest == scene.labels()[pure]).mean() > 0.999


def test_all_modalities_show_one_brain(draw):
    scene = draw(4)
    edges = [np.hypot(*np.gradient(scene.clean(name))) > 0.05 for name in ("t1", "t2")]
    assert (edges[0] & ndimage.binary_dilation(edges[1])).sum() > 0.85 * edges[0].sum()


def test_a_volume_is_made_of_slices_of_one_brain(draw):
    scene = draw(0, heights=tuple(np.arange(0.0, 24.0, 2.0)), volume=True)
    labels = scene.labels()
    assert labels.shape == (12, 128, 128)
    assert (labels[1:] == labels[:-1]).mean() > 0.85
