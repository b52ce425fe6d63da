"""Licenses of what plugins declare, and which of them allow commercial use, as far as the identifiers tell."""

from __future__ import annotations

from iqa_registry.specs import MetricSpec, Registered, Spec

PERMISSIVE = frozenset(
    {
        "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "BSD", "ISC", "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0",
        "Unlicense", "MPL-2.0", "Python-2.0", "Zlib",
    }
)  # fmt: skip
"""SPDX identifiers that allow commercial use without sharing your own code."""


def license_text(spec: Spec | Registered) -> str:
    """The license of the code or data and, where they are under another one, of the weights; "" if none is declared.

    Example:
        >>> from iqa_registry.specs import DatasetSpec
        >>> license_text(DatasetSpec(name="d", summary="scans", factory="my.data:Scans", license="MIT"))
        'MIT'
    """
    own, *weights = _licenses(spec)
    return "; weights ".join([own, *(text for text in weights if text != own)])


def allows_commercial_use(spec: Spec | Registered) -> bool:
    """Whether code, data and weights are under a permissive license; what is unknown does not count.

    Example:
        >>> from iqa_registry.specs import DatasetSpec
        >>> scans = DatasetSpec(name="d", summary="scans", factory="my.data:Scans", license="CC-BY-NC-4.0")
        >>> allows_commercial_use(scans)
        False
    """
    parts = [part.strip("() ") for text in _licenses(spec) for part in text.split(" AND ")]
    return all(part in PERMISSIVE for part in parts)


def _licenses(spec: Spec | Registered) -> list[str]:
    weights = spec.weights_license if isinstance(spec, MetricSpec) else None
    return [getattr(spec, "license", ""), *([weights] if weights else [])]
