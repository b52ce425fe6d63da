"""NIRPS: synthesized slices of brain MRI, each rated by radiologists.

Published with K-CROSS as ``nirps_dataset/{dataset}/{modality}/{model}/epoch_{k}/{slice}/`` with ``img.png``,
``artificial.txt`` (the rating: 0, 0.1 ... 0.9, larger is better) and ``mae.txt``, ``psnr.txt``, ``ssim.txt``, and
``{dataset}/{modality}/gt/{slice}/gt.png``; the scores alone are public too. 7,500 images: IXI (t2, pd) and BraTS 2021
(t1, t2, flair), by CycleGAN, MUNIT and UNIT, in 50 epochs, of 10 slices each.

Where two of five ratings equal what the rating program had filled in beforehand, from the L2 distance of the two
images, they lean towards pixel metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from iqa_datasets._nirps_files import IMAGE, RATING, REFERENCE, Entry, Filter, reader_for, understand
from iqa_registry.plugin import Dataset, Pair, UsageError

if TYPE_CHECKING:
    import polars as pl

Names = tuple[str, ...]


class NIRPS(Dataset):
    """NIRPS from its tree (its root, the folder above or one dataset of it), or from one table.

    ``pairs()`` needs the tree with images; ``table()`` takes any. A rating or score that is missing, damaged or NaN is
    left empty and named in ``left_out``; the row stays. Files ``NAME.txt`` beside the published ones, and further
    columns of a table, become columns where they hold numbers.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     place = Path(folder) / "ixi/t2/munit/epoch_1/IXI580-IOP-1157-slice-69"
        ...     place.mkdir(parents=True)
        ...     _ = (place / "artificial.txt").write_text("0.5")
        ...     _ = (place / "psnr.txt").write_text("23.4")
        ...     table = NIRPS(folder).table()
        >>> table["rating"].item(), table["psnr"].item(), table["subject"].item(), table["mae"].item()
        (0.5, 23.4, 'IXI580-IOP-1157', None)
    """

    def __init__(
        self,
        path: Annotated[Path, Field(description="the tree, or a table: .csv, .csv.gz, .parquet")],
        dataset: Annotated[Names, Field(description="only these data sets (ixi+brats)")] = (),
        modality: Annotated[Names, Field(description="only these modalities (t2+pd)")] = (),
        model: Annotated[Names, Field(description="only these models (munit+unit)")] = (),
        epochs: Annotated[
            str | None,
            Field(
                pattern=r"^(\d+|\d*:\d*)$",
                description="only these epochs, as in Python (1:41), or one of them",
            ),
        ] = None,
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.filter = Filter(_names(dataset), _names(modality), _names(model), epochs)

    @cached_property
    def _read(self) -> tuple[list[Entry], list[str], list[str]]:
        """The images, the names of their scores, and what is wrong with their numbers."""
        entries = reader_for(self.path)(self.path, self.filter)
        return entries, *understand(entries)

    def table(self) -> pl.DataFrame:
        """One row an image: ``pair_id``, what it is, its rating and the published scores.

        Raises:
            UsageError: there is neither a tree nor a table at the path, or nothing in it that is wanted.
        """
        import polars as pl

        entries, scores, faults = self._read
        self.left_out = list(faults)
        rows = [{"pair_id": entry.pair_id, **entry.columns, **entry.values} for entry in entries]
        texts = ("pair_id", "dataset", "modality", "model", "subject", "slice_id")
        columns = ("pair_id", "dataset", "modality", "model", "epoch", "subject", "slice", "slice_id")
        schema = {name: pl.String if name in texts else pl.Int64 for name in columns}
        return pl.DataFrame(rows, schema=schema | dict.fromkeys((RATING, *scores), pl.Float64))

    def pairs(self) -> Iterator[Pair]:
        """Each synthesized image with its reference; the published scores are the columns ``published_mae`` ...

        Raises:
            UsageError: there are no images, only scores.
        """
        entries, scores, faults = self._read
        self.left_out = list(faults)
        if not any(entry.image for entry in entries):
            raise UsageError(
                f"{self.path}: has scores and no images ({IMAGE}), so there is nothing to score; "
                f"`iqa datasets export nirps:{self.path} --table nirps.parquet` gives the table of scores."
            )
        for entry in entries:
            if entry.image is None or entry.reference is None:
                self.left_out.append(_without_image(entry))
                continue
            published = {f"published_{name}": entry.values[name] for name in scores}
            groups = {**entry.columns, RATING: entry.values[RATING], **published}
            yield Pair(entry.pair_id, entry.image, entry.reference, groups=groups)


def _without_image(entry: Entry) -> str:
    if entry.image is None:
        return f"{entry.pair_id}: has no {IMAGE}"
    dataset, modality, *_, slice_id = entry.keys
    return f"{entry.pair_id}: has no reference {dataset}/{modality}/gt/{slice_id}/{REFERENCE}"


def _names(given: Names | str) -> Names:
    return (given,) if isinstance(given, str) else tuple(given)
