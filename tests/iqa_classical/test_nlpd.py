"""NLPD against golden values, pyiqa's scores (1e-4); small images, the pyramid, gradients and masks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nlpd_reference
from iqa_classical import nlpd
from iqa_classical.nlpd import NLPD

TABLE = Path(__file__).parent / "data" / "nlpd_reference.csv"
ROWS = {row["image"]: row for row in csv.DictReader(TABLE.read_text().splitlines())}


@pytest.fixture
def row(pair, request):
    """The row of the table for the pair at hand."""
    return ROWS[request.node.callspec.params["pair"]]


def test_equals_the_table_of_pyiqas_scores(pair, row):
    expected = pytest.approx(float(row["value"]), abs=float(row["tolerance"]), rel=0)
    assert row["source"].startswith("pyiqa ")
    assert NLPD()(*pair).item() == expected


@pytest.mark.filterwarnings("ignore")
def test_table_is_what_pyiqa_gives(pair, row):
    pyiqa = pytest.importorskip("pyiqa")
    metric = pyiqa.create_metric("nlpd", device="cpu")
    score = metric(*(images.expand(-1, 3, -1, -1) for images in pair)).item()
    assert score == pytest.approx(float(row["value"]), abs=1e-6)


@pytest.mark.parametrize("sides", [(1, 1), (2, 5), (3, 3), (17, 4)])
def test_small_images_equal_the_authors_script(sides):
    first, second = torch.rand(2, 1, 1, *sides, generator=torch.Generator().manual_seed(0))
    expected = nlpd_reference.distance(*(x[0, 0].double().numpy() for x in (first, second)), far=0.0072)
    assert NLPD(far_neighbor=True)(first, second).item() == pytest.approx(expected, abs=1e-5)


def test_filters_equal_matrices(monkeypatch):
    images = torch.rand(2, 3, 57, 83, generator=torch.Generator().manual_seed(0))
    by_matrices = NLPD().encode(images).levels
    monkeypatch.setattr(nlpd, "LARGEST_MATRIX", 0)
    for level, expected in zip(NLPD().encode(images).levels, by_matrices, strict=True):
        torch.testing.assert_close(level, expected, atol=2e-5, rtol=1e-5)


def test_pyramid_can_be_put_together_again():
    image = torch.rand(1, 1, 45, 62, generator=torch.Generator().manual_seed(0))
    *details, rest = nlpd.laplacian_pyramid(image)
    for detail in reversed(details):
        rest = detail + nlpd.expand(rest, *detail.shape[2:])
    torch.testing.assert_close(rest, image)


def test_matrices_made_in_inference_mode_serve_gradients():
    nlpd._reduction.cache_clear()
    nlpd._expansion.cache_clear()
    with torch.inference_mode():
        NLPD()(*torch.rand(2, 1, 1, 30, 30))
    synthesized = torch.rand(1, 1, 30, 30, requires_grad=True)
    NLPD()(synthesized, torch.rand(1, 1, 30, 30)).sum().backward()
    assert synthesized.grad.abs().max() > 0


def test_kept_matrices_are_bounded():
    for side in range(33, 80, 3):
        NLPD()(*torch.rand(2, 1, 1, side, side))
    for cache in (nlpd._reduction, nlpd._expansion):
        assert cache.cache_info().currsize <= cache.cache_info().maxsize == 32


def test_gradient_is_the_slope():
    x, y, step = torch.rand(3, 1, 1, 24, 31, generator=torch.Generator().manual_seed(0))
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(NLPD()(x, y).sum(), x)
    ahead, behind = (NLPD()(x + sign * 1e-3 * (step - x), y).item() for sign in (1, -1))
    assert (gradient * (step - x)).sum().item() == pytest.approx((ahead - behind) / 2e-3, rel=2e-2)


def test_constant_images_differ_by_their_rest_alone():
    grey, dark = torch.full((1, 1, 64, 64), 0.5), torch.zeros(1, 1, 64, 64)
    levels = list(nlpd_reference.levels(np.full((64, 64), 0.5)))
    expected = np.sqrt(np.mean(levels[-1] ** 2)) / 6
    assert NLPD()(grey, dark).item() == pytest.approx(expected, abs=1e-5)
    assert NLPD()(grey, grey).item() == NLPD()(dark, dark).item() == 0


def test_mask_weighs_every_coefficient_by_its_pixels_inside(camera_pair, disc):
    features = [NLPD().encode(images) for images in camera_pair]
    distances = []
    for index, (first, second) in enumerate(zip(*(x.levels for x in features), strict=True)):
        side = 2**index
        share = disc.reshape(256 // side, side, 256 // side, side).double().mean(dim=(1, 3))
        squares = (first - second)[0, 0].double() ** 2
        distances.append((share * squares).sum() / share.sum())
    expected = torch.stack(distances).sqrt().mean().float()
    torch.testing.assert_close(NLPD().compare(*features, disc)[0], expected)


def test_what_is_far_outside_the_mask_has_no_influence():
    x, y, other = torch.rand(3, 1, 1, 32, 320, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 32, 320, dtype=torch.bool)
    mask[..., :32] = True
    changed = torch.cat([x[..., :192], other[..., 192:]], dim=-1)
    score = NLPD()(x, y, mask)
    torch.testing.assert_close(NLPD()(changed, y, mask), score, atol=1e-6, rtol=0)


def test_empty_mask_gives_nan_with_a_reason():
    metric, images = NLPD(), torch.rand(2, 1, 32, 32)
    mask = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    mask[1, 0, 3, 31] = True
    outcome = metric.compare_in_detail(metric.encode(images), metric.encode(images), mask)
    assert torch.isnan(outcome.scores[0])
    assert outcome.scores[1] == 0
    assert outcome.reasons == {0: "the mask is empty"}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), sides=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_a_distance(seed, sides):
    x, y, z = torch.rand(3, 2, 3, *sides, generator=torch.Generator().manual_seed(seed))
    scores = NLPD()(x, y)
    assert torch.equal(NLPD()(y, x), scores)
    assert NLPD()(x, x).tolist() == [0.0, 0.0]
    assert (scores <= NLPD()(x, z) + NLPD()(z, y) + 1e-5).all()
