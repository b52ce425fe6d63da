"""The files of a run are hashed beside the scoring; those that a verified run finds changed are scored again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from iqa_registry.evaluation.contents import Contents, digest_of, files_of_items
from iqa_registry.evaluation.items import Item
from iqa_registry.evaluation.store import Store


class Watched:
    """The files of a run: what they hold, and which are not what was scored."""

    def __init__(self, contents: Contents | None, stale: Sequence[Path] = ()) -> None:
        self._contents = contents
        self._stale = {*stale}
        self._first = next(iter(stale), None)

    def add(self, batch: Sequence[Item], scored: bool = False) -> None:
        """Have the files of a batch hashed; of one that is ``scored`` the hashes of that time stand."""
        if self._contents is not None:
            self._contents.add(files_of_items(batch), scored)

    def is_stale(self, batch: Sequence[Item]) -> bool:
        """Whether a file of a batch is not what was scored."""
        return bool(self._stale) and not self._stale.isdisjoint(files_of_items(batch))

    @property
    def remarks(self) -> list[str]:
        """What a verified run found, in a line."""
        if not self._stale:
            return []
        more = f" (and {len(self._stale) - 1} more files)" if len(self._stale) > 1 else ""
        return [f"{self._first}{more}: holds something else than when it was scored, and was scored again."]


@contextlib.contextmanager
def watched(store: Store, items: Sequence[Item]) -> Iterator[Watched]:
    """Watch the files of a run; what they hold is written down at its end, also where it is interrupted.

    Args:
        store: keeps the hashes, or does not; it also knows whether all files are to be read again first.
        items: what is scored.
    """
    if store.inputs is None:
        yield Watched(None)
        return
    contents = Contents(store.inputs)
    try:
        stale = contents.changed(files_of_items(items)) if store.verify and contents.is_known else []
        yield Watched(contents, stale)
    finally:
        table = contents.table()
        if len(table):
            store.keep_inputs(table, digest_of(table))
        contents.close()
