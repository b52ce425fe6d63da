"""What no file may be called, and a settings file that is too deep, end in one line."""

import pytest

from iqa_registry.errors import UsageError
from iqa_registry.images._manifest import read_rows
from iqa_registry.images.pairs import read_manifest
from iqa_registry.registry import read_settings


@pytest.mark.parametrize("row", ["a\0.png,r.png,1", 'a.png,r.png,"1\n2"'])
def test_control_characters_in_a_manifest_are_refused(tmp_path, row):
    path = tmp_path / "pairs.csv"
    path.write_text(f"synthesized,reference,pair_id\n{row}\n")
    with pytest.raises(UsageError, match="control character") as caught:
        read_rows(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [".", ".png"])
def test_a_row_without_a_name_of_its_own_has_an_identifier(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / ".png").write_bytes(b"")
    (folder / "pairs.csv").write_text(f"synthesized\n{name}\n")
    expected = {".": "inner", ".png": ".png"}[name]
    assert [pair.pair_id for pair in read_manifest(folder / "pairs.csv").pairs] == [expected]


def test_settings_that_are_too_deep_are_refused(tmp_path):
    path = tmp_path / "iqa.toml"
    path.write_text("a = " + "[" * 5000 + "]" * 5000)
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        read_settings(path)
