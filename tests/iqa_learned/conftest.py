"""Stores of weights: one with the published weights, one of its own for each test."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from iqa_learned.plugin import WEIGHTS
from iqa_registry.weights import WeightStore


@pytest.fixture(scope="session")
def published() -> WeightStore:
    """The user's own store: what is missing is fetched once and kept. For tests marked ``network``."""
    return WeightStore({spec.name: spec for spec in WEIGHTS}, progress=False)


@pytest.fixture
def local(tmp_path) -> WeightStore:
    """An empty store without a network."""
    return WeightStore(
        {spec.name: spec for spec in WEIGHTS}, tmp_path / "weights", offline=True, progress=False
    )


@pytest.fixture
def registry(local) -> SimpleNamespace:
    """As much of a registry as the factories ask for."""
    return SimpleNamespace(weights=local)


@pytest.fixture(autouse=True)
def one_thread():
    """The images are small, and on a busy machine threads that wait for each other cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
