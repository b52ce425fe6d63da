"""Which licences allow commercial use, as far as the declared identifiers tell."""

from __future__ import annotations

from iqa_registry.specs import MetricSpec

PERMISSIVE = frozenset(
    {
        "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "BSD", "ISC", "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0",
        "Unlicense", "MPL-2.0", "Python-2.0", "Zlib",
    }
)  # fmt: skip
"""SPDX identifiers that allow commercial use without sharing one's own code."""


def allows_commercial_use(spec: MetricSpec) -> bool:
    """Whether both the code and the weights stand under a permissive licence; what is unknown does not count.

    Example:
        >>> allows_commercial_use(MetricSpec(name="m", licence="PolyForm-Noncommercial-1.0.0"))
        False
    """
    licences = [spec.licence, *([spec.weights_licence] if spec.weights_licence else [])]
    parts = [part.strip("() ") for licence in licences for part in licence.replace(" AND ", "&").split("&")]
    return all(part in PERMISSIVE for part in parts)
