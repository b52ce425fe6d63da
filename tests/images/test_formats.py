"""What all formats share: one answer from three of them, slices as viewers show them, errors that name the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from iqa_registry.errors import ImageError, UsageError
from iqa_registry.images.formats import (
    AXES,
    as_volume,
    probe_image,
    read_image,
    restore_sections,
    stem,
    suffix,
    unsection,
    unstack,
)


def test_three_formats_of_a_real_volume_agree(
    tmp_path: Path, real_case: Path, write_series: Callable[..., Path]
) -> None:
    volume = nibabel.as_closest_canonical(nibabel.load(real_case / "t1c.nii.gz"))
    values = np.asarray(volume.dataobj)
    series = read_image(write_series(tmp_path / "series", values, volume.affine))
    nifti = read_image(real_case / "t1c.nii.gz")
    np.testing.assert_allclose(series.affine, nifti.affine, atol=1e-3)
    for name, axis in AXES.items():
        for index in (0, nifti.pixels.shape[axis] // 2, nifti.pixels.shape[axis] - 1):
            section = nifti.section(axis, index)
            np.testing.assert_array_equal(section, series.section(axis, index))
            Pillow.fromarray(section[0].astype(np.uint16)).save(tmp_path / f"{name}.png")
            np.testing.assert_array_equal(section, read_image(tmp_path / f"{name}.png").pixels)


def test_axial_section_is_the_pixel_array_of_the_dicom_slice(
    tmp_path: Path, real_case: Path, write_series: Callable[..., Path]
) -> None:
    import pydicom

    volume = nibabel.as_closest_canonical(nibabel.load(real_case / "flair.nii.gz"))
    folder = write_series(tmp_path / "series", np.asarray(volume.dataobj), volume.affine)
    slices = sorted(
        (pydicom.dcmread(path) for path in folder.iterdir()), key=lambda s: s.ImagePositionPatient[2]
    )
    image = read_image(folder)
    for index, dataset in enumerate(slices):
        np.testing.assert_array_equal(image.section(AXES["axial"], index)[0], dataset.pixel_array)


@pytest.mark.parametrize(
    ("axis", "rows", "columns"), [("axial", "y", "x"), ("coronal", "z", "x"), ("sagittal", "z", "y")]
)
def test_sections_show_right_on_the_left_and_front_on_top(axis: str, rows: str, columns: str) -> None:
    grid = dict(zip("xyz", np.meshgrid(*map(np.arange, (4, 5, 6)), indexing="ij"), strict=True))
    for voxels, along in ((rows, 0), (columns, 1)):
        section = as_volume(grid[voxels]).section(AXES[axis], 2)[0]
        assert (np.diff(section, axis=along) == -1).all()
        assert (np.diff(section, axis=1 - along) == 0).all()


@given(st.tuples(*[st.integers(1, 6)] * 3), st.integers(0, 2))
def test_sections_and_stack_can_be_undone(shape: tuple[int, int, int], axis: int) -> None:
    volume = as_volume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    sections = [volume.section(axis, index) for index in range(shape[axis])]
    np.testing.assert_array_equal(restore_sections(sections, axis), volume.pixels)
    np.testing.assert_array_equal(unstack(volume.stack()), volume.pixels)
    np.testing.assert_array_equal(volume.stack()[0, 0], volume.section(2, 0)[0])
    assert all(section.flags.c_contiguous and section.flags.writeable for section in sections)


def test_slices_that_do_not_exist_are_refused() -> None:
    volume, picture = as_volume(np.zeros((4, 5, 6))), read_image(np.zeros((4, 5)))
    for index in (-1, 6):
        with pytest.raises(UsageError, match=f"has slices 0 to 5 along axis 2, not {index}"):
            volume.section(2, index)
    for cut in (lambda: picture.section(2, 0), picture.stack):
        with pytest.raises(UsageError, match="is a 2-D image and has no slices"):
            cut()
    with pytest.raises(UsageError, match="expected one slice"):
        unsection(np.zeros((2, 4, 5)), 0)


@pytest.mark.parametrize("function", [read_image, probe_image])
def test_paths_that_cannot_be_read_are_named(
    tmp_path: Path, function: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "gone.png",
        "gone.nii.gz",
        "gone.npy",
        "gone.npz",
        "gone.dcm",
        "gone.mha",
        "gone.nrrd",
        "gone",
    ):
        with pytest.raises(ImageError, match=f"{name}: no such file; check the path"):
            function(tmp_path / name)
    (tmp_path / "notes.docx").write_text("text")
    with pytest.raises(
        ImageError, match=r"notes\.docx: unknown format; expected a DICOM file or one of \.png"
    ):
        function(tmp_path / "notes.docx")
    Pillow.new("L", (4, 4)).save(tmp_path / "locked.png")
    monkeypatch.setattr(Path, "open", _denied)  # the tests may run as a user who can read everything
    with pytest.raises(ImageError, match=r"locked\.png: permission denied; make it readable"):
        function(tmp_path / "locked.png")


def test_threads_may_read_at_once_and_leave_the_warning_filters_alone(
    tmp_path: Path, rng: np.random.Generator, write_series: Callable[..., Path]
) -> None:
    volume = rng.integers(0, 500, (8, 9, 10)).astype(np.int16)
    sources = [
        write_series(tmp_path / "series", volume, np.eye(4)),
        tmp_path / "a.mha",
        tmp_path / "a.nii.gz",
    ]
    SimpleITK.WriteImage(SimpleITK.ReadImage(sorted(map(str, sources[0].iterdir()))[:1]), sources[1])
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), sources[2])
    expected = [read_image(source).pixels for source in sources]
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda source: read_image(source).pixels, sources * 8))
    for number, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, expected[number % 3])
    assert warnings.filters == before


def _denied(self: Path, *arguments: Any) -> None:
    raise PermissionError(13, "Permission denied", str(self))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.NII.gz", (".nii.gz", "b")),
        ("T1.5.dcm", (".dcm", "T1.5")),
        ("x.gz", ("", "x.gz")),
        ("x", ("", "x")),
    ],
)
def test_suffix_and_stem(path: str, expected: tuple[str, str]) -> None:
    assert (suffix(path), stem(path)) == expected
