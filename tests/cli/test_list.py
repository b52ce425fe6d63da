"""``iqa list`` and ``iqa info``: every kind of thing in the same layout, with the same options."""

import json
import sys

import pytest

from iqa_registry.cli import render
from iqa_registry.registry import build_registry
from iqa_registry.specs import KINDS


@pytest.fixture
def listed(iqa):
    """The rows of ``iqa list ... --json`` by name."""

    def run(*arguments):
        done = iqa("list", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_and_explained(iqa, listed, kind):
    specs = build_registry().kinds[kind]
    rows = listed(kind)
    assert list(rows) == list(specs)
    assert {row["distribution"] for row in rows.values()} == {"iqa-registry"}
    lines = iqa("list", kind).stdout.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(specs)]] == list(specs)
    assert lines[0].split()[-2:] == ["from", "summary"]
    for name, spec in specs.items():
        done = iqa("info", name, "--as", kind)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{name}: {spec.summary}")
        assert json.loads(iqa("info", name, "--as", kind, "--json").stdout)["type"] == spec.noun


def test_metrics_are_listed_by_default_and_the_singular_is_understood(iqa):
    assert iqa("list").stdout == iqa("list", "metrics").stdout == iqa("list", "metric").stdout
    assert "\nssim " in iqa("list").stdout
    assert "'metrics', 'rankers'" in iqa("list", "metrix").stderr


def test_license_of_the_weights_is_shown_with_that_of_the_code(iqa):
    lines = {line.split()[0]: line for line in iqa("list").stdout.splitlines() if line}
    assert "Apache-2.0; weights CC-BY-NC-SA-4.0" in lines["deepiqa"]
    # Under one license, it is shown once.
    assert "; weights" not in lines["kcross"]
    assert "Apache-2.0; weights CC-BY-NC-SA-4.0" in iqa("info", "deepiqa").stdout


def test_filters_of_metrics(listed, iqa):
    assert set(listed("--license", "cc-by-nc")) == set(listed("--licence", "cc-by-nc")) == {"deepiqa"}
    assert "deepiqa" not in listed("--commercial-ok")
    assert set(listed("--plugin", "iqa_learned")) == {"deepiqa", "dists", "lpips"}
    assert listed("--kind", "no-reference") == {}
    assert "'full-reference'" in iqa("list", "--kind", "reference").stderr
    assert "--licence" not in iqa("list", "--help").stdout


def test_filters_of_other_kinds(listed, iqa):
    assert "ixi" in listed("datasets", "--license", "CC-BY-SA")
    assert "deepiqa" not in listed("weights", "--commercial-ok")
    for arguments, message in (
        (("rankers", "--license", "MIT"), "rankers declare no license. Leave --license"),
        (("datasets", "--kind", "distribution"), "--kind selects metrics. Leave it out for datasets."),
    ):
        done = iqa("list", *arguments)
        assert (done.returncode, message in done.stderr) == (2, True)


def test_what_lacks_a_package_says_how_to_get_it(install, iqa, listed):
    install("""
        from iqa_registry.specs import SegmenterSpec

        @hookimpl
        def iqa_register_segmenters(register):
            register(SegmenterSpec(name="finder", summary="finds", factory="none:None", extra="more"))
    """)
    from importlib import metadata
    from pathlib import Path

    folder = Path(metadata.distribution("third-party")._path)
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: third-party\nVersion: 1.2\nProvides-Extra: more\n"
        'Requires-Dist: no-such-package-here>=2; extra == "more"\n'
    )
    assert 'pip install "third-party[more]"' in iqa("list", "segmenters").stdout
    assert (listed("segmenters")["finder"]["ready"], listed("segmenters")["none"]["ready"]) == (False, True)


def test_a_file_that_the_user_gives_as_weights_is_shown_as_a_file(iqa, tmp_path):
    (tmp_path / "model.safetensors").touch()
    rows = json.loads(iqa("info", "kcross:weights=model.safetensors", "--json").stdout)["weights"]
    assert rows == [{"weights": "model.safetensors", "status": "your file"}]
    assert "declared" not in iqa("info", "kcross:weights=model.safetensors").stdout
    absent = iqa("info", "kcross:weights=kcross-t1-t3").stdout
    assert "neither a file nor declared. Did you mean 'kcross-t1-t2'?" in absent


def test_parameters_are_shown_as_they_are_typed(iqa):
    text = iqa("info", "ssim:window=7,downsample=true").stdout
    rows = {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}
    assert rows["window"].startswith("window 7 integer 3–191 side of")
    assert rows["downsample"].startswith("downsample true boolean")
    assert rows["k1"].startswith("k1 0.01 number > 0 and ≤ 1")


def test_a_dataset_is_explained_without_the_path_that_it_needs(iqa):
    facts = json.loads(iqa("info", "brats", "--json").stdout)
    parameters = {row["parameter"]: row["value"] for row in facts["parameters"]}
    assert (parameters["path"], parameters["slices"]) == ("required", "50:80")
    assert facts["labels"]["enhancing"] == [4]
    assert "core 1+4" in iqa("info", "brats").stdout
    assert "brats has no parameter 'pth'. Did you mean 'path'?" in iqa("info", "brats:pth=x").stderr


def test_a_name_of_two_kinds_is_the_metric_and_names_the_other(iqa):
    text = iqa("info", "deepiqa").stdout
    assert "validated on" in text
    assert "Other kinds have the same name: `iqa info deepiqa --as weights`" in text
    assert "sha256" in iqa("info", "deepiqa", "--as", "weights").stdout


@pytest.mark.parametrize(("name", "meant"), [("sism", "ssim"), ("bratz", "brats")])
def test_an_unknown_name_offers_the_nearest_of_any_kind(iqa, name, meant):
    done = iqa("info", name)
    assert done.returncode == 2
    assert f"nothing is registered as '{name}'. Did you mean '{meant}'" in done.stderr


@pytest.mark.parametrize(
    ("name", "registered"), [("SSIM:window=7", "ssim"), ("BraTS", "brats"), ("Levels", "levels")]
)
def test_names_are_found_in_any_case(iqa, name, registered):
    assert iqa("info", name).stdout.startswith(f"{registered}: ")


@pytest.mark.parametrize(
    ("name", "message"), [("fid", "compares two sets of images"), ("ncc", "correlation")]
)
def test_a_usual_metric_that_is_not_here_is_explained(iqa, name, message):
    done = iqa("info", name)
    assert done.returncode == 2
    assert message in done.stderr


def test_on_a_terminal_lines_fit(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    rows = [{"name": "n", "license": "l" * 30, "from": "f" * 30, "summary": "s" * 30}]
    shown = render.table(rows, ("summary", "from", "license"))
    assert max(map(len, shown.splitlines())) == 40
    assert "sssssss…" in shown


@pytest.mark.parametrize("arguments", [("info", "sism"), ("list", "weights"), ("list", "datasets")])
def test_torch_is_not_imported(run_iqa, arguments):
    done = run_iqa(*arguments, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "iqa_registry.registry" in imported
    assert not imported & {"torch", "polars", "pydantic"}


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_fits_the_terminal_with_readable_summaries(iqa, columns):
    lines = iqa("list", COLUMNS=str(columns)).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    (line,) = (line for line in lines if line.startswith("mae "))
    assert "mean absolute error" in line


def test_a_kind_without_metrics_says_so(iqa):
    done = iqa("list", "--kind", "distribution")
    assert (done.returncode, "No metric of the kind distribution" in done.stdout) == (0, True)


def test_bridged_metrics_are_hidden_unless_asked_for(install, iqa):
    install("""
        from iqa_learned.plugin import pyiqa_spec

        @hookimpl
        def iqa_register_metrics(register):
            register(pyiqa_spec("CKDN", True, True, "0, 1"))
    """)
    shown = iqa("list").stdout
    assert "/ckdn" not in shown
    assert "are hidden; `iqa list --bridged` shows them." in shown
    assert "pyiqa/ckdn" in iqa("list", "--bridged").stdout
