"""The bundled sample: simulated MR-like slices, references and copies degraded in known ways.

Nobody was scanned for it and no network made it: see ``README.md`` beside this file for how it came about and for
the licence of the template that it is computed from, and ``tools/make_sample.py`` for the code.

Example:
    >>> from iqa_registry.images.pairs import read_manifest
    >>> pairs = read_manifest(MANIFEST).pairs
    >>> len(pairs), len({pair.reference for pair in pairs})
    (24, 3)
"""

from __future__ import annotations

from pathlib import Path

MANIFEST = Path(__file__).parent / "manifest.csv"
"""Columns: synthesized, reference, mask, subject, slice, model (the kind of degradation), severity."""

NOTICE = (
    "no images given: the bundled sample is used (simulated slices with known degradations; "
    "it shows that the installation works and says nothing about any method)."
)
"""What the command line says when it falls back on the sample."""
