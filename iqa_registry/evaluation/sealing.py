"""Parquet files that carry a checksum of all their bytes, which is compared before anything interprets them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import polars as pl

from iqa_registry.files import refuse_special

_SEAL = b"iqa-sha256:"
_BLANK = b"0" * 64
UNSEALED = {"seal": (_SEAL + _BLANK).decode()}


class DamagedError(Exception):
    """A part cannot be trusted; the text says why."""


def sealed(content: bytes) -> bytes:
    """A Parquet file that has the note :data:`UNSEALED`, with its checksum, whose place counts as zeros for it."""
    at = content.rindex(_SEAL) + len(_SEAL)
    return content[:at] + hashlib.sha256(content).hexdigest().encode() + content[at + len(_BLANK) :]


def read_sealed(path: Path, required: bool = True) -> tuple[pl.DataFrame, dict[str, str]]:
    """The rows and notes of a part, after its checksum was compared.

    Polars sees no byte of a part that was changed: on such bytes it may panic or end the process.
    """
    refuse_special(path)
    content = path.read_bytes()
    at = content.rfind(_SEAL) + len(_SEAL)
    if at >= len(_SEAL):
        found = content[at : at + len(_BLANK)]
        whole = content[:at] + _BLANK + content[at + len(_BLANK) :]
        if hashlib.sha256(whole).hexdigest().encode() != found:
            raise DamagedError("its checksum is wrong")
    elif required:
        raise DamagedError("it has no checksum")
    try:
        return pl.read_parquet(io.BytesIO(content)), dict(pl.read_parquet_metadata(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DamagedError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
