"""The one door in."""

import numpy as np
import pytest
from PIL import Image

from iqa_registry.datasets import Dataset
from iqa_registry.errors import UsageError
from iqa_registry.images.pair import Pair
from iqa_registry.inputs import open_inputs


@pytest.fixture
def folders(tmp_path):
    for kind in ("synthesized", "reference", "masks", "labels"):
        (tmp_path / kind).mkdir()
        for number in range(2):
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / kind / f"{number}.png")
    return tmp_path


def test_two_folders_with_masks_and_labels(folders):
    (folders / "labels" / "1.png").unlink()
    given = {name: folders / name for name in ("synthesized", "reference", "labels")}
    inputs = open_inputs(**given, mask=folders / "masks")
    assert [pair.pair_id for pair in inputs.pairs] == ["0", "1"]
    assert [pair.labels and pair.labels.endswith("labels/0.png") for pair in inputs.pairs] == [True, None]
    assert all(pair.mask.endswith(f"masks/{pair.pair_id}.png") for pair in inputs.pairs)
    assert inputs.left_out == [f"{folders}/synthesized/1.png has no labels in {folders}/labels"]
    assert inputs.arguments["mask"] == str(folders / "masks")


def test_a_mask_serves_as_label_map_where_there_is_no_other(folders):
    images = folders / "synthesized" / "0.png", folders / "reference" / "0.png"
    (pair,) = open_inputs(*images, mask=folders / "masks" / "0.png").pairs
    assert pair.labels == pair.mask
    (pair,) = open_inputs(
        *images, mask=folders / "masks" / "0.png", labels=folders / "labels" / "0.png"
    ).pairs
    assert pair.labels != pair.mask


def test_a_manifest(folders):
    rows = "synthesized,reference,labels\nsynthesized/0.png,reference/0.png,labels/0.png\n"
    (folders / "pairs.csv").write_text(rows)
    (pair,) = open_inputs(pairs=folders / "pairs.csv").pairs
    assert (pair.mask, pair.labels) == (None, str(folders / "labels" / "0.png"))


def test_a_dataset_brings_the_names_of_its_labels():
    class Ramps(Dataset):
        label_names = {"core": (4,)}  # noqa: RUF012

        def pairs(self):
            self.left_out.append("two: has no reference")
            yield Pair("one", np.zeros((4, 4)), np.zeros((4, 4)))

    inputs = open_inputs(dataset=Ramps())
    assert (len(inputs.pairs), inputs.label_names) == (1, {"core": (4,)})
    assert list(inputs.left_out) == ["two: has no reference"]


def test_nothing_is_the_sample_and_says_so():
    inputs = open_inputs()
    assert len(inputs.pairs) == 48
    assert "simulated" in inputs.notice


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"synthesized": "a.png", "pairs": "b.csv"}, "images and --pairs contradict"),
        ({"pairs": "b.csv", "dataset": "ixi:x"}, "--pairs and --dataset contradict"),
        ({"pairs": "b.csv", "mask": "m.png"}, "--mask goes with two images"),
        ({"labels": "m.png"}, "--labels goes with two images"),
        ({"synthesized": "absent.png"}, "no such file"),
    ],
)
def test_what_contradicts_is_rejected(given, says):
    with pytest.raises(UsageError, match=says):
        open_inputs(**given)
