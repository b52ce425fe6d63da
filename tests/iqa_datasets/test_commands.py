import json
import subprocess
import sys

import polars as pl
import pytest

HEAVY = {"torch", "polars", "pydantic", "scipy", "nibabel", "SimpleITK", "numpy"}


@pytest.fixture
def scores(tmp_path):
    for epoch in (1, 2):
        place = tmp_path / "tree" / "ixi" / "t2" / "munit" / f"epoch_{epoch}" / "IXI580-IOP-1157-slice-69"
        place.mkdir(parents=True)
        (place / "artificial.txt").write_text("0.5")
        (place / "mae.txt").write_text("0.026017272844910622")
    return tmp_path / "tree"


def test_list_names_each_dataset_with_license_and_plugin(iqa):
    done = iqa("datasets", "list")
    assert done.returncode == 0
    for word in ("ixi", "brats", "nirps", "phantom", "CC-BY-SA-3.0", "not stated by its authors"):
        assert word in done.stdout
    facts = {row["name"]: row for row in json.loads(iqa("datasets", "list", "--json").stdout)}
    assert facts["ixi"]["ready"] is True
    assert facts["phantom"]["extra"] == "phantom"
    assert facts["nirps"]["plugin"] == "iqa_datasets"


def test_a_missing_extra_is_told_with_its_remedy(install, iqa):
    install(
        """
        from iqa_registry.specs import DatasetSpec

        @hookimpl
        def iqa_register_datasets(register):
            register(DatasetSpec(name="scans", summary="scans", license="MIT", factory="none:None", extra="scans"))
        """
    )
    from importlib import metadata
    from pathlib import Path

    folder = Path(metadata.distribution("third-party")._path)
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: third-party\nVersion: 1.2\nProvides-Extra: scans\n"
        'Requires-Dist: no-such-package-here>=2; extra == "scans"\n'
    )
    assert 'pip install "third-party[scans]"' in iqa("datasets", "list").stdout


def test_info_shows_parameters_labels_and_examples(iqa):
    done = iqa("datasets", "info", "brats")
    assert done.returncode == 0, done.stderr
    for words in ("core 1+4", "t1, t1ce, t2, flair", "required", "iqa evaluate --dataset brats:PATH"):
        assert words in done.stdout
    facts = json.loads(iqa("datasets", "info", "brats", "--json").stdout)
    assert facts["labels"]["enhancing"] == [4]
    parameters = {row["parameter"]: row for row in facts["parameters"]}
    assert parameters["slices"]["default"] == "50:80"
    assert all(row["description"] for row in parameters.values())


def test_an_unknown_name_offers_the_nearest(iqa):
    done = iqa("datasets", "info", "bratz")
    assert done.returncode == 2
    assert "Did you mean 'brats'?" in done.stderr


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.json", "deeper/a.parquet"])
def test_export_writes_the_table(scores, tmp_path, name, iqa):
    done = iqa("datasets", "export", f"nirps:{scores}", "--table", tmp_path / name)
    assert done.returncode == 0, done.stderr
    assert "2 rows, 12 columns" in done.stdout
    read = (
        pl.read_parquet
        if name.endswith("parquet")
        else pl.read_json
        if name.endswith("json")
        else pl.read_csv
    )
    table = read(tmp_path / name)
    assert table["mae"].to_list() == [0.026017272844910622] * 2
    assert table["pair_id"][1] == "ixi/t2/munit/epoch_2/IXI580-IOP-1157-slice-69"
    assert not list((tmp_path / name).parent.glob(".*"))


def test_export_of_a_table_is_that_table(scores, tmp_path, iqa):
    iqa("datasets", "export", f"nirps:{scores}", "--table", tmp_path / "a.parquet")
    iqa("datasets", "export", f"nirps:{tmp_path / 'a.parquet'}", "--table", tmp_path / "b.parquet")
    assert pl.read_parquet(tmp_path / "b.parquet").equals(pl.read_parquet(tmp_path / "a.parquet"))


def test_export_names_what_was_left_out(scores, tmp_path, iqa):
    next(scores.rglob("artificial.txt")).write_text("")
    done = iqa("datasets", "export", f"nirps:{scores}", "--table", tmp_path / "a.csv")
    assert done.returncode == 1
    assert "2 rows" in done.stdout
    assert "artificial.txt is empty" in done.stderr


def test_export_does_not_overwrite_unless_told(scores, tmp_path, iqa):
    path = tmp_path / "a.csv"
    path.write_text("precious")
    refused = iqa("datasets", "export", f"nirps:{scores}", "--table", path)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert path.read_text() == "precious"
    assert iqa("datasets", "export", f"nirps:{scores}", "--table", path, "--force").returncode == 0
    assert path.read_text().startswith("pair_id,")


def test_export_by_an_unknown_suffix(scores, tmp_path, iqa):
    done = iqa("datasets", "export", f"nirps:{scores}", "--table", tmp_path / "a.docx")
    assert done.returncode == 2
    assert ".parquet, .csv" in done.stderr


def test_the_table_is_one_file(scores, tmp_path, iqa):
    done = iqa("datasets", "export", f"nirps:{scores}", "-o", tmp_path / "a.csv")
    assert done.returncode == 2
    assert "--table" in done.stderr
    assert not (tmp_path / "a.csv").exists()


def test_export_of_volumes_lists_pairs_and_where_they_are(ixi_folder, tmp_path, iqa):
    done = iqa("datasets", "export", f"ixi:{ixi_folder},source=pd", "--table", tmp_path / "a.csv")
    assert done.returncode == 1
    assert "left out: IXI012: has no pd file" in done.stderr
    table = pl.read_csv(tmp_path / "a.csv")
    assert table["subject"].to_list() == ["IXI002", "IXI013", "IXI015"]
    assert table["reference"][0].startswith(f"{ixi_folder}/IXI-T2/IXI002-Guys-0802-T2.nii.gz (")


@pytest.mark.parametrize(
    "arguments", [("datasets", "list"), ("datasets", "--help"), ("datasets", "export", "--help")]
)
def test_light_commands_import_nothing_heavy(arguments):
    code = f"""
import sys
from iqa_registry.cli import main
sys.argv = {["iqa", *arguments]!r}
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert not set(done.stdout.splitlines()[-1].split()) & HEAVY
