"""Named weight files: where they come from, their hash, their license, the folder that they are kept in.

Importing this package imports no torch; :meth:`WeightStore.load` and what it calls do.
"""

from __future__ import annotations

from iqa_registry.weights.fingerprints import fingerprint
from iqa_registry.weights.sources import IndexArchive, PackageFile, Source, TorchHubFile, UrlFile
from iqa_registry.weights.store import WeightReport, WeightStore

__all__ = [
    "IndexArchive",
    "PackageFile",
    "Source",
    "TorchHubFile",
    "UrlFile",
    "WeightReport",
    "WeightStore",
    "fingerprint",
]
