"""Degradations: errors that translation networks make, each with a severity from 0 (the identity) to 1.

Each is a function of the image ``(..., H, W)`` in [0, 1], its severity, the scene that the image shows and a generator.
A generator in the same state draws the same error whatever the severity, so an error grows and never changes its kind.
Sizes are given in millimeters or in pixels of a slice of 256, and scale with the resolution. Errors within a slice are
the same in every slice of a volume, apart from noise. How large an error is at severity 1 is our choice; it was made by
eye, so that severity 1 is the worst that a network in use would deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from iqa_datasets.phantom.fields import FIELD_OF_VIEW, Grid, smooth_fields
from iqa_datasets.phantom.scene import Scene

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Context:
    """What an error may need to know.

    Attributes:
        scene: what the image shows.
        target: the image's modality.
        source: the modality that it was "translated" from.
    """

    scene: Scene
    target: str
    source: str


Degradation = Callable[[Array, float, Context, np.random.Generator], Array]

BLUR_MM, WARP_MM, SHIFT_MM = 2.2, 3.2, 26.0
"""At severity 1: standard deviation of the blur, of the warp along each axis, and the lesion's displacement."""
WARP_KNOTS = 20.0
NOISE = 0.1
BRIGHTNESS = 0.8
"""Share of its contrast against healthy tissue that a lesion gains or loses."""
SOURCE_SHARE = 0.4
SHIFT_SAMPLES = 0.55
MISSING, CENTRE = 0.5, 0.06
"""Share of lines that are missing, and share of lines in the center that never are."""
ALIASING = 0.6
CHECKERBOARD = 0.16


def blur(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Gaussian blur: what networks trained with a pixel loss give."""
    sigma = severity * BLUR_MM / FIELD_OF_VIEW * image.shape[-1]
    return np.asarray(ndimage.gaussian_filter(image, (*[0] * (image.ndim - 2), sigma, sigma)), np.float32)


def lost_lesion(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """The lesion fades into healthy tissue; at 1 it is gone."""
    return image - np.float32(severity) * _lesion_contrast(context)


def invented_lesion(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """A lesion appears that the subject has not; at 1 it looks like a real one."""
    scene = context.scene
    free = scene.spare * (1 - scene.lesions.sum(axis=0))
    change = scene.clean(context.target, scene.lesions + free) - scene.clean(context.target)
    return image + np.float32(severity) * change


def displaced_lesion(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """The lesion stands elsewhere; at 1 by :data:`SHIFT_MM`, towards the middle of the brain and past it."""
    scene = context.scene
    place = np.argwhere(scene.lesion_mask).mean(axis=0)[-2:]
    middle = np.argwhere(scene.anatomy.brain > 0.5).mean(axis=0)[-2:]
    direction = np.arctan2(*(middle - place)) + rng.uniform(-0.6, 0.6)
    pixels = severity * SHIFT_MM / scene.grid.spacing
    offset = pixels * np.array([np.sin(direction), np.cos(direction)])
    shift = (*[0] * (scene.lesions.ndim - 2), *offset)
    moved = np.asarray(ndimage.shift(scene.lesions, shift, order=1), np.float32)
    return image + scene.clean(context.target, moved) - scene.clean(context.target)


def lesion_brightness(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """The lesion stands out too much or too little."""
    sign = rng.choice([-1.0, 1.0])
    return image + np.float32(sign * severity * BRIGHTNESS) * _lesion_contrast(context)


def kspace_shift(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """k-space is displaced by a fraction of a sample, and the real part kept: signal fades to both ends of a direction.

    The displacement grows with the root of the severity, since a small one changes the image by its square.
    """
    angle = rng.uniform(0, np.pi)
    rows, columns = (np.linspace(-0.5, 0.5, length, dtype=np.float32) for length in image.shape[-2:])
    along = np.sin(angle) * rows[:, None] + np.cos(angle) * columns
    return image * np.abs(np.cos(2 * np.pi * np.sqrt(severity) * SHIFT_SAMPLES * along)).astype(np.float32)


def missing_lines(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Random lines of k-space are missing outside its center; the more, the larger the severity."""
    length = image.shape[-2]
    order = rng.permutation(length)
    outside = order[np.abs(order - length // 2) > CENTRE * length / 2]
    # The last line fades, so that the error grows steadily.
    gone = (severity * MISSING * len(outside) - np.arange(len(outside))).clip(0, 1)
    keep = np.ones(length, np.float32)
    keep[outside] = 1 - gone
    return _filter_lines(image, keep)


def aliasing(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Every other line of k-space is attenuated: a second image appears, half a field of view away."""
    keep = np.ones(image.shape[-2], np.float32)
    keep[(image.shape[-2] // 2 + 1) % 2 :: 2] = 1 - severity * ALIASING
    return _filter_lines(image, keep)


def checkerboard(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """The pattern that transposed convolutions leave, of periods 2 and 4 pixels at 256, in proportion to the signal."""
    step = max(1, image.shape[-1] // 256)
    rows, columns = (np.arange(length) // step for length in image.shape[-2:])
    fine = (-1.0) ** (rows[:, None] + columns)
    coarse = (-1.0) ** (rows[:, None] // 2 + columns // 2)
    pattern = (0.6 * fine + 0.8 * coarse).astype(np.float32)
    return image * (1 + np.float32(severity * CHECKERBOARD) * pattern)


def residual_source(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Contrast of the source modality is left in the translation."""
    share = np.float32(severity * SOURCE_SHARE)
    return (1 - share) * image + share * context.scene.image(context.source)


def warp(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Anatomy is in the wrong place: a smooth deformation of the slice."""
    size = image.shape[-1]
    grid = Grid(size, (0.0,), volume=False)
    field = smooth_fields(rng, grid, WARP_KNOTS, 2)
    # The brain as a whole stays where it is: that error would be a shift.
    field -= field.mean(axis=(1, 2), keepdims=True)
    places = np.indices(grid.shape, np.float32) + np.float32(severity * WARP_MM / grid.spacing) * field
    slices = image.reshape(-1, *grid.shape)
    moved = [ndimage.map_coordinates(one, places, order=1, mode="nearest") for one in slices]
    return np.stack(moved).reshape(image.shape).astype(np.float32)


def noise(image: Array, severity: float, context: Context, rng: np.random.Generator) -> Array:
    """Rician noise, as a sampler that was stopped too early leaves it."""
    first, second = np.float32(severity * NOISE) * rng.standard_normal((2, *image.shape), dtype=np.float32)
    return np.hypot(image + first, second)


DEGRADATIONS: Mapping[str, Degradation] = {
    "lost-lesion": lost_lesion,
    "invented-lesion": invented_lesion,
    "displaced-lesion": displaced_lesion,
    "lesion-brightness": lesion_brightness,
    "residual-source": residual_source,
    "warp": warp,
    "blur": blur,
    "kspace-shift": kspace_shift,
    "missing-lines": missing_lines,
    "aliasing": aliasing,
    "checkerboard": checkerboard,
    "noise": noise,
}
"""By name, in the order in which several errors of one image are applied: what is shown before how it is shown."""
NEEDS_LESION = frozenset({"lost-lesion", "displaced-lesion", "lesion-brightness"})
"""Errors that only an image with a lesion can have."""


def degrade(
    image: Array, severities: Mapping[str, float], context: Context, rng: np.random.Generator
) -> Array:
    """Apply several errors.

    Args:
        image: ``(..., H, W)`` in [0, 1].
        severities: error to severity in [0, 1].
        context: what the image shows.
        rng: each error draws from a stream of its own.

    Returns:
        The degraded image, clipped to [0, 1]; the very image where all severities are 0.

    Example:
        >>> from iqa_datasets.phantom.scene import make_scene
        >>> from iqa_datasets.phantom.template import load_template
        >>> scene = make_scene(np.random.default_rng(0), Grid(128, (10.0,), False), load_template(), lesion=True)
        >>> image, context = scene.image("t2"), Context(scene, "t2", "t1")
        >>> worse = degrade(image, {"blur": 0.5}, context, np.random.default_rng(0))
        >>> round(float(abs(worse - image).mean()), 3)
        0.014
    """
    streams = dict(zip(DEGRADATIONS, rng.spawn(len(DEGRADATIONS)), strict=True))
    for name, apply in DEGRADATIONS.items():
        severity = severities.get(name, 0.0)
        if severity > 0:
            image = apply(image, severity, context, streams[name]).clip(0, 1)
    return image


def _lesion_contrast(context: Context) -> Array:
    """By how much the lesion is brighter than the healthy tissue that it stands for."""
    scene = context.scene
    return scene.clean(context.target) - scene.clean(context.target, np.zeros_like(scene.lesions))


def _filter_lines(image: Array, keep: Array) -> Array:
    """Multiply the lines of k-space, zero frequency in the center, and give the magnitude."""
    spectrum = fft.fft(image, axis=-2)
    return np.abs(fft.ifft(spectrum * fft.ifftshift(keep)[:, None], axis=-2)).astype(np.float32)
