"""Every command of docs/layouts.md scores folders that are written in that layout."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from PIL import Image

from iqa_registry.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "layouts.md"
LAYOUTS = {
    title: (files.split(), command)
    for title, files, command in re.findall(
        r"## ([^\n]+)\n(?:(?!## ).)*?```files\n(.*?)```\n\n```command\n(.*?)```",
        PAGE.read_text("utf-8"),
        re.DOTALL,
    )
}
SYNTHESIZED = re.compile(r"^(pred|out|output|derivatives)/|fake|Out_|PTNetSynth")


def write(path):
    """A ramp; 2 more in synthesized images. All ones in a mask."""
    value = np.arange(8 * 9 * 3, dtype=np.int16).reshape(8, 9, 3) % 200 + (
        2 if SYNTHESIZED.search(str(path)) else 0
    )
    if "mask" in path.name:
        value = np.ones_like(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(np.uint8(value[..., 0])).save(path)
    elif path.suffix == ".npy":
        np.save(path, value[..., 0])
    elif path.suffix == ".mha":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(value), path)
    else:
        nibabel.save(nibabel.Nifti1Image(value, np.eye(4)), path)


def test_the_page_has_ten_layouts():
    assert len(LAYOUTS) >= 10


@pytest.mark.parametrize("title", LAYOUTS)
def test_the_command_scores_the_layout(title, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files, command = LAYOUTS[title]
    for name in files:
        write(Path(name))
    if "Slices" in title:
        volume = np.asanyarray(nibabel.load("real/p_01.nii.gz").dataobj)
        for index in (0, 1):
            plane = np.uint8(volume[::-1, ::-1, index].T + 2)
            Image.fromarray(np.ascontiguousarray(plane)).save(f"out/p_01_{index:03d}.png")
    words = shlex.split(command.partition("--intensity")[0])[1:]
    result = CliRunner().invoke(
        app, [*words, "-m", "mae", "--intensity", "range=0,255", "--json", "--no-shift-check"]
    )
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    expected = {name for name in files if SYNTHESIZED.search(name)}
    assert len({row["pair_id"].split("/axial")[0] for row in rows}) == len(expected)
    assert [row["score"] for row in rows] == pytest.approx([2 / 255] * len(rows), rel=1e-4)
