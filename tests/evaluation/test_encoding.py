"""The encoder: references once, labels to those who ask, one failure alone."""

import pytest
import torch

import toy_metrics
from iqa_registry.evaluation.encoding import NO_REFERENCE, Encoder, Failure
from iqa_registry.evaluation.items import Item, Loaded
from iqa_registry.images.pair import Pair
from iqa_registry.metrics import FullReferenceMetric


@pytest.fixture(autouse=True)
def counts():
    toy_metrics.encoded.clear()
    return toy_metrics.encoded


def load(number, reference="r", size=(8, 10), value=None, labels=None):
    generator = torch.Generator().manual_seed(number)
    images = torch.rand(2, 1, *size, generator=generator)
    synthesized = images[0] if value is None else torch.full((1, *size), float(value))
    pair = Pair(str(number), "s", reference, labels=None if labels is None else f"map {number}")
    given = {} if labels is None else {"lesions": labels}
    shared = torch.Generator().manual_seed(sum(map(ord, reference or "")))
    other = None if reference is None else torch.rand(1, *size, generator=shared)
    return Loaded(Item(number, pair, (reference,)), synthesized, other, {"image": None}, {}, given)


def means(encoded):
    return list(zip(encoded.synthesized.tolist(), encoded.reference.tolist(), strict=True))


def test_a_stack_holds_each_reference_once(counts):
    loaded = [load(0), load(1), load(2, "other")]
    metric = toy_metrics.CountingMetric()
    encoder = Encoder([metric])
    (stack,) = encoder.stacks(loaded)
    found = encoder.apply(metric, stack, means)
    assert counts == [2, 3]
    expected = [(float(item.synthesized.mean()), float(item.reference.mean())) for item in loaded]
    assert found == [pytest.approx(pair) for pair in expected]


def test_the_reference_of_the_next_batch_is_not_encoded_again(counts):
    metric = toy_metrics.CountingMetric()
    encoder = Encoder([metric])
    for number in range(3):
        (stack,) = encoder.stacks([load(number)])
        encoder.apply(metric, stack, means)
    assert sum(counts) == 3 + 1


def test_images_of_other_sizes_are_other_stacks():
    sizes = [(8, 10), (4, 4), (8, 10)]
    stacks = list(Encoder([]).stacks([load(n, size=size) for n, size in enumerate(sizes)]))
    assert [[item.item.order for item in stack.loaded] for stack in stacks] == [[0, 2], [1]]


def test_labels_go_to_the_metric_that_asks_in_the_order_of_the_items():
    class Told(FullReferenceMetric):
        uses_labels = ("lesions",)

        def encode(self, images, lesions=None):
            told = -1.0 if lesions is None else lesions.float().mean((1, 2, 3))
            return torch.zeros(len(images)) + told

    half = torch.zeros(1, 8, 10, dtype=torch.bool)
    half[:, :4] = True
    metric = Told()
    encoder = Encoder([metric])
    (stack,) = encoder.stacks([load(0, labels=half), load(1), load(2, labels=~half & False)])
    assert encoder.apply(metric, stack, means) == [(0.5, 0.5), (-1.0, -1.0), (0.0, 0.0)]


def test_one_item_that_fails_is_told_alone():
    def picky(encoded):
        if (encoded.synthesized == 0).any():
            raise RuntimeError("cannot take\na black image")
        return means(encoded)

    metric = toy_metrics.CountingMetric()
    encoder = Encoder([metric])
    (stack,) = encoder.stacks([load(n, value=0 if n == 3 else 0.5) for n in range(5)])
    found = encoder.apply(metric, stack, picky)
    assert [isinstance(item, Failure) for item in found] == [False, False, False, True, False]
    assert found[3] == Failure("error", "3: CountingMetric failed: RuntimeError: cannot take a black image")


def test_what_a_metric_cannot_take_does_not_apply():
    metric = toy_metrics.CountingMetric()
    encoder = Encoder([metric])
    (stack,) = encoder.stacks([load(0, None)])
    assert encoder.apply(metric, stack, means) == [Failure("not_applicable", NO_REFERENCE)]
    metric.dimensions = 3
    (found,) = encoder.apply(metric, stack, means)
    assert found.status == "not_applicable"
    assert "no third dimension" in found.message


def test_shifts_are_those_of_the_pairs():
    image = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    moved = torch.roll(image, (3, -2), (1, 2))
    loaded = [load(0), load(1)]
    loaded[0].synthesized, loaded[1].synthesized = image, moved
    for item in loaded:
        item.reference = image
    encoder = Encoder([])
    (stack,) = encoder.stacks(loaded)
    assert encoder.shifts(stack) == pytest.approx([0, 13**0.5], abs=0.05)
