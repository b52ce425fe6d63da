"""``iqa correlate``: tables, files, 2-D images, exit codes, messages."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest
import scipy.stats
from PIL import Image

SYSTEMS = {
    "method": ["a", "b", "c", "d", "e"] * 2,
    "task": ["mri"] * 5 + ["ct"] * 5,
    "dice": [0.1, 0.3, 0.2, 0.5, 0.4, 0.9, 0.7, 0.8, 0.6, 0.5],
    "fid": [9.0, 7, 8, 5, 6, 1, 2, 3, 4, 5],
    "kid": [1.0, 2, 5, 3, 4, 3, 4, 1, 2, 5],
}


@pytest.fixture
def table(tmp_path):
    def write(columns=SYSTEMS, name="systems.csv"):
        pl.DataFrame(columns, strict=False).write_csv(tmp_path / name)
        return tmp_path / name

    return write


def rows_of(done):
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_values_equal_scipy_within_each_group(iqa, table):
    done = iqa("correlate", table(), "--against", "dice", "--group-by", "task", "--csv")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done)
    assert [(row["task"], row["metric"]) for row in rows] == [
        ("mri", "fid"), ("mri", "kid"), ("ct", "fid"), ("ct", "kid"),
    ]  # fmt: skip
    data = pl.DataFrame(SYSTEMS).filter(pl.col("task") == "ct")
    assert float(rows[3]["pearson"]) == pytest.approx(scipy.stats.pearsonr(data["dice"], data["kid"])[0])
    assert float(rows[3]["spearman"]) == pytest.approx(scipy.stats.spearmanr(data["dice"], data["kid"])[0])
    assert float(rows[0]["pearson_p"]) == pytest.approx(2 / 120)
    assert rows[0]["p_method"] == "exact"


def test_what_five_systems_show_is_computed(iqa, table):
    done = iqa("correlate", table(), "--against", "dice", "--group-by", "task")
    assert "smallest possible two-sided p-value is 0.0167" in done.stdout
    assert "Corrected for 2 metrics (Holm) the smallest one has to be at most 0.025." in done.stdout
    assert "Only |r| above 0.878 differs from 0" in done.stdout
    one = iqa("correlate", table(), "--against", "dice", "-m", "fid", "--group-by", "task")
    assert "Holm" not in one.stdout
    six = {name: [*values[:5], values[9]] for name, values in SYSTEMS.items()} | {"method": list("abcdef")}
    shown = iqa("correlate", table(six), "--against", "dice").stdout
    assert f"is {2 / 720:.3g}." in shown
    assert "above 0.811" in shown


def test_many_systems_need_no_note_and_are_said_to_be_monte_carlo(iqa, table):
    values = np.random.default_rng(0).normal(size=(2, 40))
    path = table({"method": [f"m{n}" for n in range(40)], "dice": values[0], "fid": values[1]})
    shown = iqa("correlate", path, "--against", "dice").stdout
    assert "Monte Carlo: 9,999 random pairings" in shown
    assert "smallest possible" not in shown


def test_json_has_no_bare_nan(iqa, table):
    path = table(SYSTEMS | {"flat": [1] * 10})
    done = iqa("correlate", path, "--against", "dice", "--group-by", "task", "--json")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    flat = [row for row in found["correlations"] if row["metric"] == "flat"]
    assert [row["pearson"] for row in flat] == [None, None]
    assert list(found["notes"]) == ["dice, task mri", "dice, task ct"]


def test_sorted_by_strength(iqa, table):
    columns = {"dice": [1, 2, 3, 4, 5], "line": [1, 2, 3, 5, 4], "curve": [1, 1.01, 1.02, 1.03, 9]}
    path = table({"method": list("abcde")} | columns)
    by_rank = rows_of(iqa("correlate", path, "--against", "dice", "--csv"))
    by_value = rows_of(iqa("correlate", path, "--against", "dice", "--csv", "--sort-by", "pearson"))
    assert [row["metric"] for row in by_rank] == ["curve", "line"]
    assert [row["metric"] for row in by_value] == ["line", "curve"]


@pytest.mark.parametrize("suffix", [".parquet", ".json", ".csv.gz"])
def test_kinds_of_table(iqa, table, tmp_path, suffix):
    frame = pl.DataFrame(SYSTEMS)
    path = tmp_path / f"systems{suffix}"
    if suffix == ".csv.gz":
        import gzip

        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        getattr(frame, f"write_{suffix[1:]}")(path)
    arguments = ("--against", "dice", "--group-by", "task", "--csv")
    assert iqa("correlate", path, *arguments).stdout == iqa("correlate", table(), *arguments).stdout


def test_files_and_heat_map(iqa, table, tmp_path):
    done = iqa("correlate", table(), "--against", "dice", "--group-by", "task", "-o", "out", "--plot")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    names = {f"correlations.{suffix}" for suffix in ("parquet", "csv", "json", "png", "svg")}
    assert {path.name for path in out.iterdir()} == names
    assert pl.read_parquet(out / "correlations.parquet").height == 4
    assert pl.read_csv(out / "correlations.csv").equals(pl.read_parquet(out / "correlations.parquet"))
    with Image.open(out / "correlations.png") as picture:
        assert picture.width == 9 * 160
        # Not one color: the strongest cells are bright, weak ones dark.
        assert np.asarray(picture.convert("L")).std() > 20


def test_group_of_two_systems_is_named_and_left_out(iqa, table):
    path = table({name: values[:7] for name, values in SYSTEMS.items()})
    done = iqa("correlate", path, "--against", "dice", "--group-by", "task", "--csv")
    assert done.returncode == 1
    assert "left out: dice in task ct: 2 systems, a correlation needs 3." in done.stderr
    assert {row["task"] for row in rows_of(done)} == {"mri"}
    nothing = iqa("correlate", table({name: v[5:7] for name, v in SYSTEMS.items()}), "--against", "dice")
    assert nothing.returncode == 1
    assert "no group has values of dice for 3 systems" in nothing.stderr


def test_missing_value_lowers_n(iqa, table):
    path = table(SYSTEMS | {"kid": [None, *SYSTEMS["kid"][1:]]})
    rows = rows_of(iqa("correlate", path, "--against", "dice", "--group-by", "task", "--csv"))
    assert {(row["task"], row["metric"]): row["n"] for row in rows} == {
        ("mri", "fid"): "5", ("mri", "kid"): "4", ("ct", "fid"): "5", ("ct", "kid"): "5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["systems.csv", "--against", "dise"],
            2,
            r"systems.csv: there is no column 'dise'. .* Did you mean 'dice'?",
        ),
        (["systems.csv", "--against", "task"], 2, "column 'task' does not hold only numbers ('mri')"),
        (["systems.csv", "--against", "dice"], 2, "'a' is listed 2 times in column 'method'"),
        (["systems.csv", "--against", "dice", "-m", "dice"], 2, "the target itself"),
        (["systems.csv", "--against", "dice", "--plot"], 2, "-o FOLDER"),
        (["systems.csv", "--against", "dice", "--json", "--csv"], 2, "Choose one"),
        (["nowhere.csv", "--against", "dice"], 2, "nowhere.csv: no such file"),
        (["empty.csv", "--against", "dice"], 2, "empty.csv: has no rows"),
        (["binary.parquet", "--against", "dice"], 2, "binary.parquet: cannot be read"),
        (["binary.csv", "--against", "dice"], 2, "binary.csv: "),
        (
            ["systems.csv", "--against", "dice", "--group-by", "task", "-o", "empty.csv"],
            2,
            "empty.csv is a file",
        ),
    ],
)
def test_mistakes(iqa, table, tmp_path, arguments, code, message):
    table()
    (tmp_path / "empty.csv").touch()
    for suffix in ("parquet", "csv"):
        (tmp_path / f"binary.{suffix}").write_bytes(b"\x89PNG\xff\x00\n\xfe")
    done = iqa("correlate", *arguments)
    assert done.returncode == code
    head, _, tail = message.partition(" .* ")
    assert head in done.stderr
    assert tail in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 2


def test_earlier_names_are_still_accepted(iqa, table):
    now = iqa("correlate", table(), "--against", "dice", "--group-by", "task", "--csv").stdout
    assert now
    for old in ("-t", "--target"):
        assert iqa("correlate", table(), old, "dice", "--group-by", "task", "--csv").stdout == now
    assert "--target" not in iqa("correlate", "--help").stdout


def test_metrics_among_themselves(iqa, tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 30))
    columns = {
        "name": [str(row) for row in range(30)],
        "fid": values[0],
        "kid": -values[0],
        "dice": values[1],
    }
    pl.DataFrame(columns).write_csv(tmp_path / "systems.csv")
    done = iqa("correlate", tmp_path / "systems.csv", "--among-metrics", "-o", tmp_path / "out", "--plot")
    assert done.returncode == 0, done.stderr
    assert "-1.00" in done.stdout
    rows = json.loads((tmp_path / "out/metrics.json").read_text())
    assert {frozenset((row["first"], row["second"])) for row in rows if row["same_group"]} == {
        frozenset(("fid", "kid"))
    }
    assert (tmp_path / "out/metrics.png").stat().st_size > 5000
    for arguments in ((), ("--against", "dice", "--among-metrics")):
        wrong = iqa("correlate", tmp_path / "systems.csv", *arguments)
        assert wrong.returncode == 2
        assert "one of the two" in wrong.stderr
