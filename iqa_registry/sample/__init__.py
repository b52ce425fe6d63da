"""The bundled sample: simulated brain MRI, six subjects, eight synthesized images each, with simulated ratings.

Nobody was scanned for it, no network made it and no radiologist rated it: see ``README.md`` beside this file for what
it is, for the command that makes it again and for the license of the template that its anatomy comes from.

Example:
    >>> from iqa_registry.images.pairs import read_manifest
    >>> pairs = read_manifest(MANIFEST).pairs
    >>> len(pairs), len({pair.reference for pair in pairs})
    (48, 6)
"""

from __future__ import annotations

from pathlib import Path

MANIFEST = Path(__file__).parent / "manifest.csv"
"""Columns: pair_id, synthesized, reference, mask, subject, lesion, source, target, degradation, severity, rating."""
RATINGS = MANIFEST.with_name("ratings.csv")
"""The simulated individual raters' scores: pair_id, rater, rating (0, 0.1 ... 0.9, larger is better)."""
SEVERITIES = MANIFEST.with_name("severities.csv")
"""The severity of each error in each image: pair_id and a column for each error, 0 (absent) to 1."""

NOTICE = (
    "no images given: the bundled sample is used (simulated slices with known errors and simulated raters; "
    "it shows that the installation works and says nothing about any method)."
)
"""What the command line says when it falls back on the sample."""
