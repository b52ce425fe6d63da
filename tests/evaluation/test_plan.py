import pytest

from iqa_registry.evaluation.options import Options, choose_batch_size
from iqa_registry.evaluation.plan import Item, make_batches, plan_items
from iqa_registry.images.pairs import Pair, make_pairs


def items(keys):
    return [Item(n, Pair(f"p{n}", "s", "r", None, {}), (key,)) for n, key in enumerate(keys)]


def orders(batches):
    return [[item.order for item in batch] for batch in batches]


def test_candidates_of_one_reference_stand_together():
    assert orders(make_batches(items("abab"), 4)) == [[0, 2, 1, 3]]


def test_a_batch_holds_whole_groups_or_a_piece_of_one():
    batches = make_batches(items("aabbbbbbcd"), 3)
    assert orders(batches) == [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9]]


def test_every_item_is_in_one_batch():
    keys = "abcabcddddddde" * 3
    assert sorted(n for batch in orders(make_batches(items(keys), 5)) for n in batch) == list(
        range(len(keys))
    )


def test_volumes_become_slices_and_wholes(volume):
    found = plan_items(make_pairs([(volume, volume)]), Options(slices="1:3"), {2, 3})
    assert [(item.slice, item.whole) for item in found] == [(1, False), (2, False), (None, True)]
    assert found[0].pair_id.endswith("/axial-001")


def test_a_range_without_slices_keeps_the_pair(volume):
    found = plan_items(make_pairs([(volume, volume)]), Options(slices="50:60"), {2})
    assert len(found) == 1


@pytest.fixture
def volume():
    import numpy as np

    return np.random.default_rng(0).random((8, 9, 5)).astype("float32")


def test_batch_size_follows_the_image():
    assert choose_batch_size(256 * 256, "cpu") == 16
    assert choose_batch_size(4096 * 4096, "cpu") == 1
    assert choose_batch_size(8 * 8, "cpu") == 256
