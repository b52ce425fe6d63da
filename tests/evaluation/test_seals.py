"""A seal notices whatever changes a tensor, and nothing else."""

import numpy as np
import pytest
import torch

from iqa_registry.evaluation.seals import ROW, Seal, checksum

CHANGES = {
    "one value": lambda tensor: tensor[0, 0, 2, 3].add_(1e-7),
    "an operation that changes nothing": lambda tensor: tensor.mul_(1),
    "through data": lambda tensor: tensor.data.mul_(2),
    "through numpy": lambda tensor: np.copyto(tensor.numpy(), 0),
    "one value through numpy": lambda tensor: tensor.numpy().__setitem__((1, 0, 3, 3), 5),
    "images exchanged": lambda tensor: np.copyto(tensor.numpy(), tensor.numpy()[::-1].copy()),
    "rows exchanged": lambda tensor: np.copyto(tensor.numpy(), tensor.numpy()[..., ::-1, :].copy()),
    "columns exchanged": lambda tensor: np.copyto(tensor.numpy(), tensor.numpy()[..., ::-1].copy()),
    "another shape": lambda tensor: setattr(tensor, "data", tensor.data.flatten()),
    "transposed": lambda tensor: tensor.transpose_(2, 3),
    "another type": lambda tensor: setattr(tensor, "data", tensor.data.view(torch.int32)),
    "with a gradient": lambda tensor: tensor.requires_grad_(),
    "without memory": lambda tensor: tensor.untyped_storage().resize_(0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("counted", [True, False])
def test_a_change_breaks_it(change, counted):
    # A tensor that is made in inference mode counts no operations: only its values tell.
    with torch.inference_mode(not counted):
        tensor = torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    seal = Seal({"images": (tensor, [None, torch.ones(3, dtype=torch.bool)])})
    assert not seal.broken
    with torch.inference_mode():
        if not counted and change in (
            "an operation that changes nothing",
            "with a gradient",
            "transposed",
            "without memory",
        ):
            return
        CHANGES[change](tensor)
    assert seal.broken


def test_reading_does_not_break_it():
    tensor = torch.rand(2, 1, 6, 5)
    seal = Seal(tensor)
    with torch.inference_mode():
        _ = tensor.mean(), tensor * 2, tensor.numpy().sum(), tensor[0].clone().zero_(), tensor.flatten()
    assert not seal.broken


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 8 * ROW - 1, 8 * ROW, 8 * ROW + 9, 24 * ROW + 3])
def test_each_byte_counts_in_its_place(count):
    data = torch.randint(0, 256, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    total = checksum(data)
    for place in {0, count // 2, count - 8, count - 1} & set(range(count)):
        other = data.clone()
        other[place] ^= 1
        assert checksum(other) != total
    assert checksum(data.clone()) == total


def test_parts_of_a_tensor_and_every_type_have_a_sum():
    data = torch.arange(40, dtype=torch.uint8)
    assert checksum(data[3:27]) == checksum(data[3:27].clone())
    assert checksum(data.view(5, 8).T) == checksum(data.view(5, 8).T.contiguous())
    for kind in (torch.bool, torch.float16, torch.float64, torch.complex64, torch.int64):
        assert checksum(torch.ones(5, dtype=kind)) != checksum(torch.zeros(5, dtype=kind))


def test_equal_rows_that_change_places_with_others_are_seen():
    rows = torch.zeros(3, 2 * ROW)
    rows[0] = 1
    assert checksum(rows) != checksum(rows.roll(1, dims=0)) != checksum(rows.roll(2, dims=0))
