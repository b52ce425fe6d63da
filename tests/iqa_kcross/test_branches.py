"""The three branches: encoding one image at a time, lesions, losses and what they train."""

import pytest
import torch
from torch import nn

from iqa_kcross.branch import BranchSettings, Context, LossSettings, TrainingBatch
from iqa_kcross.branches.complex import ComplexBranch
from iqa_kcross.branches.structure import StructureBranch, codes
from iqa_kcross.branches.tumor import TumorBranch, lesion_windows
from iqa_kcross.losses import laplacian_loss, mmd_loss
from iqa_kcross.networks.kspace import kspace_channels

BRANCHES = [ComplexBranch, TumorBranch, StructureBranch]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make(branch, **settings):
    made = branch(BranchSettings(**{"width": 4, **settings}))
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.05)
            nn.init.uniform_(module.running_var, 0.05, 0.5)
    return made.eval()


def lesions_of(images, which):
    lesions = torch.zeros_like(images, dtype=torch.bool)
    lesions[which, :, 10:30, 5:25] = True
    return lesions


def tensors(features):
    return features["maps"] if isinstance(features, dict) else features


def training_batch(settings=None, count=3, side=64, which=slice(None)):
    source, target = torch.rand(2, count, 1, side, side)
    lesions = lesions_of(source, which)
    return TrainingBatch(source, target, lesions, lesions, settings or LossSettings())


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1, 1, 1), (2, 2, 2, 1), (4, 3)])
def test_encoding_does_not_depend_on_the_rest_of_the_batch(branch, sizes):
    made, images = make(branch), torch.rand(7, 1, 64, 64)
    lesions = lesions_of(images, [0, 3, 4])
    whole = tensors(made.encode(images, Context(lesions)))
    parts = [
        tensors(made.encode(some, Context(mask)))
        for some, mask in zip(images.split(sizes), lesions.split(sizes), strict=True)
    ]
    for level, item in enumerate(whole):
        together = torch.cat([part[level] for part in parts])
        torch.testing.assert_close(together, item, atol=1e-5, rtol=0)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("size", [(64, 64), (33, 71), (45, 96), (32, 32)])
def test_descriptor_is_symmetric_and_zero_for_the_image_itself(branch, size):
    made = make(branch)
    first, second = (
        made.encode(image, Context(lesions_of(image, 0))) for image in torch.rand(2, 1, 1, *size)
    )
    assert made.descriptor(first, first).abs().max() == 0
    assert torch.equal(made.descriptor(first, second), made.descriptor(second, first))
    assert made.descriptor(first, second).max() > 1e-3


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize(("kind", "size"), [("layers", 92), ("code", 32)])
def test_descriptor_has_the_channels_that_were_asked_for(branch, kind, size):
    made = make(branch, descriptor=kind)
    features = made.encode(torch.rand(2, 1, 64, 64), Context())
    parts = 2 if branch is ComplexBranch else 1
    assert made.descriptor(features, features).shape == (2, size * parts)
    assert made.mean.shape == made.deviation.shape == (size * parts,)


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_papers_code_needs_no_projection(branch):
    with torch.device("meta"):
        made = branch(BranchSettings(width=64, descriptor="code"))
    assert made.settings.channels == 512
    assert isinstance(made.projection, nn.Identity)


@pytest.mark.parametrize("branch", BRANCHES)
def test_finished_branch_gives_the_same_descriptor(branch):
    made, images = make(branch), torch.rand(4, 1, 48, 80)
    context = Context(lesions_of(images, [1, 2]))

    def descriptor():
        return made.descriptor(made.encode(images, context), made.encode(images.flip(0), context)).detach()

    before = descriptor()
    made.finish()
    torch.testing.assert_close(descriptor(), before, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(descriptor(), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_score_is_also_a_loss_of_a_finished_branch(branch):
    made, images = make(branch), torch.rand(2, 1, 48, 48, requires_grad=True)
    made.finish()
    made.requires_grad_(False)
    context = Context(lesions_of(images, slice(None)))
    other = made.encode(torch.rand(2, 1, 48, 48), context)
    made.descriptor(made.encode(images, context), other).sum().backward()
    assert images.grad.isfinite().all()
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize("branch", BRANCHES)
def test_encoding_leaves_images_and_running_statistics(branch):
    made, images = make(branch), torch.rand(2, 1, 64, 64)
    copy, state = images.clone(), {name: value.clone() for name, value in made.state_dict().items()}
    with torch.inference_mode():
        made.encode(images, Context(lesions_of(images, [0])))
    assert torch.equal(images, copy)
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_tumor_branch_applies_where_either_image_has_a_lesion(first, second):
    made, images = make(TumorBranch), torch.rand(3, 1, 64, 64)
    encoded = [
        made.encode(images, Context(lesions_of(images, [1] if lesion else []))) for lesion in (first, second)
    ]
    assert made.applies(*encoded).tolist() == [False, first or second, False]


def test_tumor_branch_sees_lost_lesions_and_nothing_outside_of_them():
    made, image = make(TumorBranch), torch.rand(1, 1, 64, 64)
    mask = lesions_of(image, 0)
    lesion, none, unasked = (made.encode(image, Context(item)) for item in (mask, mask & False, None))
    elsewhere = torch.where(mask, image, torch.rand_like(image))
    assert made.descriptor(lesion, none).max() > 1e-3
    assert made.descriptor(lesion, made.encode(elsewhere, Context(mask))).max() == 0
    assert made.descriptor(none, unasked).max() == 0


def test_complex_branch_sees_k_space_alone():
    made, image = make(ComplexBranch), torch.rand(1, 1, 64, 64)
    expected = made.encoder(kspace_channels(image))[-1]
    found = made.encode(image, Context())[-1]
    torch.testing.assert_close(found, expected / expected.norm(dim=1, keepdim=True), atol=1e-6, rtol=0)


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("which", [slice(None), [0]])
def test_losses_reach_every_network_of_stage_one_and_nothing_else(branch, which):
    made = make(branch).train()
    made.add_training_networks()
    settings = LossSettings(focal=1.0, perceptual=lambda a, b: (a - b).square().mean(dim=(1, 2, 3)))
    sum(made.losses(training_batch(settings, which=which)).values()).backward()
    for name, parameter in made.named_parameters():
        frozen = name.startswith("projection")
        assert (parameter.grad is None) == frozen, name
        assert frozen or parameter.grad.isfinite().all(), name
        # One person with a lesion teaches the tumor branch nothing.
        assert frozen or (branch is TumorBranch and which == [0]) or parameter.grad.abs().max() > 0, name


def test_structure_losses_are_reconstruction_and_discrepancy_of_codes():
    made, batch = make(StructureBranch), training_batch()
    made.add_training_networks()
    made.eval()
    losses = made.losses(batch)
    maps = [made.encoder(images) for images in (batch.source, batch.target)]
    rebuilt = [made.training_networks["decoder"](item) for item in maps]
    pairs = zip(rebuilt, (batch.source, batch.target), strict=True)
    torch.testing.assert_close(losses["structure"], sum((a - b).abs().mean() for a, b in pairs))
    expected = mmd_loss(*(codes(item[-1]) for item in maps))
    torch.testing.assert_close(losses["similarity"], expected, atol=1e-6, rtol=1e-4)


def test_tumor_loss_is_that_of_those_who_have_lesions():
    made, batch = make(TumorBranch), training_batch(which=[0, 2])
    made.add_training_networks()
    made.eval()
    networks = made.training_networks
    source, target = ((images * batch.source_lesions)[[0, 2]] for images in (batch.source, batch.target))
    expected = laplacian_loss(source, networks["source_decoder"](networks["source_encoder"](source)))
    expected = expected + laplacian_loss(target, networks["decoder"](made.encoder(target)))
    torch.testing.assert_close(made.losses(batch)["tumor"], expected)


def test_lesion_windows_hold_all_lesions_and_fit_into_the_image():
    masked = torch.zeros(3, 1, 96, 128)
    masked[0, :, 90:96, 0:3] = 1
    masked[1, :, 0:1, 127:] = 1
    masked[2, :, 20:80, 30:100] = 1
    windows = lesion_windows(masked)
    for image, (rows, columns) in zip(masked, windows, strict=True):
        assert image[:, rows, columns].sum() == image.sum()
        assert 0 <= rows.start < rows.stop <= 96
        assert 0 <= columns.start < columns.stop <= 128
    assert len({(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in windows}) == 1
