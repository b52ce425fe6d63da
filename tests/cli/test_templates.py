"""Templates on the command line: run folders, slices along an axis, and maps."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
from PIL import Image

TEMPLATES = ("fake/{model}/{case}_fake.png", "real/{case}.png")


@pytest.fixture
def layout(tmp_path, smooth, iqa):
    """Two models, two cases; each synthesized image has ``3`` (gan) or ``6`` (unet) gray values more."""
    for case in ("01", "02"):
        real = np.minimum(smooth(int(case)), 240)
        for model, more in (("gan", 3), ("unet", 6)):
            for path, values in (
                (Path("fake", model, f"{case}_fake.png"), real + more),
                (Path("real", f"{case}.png"), real),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(path)
    return tmp_path


def test_groups_of_a_template(iqa, layout):
    done = iqa("evaluate", *TEMPLATES, "-m", "mae", "--group-by", "model", "--json")
    assert done.returncode == 0, done.stderr
    scores = {row["pair_id"]: row["score"] for row in json.loads(done.stdout)}
    expected = {
        f"{model}/{case}": more / 255 for model, more in (("gan", 3), ("unet", 6)) for case in ("01", "02")
    }
    assert scores == pytest.approx(expected, rel=1e-5)


def test_a_run_is_resumed_from_another_folder(iqa, layout, monkeypatch):
    first = iqa("evaluate", *TEMPLATES, "-m", "mae", "-o", "run")
    assert first.returncode == 0, first.stderr
    arguments = json.loads((layout / "run" / "run.json").read_text())["fixed"]["arguments"]
    assert arguments["synthesized"] == str(layout / TEMPLATES[0])
    assert arguments["reference"] == str(layout / TEMPLATES[1])
    state = {path: path.stat().st_mtime_ns for path in (layout / "run" / "scores").iterdir()}
    (layout / "elsewhere").mkdir()
    monkeypatch.chdir(layout / "elsewhere")
    again = iqa("evaluate", *(f"../{text}" for text in TEMPLATES), "-m", "mae", "-o", "../run")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in (layout / "run" / "scores").iterdir()} == state


def test_a_run_of_slices_is_resumed_from_another_folder(iqa, tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 250, (32, 33, 2)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), "p.nii.gz")
    for index in range(2):
        Image.fromarray(np.ascontiguousarray(values[..., index][::-1, ::-1].T)).save(f"p_{index}.png")
    words = ("-m", "mae", "--intensity", "range=0,255")
    first = iqa("evaluate", "{case}_{slice}.png", "{case}.nii.gz", *words, "-o", "run")
    assert first.returncode == 0, first.stderr
    state = [path.stat().st_mtime_ns for path in (tmp_path / "run" / "scores").iterdir()]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = iqa("evaluate", "../{case}_{slice}.png", "../{case}.nii.gz", *words, "-o", "../run")
    assert again.returncode == 0, again.stderr
    assert [path.stat().st_mtime_ns for path in (tmp_path / "run" / "scores").iterdir()] == state


@pytest.mark.parametrize(("axis", "number"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_are_compared_along_the_axis(iqa, axis, number):
    """Slice ``i`` has ``i + 1`` gray values more than that slice of the volume, so that each mae tells its slice."""
    values = np.random.default_rng(0).integers(0, 200, (32, 33, 34)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), "p.nii.gz")
    for index in range(4):
        plane = np.take(values, index, axis=number)[::-1, ::-1].T
        Image.fromarray(np.ascontiguousarray(plane) + np.uint8(index + 1)).save(f"p_{index:02d}.png")
    done = iqa(
        *("evaluate", "{case}_{slice}.png", "{case}.nii.gz", "--axis", axis),
        *("-m", "mae", "--intensity", "range=0,255", "--json", "--no-shift-check"),
    )
    assert done.returncode == 0, done.stderr
    assert f"compared with {axis} slices" in done.stderr
    scores = [row["score"] for row in json.loads(done.stdout)]
    assert scores == pytest.approx([(index + 1) / 255 for index in range(4)], rel=1e-5)


def test_maps_of_templates(iqa, layout):
    done = iqa("maps", *TEMPLATES, "--metric", "error", "-o", "maps")
    assert done.returncode == 0, done.stderr
    drawn = sorted(path.relative_to("maps").as_posix() for path in Path("maps").rglob("*.png"))
    assert len(drawn) == 4
    table = pl.read_csv("maps/maps.csv")
    assert sorted(table["mean"].to_list()) == pytest.approx([3 / 255] * 2 + [6 / 255] * 2, rel=1e-4)
