"""Files: what may be opened, how much of it may be unpacked, what identifies it, and writing it whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from iqa_registry.errors import IQAError, UsageError

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: str | os.PathLike[str]) -> str:
    """What a path is that is neither file nor folder, after links; empty for those and where there is nothing.

    Example:
        >>> special_kind("/dev/null"), special_kind("/")
        ('a device', '')
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # opening it will say why
        return ""
    return next((kind for test, kind in _SPECIAL if test(mode)), "")


def refuse_special(path: str | os.PathLike[str], error: type[IQAError] = UsageError) -> None:
    """Reject pipes, devices and sockets: opening them may wait for ever, and reading them may never end.

    Args:
        path: what is about to be opened; it need not exist.
        error: the class of the error.

    Raises:
        IQAError: of the given class.
    """
    kind = special_kind(path)
    if kind:
        raise error(f"{path}: is {kind}. Give a regular file.")


PIECE = 1 << 20
"""Bytes that are unpacked at once."""


def inflated(pieces: Iterable[bytes], wbits: int = zlib.MAX_WBITS) -> Iterator[bytes]:
    """Deflated data unpacked piece by piece, so that whoever counts them can stop in time.

    Args:
        pieces: the packed bytes, in any number of parts; what follows the end of the data is left alone.
        wbits: the container as :mod:`zlib` numbers it; ``-zlib.MAX_WBITS`` for data without one.

    Raises:
        zlib.error: the data are damaged.

    Example:
        >>> b"".join(inflated([zlib.compress(b"abc")]))
        b'abc'
    """
    inflater = zlib.decompressobj(wbits)
    for piece in pieces:
        rest = piece
        while rest and not inflater.eof:
            yield inflater.decompress(rest, PIECE)
            rest = inflater.unconsumed_tail
        if inflater.eof:
            return


def byte_limit(variable: str, default: int, example: int) -> int:
    """A number of bytes from an environment variable, by default ``default``.

    Raises:
        UsageError: the variable does not hold a number above 0; ``example`` is one.

    Example:
        >>> byte_limit("IQA_NO_SUCH_VARIABLE", 512, 1024)
        512
    """
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{variable} is {text!r}, expected a number of bytes such as {example}.")
    return int(text)


FileState = tuple[int, int, int, int]
"""Size in bytes, times of the last write and the last change in nanoseconds, inode."""


def file_state(path: Path) -> FileState | None:
    """What identifies a file without reading it; ``None`` where there is none.

    A file that is rewritten and given its old time has another change time; one put in its place, another inode.

    Example:
        >>> file_state(Path("/no/such/file")) is None
        True
    """
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def write_atomically(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a file under a temporary name beside it, then rename it; its folder is made if it is not there.

    Args:
        path: the file; one that is there is replaced.
        content: what it holds.
        durable: wait until the disk has it, so that it survives a loss of power.

    Raises:
        UsageError: there is a pipe, a device or a socket of this name.
        OSError: it cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a" / "scores.csv", b"0.5")
        ...     [path.name for path in (Path(folder) / "a").iterdir()]
        ['scores.csv']
    """
    refuse_special(path)  # a rename would put a file in its place
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
