"""``iqa.evaluate`` takes what users have; expected scores are computed with numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from PIL import Image as PILImage

import iqa_registry as iqa

FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "fortran": np.asfortranarray,
    "rotated": np.rot90,
    "flipped": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T,
    "slice of a volume": lambda a: np.repeat(a[:, :, None], 3, axis=2)[:, :, 1],
    "broadcast": lambda a: np.broadcast_to(a, (2, *a.shape))[1],
    "big-endian": lambda a: a.astype(">f4"),
    "float16": lambda a: a.astype(np.float16),
    "list": lambda a: a.tolist(),
    "tensor": torch.from_numpy,
    "with gradient": lambda a: torch.from_numpy(a).requires_grad_() * 1,
    "SimpleITK": SimpleITK.GetImageFromArray,
    "PIL": lambda a: PILImage.fromarray(a.astype(np.float32)),
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    reference = rng.random((24, 20))
    return reference * 0.9, reference


@pytest.mark.parametrize("form", FORMS)
def test_images_in_every_form(images: tuple[np.ndarray, np.ndarray], form: str) -> None:
    synthesized, reference = (FORMS[form](image) for image in images)
    table = iqa.evaluate([(synthesized, reference)], ["mae"], intensity="none")
    assert table["status"].to_list() == ["ok"], table["message"][0]
    tolerance = 1e-3 if form == "float16" else 1e-6
    assert table["score"][0] == pytest.approx(np.abs(images[0] - images[1]).mean(), abs=tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_gpu(images: tuple[np.ndarray, np.ndarray]) -> None:
    on_gpu = [torch.from_numpy(image).cuda() for image in images]
    table = iqa.evaluate([tuple(on_gpu)], ["mae"], intensity="none")
    assert table["score"][0] == pytest.approx(np.abs(images[0] - images[1]).mean(), abs=1e-6)


@pytest.mark.parametrize("form", ["transposed", "tensor", "list", "SimpleITK", "PIL"])
def test_masks_in_every_form(images: tuple[np.ndarray, np.ndarray], form: str) -> None:
    inside = images[1] > 0.6
    plain = FORMS["transposed" if form == "transposed" else "fortran"]
    mask = FORMS[form](inside.astype(np.uint8))
    table = iqa.evaluate([(plain(images[0]), plain(images[1]), mask)], ["mae"], intensity="none")
    scores = dict(zip(table["region"], table["score"], strict=True))
    expected = np.abs(images[0] - images[1])[inside].mean()
    assert scores["mask"] == pytest.approx(expected, abs=1e-6)


def test_nibabel_volumes_with_mask(rng: np.random.Generator) -> None:
    values = rng.random((8, 9, 10))
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    inside = values > 0.5
    synthesized, reference = (nibabel.Nifti1Image(a, affine) for a in (values * 0.9, values))
    mask = nibabel.Nifti1Image(inside.astype(np.uint8), affine)
    table = iqa.evaluate([(synthesized, reference, mask)], ["mae:dimensions=3"], intensity="none")
    scores = dict(zip(table["region"], table["score"], strict=True))
    assert scores["image"] == pytest.approx(0.1 * values.mean(), abs=1e-6)
    assert scores["mask"] == pytest.approx(0.1 * values[inside].mean(), abs=1e-6)


def test_a_run_that_goes_on_sees_that_an_image_changed(tmp_path: Path, rng: np.random.Generator) -> None:
    reference = rng.random((6, 7, 8))
    for factor in (0.9, 0.8):
        pair = [nibabel.Nifti1Image(reference * scale, np.eye(4)) for scale in (factor, 1)]
        table = iqa.evaluate([tuple(pair)], ["mae:dimensions=3"], output=tmp_path / "run", intensity="none")
        assert table["score"][0] == pytest.approx((1 - factor) * reference.mean(), abs=1e-6)
