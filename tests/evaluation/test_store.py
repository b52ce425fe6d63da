import json
import stat

import numpy as np
import polars as pl
import pytest

import iqa_registry as iqa
import toy_metrics
from iqa_registry.agreement.scores import read_scores
from iqa_registry.errors import IQAError, UsageError
from iqa_registry.evaluation.store import RunFolder, read_run
from iqa_registry.files import write_atomically
from iqa_registry.registry import build_registry
from iqa_registry.tables.schema import wide_names
from iqa_registry.tables.writing import as_parquet

# What the store remarks is asserted by the tests of the command line.
REMARKED = pytest.mark.filterwarnings("ignore:.*(computed|written) again")


@pytest.fixture
def run(registry, grey, tmp_path, write_png):
    pairs = [(write_png(f"s{n}.png", grey(n)), write_png(f"r{n}.png", grey(n + 50))) for n in range(6)]

    def start(*metrics, pairs=pairs, **options):
        options = {"batch_size": 2} | options
        return iqa.evaluate(
            pairs, list(metrics or ["mae", "ssim"]), output=tmp_path / "run", registry=registry, **options
        )

    return start


def parts(tmp_path):
    return sorted((tmp_path / "run" / "scores").glob("part-*.parquet"))


def same(first, second):
    return first.drop("seconds").equals(second.drop("seconds"))


def test_the_record_says_what_was_run(run, tmp_path):
    run()
    record = json.loads((tmp_path / "run" / "run.json").read_text())["fixed"]
    assert record["metrics"]["ssim"]["configuration"].startswith("ssim:")
    assert record["versions"]["torch"]
    assert record["pairs"]["count"] == 6


def test_a_second_call_computes_nothing(run):
    first = run("toy-count")
    toy_metrics.encoded.clear()
    assert same(run("toy-count"), first)
    assert toy_metrics.encoded == []


def test_missing_parts_are_computed_again(run, tmp_path):
    first = run()
    parts(tmp_path)[1].unlink()
    assert same(run(), first)


@REMARKED
def test_a_damaged_part_is_computed_again(run, tmp_path):
    first = run()
    parts(tmp_path)[1].write_bytes(b"PAR1 nothing")
    assert same(run(), first)


def test_leftovers_of_a_killed_run_are_removed(run, tmp_path):
    first = run()
    (tmp_path / "run" / "scores" / ".part-000001.parquet.99.tmp").write_bytes(b"half")
    assert same(run(), first)
    assert [path.name for path in (tmp_path / "run").rglob(".*")] == []


def test_a_changed_image_is_scored_again(run, grey, write_png):
    before = run()
    write_png("s0.png", grey(77))
    after = run()
    assert after["score"][0] != before["score"][0]
    assert after["score"][2:].to_list() == before["score"][2:].to_list()


def test_an_error_row_is_tried_again(run, tmp_path, grey, write_png):
    good = (tmp_path / "s0.png").read_bytes()
    (tmp_path / "s0.png").write_bytes(good[:40])
    assert run()["status"].to_list()[:2] == ["error", "error"]
    (tmp_path / "s0.png").write_bytes(good)
    assert set(run()["status"]) == {"ok"}


def test_other_arguments_are_refused_by_name(run):
    run()
    with pytest.raises(UsageError, match=r"other arguments.*intensity.*--fresh"):
        run(intensity="range=0,200")


def test_a_metric_less_or_more_goes_on(run):
    run("mae")
    table = run("mae", "psnr")
    assert table["metric"].to_list() == ["mae", "psnr"] * 6


def test_fresh_starts_over(run):
    run()
    assert set(run("psnr", fresh=True, intensity="range=0,200")["metric"]) == {"psnr"}


def test_a_folder_with_other_files_is_refused(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="holds other files"):
        run()


def test_a_file_in_its_place_is_refused(run, tmp_path):
    (tmp_path / "run").write_text("precious")
    with pytest.raises(UsageError, match="is a file"):
        run()


def test_two_processes_cannot_write_to_one_folder(run, tmp_path):
    from filelock import FileLock

    (tmp_path / "run" / "scores").mkdir(parents=True)
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(UsageError, match="another process"):
        run()


def test_a_full_disk_keeps_what_is_there(run, tmp_path, monkeypatch):
    from iqa_registry import files

    written = []
    real = files.os.fsync

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 7:  # after the record, the list of parts, and one part, each with its folder
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(IQAError, match="No space left on device"):
        run()
    assert len(parts(tmp_path)) == 1
    monkeypatch.undo()
    assert set(run()["status"]) == {"ok"}
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_the_parts_alone_are_the_table(run, tmp_path):
    table = run()
    read = pl.read_parquet(tmp_path / "run" / "scores" / "part-*.parquet")
    assert read.height == table.height


def test_the_folder_gives_back_the_table(run, tmp_path):
    table = run("toy-parts", "ssim", "mae", components=True)
    assert read_run(tmp_path / "run").equals(table)


@pytest.fixture
def volume_run(tmp_path):
    """Score one volume of eight slices, two in a batch, or as a whole: then three of four parts are left over."""
    generator = np.random.default_rng(0)
    reference = generator.random((16, 16, 8), dtype=np.float32)
    pair = (reference * 0.9, reference)

    def start(metric, **options):
        options = {"batch_size": 2, "intensity": "range=0,1", "layout": "XYZ"} | options
        return iqa.evaluate([pair], [metric], output=tmp_path / "run", **options)

    return start


def test_parts_of_an_earlier_run_do_not_count(volume_run, tmp_path):
    assert volume_run("mae").height == 8
    whole = volume_run("mae:dimensions=3")
    assert len(parts(tmp_path)) == 4
    assert read_run(tmp_path / "run").equals(whole)
    judged = read_scores(tmp_path / "run", build_registry())
    assert judged.metrics == ["mae:dimensions=3"]


def test_parts_of_an_earlier_run_do_not_count_while_this_one_is_interrupted(
    volume_run, tmp_path, monkeypatch
):
    volume_run("mae:dimensions=3")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("iqa_registry.evaluation.evaluate._Run._frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        volume_run("mae")
    with pytest.raises(UsageError, match="is not a run folder with scores"):
        read_run(tmp_path / "run")


@REMARKED
def test_a_folder_whose_record_lists_no_parts_is_read_whole(run, tmp_path):
    table = run("toy-parts", components=True)
    path = tmp_path / "run" / "run.json"
    record = json.loads(path.read_text())
    del record["parts"], record["format"], record["sha256"]
    path.write_text(json.dumps(record))
    for part in parts(tmp_path):
        read = pl.read_parquet(part)
        earlier = read.with_columns(wide_names(read)).drop("component")
        earlier.write_parquet(part, metadata={"inputs": pl.read_parquet_metadata(part)["inputs"]})
    assert read_run(tmp_path / "run").equals(table)
    assert same(run("toy-parts", components=True), table)


def test_a_damaged_part_is_named_in_one_line(run, tmp_path):
    run()
    parts(tmp_path)[1].write_bytes(b"PAR1 nothing")
    with pytest.raises(UsageError, match=r"part-000001.parquet: is damaged .* Repeat the command") as caught:
        read_scores(tmp_path / "run", build_registry())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [200, pytest.param(6050, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(run, tmp_path, count):
    run("ssim", "mae")
    path = parts(tmp_path)[1]
    content = path.read_bytes()
    generator = np.random.default_rng(count)
    # The footer, which holds the checksum and the schema, and any place of the file.
    places = [*range(8 * (len(content) - 90), 8 * len(content), 8)]
    places += generator.integers(0, 8 * len(content), count - len(places)).tolist()
    unnoticed = []
    for place in places:
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            read_run(tmp_path / "run")
            unnoticed.append(place)
        except UsageError as error:
            if "is damaged" not in str(error):
                unnoticed.append(place)
    assert unnoticed == []


@REMARKED
def test_a_flipped_bit_is_computed_again(run, tmp_path):
    first = run()
    path = parts(tmp_path)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert same(run(), first)
    assert read_run(tmp_path / "run").equals(run())


@REMARKED
@pytest.mark.parametrize("damage", ["lost", "half", "edited"])
def test_without_its_record_parts_of_other_options_are_neither_taken_nor_removed(run, tmp_path, damage):
    first = run("toy-count")
    record = tmp_path / "run" / "run.json"
    text = record.read_text()
    if damage == "lost":
        record.unlink()
    else:
        record.write_text(text[:100] if damage == "half" else text.replace('"count": ', '"count": 1'))
    before = {part: part.read_bytes() for part in parts(tmp_path)}
    with pytest.raises(UsageError, match="made with other arguments") as caught:
        run("toy-count", intensity="range=0,200")
    assert "\n" not in str(caught.value)
    assert {part: part.read_bytes() for part in parts(tmp_path)} == before
    toy_metrics.encoded.clear()
    assert same(run("toy-count"), first)
    assert toy_metrics.encoded == []


@REMARKED
def test_a_half_written_record_costs_no_part(run, tmp_path):
    first = run("toy-count")
    record = tmp_path / "run" / "run.json"
    record.write_bytes(record.read_bytes()[:100])
    with pytest.raises(UsageError, match=r"run.json: cannot be read .* its scores are kept"):
        read_run(tmp_path / "run")
    toy_metrics.encoded.clear()
    assert same(run("toy-count"), first)
    assert toy_metrics.encoded == []


def test_a_part_with_fewer_rows_than_its_batch_is_completed(run, tmp_path):
    from iqa_registry.evaluation.sealing import UNSEALED, read_sealed, sealed

    first = run()
    rows, notes = read_sealed(parts(tmp_path)[1])
    kept = {name: notes[name] for name in ("inputs", "settings", "metrics")}
    parts(tmp_path)[1].write_bytes(sealed(as_parquet(rows.head(2), {**kept, **UNSEALED})))
    assert same(run(), first)


def test_a_finished_run_that_cannot_be_written_is_read(run, tmp_path, monkeypatch):
    from filelock import FileLock

    first = run()

    def refused(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refused)
    monkeypatch.setattr("iqa_registry.evaluation.store._write", refused)
    monkeypatch.setattr("pathlib.Path.unlink", refused)
    assert run().equals(first)
    with pytest.raises(IQAError, match="does not hold all scores"):
        run("mae", "ssim", "psnr")


def test_a_name_that_no_folder_can_have_is_refused(grey):
    with pytest.raises(UsageError, match="cannot be a folder"):
        iqa.evaluate([(grey(0), grey(1))], ["mae"], output="x" * 300)


def test_a_file_is_replaced_whole_and_its_folder_is_synced(tmp_path, monkeypatch):
    from iqa_registry import files

    path = tmp_path / "part"
    synced = []
    real = files.os.fsync

    def note(descriptor):
        # What the name stands for while the new content and then the folder go to the disk.
        synced.append((path.read_bytes(), stat.S_ISDIR(files.os.fstat(descriptor).st_mode)))
        real(descriptor)

    path.write_bytes(b"old")
    monkeypatch.setattr(files.os, "fsync", note)
    files.write_atomically(path, b"new", durable=True)
    assert synced == [(b"old", False), (b"new", True)]


def test_a_file_is_not_written_into(tmp_path):
    path, other = tmp_path / "scores.csv", tmp_path / "other name"
    path.write_bytes(b"old scores")
    other.hardlink_to(path)
    write_atomically(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old scores")


def test_three_of_the_arguments_that_differ_are_shown(run):
    run()
    with pytest.raises(UsageError) as caught:
        run(intensity="range=0,200", out_of_range="error", empty="score", crop=True, dilate=2.0)
    shown = str(caught.value).partition("(")[2]
    assert shown.count(" then, ") == 3
    assert "now and 2 more)" in shown


def test_a_folder_is_resumed_unless_it_is_fresh(tmp_path):
    record = {"fixed": {"metrics": {"mae": {}}}}
    rows = pl.DataFrame({"metric": ["mae"], "component": [""], "score": [0.5]})
    with RunFolder(tmp_path / "run").opened(record) as folder:
        folder.put("000000", "digest", rows)
    with RunFolder(tmp_path / "run").opened(record) as folder:
        assert folder.get("000000", "digest")["score"].to_list() == [0.5]
    with RunFolder(tmp_path / "run", fresh=True).opened(record) as folder:
        assert folder.get("000000", "digest") is None
