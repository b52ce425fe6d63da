"""The learned metrics with random weights conform, and score what the authors' packages and piq do."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch

import random_learned
from iqa_registry.registry import build_registry
from iqa_registry.testing import conformance_tests
from learned_references import (
    image_pairs,
    package_dists,
    package_lpips,
    piq_dists,
    random_backbone,
    random_dists,
    random_heads,
)

REGISTRY = build_registry(extra=[random_learned.candidate()])
PAIRS = {
    f"pair {index}": tuple(np.moveaxis(image[0].numpy(), 0, -1).squeeze() for image in pair)
    for index, pair in enumerate(image_pairs(4))
}
check = partial(conformance_tests, registry=REGISTRY, pairs=PAIRS)


def colored(image):
    return (
        torch.from_numpy(image)
        .float()
        .reshape(*image.shape[:2], -1)
        .movedim(-1, 0)[None]
        .expand(-1, 3, -1, -1)
    )


@cache
def lpips_model(net):
    return package_lpips(net, random_backbone(net), random_heads(net))


@cache
def dists_models():
    return [make(random_backbone("vgg"), random_dists()) for make in (package_dists, piq_dists)]


@torch.no_grad()
def lpips(x, y, net):
    return lpips_model(net)(colored(x), colored(y), normalize=True).item()


@torch.no_grad()
def dists(x, y):
    first, second = (model(colored(x), colored(y)).item() for model in dists_models())
    assert first == pytest.approx(second, abs=1e-5)
    return first


test_lpips = check("random-lpips", reference=partial(lpips, net="alex"))
test_lpips_squeeze = check("random-lpips:net=squeeze", reference=partial(lpips, net="squeeze"))
test_lpips_vgg = pytest.mark.slow(check("random-lpips:net=vgg", reference=partial(lpips, net="vgg")))
test_dists = check("random-dists", reference=dists)
test_deepiqa = check("random-deepiqa")
