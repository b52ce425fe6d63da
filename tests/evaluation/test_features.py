import pytest
import torch

from iqa_registry.evaluation.features import ReferenceFeatures, map_features, select


def test_structures_are_kept():
    features = (torch.ones(2), [torch.zeros(2)], {"a": torch.ones(2), "b": None})
    changed = map_features(features, lambda tensor: tensor + 1)
    assert changed[0].tolist() == [2, 2]
    assert changed[1][0].tolist() == [1, 1]
    assert changed[2]["b"] is None


def test_other_things_are_refused():
    with pytest.raises(TypeError, match="str"):
        map_features("text", lambda tensor: tensor)


def test_selecting_in_order_copies_nothing():
    features = torch.rand(3, 2)
    assert select(features, torch.arange(3)).data_ptr() == features.data_ptr()


def test_selecting_by_index():
    assert select({"x": torch.tensor([1.0, 2.0])}, torch.tensor([1, 1, 0]))["x"].tolist() == [2, 2, 1]


def test_a_single_reference_is_encoded_once():
    cache = ReferenceFeatures()
    for _ in range(3):
        cache.get(("r",), "encoder", lambda: torch.ones(1))
    assert cache.encoded == 1


def test_several_references_are_kept_only_for_a_shared_encoder():
    cache = ReferenceFeatures()
    for encoder in ("shared", "shared", "own", "own"):
        cache.get(("a", "b"), encoder, lambda: torch.ones(2), shared=encoder == "shared")
    assert cache.encoded == 2 + 4


def test_another_reference_takes_the_place():
    cache = ReferenceFeatures()
    first = cache.get(("a",), "e", lambda: torch.tensor([1.0]))
    second = cache.get(("b",), "e", lambda: torch.tensor([2.0]))
    assert (first.item(), second.item()) == (1.0, 2.0)
