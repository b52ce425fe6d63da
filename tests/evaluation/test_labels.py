"""Label maps of the user's, handed to metrics that look at lesions."""

import json

import numpy as np
import pytest
import torch

import iqa_registry as iqa
import toy_metrics
from iqa_registry.errors import OptionError, UsageError
from iqa_registry.evaluation.options import Options
from iqa_registry.weights.hashing import file_sha256


@pytest.fixture(autouse=True)
def counts():
    toy_metrics.encoded.clear()
    toy_metrics.encoded_with_lesions.clear()
    return toy_metrics.encoded_with_lesions


@pytest.fixture
def labels(grey):
    """A label map with a lesion (1 and 4), healthy tissue (2) and background, somewhere else for each seed."""

    def make(seed, size=(32, 40)):
        found = np.zeros(size, np.uint8)
        found[seed : seed + 9, 3:20], found[seed : seed + 5, 5:9], found[20:, 30:] = 1, 4, 2
        return found

    return make


def lesions(*labels):
    """The options that show these labels to metrics as lesions."""
    return {"label_names": {"lesions": labels}, "use_labels": True}


def scores(registry, pairs, metric="toy-lesions", **options):
    table = iqa.evaluate(pairs, [metric], registry=registry, **options)
    return table.filter(metric=metric, region="image")["score"].to_list()


def gap(pair, chosen=(1, 4)):
    """What :class:`toy_metrics.LesionGap` gives, by NumPy."""
    images = [np.asarray(image) / 255 for image in pair[:2]]
    if len(pair) == 3 and pair[2] is not None:
        inside = [np.isin(pair[2], chosen)] * 2
    else:
        inside = [image > 0.5 for image in images]
    means = [image[where].mean() for image, where in zip(images, inside, strict=True)]
    return abs(means[0] - means[1])


@pytest.fixture
def pairs(grey, labels):
    """Three references with three candidates each: two masks that differ, and none."""
    references, masks = [grey(100), grey(101), grey(102)], [labels(1), labels(8), None]
    return [(grey(10 * r + c), references[r], masks[(r + c) % 3]) for r in range(3) for c in range(3)]


@pytest.mark.parametrize("batch_size", [1, 2, 7, 9])
@pytest.mark.parametrize("metrics", [("toy-lesions",), ("toy-lesions-a", "toy-count", "toy-lesions-b")])
def test_each_pair_is_scored_by_its_own_mask_whatever_the_batch(registry, pairs, batch_size, metrics):
    table = iqa.evaluate(pairs, list(metrics), registry=registry, batch_size=batch_size, **lesions(1, 4))
    for metric in metrics:
        if metric != "toy-count":
            found = table.filter(metric=metric, region="image")["score"].to_list()
            assert found == pytest.approx([gap(pair) for pair in pairs], abs=1e-6)


def test_without_the_option_the_metric_finds_lesions_itself(registry, pairs, counts):
    assert scores(registry, pairs) == pytest.approx([gap(pair[:2]) for pair in pairs], abs=1e-6)
    assert {told for _, told in counts} == {False}


def test_other_labels_are_other_lesions(registry, grey, labels):
    pair = (grey(0), grey(1), labels(3))
    found = [scores(registry, [pair], **lesions(*chosen))[0] for chosen in ((1, 4), (4,), np.array([2]))]
    assert found == pytest.approx([gap(pair, chosen) for chosen in ((1, 4), (4,), (2,))], abs=1e-6)
    assert len(set(found)) == 3


def test_a_reference_with_one_mask_is_encoded_once(registry, grey, labels, counts):
    reference, mask = grey(0), labels(2)
    pairs = [(grey(n), reference, mask) for n in range(1, 13)]
    scores(registry, pairs, batch_size=4, **lesions(1))
    assert sum(count for count, _ in counts) == 12 + 1


def test_metrics_that_look_at_lesions_share_an_encoder(registry, grey, labels, counts):
    pairs = [(grey(n), grey(n + 50), [labels(n), None][n % 2]) for n in range(6)]
    iqa.evaluate(pairs, ["toy-lesions-a", "toy-lesions-b"], registry=registry, **lesions(1))
    assert sum(count for count, _ in counts) == 2 * 6
    assert sorted(counts) == [(3, False)] * 2 + [(3, True)] * 2


@pytest.mark.parametrize("batch_size", [1, 4, 12])
def test_other_metrics_encode_no_more_than_without_lesions(registry, grey, labels, batch_size):
    one, other, masks = grey(0), grey(1), [labels(1), labels(5), None]
    pairs = [(grey(n + 9), one if n < 8 else other, masks[n % 3]) for n in range(12)]
    iqa.evaluate(
        pairs, ["toy-count", "toy-lesions", "toy-share-a", "toy-lesions-b", "toy-share-b"],
        registry=registry, batch_size=batch_size, **lesions(1),
    )  # fmt: skip
    assert sum(toy_metrics.encoded) == 2 * (12 + 2)


def test_a_pair_that_fails_leaves_the_others_their_masks(registry, pairs, monkeypatch):
    real = toy_metrics.LesionGap.encode

    def picky(self, images, lesions=None):
        if (images.flatten(1).amax(dim=1) == 0).any():
            raise RuntimeError("cannot take a black image")
        return real(self, images, lesions)

    monkeypatch.setattr(toy_metrics.LesionGap, "encode", picky)
    pairs[4] = (np.zeros((32, 40), np.uint8), *pairs[4][1:])
    found = scores(registry, pairs, **lesions(1, 4))
    assert found.pop(4) is None
    assert found == pytest.approx([gap(pair) for pair in pairs[:4] + pairs[5:]], abs=1e-6)


@pytest.fixture
def volumes():
    generator = np.random.default_rng(0)
    reference = generator.random((20, 24, 9)).astype(np.float32)
    labels = generator.integers(0, 5, reference.shape).astype(np.int16)
    return reference**2, reference, labels


def test_label_volumes_are_cut_as_their_images(registry, volumes):
    options = {"slices": "2:7", "intensity": "range=0,1", "layout": "XYZ", **lesions(1, 4)}
    found = scores(registry, [volumes], **options)
    sections = [(255 * volumes[0][..., n], 255 * volumes[1][..., n], volumes[2][..., n]) for n in range(2, 7)]
    assert found == pytest.approx([gap(section) for section in sections], abs=1e-6)
    whole = scores(registry, [volumes], "toy-lesions:dimensions=3", **options)
    block = (*(255 * part[..., 2:7] for part in volumes[:2]), volumes[2][..., 2:7])
    assert whole == pytest.approx([gap(block)], abs=1e-6)


@pytest.mark.parametrize("labels", [(), 4, "4;1", (1.5,), ["core"]])
def test_what_are_no_labels_is_rejected(labels):
    with pytest.raises(OptionError, match=r"core=.* is not LABEL,LABEL"):
        Options(label_names={"core": labels})


def test_a_region_is_named_by_the_dataset_or_defined(registry, grey, labels):
    pair = (grey(0), grey(1), labels(3))
    with pytest.raises(OptionError, match="'core' is not the name of a label"):
        iqa.evaluate([pair], ["mae"], registry=registry, regions=["core"])
    table = iqa.evaluate([pair], ["mae"], registry=registry, regions={"core": (1, 4)})
    assert table["region"].to_list() == ["image", "core"]
    assert table["region_fraction"][1] == pytest.approx(np.isin(pair[2], (1, 4)).mean())


def test_a_mask_beside_a_label_map_says_which_pixels_count(registry, grey, labels):
    mask = np.zeros((32, 40), np.uint8)
    mask[:16] = 1
    pair = {"synthesized": grey(0), "reference": grey(1), "mask": mask, "labels": labels(3)}
    table = iqa.evaluate([pair], ["mae"], registry=registry, regions={"core": (1, 4)})
    core = np.isin(pair["labels"], (1, 4)).mean()
    assert table["region"].to_list() == ["image", "mask", "core"]
    assert table["region_fraction"].to_list() == pytest.approx([1.0, 0.5, core])


def test_lesions_in_python():
    metric, images = toy_metrics.LesionGap(), torch.rand(2, 1, 8, 8)
    inside = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    inside[:, :, :4] = True
    expected = (images[:, :, :4].mean((1, 2, 3)) / 2).tolist()
    assert metric(images / 2, images, lesions=inside).tolist() == pytest.approx(expected, abs=1e-6)
    for wrong in (inside.float(), inside[:1], inside[:, 0], inside[..., 1:], [True]):
        with pytest.raises(UsageError, match=r"lesions must be boolean \(2, 1, 8, 8\), got "):
            metric(images, images, lesions=wrong)
    with pytest.raises(UsageError, match="CountingMetric does not look at lesions"):
        toy_metrics.CountingMetric()(images, images, lesions=inside)


@pytest.fixture
def run(registry, pairs, tmp_path):
    def start(metric="toy-lesions", **options):
        return scores(registry, pairs, metric, output=tmp_path / "run", **options)

    return start


def test_a_run_is_resumed_with_the_same_lesions_only(run, tmp_path, counts):
    first = run(**lesions(4, 1))
    record = json.loads((tmp_path / "run" / "run.json").read_text())["fixed"]["options"]
    assert record["label_names"] == {"lesions": [1, 4]}
    counts.clear()
    assert run(**lesions(1, 4)) == first
    assert counts == []
    for other in (lesions(1), {}):
        with pytest.raises(UsageError, match=r"other arguments.*lesions"):
            run(**other)


@pytest.mark.parametrize("other", ["new/finder.pt", "another.pt", None])
def test_weights_that_a_metric_opened_are_recorded_and_compared(run, tmp_path, monkeypatch, other):
    (tmp_path / "new").mkdir()
    for name, value in (("finder.pt", 0.0), ("another.pt", 0.0), ("new/finder.pt", 1.0)):
        torch.save({"weight": torch.full((2,), value)}, tmp_path / name)
    monkeypatch.setattr(toy_metrics, "finder_weights", [tmp_path / "finder.pt"])
    run()
    metrics = json.loads((tmp_path / "run" / "run.json").read_text())["fixed"]["metrics"]
    digest = file_sha256(tmp_path / "finder.pt")
    assert metrics["toy-lesions"]["weights"] == {"finder.pt": digest}
    monkeypatch.setattr(toy_metrics, "finder_weights", [tmp_path / other] if other else [])
    with pytest.raises(UsageError, match=r"other arguments.*finder\.pt"):
        run()
