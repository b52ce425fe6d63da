"""Metrics in a training loop: compiled, without waiting for the device, as losses, with other value ranges."""

import copy
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from iqa_registry import metric
from iqa_registry.errors import ImageError, UsageError, WeightsError
from iqa_registry.metrics import NoReferenceMetric
from iqa_registry.registry import build_registry
from iqa_registry.testing.probes import degraded, head_images

COMPILED = ("psnr", "ssim", "ms_ssim", "gmsd", "lpips", "dists")
WAITS = {"_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "unique2", "masked_select"}


@pytest.fixture(scope="module", params=COMPILED)
def built(request):
    try:
        return metric(request.param)
    except WeightsError as error:
        pytest.skip(str(error))


def pair(one, count=2):
    side = max(64, one.minimum_size)
    reference = head_images(count, (side, side + 6))
    return degraded(reference), reference


def scored(one, synthesized, reference):
    images = synthesized.clone().requires_grad_()
    scores = one(images, reference)
    scores.sum().backward()
    return scores.detach(), images.grad


def assert_compiles(built, backend):
    torch._dynamo.reset()
    synthesized, reference = pair(built)
    compiled = torch.compile(built, fullgraph=True, backend=backend)
    scores, gradient = scored(built, synthesized, reference)
    compiled_scores, compiled_gradient = scored(compiled, synthesized, reference)
    torch.testing.assert_close(compiled_scores, scores, rtol=1e-5, atol=1e-6)
    largest = gradient.abs().max().item()
    torch.testing.assert_close(compiled_gradient, gradient, rtol=1e-4, atol=1e-4 * largest)


@pytest.mark.filterwarnings("ignore")  # of torch's compiler itself
def test_compiles_without_graph_break(built):
    assert_compiles(built, "aot_eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mae", "mse", "nrmse", "fsim", "nlpd", "vif"])
def test_further_metrics_compile(name):
    assert_compiles(metric(name), "aot_eager")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiles_with_inductor():
    for name in ("psnr", "ssim", "gmsd"):
        assert_compiles(metric(name), "inductor")


@pytest.mark.filterwarnings("ignore")
def test_compiled_loss_equals_eager():
    torch._dynamo.reset()
    loss = metric("ssim").as_loss(value_range=(-1, 1))
    synthesized, reference = (2 * images - 1 for images in pair(loss.metric))
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    assert compiled(synthesized, reference).item() == pytest.approx(loss(synthesized, reference).item())


class NoWaiting(TorchDispatchMode):
    """Fails at each operation that would wait for the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in WAITS, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


def test_unchecked_loss_never_waits(built):
    loss = built.as_loss(check=False)
    synthesized, reference = pair(built)
    images = synthesized.clone().requires_grad_()
    with NoWaiting():
        loss(images, reference).backward()
    assert images.grad.isfinite().all()


def test_unchecked_loss_with_masks_never_waits():
    loss = metric("ssim").as_loss(check=False)
    synthesized, reference = pair(loss.metric)
    with NoWaiting():
        loss(synthesized, reference, synthesized > -1)


def test_checked_forward_waits():
    synthesized, reference = pair(metric("mae"))
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        metric("mae")(synthesized, reference)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mae", lambda score: score), ("ssim", lambda score: 1 - score), ("psnr", lambda score: -score)],
)
def test_loss_turns_the_direction(name, expected):
    one = metric(name)
    synthesized, reference = pair(one, 3)
    scores = one(synthesized, reference)
    torch.testing.assert_close(one.as_loss()(synthesized, reference), expected(scores).mean())
    torch.testing.assert_close(one.as_loss("sum")(synthesized, reference), expected(scores).sum())
    torch.testing.assert_close(one.as_loss("none")(synthesized, reference), expected(scores))


@pytest.mark.parametrize("name", ["mae", "psnr", "ssim", "gmsd", "nlpd", "vif", "fsim", "haarpsi"])
def test_descent_improves_the_score(name):
    one = metric(name)
    synthesized, reference = pair(one, 1)
    images = synthesized.clone().requires_grad_()
    one.as_loss()(images, reference).backward()
    stepped = (synthesized - 1e-3 * images.grad / images.grad.abs().max()).clamp(0, 1)
    before, after = one(synthesized, reference).item(), one(stepped, reference).item()
    assert (after > before) == one.spec.higher_is_better
    assert after != before


def test_value_range_maps_to_unit_interval():
    one = metric("ssim")
    synthesized, reference = pair(one)
    wide = metric("ssim").as_loss(value_range=(-1, 1))
    expected = 1 - one(synthesized, reference).mean()
    torch.testing.assert_close(wide(2 * synthesized - 1, 2 * reference - 1), expected)
    assert one.value_range == (0.0, 1.0)
    tanh = metric("ssim", value_range=(-1, 1), check=False)
    torch.testing.assert_close(tanh(2 * synthesized - 1, 2 * reference - 1), one(synthesized, reference))


def test_value_range_is_checked_and_named():
    loss = metric("mae").as_loss(value_range=(-1, 1))
    reference = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ImageError, match=r"in \[-1, 1\], got \[3, 3\]"):
        loss(reference + 3, reference)
    with pytest.raises(UsageError, match="value_range"):
        metric("mae").as_loss(value_range=(1, -1))


@pytest.mark.parametrize("name", ["mae", "mse", "psnr", "ssim", "gmsd", "haarpsi"])
def test_gradient_survives_outside_the_range(name):
    # What lies outside is neither clipped nor without gradient, so a generator can find its way back.
    reference = head_images(1, (64, 64)) * 0.8
    images = (reference + 0.5 * (reference > 0.4)).requires_grad_()
    assert images.max() > 1.1
    metric(name).as_loss(check=False)(images, reference).backward()
    assert (images.grad[images > 1.05] != 0).float().mean() > 0.5


def test_loss_without_gradient_is_refused():
    with pytest.raises(UsageError, match="mdsi has no gradient"):
        metric("mdsi").as_loss()
    with pytest.raises(UsageError, match="no declaration"):
        NoReferenceMetric().as_loss()
    with pytest.raises(UsageError, match="reduction is 'average'"):
        metric("mae").as_loss("average")


def test_pairs_with_empty_masks_are_left_out():
    loss = metric("mae").as_loss()
    synthesized, reference = pair(loss.metric)
    mask = torch.ones_like(reference, dtype=torch.bool)
    mask[1] = False
    expected = (synthesized[0] - reference[0]).abs().mean()
    torch.testing.assert_close(loss(synthesized, reference, mask), expected)
    images = synthesized.clone().requires_grad_()
    nothing = loss(images, reference, mask & False)
    nothing.backward()
    assert nothing.item() == 0
    assert images.grad.abs().max() == 0


def test_nan_pixels_give_a_nan_loss():
    loss = metric("mae").as_loss(check=False)
    synthesized, reference = pair(loss.metric)
    synthesized[0, 0, 5, 5] = torch.nan
    assert math.isnan(loss(synthesized, reference))
    assert math.isnan(loss(synthesized, reference, torch.ones_like(reference, dtype=torch.bool)))


def test_metric_stays_in_evaluation_mode():
    loss = metric("mae").as_loss()
    model = torch.nn.Sequential(torch.nn.Dropout(), loss).train()
    assert model[0].training
    assert not loss.metric.training
    assert copy.deepcopy(loss)(*pair(loss.metric)).isfinite()


@pytest.mark.parametrize("name", ["mae", "mse", "nrmse", "fsim", "nlpd", "vif"])
def test_further_unchecked_losses_never_wait(name):
    loss = metric(name).as_loss(check=False)
    synthesized, reference = pair(loss.metric)
    loss(synthesized, reference)  # filters of this size are made once, on the CPU
    images = synthesized.clone().requires_grad_()
    with NoWaiting():
        loss(images, reference).backward()


@pytest.mark.parametrize("name", ["mae", "psnr", "ssim", "ms_ssim", "gmsd", "vif", "nlpd", "fsim", "nrmse"])
def test_autocast_leaves_classical_scores_as_they_are(name):
    one = metric(name)
    synthesized, reference = pair(one)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores, gradient = scored(one, synthesized, reference)
    torch.testing.assert_close(scores, one(synthesized, reference))
    assert gradient.dtype == torch.float32


def test_every_metric_with_a_gradient_is_a_loss():
    registry = build_registry()
    for name, spec in registry.metrics.items():
        if spec.supports_gradient and not spec.weights and spec.origin.plugin == "iqa_classical":
            one = registry.metric(name)
            reference = head_images(1, (max(48, one.minimum_size),) * 2)
            best = one.as_loss()(reference, reference).item()
            assert best == -math.inf if name == "psnr" else best == pytest.approx(0, abs=1e-5), name
