"""The adapters against the metric itself: means, batches of unequal size, what is left out, several processes."""

import importlib
import pickle
import sys

import pytest
import torch
import torch.multiprocessing as mp

torchmetrics = pytest.importorskip("torchmetrics")
pytest.importorskip("monai")

import broken_metrics  # noqa: E402
from adapter_batches import batches, empty_second, share  # noqa: E402
from iqa_registry import metric  # noqa: E402
from iqa_registry.adapters.monai import ImageQualityMetric  # noqa: E402
from iqa_registry.adapters.torchmetrics import ImageQuality, SetQuality  # noqa: E402
from iqa_registry.errors import ImageError, MissingExtraError, UsageError  # noqa: E402
from iqa_registry.registry import build_registry  # noqa: E402

NAMES = ("psnr", "ssim", "mae", "nlpd")
BATCHES = (1, 4, 2)


@pytest.mark.parametrize("name", NAMES)
def test_torchmetrics_mean_over_unequal_batches(name):
    synthesized, reference = batches()
    quality = ImageQuality(name)
    for pair in zip(synthesized.split(list(BATCHES)), reference.split(list(BATCHES)), strict=True):
        quality.update(*pair)
    scores = metric(name)(synthesized, reference)
    torch.testing.assert_close(quality.compute(), scores.mean())
    quality.reset()
    quality.update(synthesized[:2], reference[:2])
    torch.testing.assert_close(quality.compute(), scores[:2].mean())


@pytest.mark.parametrize("name", NAMES)
def test_monai_mean_over_unequal_batches(name):
    synthesized, reference = batches()
    quality = ImageQualityMetric(name)
    for pair in zip(synthesized.split(list(BATCHES)), reference.split(list(BATCHES)), strict=True):
        returned = quality(y_pred=pair[0], y=pair[1])
        assert returned.shape == (len(pair[0]), 1)
    scores = metric(name)(synthesized, reference)
    torch.testing.assert_close(quality.aggregate().squeeze(), scores.mean())
    torch.testing.assert_close(quality.aggregate("sum"), scores.sum())
    torch.testing.assert_close(quality.aggregate("none")[:, 0], scores)
    quality.reset()
    quality(y_pred=list(synthesized[:2]), y=list(reference[:2]))
    torch.testing.assert_close(quality.aggregate().squeeze(), scores[:2].mean())


def test_declaration_is_passed_on():
    assert (ImageQuality("psnr").higher_is_better, ImageQuality("psnr").is_differentiable) == (True, True)
    assert (ImageQuality("mdsi").higher_is_better, ImageQuality("mdsi").is_differentiable) == (False, False)
    assert ImageQuality("psnr").full_state_update is False


def test_forward_gives_the_batch_and_keeps_the_sum():
    synthesized, reference = batches()
    quality, scores = ImageQuality("ssim"), metric("ssim")(synthesized, reference)
    images = synthesized[:3].clone().requires_grad_()
    first = quality(images, reference[:3])
    first.backward()
    assert images.grad.abs().max() > 0
    second = quality(synthesized[3:], reference[3:])
    torch.testing.assert_close(
        torch.stack([first.detach(), second]), torch.stack([scores[:3].mean(), scores[3:].mean()])
    )
    torch.testing.assert_close(quality.compute(), scores.mean())


def test_collection_keeps_metrics_apart_that_begin_equal():
    # MAE and MSE of equal images are both 0: a collection must not take them for one metric.
    synthesized, reference = batches()
    names = {"mae": "mae", "mse": "mse", "psnr": "psnr", "ssim": "ssim", "wide": "ssim:window=7"}
    collection = torchmetrics.MetricCollection({key: ImageQuality(name) for key, name in names.items()})
    collection.update(reference[:1], reference[:1])
    collection.reset()
    collection.update(reference[:1], reference[:1])
    collection.update(synthesized, reference)
    values = collection.compute()
    for key in ("mae", "mse", "ssim", "wide"):
        scores = metric(names[key])(synthesized, reference)
        best = metric(names[key]).spec.identity_score
        torch.testing.assert_close(values[key], (scores.sum() + best) / (len(scores) + 1), msg=key)


def test_value_range_reaches_the_metric():
    synthesized, reference = batches(2)
    expected = metric("ssim")(synthesized, reference).mean()
    wide = 2 * synthesized - 1, 2 * reference - 1
    quality, monai = (
        ImageQuality("ssim", value_range=(-1, 1)),
        ImageQualityMetric("ssim", value_range=(-1, 1)),
    )
    quality.update(*wide)
    monai(*wide)
    torch.testing.assert_close(quality.compute(), expected)
    torch.testing.assert_close(monai.aggregate().squeeze(), expected)
    with pytest.raises(ImageError, match=r"in \[0, 1\]"):
        ImageQuality("ssim").update(*wide)


def test_torchmetrics_counts_what_does_not_apply():
    synthesized, reference = batches(3)
    quality = ImageQuality("mae")
    quality.update(synthesized, reference, empty_second(reference))
    assert quality.skipped == 1
    scores = metric("mae")(synthesized, reference)
    with pytest.warns(UserWarning, match="did not apply to 1 of 3 images"):
        torch.testing.assert_close(quality.compute(), scores[[0, 2]].mean())
    quality.reset()
    assert quality.skipped == 0


def test_images_that_are_too_small_are_counted():
    small = torch.zeros(2, 1, 5, 5)
    quality, monai = ImageQuality("ssim"), ImageQualityMetric("ssim", get_not_nans=True)
    quality.update(small, small)
    monai(small, small)
    assert quality.skipped == 2
    with pytest.warns(UserWarning, match="2 of 2"):
        assert quality.compute().isnan()
    mean, count = monai.aggregate()
    assert mean.isnan().all()
    assert count.item() == 0


def test_monai_counts_what_applies():
    synthesized, reference = batches(3)
    monai = ImageQualityMetric("mae", get_not_nans=True)
    monai(synthesized, reference, mask=empty_second(reference))
    mean, count = monai.aggregate()
    torch.testing.assert_close(mean.squeeze(), metric("mae")(synthesized, reference)[[0, 2]].mean())
    assert count.item() == 2
    again, _ = monai.aggregate()
    torch.testing.assert_close(again, mean)  # MONAI's reduction writes into what it is given


def test_monai_refuses_lists_of_different_length_and_nothing():
    synthesized, reference = batches(3)
    monai = ImageQualityMetric("mae")
    with pytest.raises(UsageError, match="y_pred has 3 images, y has 2"):
        monai(list(synthesized), list(reference[:2]))
    with pytest.raises(UsageError, match="has not scored any image"):
        monai.aggregate()


def test_monai_takes_meta_tensors_and_masks_by_list():
    from monai.data import MetaTensor

    synthesized, reference = batches(3)
    mask = empty_second(reference)
    monai = ImageQualityMetric("ssim")
    scores = monai([MetaTensor(image) for image in synthesized], list(reference), mask=list(mask))
    assert type(scores) is torch.Tensor
    torch.testing.assert_close(scores[:, 0], metric("ssim")(synthesized, reference, mask), equal_nan=True)


def test_wrong_kinds_are_refused():
    registry = build_registry(extra=[broken_metrics.candidate()])
    with pytest.raises(UsageError, match="Use SetQuality"):
        ImageQuality(registry.metric("good-set"))
    with pytest.raises(UsageError, match="Use ImageQuality"):
        SetQuality("mae")
    with pytest.raises(UsageError, match="sets of images"):
        ImageQualityMetric(registry.metric("good-set"))
    with pytest.raises(UsageError, match="reference is missing"):
        ImageQuality("mae").update(torch.zeros(1, 1, 8, 8))


def test_metric_of_one_image_needs_no_target():
    registry = build_registry(extra=[broken_metrics.candidate()])
    one, (synthesized, _) = registry.metric("good-single"), batches()
    quality, monai = ImageQuality(one), ImageQualityMetric(one)
    quality.update(synthesized)
    monai(synthesized)
    torch.testing.assert_close(quality.compute(), one(synthesized).mean())
    torch.testing.assert_close(monai.aggregate().squeeze(), one(synthesized).mean())


def test_metric_of_sets_equals_the_whole():
    registry = build_registry(extra=[broken_metrics.candidate()])
    one, (synthesized, reference) = registry.metric("good-set"), batches()
    quality = SetQuality(one)
    quality.update(synthesized[:3], reference[:2])
    quality.update(synthesized[3:], reference[2:])
    assert quality.compute().item() == pytest.approx(one(synthesized, reference), rel=1e-5)
    few = SetQuality(one)
    few.update(synthesized[:1], reference)
    with pytest.raises(UsageError, match="needs at least 2 images, got 1"):
        few.compute()


def test_adapters_can_be_pickled():
    synthesized, reference = batches(2)
    quality = pickle.loads(pickle.dumps(ImageQuality("psnr")))
    quality.update(synthesized, reference)
    torch.testing.assert_close(quality.compute(), metric("psnr")(synthesized, reference).mean())


@pytest.mark.parametrize(("name", "package"), [("torchmetrics", "torchmetrics"), ("monai", "monai.metrics")])
def test_missing_package_names_the_extra(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"iqa_registry.adapters.{name}")
    with pytest.raises(MissingExtraError, match=rf"iqa-registry\[{name}\]"):
        importlib.import_module(f"iqa_registry.adapters.{name}")


@pytest.mark.slow
def test_two_processes_give_the_mean_of_all(tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(share, args=(tmp_path / "rendezvous", results), nprocs=2)
        found = dict(results)
    synthesized, reference = batches()
    scores = metric("mae")(synthesized, reference)
    expected = scores[[0, *range(2, len(scores))]].mean().item()
    for total, mean, count in found.values():
        assert total == pytest.approx(expected, rel=1e-6)
        assert mean == pytest.approx(expected, rel=1e-6)
        assert count == len(scores) - 1
