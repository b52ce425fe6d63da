"""The conformance kit over every registered metric; what a metric does otherwise stands in its declaration."""

from itertools import combinations

import pytest

from iqa_registry.errors import WeightsError
from iqa_registry.evaluation.features import map_features
from iqa_registry.registry import build_registry
from iqa_registry.testing import assert_conforms, run_checks
from iqa_registry.testing.probes import head_images

REGISTRY = build_registry()
BRIDGED = ("pyiqa/psnr", "pyiqa/ssim", "pyiqa/gmsd", "pyiqa/nlpd", "pyiqa/vif")
"""Of the hundred metrics that pyiqa computes, a handful that need no weights."""
BRIDGE = (
    "declaration", "direction", "score range", "order", "determinism", "constant images", "color", "dtype",
    "wrong values", "wrong shapes", "pickling", "batch size", "encode compare", "mask refused",
)  # fmt: skip
"""What the bridge answers for. One declaration serves all of pyiqa's metrics, so their symmetry and least size, which
it cannot know, are declared as not promised and 1."""
VARIANTS = ("lpips:net=vgg", "lpips:net=squeeze", "ms_ssim:dimensions=3,window=3")
OWN = [name for name in REGISTRY.metrics if not name.startswith("pyiqa/")]
VOLUMES = [
    f"{name}:dimensions=3" for name in OWN if 3 in REGISTRY.metrics[name].dimensions and name != "ms_ssim"
]


def needs_network(text):
    """Whether a weight file is neither in the folder of weights nor brought by an installed package."""
    return any(REGISTRY.weights.status(name) == "missing" for name in REGISTRY.resolve_metric(text).weights)


def case(text):
    marks = [pytest.mark.network] if needs_network(text) else []
    return pytest.param(text, marks=[*marks, *([pytest.mark.slow] if text in VARIANTS else [])])


LEARNED = {
    # Learned on brain slices, it is not monotone near the top for the probes' textures.
    "kcross-complex": {"direction"},
    # The probes have no lesions, which is all that it looks at.
    "kcross-tumor": {"direction", "constant images"},
}
"""Checks that a learned branch need not pass by itself."""


@pytest.mark.parametrize("text", [case(text) for text in (*OWN, *VOLUMES, *VARIANTS)])
def test_metric_conforms(text):
    if needs_network(text):
        try:
            REGISTRY.metric(text)
        except WeightsError as error:
            pytest.skip(f"no source of its weights can be reached: {error}")
    if text not in LEARNED:
        assert_conforms(text, REGISTRY)
        return
    failed = {item.name for item in run_checks(text, REGISTRY) if item.status == "fail"}
    assert failed <= LEARNED[text]


@pytest.mark.slow
@pytest.mark.parametrize("text", BRIDGED)
def test_the_bridge_keeps_what_is_in_its_hands(text):
    pytest.importorskip("pyiqa")
    results = {item.name: item for item in run_checks(text, REGISTRY)}
    assert {str(results[name]) for name in BRIDGE if results[name].status != "pass"} == set()


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
