"""Which files hold the voxels of a MetaImage or NRRD header, without reading them."""

from __future__ import annotations

import re
from pathlib import Path

from iqa_registry.files import special_kind

_LONGEST_HEADER = 1 << 16
_FIELD = re.compile(rb"^(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def data_files(path: Path, special: bool = False) -> list[Path]:
    """The files named by the header, none where the voxels follow it.

    Lists and patterns of files count as every file of the folder, since they name too many to be told here; with
    ``special`` also as its pipes, devices and sockets.
    """
    try:
        with path.open("rb") as stream:
            found = _FIELD.search(stream.read(_LONGEST_HEADER))
    except OSError:  # reading it will say why
        return []
    text = found[1].strip().decode("utf-8", "replace") if found else "LOCAL"
    if text.upper() == "LOCAL" or "\0" in text:
        return []
    if "%" in text or text.upper().startswith("LIST"):
        return sorted(
            item for item in path.parent.iterdir() if item.is_file() or (special and special_kind(item))
        )
    return [path.parent / text]
