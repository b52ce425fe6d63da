"""Writing files so that a name never stands for half of a file."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a file under a temporary name beside it, then rename it; its folder is made if it is not there.

    Args:
        path: the file; one that is there is replaced.
        content: what it holds.
        durable: wait until the disk has it, so that it survives a loss of power.

    Raises:
        OSError: it cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a" / "scores.csv", b"0.5")
        ...     [path.name for path in (Path(folder) / "a").iterdir()]
        ['scores.csv']
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
