"""The model: which parameters each stage trains, scores of branches and their mean, the finished model."""

import math

import pytest
import torch
from torch import nn

from iqa_kcross.branch import BranchSettings, Context, LossSettings, TrainingBatch
from iqa_kcross.model import KCrossModel, ModelSettings, mean_of_active
from iqa_kcross.networks.score import ScoreNetworks
from iqa_registry.errors import UnknownNameError

SMALL = BranchSettings(width=4)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small_model(branches=("complex", "tumor", "structure"), training=False, **settings):
    return KCrossModel(ModelSettings(branches, BranchSettings(**{"width": 4, **settings})), training).eval()


def pair(count=4, side=64):
    images = torch.rand(2, count, 1, side, side)
    lesions = torch.zeros(count, 1, side, side, dtype=torch.bool)
    lesions[: count // 2, :, 10:30, 10:30] = True
    return images, Context(lesions)


def encode_both(model, images, context):
    return (model.encode(item, context) for item in images)


def scores_of(model, images, context):
    parts = model.branch_scores(*encode_both(model, images, context))
    return mean_of_active(list(parts.values())).detach()


def stage_one_loss(model, images, context):
    batch = TrainingBatch(*images, context.lesions, context.lesions, LossSettings())
    return sum(loss for branch in model.branches.values() for loss in branch.losses(batch).values())


def is_scoring(name):
    return name.startswith("score_networks.") or ".projection." in name


def test_stage_one_trains_all_but_projections_and_score_networks():
    model = small_model(training=True).train()
    stage_one_loss(model, *pair()).backward()
    reached = {
        name for name, item in model.named_parameters() if item.grad is not None and item.grad.abs().max() > 0
    }
    assert reached == {name for name, _ in model.named_parameters() if not is_scoring(name)}
    assert any("source_encoder" in name for name in reached)
    assert all(item.grad.isfinite().all() for item in model.parameters() if item.grad is not None)


def test_stage_two_trains_projections_and_score_networks_alone():
    model = small_model(training=True)
    images, context = pair()
    with torch.no_grad():
        descriptors = model.descriptors(*encode_both(model, images, context))
    ratings = torch.tensor([0.2, 0.4, 0.6, 0.8])
    (mean_of_active(list(model.scores_of(descriptors).values())) - ratings).square().mean().backward()
    reached = {
        name for name, item in model.named_parameters() if item.grad is not None and item.grad.abs().max() > 0
    }
    assert reached == {name for name, _ in model.named_parameters() if is_scoring(name)}
    assert all(item.grad.isfinite().all() for item in model.parameters() if item.grad is not None)


def test_stage_two_leaves_running_statistics_of_the_encoders():
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scores_of(model, *pair())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_scores_are_the_mean_of_the_branches_that_apply():
    model = small_model()
    parts = model.branch_scores(*encode_both(model, *pair()))
    assert list(parts) == ["complex", "tumor", "structure"]
    assert parts["tumor"].isnan().tolist() == [False, False, True, True]
    mean = mean_of_active(list(parts.values()))
    assert mean[0].item() == pytest.approx(sum(part[0].item() for part in parts.values()) / 3)
    assert mean[3].item() == pytest.approx((parts["complex"][3] + parts["structure"][3]).item() / 2)


def test_without_an_active_branch_there_is_no_score_and_no_broken_gradient():
    model = small_model(("tumor",))
    images, context = pair()
    scores = mean_of_active(list(model.branch_scores(*encode_both(model, images, context)).values()))
    assert scores.isnan().tolist() == [False, False, True, True]
    scores[:2].sum().backward()
    assert all(item.grad.isfinite().all() for item in model.score_networks.natural.parameters())


@pytest.mark.parametrize(
    "branches", [("complex",), ("tumor", "structure"), ("complex", "tumor", "structure")]
)
def test_branches_score_alone_as_they_do_together(branches):
    whole = small_model()
    part = small_model(branches)
    part.load_state_dict({name: whole.state_dict()[name] for name in part.state_dict()})
    images, context = pair()
    expected = whole.branch_scores(*encode_both(whole, images, context))
    for name, scores in part.branch_scores(*encode_both(part, images, context)).items():
        torch.testing.assert_close(scores, expected[name], equal_nan=True)


@pytest.mark.parametrize("descriptor", ["layers", "code"])
def test_finished_model_keeps_its_scores(descriptor):
    model = small_model(descriptor=descriptor)
    images, context = pair(side=80)
    before = scores_of(model, images, context)
    with torch.inference_mode():
        torch.testing.assert_close(scores_of(model.finish(), images, context), before, atol=1e-4, rtol=0)


@pytest.mark.parametrize("finished", [False, True])
def test_channels_last_keeps_scores(finished):
    model = small_model()
    images, context = pair()
    before = scores_of(model, images, context)
    model = (model.finish() if finished else model).to(memory_format=torch.channels_last)
    last = [item.contiguous(memory_format=torch.channels_last) for item in images]
    torch.testing.assert_close(scores_of(model, last, context), before, atol=1e-4, rtol=0)


def test_score_is_symmetric_and_does_not_depend_on_the_batch():
    model = small_model().finish()
    images, context = pair()
    scores = scores_of(model, images, context)
    assert torch.equal(scores_of(model, images.flip(0), context), scores)
    alone = [scores_of(model, images[:, [number]], Context(context.lesions[[number]])) for number in range(4)]
    torch.testing.assert_close(torch.cat(alone), scores, atol=1e-5, rtol=0)


def test_score_standardises_projects_and_asks_the_branchs_score_network():
    model = small_model()
    branch = model.branches["structure"]
    branch.mean.uniform_(), branch.deviation.uniform_(0.5, 2)
    descriptor = torch.rand(3, 92)
    branch.scale.uniform_(0.05, 0.2)
    hidden = branch.projection((torch.log1p(descriptor / branch.scale) - branch.mean) / branch.deviation)
    first, _, _, last = model.score_networks.natural
    expected = torch.sigmoid(last(nn.functional.leaky_relu(first(hidden), 0.2)))[:, 0]
    torch.testing.assert_close(branch.score(descriptor, model.score_networks), expected)


def test_complex_score_is_the_sigmoid_of_the_real_part():
    networks, values = ScoreNetworks().eval(), torch.randn(5, 512, dtype=torch.complex64)
    first, _, _, last = networks.complex
    out = values
    for layer in (first, last):
        weight = torch.complex(layer.real, layer.imaginary)
        out = nn.functional.linear(out, weight, torch.complex(*layer.bias.chunk(2)))
        if layer is first:
            out = torch.complex(*(nn.functional.leaky_relu(part, 0.2) for part in (out.real, out.imag)))
    scores = networks(torch.cat([values.real, values.imag], dim=1), "complex")
    torch.testing.assert_close(scores, torch.sigmoid(out[:, 0].real), atol=1e-5, rtol=0)


def test_one_natural_score_network_serves_tumor_and_structure():
    names = {name.split(".")[1] for name, _ in small_model().score_networks.named_parameters(prefix="score")}
    assert names == {"natural", "complex"}


def test_settings_come_back_from_plain_values():
    settings = ModelSettings(("complex", "structure"), BranchSettings(8, "code", "t2", "flair"))
    assert ModelSettings.from_dict(settings.as_dict()) == settings
    with pytest.raises(TypeError, match="list"):
        ModelSettings.from_dict({**settings.as_dict(), "branches": "complex"})
    with pytest.raises(TypeError, match="depth"):
        ModelSettings.from_dict({**settings.as_dict(), "depth": 3})


def test_unknown_branch_is_refused_with_the_nearest_name():
    with pytest.raises(
        UnknownNameError, match=r"no branch 'tumour'. Did you mean 'tumor'\? It has complex, tumor"
    ):
        small_model(("tumour",))


def test_dropout_acts_in_training_alone():
    networks, projected = ScoreNetworks(dropout=0.5), torch.rand(1, 512)
    assert not torch.equal(networks(projected, "natural"), networks(projected, "natural"))
    networks.eval()
    assert torch.equal(networks(projected, "natural"), networks(projected, "natural"))


def test_mean_of_active_is_numpys_and_nan_where_none_is():
    first, second = torch.tensor([0.2, math.nan, math.nan]), torch.tensor([0.4, 0.5, math.nan])
    torch.testing.assert_close(
        mean_of_active([first, second]), torch.tensor([0.3, 0.5, math.nan]), equal_nan=True
    )
