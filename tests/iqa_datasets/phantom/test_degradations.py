"""Degradations: nothing at severity 0, worse and worse after, each what its name says."""

import numpy as np
import pytest

from iqa_datasets.phantom.degradations import DEGRADATIONS, NEEDS_LESION, Context, degrade

SEVERITIES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
BY_LESION = {"lesion-brightness", "displaced-lesion"}
CASES = [(name, target, seed) for name in DEGRADATIONS for target in ("t2", "flair") for seed in (0, 1, 2)]


def apply(scene, target, name, severity, stream=5):
    rng = np.random.default_rng(stream)
    return degrade(scene.image(target), {name: severity}, Context(scene, target, "t1"), rng)


def error(scene, target, image, region=None):
    squares = (image - scene.image(target)) ** 2
    return squares.mean() if region is None else squares[region].mean()


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_severity_0_is_the_identity(draw, name):
    scene = draw(0)
    image, context = scene.image("t2"), Context(scene, "t2", "t1")
    assert np.array_equal(apply(scene, "t2", name, 0.0), image)
    changed = DEGRADATIONS[name](image, 0.0, context, np.random.default_rng(0))
    np.testing.assert_allclose(changed, image, atol=2e-6)


@pytest.mark.parametrize(("name", "target", "seed"), [case for case in CASES if case[0] not in BY_LESION])
def test_psnr_falls_with_severity(draw, name, target, seed):
    scene = draw(seed)
    errors = [error(scene, target, apply(scene, target, name, severity)) for severity in SEVERITIES]
    psnr = -10 * np.log10(errors)
    assert (np.diff(psnr) < 0).all()
    assert 60 > psnr[1] > psnr[-1] > 10
    assert psnr[-1] < 40


@pytest.mark.parametrize(("name", "target", "seed"), [case for case in CASES if case[0] in BY_LESION])
def test_the_error_in_the_lesion_grows_with_severity(draw, name, target, seed):
    scene = draw(seed)
    lesion = scene.labels() > 3
    errors = [error(scene, target, apply(scene, target, name, severity), lesion) for severity in SEVERITIES]
    assert (np.diff(errors) > -0.02 * max(errors)).all()
    assert errors[0] < 0.5 * errors[-1]


@pytest.mark.parametrize("name", sorted(NEEDS_LESION))
def test_errors_of_the_lesion_leave_distant_tissue_alone(draw, name):
    scene = draw(1)
    changed = np.abs(apply(scene, "t2", name, 1.0) - scene.image("t2")) > 0.02
    rows, columns = np.nonzero(scene.lesions.sum(axis=0) > 0.05)
    reach = int(32 / scene.grid.spacing)
    near = np.zeros_like(changed)
    near[
        max(0, rows.min() - reach) : rows.max() + reach, max(0, columns.min() - reach) : columns.max() + reach
    ] = True
    assert changed.any()
    assert not changed[~near].any()


def test_a_lost_lesion_is_gone(draw):
    scene = draw(0)
    healthy = scene.clean("t2", np.zeros_like(scene.lesions))
    lesion = scene.labels() > 3
    lost = apply(scene, "t2", "lost-lesion", 1.0)
    assert abs((lost - healthy)[lesion].mean()) < 0.01
    assert (scene.image("t2") - healthy)[lesion].mean() > 0.1


def test_an_invented_lesion_is_as_bright_as_a_real_one(draw):
    scene = draw(0, lesion=False)
    change = apply(scene, "flair", "invented-lesion", 1.0) - scene.image("flair")
    assert 0.15 < np.quantile(change[scene.spare.sum(axis=0) > 0.5], 0.9) < 0.6


@pytest.mark.parametrize("seed", range(8))
def test_the_invented_lesion_is_visible_beside_the_real_one(draw, seed):
    scene = draw(seed)
    real, invented = (part.sum(axis=0) > 0.5 for part in (scene.lesions, scene.spare))
    assert (invented & (scene.labels() > 1)).sum() > 30
    assert (invented & real).sum() < 0.5 * invented.sum()


def test_blur_is_that_of_scipy(draw):
    from scipy.ndimage import gaussian_filter

    scene = draw(0)
    sigma = 0.5 * 2.2 / (216 / 128)
    expected = gaussian_filter(scene.image("t2"), sigma)
    np.testing.assert_allclose(apply(scene, "t2", "blur", 0.5), expected, atol=1e-6)


def test_missing_lines_are_missing(draw):
    scene = draw(0)
    before, after = (
        np.abs(np.fft.fftshift(np.fft.fft(image, axis=0), axes=0)).sum(axis=1)
        for image in (
            scene.image("t2"),
            DEGRADATIONS["missing-lines"](
                scene.image("t2"), 1.0, Context(scene, "t2", "t1"), np.random.default_rng(0)
            ),
        )
    )
    centre = slice(62, 67)
    # The magnitude is taken, so that lines are not empty but weak.
    assert (after[centre] > 0.9 * before[centre]).all()
    assert (after < 0.6 * before).mean() > 0.35


def test_aliasing_is_a_second_image_half_a_field_of_view_away(draw):
    scene = draw(0)
    image = scene.image("t2").astype(float)
    expected = np.abs((1 - 0.3) * image + 0.3 * np.roll(image, 64, axis=0))
    np.testing.assert_allclose(apply(scene, "t2", "aliasing", 1.0), expected, atol=1e-5)


def test_residual_source_mixes_the_two_images(draw):
    scene = draw(0)
    expected = 0.8 * scene.image("t2") + 0.2 * scene.image("t1")
    np.testing.assert_allclose(apply(scene, "t2", "residual-source", 0.5), expected, atol=1e-6)


def test_kspace_shift_is_a_shift_of_kspace(draw):
    """Displacing k-space by d samples multiplies by a phase; the real part of that is what is kept."""
    scene = draw(0)
    image = scene.image("t2")
    changed = DEGRADATIONS["kspace-shift"](image, 1.0, Context(scene, "t2", "t1"), np.random.default_rng(4))
    angle = np.random.default_rng(4).uniform(0, np.pi)
    rows, columns = np.meshgrid(np.linspace(-0.5, 0.5, 128), np.linspace(-0.5, 0.5, 128), indexing="ij")
    phase = np.exp(2j * np.pi * 0.55 * (np.sin(angle) * rows + np.cos(angle) * columns))
    np.testing.assert_allclose(changed, np.abs((image * phase).real), atol=1e-5)


def test_noise_is_rician(draw):
    scene = draw(0)
    outside = scene.anatomy.brain == 0
    noisy = apply(scene, "t2", "noise", 1.0)[outside]
    assert noisy.mean() == pytest.approx(
        0.1 * np.sqrt(np.pi / 2), rel=0.02
    )  # Rayleigh where there is no signal


def test_a_checkerboard_has_its_energy_at_the_highest_frequencies(draw):
    scene = draw(0, size=256)
    change = apply(scene, "t2", "checkerboard", 1.0) - scene.image("t2")
    spectrum = np.abs(np.fft.fft2(change)) ** 2
    assert spectrum[120:137, 120:137].sum() > 0.2 * spectrum.sum()


def test_a_warp_moves_pixels_by_millimetres(draw):
    scene = draw(0)
    place = np.indices((128, 128), np.float32)[0] / 128
    moved = DEGRADATIONS["warp"](place, 1.0, Context(scene, "t2", "t1"), np.random.default_rng(0))
    inner = (moved - place)[16:-16, 16:-16] * 216
    assert 1.5 < inner.std() < 5
    assert abs(inner.mean()) < 1.0


def test_errors_do_not_disturb_each_other(draw):
    """The warp is the same warp whether or not noise comes after it."""
    scene = draw(0)
    context = Context(scene, "t2", "t1")
    alone = degrade(scene.image("t2"), {"warp": 0.6}, context, np.random.default_rng(5))
    both = degrade(scene.image("t2"), {"warp": 0.6, "noise": 1e-6}, context, np.random.default_rng(5))
    np.testing.assert_allclose(both, alone, atol=1e-4)


def test_slices_of_a_volume_are_degraded_alike(draw):
    heights = (8.0, 10.0)
    scene = draw(0, heights=heights, volume=True)
    for name in set(DEGRADATIONS) - {"noise"}:
        changed = apply(scene, "t2", name, 1.0)
        assert changed.shape == (2, 128, 128)
        first, second = (np.abs(changed - scene.image("t2"))[index].mean() for index in (0, 1))
        assert first == pytest.approx(second, rel=0.5, abs=0.003)
