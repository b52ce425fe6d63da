"""Training of K-CROSS: stage one (networks, Algorithm 1) and stage two (score networks, Algorithm 2)."""

from __future__ import annotations


def need_lightning() -> None:
    """Raise :class:`MissingExtraError` where what training needs is not installed."""
    from importlib.util import find_spec

    from iqa_registry.plugin import MissingExtraError

    for package in ("lightning", "tensorboard"):
        if find_spec(package) is None:
            raise MissingExtraError.of(f"training K-CROSS needs {package}", "train")
