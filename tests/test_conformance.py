"""The conformance kit over every registered metric. A metric declares the checks that it cannot pass.

Those of iqa_classical are in ``iqa_classical/test_references.py``, with an independent implementation of each.
"""

from itertools import combinations

import pytest

from iqa_registry.errors import WeightsError
from iqa_registry.evaluation.features import map_features
from iqa_registry.registry import build_registry
from iqa_registry.testing import assert_conforms
from iqa_registry.testing.probes import head_images

REGISTRY = build_registry()
BRIDGED = ("pyiqa/psnr", "pyiqa/ssim", "pyiqa/gmsd", "pyiqa/nlpd", "pyiqa/vif")
"""A few of pyiqa's hundred metrics that need no weights."""
VARIANTS = ("lpips:net=vgg", "lpips:net=squeeze")
OWN = [name for name in REGISTRY.metrics if not name.startswith("pyiqa/")]
OTHERS = [name for name in OWN if REGISTRY.metrics[name].origin.plugin != "iqa_classical"]


def needs_network(text):
    """Whether a weight file is neither in the folder of weights nor brought by an installed package."""
    return any(REGISTRY.weights.status(name) == "missing" for name in REGISTRY.resolve_metric(text).weights)


def case(text):
    marks = [pytest.mark.network] if needs_network(text) else []
    return pytest.param(text, marks=[*marks, *([pytest.mark.slow] if text in VARIANTS else [])])


@pytest.mark.parametrize("text", [case(text) for text in (*OTHERS, *VARIANTS)])
def test_metric_conforms(text):
    if needs_network(text):
        try:
            REGISTRY.metric(text)
        except WeightsError as error:
            pytest.skip(f"no source of its weights can be reached: {error}")
    assert_conforms(text, REGISTRY)


@pytest.mark.slow
@pytest.mark.parametrize("text", BRIDGED)
def test_bridged_metric_conforms(text):
    pytest.importorskip("pyiqa")
    assert_conforms(text, REGISTRY)


def test_metrics_that_share_an_encoder_encode_alike():
    images = head_images(2, (192, 176))
    metrics = [REGISTRY.metric(name) for name in OWN if not REGISTRY.metrics[name].weights]
    sharing = [
        pair
        for pair in combinations(metrics, 2)
        if pair[0].encoder_id and pair[0].encoder_id == pair[1].encoder_id
    ]
    assert len(sharing) >= 3
    for first, second in sharing:
        assert flat(first.encode(images)) == flat(second.encode(images))


def flat(features):
    found = []
    map_features(features, lambda tensor: found.append(tensor) or tensor)
    return [(tuple(tensor.shape), float(tensor.double().sum())) for tensor in found]
