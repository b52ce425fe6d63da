"""Named weight files: where they come from, their hash, their license, the folder that they are kept in.

Importing this package imports no torch; :meth:`WeightStore.open` and what it calls do.
"""

from __future__ import annotations

from iqa_registry.weights.files import WeightFile, open_file, recording
from iqa_registry.weights.hashing import fingerprint
from iqa_registry.weights.sources import IndexArchive, PackageFile, Source, TorchHubFile, UrlFile
from iqa_registry.weights.store import WeightReport, WeightStore

__all__ = [
    "IndexArchive",
    "PackageFile",
    "Source",
    "TorchHubFile",
    "UrlFile",
    "WeightFile",
    "WeightReport",
    "WeightStore",
    "fingerprint",
    "open_file",
    "recording",
]
