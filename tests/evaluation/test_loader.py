"""The loader: read, bring to one grid and one scale, slice."""

import numpy as np
import pytest

from iqa_registry.errors import GeometryError, ImageError, IntensityError
from iqa_registry.evaluation.items import Failed
from iqa_registry.evaluation.loader import Loader
from iqa_registry.evaluation.options import Options
from iqa_registry.evaluation.plan import plan_items
from iqa_registry.images.pairs import make_pairs


def load(pair, labels=(), dimensions=(2,), **options):
    settings = Options(**options)
    items = plan_items(make_pairs([pair]), settings, set(dimensions))
    loader = Loader(settings, labels)
    return [loader.load(item) for item in items]


@pytest.fixture
def volume():
    return np.random.default_rng(0).random((6, 7, 8)).astype(np.float32)


def test_images_become_tensors_in_the_unit_range(grey):
    (loaded,) = load((grey(0), grey(1)))
    np.testing.assert_allclose(loaded.synthesized[0] * 255, grey(0), atol=1e-4)
    np.testing.assert_allclose(loaded.reference[0] * 255, grey(1), atol=1e-4)
    assert loaded.columns["intensity"] == "dtype"


def test_a_volume_is_sliced_along_the_axis(volume):
    found = load((volume, volume), axis="coronal", slices="2:5", intensity="range=0,1")
    assert [one.item.slice for one in found] == [2, 3, 4]
    for one in found:
        assert sorted(one.synthesized.shape) == [1, 6, 8]
        assert float(one.synthesized.sum()) == pytest.approx(float(volume[:, one.item.slice].sum()), rel=1e-6)


def test_a_whole_volume_holds_the_chosen_slices(volume):
    (loaded,) = load((volume, volume), dimensions=(3,), slices="1:6:2", intensity="range=0,1")
    assert loaded.synthesized.shape[:2] == (1, 3)
    assert loaded.item.sections == range(1, 6, 2)
    assert float(loaded.synthesized.sum()) == pytest.approx(float(volume[..., 1:6:2].sum()), rel=1e-6)


def test_masks_labels_and_foreground_are_regions(grey):
    labels = np.zeros((32, 40), np.uint8)
    labels[:8], labels[8:16] = 1, 4
    mask = (np.arange(40) < 10)[None].repeat(32, 0)
    pair = {"synthesized": grey(0), "reference": grey(1), "mask": mask, "labels": labels}
    (loaded,) = load(pair, ["core"], regions={"core": [4]}, foreground=True, use_labels=True)
    assert list(loaded.regions) == ["image", "mask", "core", "foreground"]
    assert float(loaded.regions["mask"].float().mean()) == 0.25
    assert float(loaded.regions["core"].float().mean()) == 0.25
    assert list(loaded.labels) == ["core"]
    assert load(pair, ["core"], regions={"core": [4]})[0].labels == {}


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({}, GeometryError, "32 x 40"),
        (
            {"crop": True, "intensity": "range=0,100", "out_of_range": "error"},
            IntensityError,
            "clipped|outside",
        ),
    ],
)
def test_what_does_not_fit_is_rejected(grey, options, error, says):
    with pytest.raises(error, match=says):
        load((grey(0), grey(1, (24, 40))), **options)


@pytest.mark.parametrize(("how", "rows"), [("crop", 24), ("resize", 24)])
def test_sizes_are_made_equal_on_request(grey, how, rows):
    (loaded,) = load((grey(0), grey(1, (24, 40))), **{how: True})
    assert loaded.synthesized.shape == loaded.reference.shape == (1, rows, 40)


def test_a_range_without_slices_is_an_error_that_shows_it(volume):
    with pytest.raises(ImageError, match="none of its 8 slices is in 20:30"):
        load((volume, volume), slices="20:30")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_is_told_and_the_order_stays(grey, workers):
    options = Options(workers=workers)
    pairs = make_pairs([(grey(0), grey(1)), ("absent.png", grey(1)), (grey(2), grey(1))])
    items = plan_items(pairs, options, {2})
    found = [one for batch in Loader(options).batches([items[:2], items[2:]]) for one in batch]
    assert [one.item.order for one in found] == [0, 1, 2]
    assert isinstance(found[1], Failed)
    assert "absent.png" in found[1].message
