"""Each of our metrics by pytest-benchmark: the whole score, and the score with the reference encoded beforehand."""

import pytest
import torch

from iqa_registry.errors import WeightsError
from iqa_registry.registry import build_registry
from ratios import OURS, images

DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(
    not torch.cuda.is_available(), reason="this machine has no CUDA device")])]  # fmt: skip


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(params=OURS)
def metric(request, device):
    try:
        return build_registry().metric(request.param, device)
    except WeightsError as error:
        pytest.skip(str(error))


def synchronized(function, device):
    def run():
        with torch.inference_mode():
            function()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def test_score(benchmark, metric, device):
    synthesized, reference = images(256, 4, device)
    benchmark(
        synchronized(lambda: metric.compare(metric.encode(synthesized), metric.encode(reference)), device)
    )


def test_score_with_the_reference_encoded(benchmark, metric, device):
    synthesized, reference = images(256, 4, device)
    with torch.inference_mode():
        encoded = metric.encode(reference)
    benchmark(synchronized(lambda: metric.compare(metric.encode(synthesized), encoded), device))
