"""Objects of other libraries as images; what they must give is computed with numpy alone."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from PIL import Image as PILImage

from iqa_registry.errors import ImageError, UsageError
from iqa_registry.images.objects import is_absent, is_image, to_source

LAS = np.diag([-1.0, 1.0, 1.0, 1.0])


def test_a_nibabel_image_is_a_volume_in_ras_with_its_scaling(rng: np.random.Generator) -> None:
    stored = rng.integers(0, 100, (4, 5, 6)).astype(np.int16)
    image = nibabel.Nifti1Image(stored, LAS)
    found = to_source(image)
    np.testing.assert_array_equal(found.pixels, stored[::-1])
    assert found.is_volume
    assert found.orientation == "LAS"
    image.header.set_slope_inter(1, 0)
    four = nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.float32), LAS)
    with pytest.raises(ImageError, match="4 x 5 x 6 x 2 values, expected one volume"):
        to_source(four)


def test_a_simpleitk_volume_is_that_of_its_voxels_in_ras(rng: np.random.Generator) -> None:
    values = rng.random((6, 5, 4)).astype(np.float32)  # z, y, x
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing((1.0, 2.0, 3.0))
    found = to_source(image)
    # ITK's axes run left and posterior, so both are turned round.
    np.testing.assert_array_equal(found.pixels, values.T[::-1, ::-1])
    assert np.linalg.norm(found.affine[:3, :3], axis=0).tolist() == [1.0, 2.0, 3.0]
    flat = to_source(SimpleITK.GetImageFromArray(values[0]))
    np.testing.assert_array_equal(flat.pixels, values[:1])
    with pytest.raises(ImageError, match="3 dimensions of 2 values"):
        to_source(SimpleITK.GetImageFromArray(np.zeros((3, 4, 5, 2), np.float32), isVector=True))


def test_pil_images_are_gray_color_or_labels(rng: np.random.Generator) -> None:
    values = rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)
    found = to_source(PILImage.fromarray(values))
    np.testing.assert_array_equal(found.pixels, np.moveaxis(values, 2, 0))
    assert found.full_scale == 255
    palette = PILImage.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    assert to_source(palette, labels=True).pixels.tolist() == [[[0, 1], [2, 1]]]
    assert to_source(palette).pixels[:, 1, 0].tolist() == [0, 0, 255]
    turned = PILImage.fromarray(values[..., 0])
    turned.getexif()[0x0112] = 6  # turn by 90 degrees clockwise
    np.testing.assert_array_equal(to_source(turned).pixels[0], np.rot90(values[..., 0], -1))
    with pytest.raises(ImageError, match="mode CMYK; convert"):
        to_source(PILImage.new("CMYK", (2, 2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.bool])
def test_tensors_keep_their_values(dtype: torch.dtype) -> None:
    values = torch.arange(6).reshape(2, 3).to(dtype).T
    np.testing.assert_array_equal(to_source(values), values.to(torch.float64).numpy())


def test_a_metatensor_brings_its_affine(rng: np.random.Generator) -> None:
    class MetaTensor(torch.Tensor):
        """As MONAI's: channel first, the affine as an attribute."""

        affine: torch.Tensor

        def as_tensor(self) -> torch.Tensor:
            return self.as_subclass(torch.Tensor)

    MetaTensor.__module__ = "monai.data.meta_tensor"
    values = rng.random((1, 4, 5, 6)).astype(np.float32)
    tensor = torch.from_numpy(values).as_subclass(MetaTensor)
    tensor.affine = torch.from_numpy(LAS)
    np.testing.assert_array_equal(to_source(tensor).pixels, values[0, ::-1])


def test_what_is_absent_and_what_is_no_image() -> None:
    pandas = pytest.importorskip("pandas")
    for value in (None, float("nan"), np.float64("nan"), "", " ", pandas.NA, pandas.NaT):
        assert is_absent(value)
        assert to_source(value) is None
    assert to_source([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert not is_image([1])
    assert is_image(torch.ones(2, 2))
    assert not is_image(pandas.DataFrame())
    for value in ({"a": 1}, [[1], [2, 3]], ["a.png"], 7, pandas.DataFrame()):
        with pytest.raises(
            UsageError, match=r"mask is of type .*, which is not an image. Give a path, a NumPy array"
        ):
            to_source(value, "mask")
