"""Intensity rules: what they resolve to, which pairs are rejected, and the map onto [0, 1]."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from iqa_registry.errors import IntensityError, OptionError, UsageError
from iqa_registry.images.formats import Image, as_picture, as_volume
from iqa_registry.images.intensity import apply_limits, check_scales, parse_intensity, resolve_limits


@pytest.fixture
def unit(rng: np.random.Generator) -> np.ndarray:
    """Floats in [0, 1], a third of them zero as around a head."""
    values = rng.beta(2, 3, (60, 64)).astype(np.float32)
    values[:20] = 0
    return values


def named(values: np.ndarray, name: str) -> Image:
    return as_picture(values.astype(np.float32), name)


@pytest.mark.parametrize(
    "text", ["dtype", "none", "range=-160,240", "reference-percentile=1,99", "each-percentile=0.5,99.5"]
)
def test_rules_are_read_and_written_alike(text: str) -> None:
    assert str(parse_intensity(text)) == text


def test_percentiles_may_be_left_out() -> None:
    assert str(parse_intensity("each-percentile")) == "each-percentile=0.5,99.5"


@pytest.mark.parametrize(
    "text", ["dytpe", "range", "range=1", "range=2,1", "range=0,inf", "each-percentile=5,101", "none=1", ""]
)
def test_wrong_rules_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^intensity: "):
        parse_intensity(text)


@pytest.mark.parametrize(
    ("synthesized", "reference", "rule"),
    [("u1", "u1", "dtype"), ("u1", "u2", "dtype"), ("f4", "u1", "reference-percentile=0.5,99.5"),
     ("u1", "f4", "reference-percentile=0.5,99.5"), ("f4", "f4", "reference-percentile=0.5,99.5")],
)  # fmt: skip
def test_automatic_rule(unit: np.ndarray, synthesized: str, reference: str, rule: str) -> None:
    pair = [as_picture((100 * unit).astype(dtype)) for dtype in (synthesized, reference)]
    limits = resolve_limits(parse_intensity(None), *pair)
    assert limits.rule == rule
    if rule == "dtype":
        scales = {"u1": (0.0, 255.0), "u2": (0.0, 65535.0)}
        assert (limits.synthesized, limits.reference) == (scales[synthesized], scales[reference])


def test_percentiles_are_those_of_numpy_over_the_whole_reference(rng: np.random.Generator) -> None:
    reference, synthesized = (as_volume(rng.normal(size=(20, 21, 22)) * scale) for scale in (1, 2))
    expected = tuple(np.percentile(reference.pixels, [2, 98]))
    limits = resolve_limits(parse_intensity("reference-percentile=2,98"), synthesized, reference)
    assert limits.synthesized == limits.reference == pytest.approx(expected)
    limits = resolve_limits(parse_intensity("each-percentile=2,98"), synthesized, reference)
    assert limits.synthesized == pytest.approx(tuple(np.percentile(synthesized.pixels, [2, 98])))
    assert limits.reference == pytest.approx(expected)


@pytest.mark.parametrize("text", [None, "each-percentile"])
def test_a_constant_reference_needs_a_range(text: str | None) -> None:
    flat = named(np.full((8, 8), 3.0), "flat.npy")
    with pytest.raises(
        IntensityError, match=r"flat\.npy: all pixels .* equal 3.*choose --intensity range=LO,HI"
    ):
        resolve_limits(parse_intensity(text), flat, flat)
    assert resolve_limits(parse_intensity("range=0,4"), flat, flat).reference == (0.0, 4.0)


def test_dtype_needs_a_type_with_a_scale(unit: np.ndarray) -> None:
    with pytest.raises(IntensityError, match=r"a\.npy: --intensity dtype needs an 8- or 16-bit 2-D image"):
        resolve_limits(parse_intensity("dtype"), named(unit, "a.npy"), named(unit, "b.npy"))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda x: 2 * x - 1, r"\[-1, 1\] against \[0, 1\]"),
        (lambda x: 255 * x, r"\[0, 255\] against \[0, 1\]"),
        (lambda x: 3000 * x - 1000, r"against \[0, 1\]"),
        (lambda x: 4000 * x, r"against \[0, 1\]"),
    ],
)
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("text", [None, "range=0,1"])
def test_plainly_different_scales_are_refused(
    unit: np.ndarray, change: object, seen: str, swap: bool, text: str | None
) -> None:
    pair = [named(change(unit), "s.npy"), named(unit, "r.npy")]
    if swap:
        pair.reverse()
        seen = "different scales|does not fit"
    with pytest.raises(IntensityError, match=rf"has values in .*({seen})"):
        check_scales(*pair, parse_intensity(text))
    check_scales(*pair, parse_intensity("each-percentile"))


def test_shifted_hounsfield_units_are_refused(unit: np.ndarray) -> None:
    with pytest.raises(IntensityError, match="different scales"):
        check_scales(named(2500 * unit, "s"), named(2500 * unit - 1000, "r"), parse_intensity(None))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 0 * x,
        lambda x: 0 * x + 0.5,
        lambda x: 0.02 * x,
        lambda x: 0.3 * x,
        lambda x: 3 * x,
        lambda x: 0.8 * x + 0.2,
        lambda x: 1.3 * x - 0.1,
        lambda x: 0.5 + 0.001 * x,
        lambda x: 1 - x,
        lambda x: np.where(x > 0.9, 4, x),
        lambda x: x + 0.1 * np.sin(9 * x),
    ],
)
@pytest.mark.parametrize("swap", [False, True])
def test_dim_bright_faint_and_constant_images_are_scored(
    unit: np.ndarray, change: object, swap: bool
) -> None:
    pair = [named(change(unit), "s"), named(unit, "r")]
    check_scales(*(reversed(pair) if swap else pair), parse_intensity(None))


@pytest.mark.parametrize("gain", [0.2, 0.7, 1.4, 5])
def test_mr_volumes_of_another_gain_are_scored(rng: np.random.Generator, gain: float) -> None:
    reference = as_volume(rng.gamma(2, 300, (30, 30, 30)))
    synthesized = as_volume(gain * reference.pixels + rng.normal(0, 20, reference.pixels.shape))
    check_scales(synthesized, reference, parse_intensity(None))


def test_mr_contrasts_of_one_examination_are_scored(real_case: object) -> None:
    from iqa_registry.images.formats import read_image

    volumes = [read_image(real_case / f"{name}.nii.gz") for name in ("t1", "t1c", "t2", "flair")]
    for first in volumes:
        for second in volumes:
            check_scales(first, second, parse_intensity(None))


@pytest.mark.parametrize("change", [lambda x: 255 * x, lambda x: 2 * x - 1, lambda x: 50 * (x > 0.999)])
def test_unscaled_values_are_refused_under_none(unit: np.ndarray, change: object) -> None:
    unit[-1, -1] = 1
    with pytest.raises(IntensityError, match=r"--intensity none expects \[0, 1\]; choose --intensity range="):
        check_scales(named(change(unit), "s"), named(unit, "r"), parse_intensity("none"))
    check_scales(named(1.1 * unit - 0.05, "s"), named(unit, "r"), parse_intensity("none"))


@pytest.mark.parametrize(("text", "gain"), [("range=0,4095", 1), ("range=0,1", 1000)])
def test_a_range_of_another_scale_is_refused(unit: np.ndarray, text: str, gain: float) -> None:
    pair = named(gain * unit, "s"), named(gain * unit, "r.npy")
    with pytest.raises(
        IntensityError, match=rf"r\.npy has values in .* which --intensity {text} does not fit"
    ):
        check_scales(*pair, parse_intensity(text))


floats = st.floats(-1e4, 1e4, width=32)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=floats),
    floats,
    floats,
)
def test_limits_map_onto_the_unit_interval(pixels: np.ndarray, first: float, second: float) -> None:
    low, high = sorted((first, second))
    if high - low < 1e-3:
        high = low + 1
    before = pixels.copy()
    scaled, clipped = apply_limits(pixels, (low, high))
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    np.testing.assert_allclose(scaled, np.clip((pixels.astype(float) - low) / (high - low), 0, 1), atol=2e-3)
    assert clipped == pytest.approx(((pixels < np.float32(low)) | (pixels > np.float32(high))).mean())
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("full", [255, 65535])
def test_integers_are_divided_exactly(full: int) -> None:
    values = np.arange(full + 1, dtype=np.float32)
    scaled, clipped = apply_limits(values, (0.0, float(full)))
    np.testing.assert_array_equal(scaled, values / np.float32(full))
    assert clipped == 0


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("lung", -1350, 150),
        ("bone", -500, 1300),
        ("brain", 0, 80),
        ("soft-tissue", -150, 250),
        ("mediastinum", -125, 225),
        ("liver", -45, 105),
        ("stroke", 20, 60),
    ],
)
def test_ct_windows_have_the_limits_of_radiology(name: str, low: float, high: float) -> None:
    rule = parse_intensity(f"window={name}")
    ct = as_volume(np.linspace(-1000, 2000, 60).reshape(3, 4, 5))
    limits = resolve_limits(rule, ct, ct)
    assert (limits.synthesized, limits.reference) == ((low, high), (low, high))
    assert (limits.rule, str(rule)) == (f"window={name}", f"window={name}")


def test_unknown_windows_and_images_without_hounsfield_units() -> None:
    with pytest.raises(OptionError, match=r"window=lungs is not one of lung, bone, .*Did you mean 'lung'"):
        parse_intensity("window=lungs")
    image = as_picture(np.arange(12, dtype=np.uint8).reshape(3, 4), "f.png")
    with pytest.raises(IntensityError, match=r"f\.png: --intensity window=bone needs Hounsfield units"):
        resolve_limits(parse_intensity("window=bone"), image, image)


def test_rounding_leaves_no_value_above_one(rng: np.random.Generator) -> None:
    for low, high in np.sort(rng.normal(size=(200, 2)) * 1000).tolist():
        scaled, _ = apply_limits(np.array([low, high, high + 1], np.float32), (low, high))
        assert 0 <= scaled.min() <= scaled.max() <= 1
