"""Writing files so that a name never stands for half of a file."""

from __future__ import annotations

import errno
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
        if durable:
            _sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names: a renamed file may else be gone after a loss of power."""
    if os.name == "nt":  # Windows opens no folders, and keeps names in its journal
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot do it for folders
            raise
    finally:
        os.close(descriptor)
