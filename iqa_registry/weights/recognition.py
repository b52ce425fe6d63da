"""Recognizing a file that a user brings: which of the declared weights are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from iqa_registry.errors import WeightsError
from iqa_registry.weights.fingerprints import file_sha256, fingerprint

if TYPE_CHECKING:
    from torch import Tensor

    from iqa_registry.specs import WeightSpec

Found = tuple["WeightSpec", Path, "Callable[[Path], dict[str, Tensor]]"]


def recognize(path: Path, candidates: Sequence[WeightSpec], folder: Path) -> list[Found]:
    """Find the declared weights in a file.

    First by the hash of the file, which tells a published file or archive; then by the fingerprint of the
    tensors in it, which tells the same numbers in any container.

    Args:
        path: the file.
        candidates: the weights that it may be.
        folder: where members of an archive may be written.

    Returns:
        Declaration, file, and what reads its tensors; at least one.

    Raises:
        WeightsError: the file cannot be read, or is none of the candidates.
    """
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}.") from error
    found = list(_by_file(path, sha256, candidates, folder)) or list(_by_tensors(path, candidates))
    if found:
        return found
    if len(candidates) == 1:
        spec = candidates[0]
        raise WeightsError(
            f"{path} is not the declared {spec.name!r}: expected sha256 {spec.sha256} of the {spec.hashed}, "
            f"the file's own is {sha256}."
        )
    raise WeightsError(
        f"{path} is none of the declared weights; its sha256 is {sha256}. See them with: iqa weights list"
    )


def _by_file(path: Path, sha256: str, candidates: Sequence[WeightSpec], folder: Path) -> Iterator[Found]:
    for spec in candidates:
        if spec.hashed == "file" and sha256.startswith(spec.sha256):
            yield spec, path, spec.sources[0].tensors
            continue
        for source in spec.sources:
            if source.sha256 and sha256.startswith(source.sha256):
                yield spec, source.unpack(path, folder), source.tensors
                break


def _by_tensors(path: Path, candidates: Sequence[WeightSpec]) -> Iterator[Found]:
    """Read the file once, then try each declared way of naming its tensors."""
    from iqa_registry.weights.containers import converted, read, read_payload

    payload = read_payload(path)
    for spec in candidates:
        if spec.hashed == "file":
            continue
        ways = {None} | {source.convert for source in spec.sources if source.container == "tensors"}
        for convert in sorted(ways, key=str):
            try:
                got = fingerprint(converted(payload, convert, path))
            except WeightsError:
                continue
            if got.startswith(spec.sha256):
                yield spec, path, partial(read, convert=convert)
                break
