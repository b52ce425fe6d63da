"""K-CROSS as a metric of the registry: names, parameters, lesions, branches, errors."""

import math

import pytest
import torch

from iqa_kcross.branch import BranchSettings
from iqa_kcross.checkpoint import History, save_model
from iqa_kcross.model import KCrossModel, ModelSettings
from iqa_registry.errors import NotApplicableError, ParameterError, UnknownNameError, UsageError, WeightsError
from iqa_registry.registry import build_registry
from iqa_registry.testing import assert_conforms


@pytest.fixture(scope="module")
def registry():
    return build_registry()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("kcross") / "small.safetensors"
    save_model(KCrossModel(ModelSettings(branch=BranchSettings(width=4))), path, History())
    return path


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, 1, 64, 64, generator=generator)


@pytest.fixture(scope="module")
def lesions():
    masks = torch.zeros(3, 1, 64, 64, dtype=torch.bool)
    masks[0, :, 20:40, 20:40] = True
    return masks


@pytest.fixture(scope="module")
def make(registry, weights):
    return lambda text="": registry.metric(f"kcross:weights={weights},segmenter=labels" + text)


def test_the_score_is_the_mean_of_the_branches_that_apply(make, images, lesions):
    metric = make()
    first, second = (metric.encode(item, lesions) for item in images)
    outcome = metric.compare_in_detail(first, second)
    assert list(outcome.components) == ["complex", "tumor", "structure"]
    parts = torch.stack(list(outcome.components.values()))
    assert parts.isnan().tolist() == [[False] * 3, [False, True, True], [False] * 3]
    torch.testing.assert_close(outcome.scores, parts.nanmean(dim=0))
    torch.testing.assert_close(metric(*images, lesions=lesions), outcome.scores)
    assert bool(((outcome.scores > 0) & (outcome.scores < 1)).all())


def test_branches_can_be_chosen(make, images, lesions):
    whole = make()
    first, second = (whole.encode(item, lesions) for item in images)
    parts = whole.compare_in_detail(first, second).components
    healthy = make(",branches=complex+structure")
    assert healthy.uses_labels == ()
    torch.testing.assert_close(healthy(*images), (parts["complex"] + parts["structure"]) / 2)


def test_named_configurations_choose_branches(registry, weights, images):
    for name, branches in {
        "kcross-healthy": ["complex", "structure"],
        "kcross-complex": ["complex"],
        "kcross-structure": ["structure"],
        "kcross-tumor": ["tumor"],
    }.items():
        metric = registry.metric(f"{name}:weights={weights},segmenter=labels")
        assert list(metric.model.branches) == branches


def test_without_a_lesion_the_tumor_branch_alone_does_not_apply(make, images, lesions):
    metric = make(",branches=tumor")
    first, second = (metric.encode(item, lesions) for item in images)
    outcome = metric.compare_in_detail(first, second)
    assert outcome.scores.isnan().tolist() == [False, True, True]
    reason = "the tumor branch has nothing to look at: neither image shows a lesion"
    assert outcome.reasons == {1: reason, 2: reason}


def test_lesions_of_either_image_count(make, images, lesions):
    metric = make(",branches=tumor")
    first = metric.encode(images[0], lesions)
    second = metric.encode(images[1], torch.zeros_like(lesions))
    assert not math.isnan(metric.compare(first, second)[0].item())
    assert not math.isnan(metric.compare(second, first)[0].item())


def test_a_lesion_mask_of_another_shape_is_refused(make, images):
    with pytest.raises(UsageError, match=r"lesions must be boolean \(3, 1, 64, 64\)"):
        make()(*images, lesions=torch.zeros(3, 1, 32, 32, dtype=torch.bool))


def test_small_images_are_refused(make):
    with pytest.raises(NotApplicableError, match="at least 32 pixels"):
        make()(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("width=64", "width is 4, not 64"),
        ("descriptor=code", "descriptor is layers, not code"),
        ("target=flair", "target is t2, not flair"),
        ("source=pd", "source is t1, not pd"),
    ],
)
def test_weights_that_are_not_what_is_asked_for_are_refused(registry, weights, asked, message):
    with pytest.raises(WeightsError, match=rf"small\.safetensors: {message}"):
        registry.metric(f"kcross:weights={weights},{asked}")


def test_unknown_things_are_refused(registry, weights):
    with pytest.raises(WeightsError, match=r"no file 'kcross-t1'\. Did you mean 'kcross-t1-t2'"):
        registry.metric("kcross:weights=kcross-t1")
    with pytest.raises(UnknownNameError, match=r"no branch 'tumour'\. Did you mean 'tumor'"):
        registry.metric(f"kcross:weights={weights},branches=tumour")
    with pytest.raises(UnknownNameError, match="no segmenter 'nunet'"):
        registry.metric(f"kcross:weights={weights},segmenter=nunet")
    with pytest.raises(ParameterError, match="no parameter 'branch'"):
        registry.metric("kcross:branch=tumor")


def test_parameters_of_the_segmenter_go_into_brackets_and_may_hold_any_path(registry, weights):
    finder = "nnunet:path=[/absent/a,b;c],fold=0"
    with pytest.raises(WeightsError, match=r"^/absent/a,b;c: no such folder"):
        registry.metric(f"kcross:weights={weights},segmenter=[{finder}]")


def test_the_hash_of_the_file_is_recorded(make, weights):
    from iqa_registry.weights.hashing import file_sha256

    assert make().weights_used == {str(weights): file_sha256(weights)}


def test_it_is_a_loss(make, images, lesions):
    synthesized = images[0].clone().requires_grad_(True)
    make()(synthesized, images[1], lesions=lesions).sum().backward()
    assert bool(synthesized.grad.isfinite().all())
    assert synthesized.grad.abs().sum() > 0


def test_colour_counts_as_the_mean_of_its_channels(make, images):
    metric = make()
    colour = [item.expand(-1, 3, -1, -1) for item in images]
    torch.testing.assert_close(metric(*colour), metric(*images))


@pytest.mark.parametrize("name", ["kcross", "kcross-healthy", "kcross-structure"])
def test_it_keeps_what_the_interface_promises(name):
    assert_conforms(name)
