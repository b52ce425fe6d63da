"""Importing: which of the declared weights are in a file that a user brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from iqa_registry.errors import WeightsError
from iqa_registry.weights.files import read_file
from iqa_registry.weights.formats import named_tensors
from iqa_registry.weights.hashing import file_sha256, fingerprint

if TYPE_CHECKING:
    from iqa_registry.specs import WeightSpec
    from iqa_registry.weights.sources import Source


def recognize(
    path: Path, candidates: Sequence[WeightSpec], folder: Path
) -> list[tuple[WeightSpec, Path, Source]]:
    """Find the declared weights in a file.

    First by the hash of the file, which identifies a published file or archive; then by the hash of the tensors in
    it, which identifies the same numbers in any format.

    Args:
        path: the file.
        candidates: the weights that it may be.
        folder: where members of an archive may be written.

    Returns:
        Declaration, file, and a source that can open it; at least one.

    Raises:
        WeightsError: the file cannot be read, or is none of the candidates.
    """
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}. Give the path of a weight file or archive.") from error
    found = list(_by_file(path, sha256, candidates, folder)) or list(_by_tensors(path, candidates))
    if found:
        return found
    if len(candidates) == 1:
        spec = candidates[0]
        raise WeightsError(
            f"{path} is not the declared {spec.name!r}: expected sha256 {spec.sha256} of the {spec.hashed}, "
            f"the file's own is {sha256}. Give another file."
        )
    raise WeightsError(
        f"{path} is none of the declared weights; its sha256 is {sha256}. `iqa weights list` shows all."
    )


def _by_file(
    path: Path, sha256: str, candidates: Sequence[WeightSpec], folder: Path
) -> Iterator[tuple[WeightSpec, Path, Source]]:
    for spec in candidates:
        if spec.hashed == "file" and sha256.startswith(spec.sha256):
            source, file = spec.sources[0], path
        else:
            known = (item for item in spec.sources if item.sha256 and sha256.startswith(item.sha256))
            source = next(known, None)
            if source is None:
                continue
            file = source.unpack(path, folder)
        yield spec, file, source


def _by_tensors(path: Path, candidates: Sequence[WeightSpec]) -> Iterator[tuple[WeightSpec, Path, Source]]:
    """Read the file once, then try each declared way of naming its tensors."""
    content = read_file(path, str(path)).content
    for spec in candidates:
        ways = {None} | {source.convert for source in spec.sources if source.container == "tensors"}
        for convert in sorted(ways, key=str) if spec.hashed == "tensors" else ():
            with suppress(WeightsError):
                if fingerprint(named_tensors(content, convert, path)).startswith(spec.sha256):
                    yield spec, path, replace(spec.sources[0], container="tensors", convert=convert)
                    break
