"""What an error proposes where plain names do not match; each command is taken from the message and used."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from iqa_registry.errors import UsageError
from iqa_registry.images.pairs import pair_paths


@pytest.fixture
def fill(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def pasted(error):
    """The pairing of the command that a message ends with."""
    words = shlex.split(re.split("try: ", str(error), flags=re.IGNORECASE)[1])
    assert words[:2] == ["iqa", "evaluate"], error
    kinds = [word.removeprefix("--") for word in words[4::2]]
    return pair_paths(words[2], words[3], **dict(zip(kinds, words[5::2], strict=True)))


def cases(pattern, numbers=range(1, 4)):
    return [pattern.format(n=number, f=f"{number:03d}") for number in numbers]


LAYOUTS = {
    "suffixes": (["f/{f}_fake_B.png"], ["r/{f}_real_B.png", "r/{f}_real_A.png"]),
    "one name a case": (["f/1BA{f}/sct.nii.gz"], ["r/1BA{f}/ct.nii.gz", "r/1BA{f}/mr.nii.gz"]),
    "a suffix in a tree": (
        ["f/sub-{f}/anat/sub-{f}_T2w_pred.nii.gz"],
        ["r/sub-{f}/anat/sub-{f}_T2w.nii.gz", "r/sub-{f}/anat/sub-{f}_T1w.nii.gz"],
    ),
    "a flat folder": (["f/G-{f}-000-t2w.nii.gz"], ["r/G-{f}-000/G-{f}-000-t2w.nii.gz"]),
    "a channel": (["f/p{f}.nii.gz"], ["r/p{f}_0000.nii.gz"]),
    "models": (["f/gan/s{n}.png", "f/unet/s{n}.png"], ["r/s{n}.png"]),
    "zeros": (["f/img_{n}.png"], ["r/img_{f}.png"]),
    "prefixes": (["f/pred_{n}.npy"], ["r/gt_{n}.npy"]),
    "other formats": (["f/{n}_out.mha"], ["r/{n}.nii.gz"]),
}
"""Synthesized images and references by case number; the first reference is the right one."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_command_that_is_proposed_pairs_everything(fill, layout):
    ours, theirs = LAYOUTS[layout]
    expected = dict(pair for pattern in ours for pair in zip(cases(pattern), cases(theirs[0]), strict=True))
    fill(*expected, *(name for pattern in theirs for name in cases(pattern)))
    with pytest.raises(UsageError, match="no image of f") as caught:
        pair_paths("f", "r")
    found = pasted(caught.value)
    assert {pair.synthesized: pair.reference for pair in found.pairs} == expected
    assert found.unmatched == []


def test_nothing_is_proposed_where_nothing_fits(fill):
    fill("f/a.png", "f/b.png", "r/x1.png", "r/x2.png")
    with pytest.raises(UsageError, match="Give templates such as"):
        pair_paths("f", "r")


def test_masks_of_another_name(fill):
    fill(*cases("f/{f}.png"), *cases("r/{f}.png"), *cases("m/{f}_mask.png"))
    with pytest.raises(UsageError, match="has a mask of the same name") as caught:
        pair_paths("f", "r", "m")
    found = pasted(caught.value)
    assert [pair.mask for pair in found.pairs] == cases("m/{f}_mask.png")
    assert found.unmatched == []


def test_the_folder_of_references_as_masks(fill):
    fill(*cases("f/p{f}/ct.nii.gz"), *cases("r/p{f}/ct.nii.gz"), *cases("r/p{f}/mask.nii.gz"))
    with pytest.raises(UsageError, match="and its reference too") as caught:
        pair_paths("f", "r", "r")
    assert [pair.mask for pair in pasted(caught.value).pairs] == cases("r/p{f}/mask.nii.gz")


def test_one_folder_with_both_sides(fill):
    fill(*cases("i/{f}_fake_B.png"), *cases("i/{f}_real_A.png"), *cases("i/{f}_real_B.png"))
    with pytest.raises(UsageError, match="given twice") as caught:
        pair_paths("i", "i")
    assert [pair.reference for pair in pasted(caught.value).pairs] == cases("i/{f}_real_B.png")


def test_slices_and_a_volume(fill):
    fill(*cases("f/slice_{f}.png"), "v.nii.gz")
    with pytest.raises(UsageError, match="For slices of a volume, try") as caught:
        pair_paths("f", "v.nii.gz")
    assert [str(pair.reference) for pair in pasted(caught.value).pairs] == [
        f"v.nii.gz (axial slice {number})" for number in (1, 2, 3)
    ]
