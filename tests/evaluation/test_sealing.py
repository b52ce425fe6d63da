"""Parts with a checksum, and those of earlier versions without one."""

import polars as pl
import pytest

from iqa_registry.evaluation.sealing import UNSEALED, DamagedError, read_sealed, sealed
from iqa_registry.tables.writing import as_parquet

ROWS = pl.DataFrame({"metric": ["mae", "psnr"], "score": [0.5, 20.0]})


@pytest.fixture
def part(tmp_path):
    def write(content):
        path = tmp_path / "part.parquet"
        path.write_bytes(content)
        return path

    return write


def test_what_is_sealed_is_read_with_its_notes(part):
    content = as_parquet(ROWS, {"inputs": "a digest", **UNSEALED})
    rows, notes = read_sealed(part(sealed(content)))
    assert rows.equals(ROWS)
    assert notes["inputs"] == "a digest"
    assert len(sealed(content)) == len(content)
    with pytest.raises(DamagedError, match="its checksum is wrong"):
        read_sealed(part(content))


@pytest.mark.parametrize("place", [0, 100, -1, -9])
def test_a_byte_that_was_changed_is_noticed_before_it_is_read(part, place, monkeypatch):
    content = bytearray(sealed(as_parquet(ROWS, UNSEALED)))
    content[place] ^= 4
    monkeypatch.setattr(pl, "read_parquet", lambda *given: pytest.fail("was read"))
    for required in (True, False):
        with pytest.raises(DamagedError, match="its checksum is wrong"):
            read_sealed(part(bytes(content)), required)


def test_parts_of_earlier_versions_have_no_checksum(part):
    path = part(as_parquet(ROWS, {"inputs": "a digest"}))
    assert read_sealed(path, required=False)[0].equals(ROWS)
    with pytest.raises(DamagedError, match="it has no checksum"):
        read_sealed(path)


@pytest.mark.parametrize("content", [b"", b"no table", as_parquet(ROWS)[:-20]])
def test_what_is_no_table_is_damaged(part, content):
    with pytest.raises(DamagedError):
        read_sealed(part(content), required=False)
