"""What the files of a run hold is recorded, and a verified run reads it again."""

import hashlib
import json
import os

import numpy as np
import polars as pl
import pytest

import iqa_registry as iqa
from command_line import run_in_process
from iqa_registry.errors import UsageError
from iqa_registry.evaluation.sealing import read_sealed


@pytest.fixture
def images(tmp_path):
    """Three pairs as files; the second is a volume with its voxels in a file of their own."""
    rng = np.random.default_rng(3)
    for number in range(3):
        for side in ("fake", "real"):
            folder = tmp_path / side
            folder.mkdir(exist_ok=True)
            np.save(folder / f"{number}.npy", rng.random((16, 16)).astype(np.float32))
    return tmp_path


def score(folder, **options):
    table = iqa.evaluate(
        (folder / "fake", folder / "real"),
        "mae",
        output=folder / "run",
        intensity="none",
        batch_size=1,
        **options,
    )
    return dict(table.select("pair_id", "score").rows())


def rewrite(path, value):
    """Other content, of the same size, time and inode: what no look at the file's state can tell."""
    state = path.stat()
    content = np.load(path)
    content[:] = value
    with path.open("r+b") as file:
        file.write(b"")
        file.seek(path.stat().st_size - content.nbytes)
        file.write(content.tobytes())
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def record(folder):
    return json.loads((folder / "run" / "run.json").read_text())


def test_each_file_has_its_hash_and_the_record_one_of_all(images):
    score(images)
    table, _ = read_sealed(images / "run" / "inputs.parquet")
    files = sorted([*images.glob("fake/*"), *images.glob("real/*")])
    assert table["path"].to_list() == [str(path) for path in files]
    assert table["sha256"].to_list() == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    lines = "".join(f"{path}\0{digest}\n" for path, digest in table.select("path", "sha256").iter_rows())
    assert record(images)["inputs"] == {"files": 6, "digest": hashlib.sha256(lines.encode()).hexdigest()}


def test_a_verified_run_finds_what_the_state_of_a_file_does_not_tell(images, monkeypatch):
    # The change time cannot be set back here, so the run is made blind to it, as a file system without it is.
    monkeypatch.setattr("iqa_registry.evaluation.record._file_state", lambda path: (path.name,))
    before = score(images)
    rewrite(images / "fake" / "1.npy", 0.0)
    assert score(images) == before
    with pytest.warns(UserWarning, match=r"fake/1\.npy: holds something else than when it was scored"):
        after = score(images, verify=True)
    expected = float(np.load(images / "real" / "1.npy").mean())
    assert after["1"] == pytest.approx(expected, rel=1e-6)
    assert {name: after[name] for name in "02"} == {name: before[name] for name in "02"}
    assert score(images, verify=True) == after


def test_files_that_did_not_change_are_not_read_again_to_be_hashed(images, monkeypatch):
    score(images)
    digest = record(images)["inputs"]
    read = []
    monkeypatch.setattr("iqa_registry.evaluation.contents._hash", lambda path: read.append(path))
    score(images)
    assert not read
    assert record(images)["inputs"] == digest


def test_a_damaged_list_of_hashes_is_made_again(images):
    score(images)
    whole = (images / "run" / "inputs.parquet").read_bytes()
    (images / "run" / "inputs.parquet").write_bytes(whole[:-9])
    before = record(images)["inputs"]
    score(images, verify=True)
    assert record(images)["inputs"] == before
    assert (images / "run" / "inputs.parquet").read_bytes() == whole


def test_every_bit_of_the_record_counts(images):
    score(images)
    path = images / "run" / "run.json"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for bit in rng.integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = iqa.load_run(images / "run").record
        except UsageError:
            noticed += 1
        else:
            assert found == json.loads(whole)  # white space between two values
    assert noticed > 200
    path.write_bytes(b"{}" + whole)
    with pytest.raises(UsageError, match="Repeat the command of the run: its scores are kept"):
        iqa.load_run(images / "run")
    with pytest.warns(UserWarning, match="was damaged and is written again"):
        score(images)
    assert (images / "run" / "scores").exists()


def test_verify_needs_a_folder():
    done = run_in_process("evaluate", "-m", "mae", "--verify")
    assert done.returncode == 2
    assert "Name it with -o" in done.stderr


def test_verify_on_the_command_line(images):
    def run(*more):
        return run_in_process(
            "evaluate",
            images / "fake",
            images / "real",
            "-m",
            "mae",
            "--intensity",
            "none",
            "-o",
            images / "run",
            *more,
        )

    run()
    table = pl.read_parquet(images / "run" / "inputs.parquet")
    assert len(table) == 6
    np.save(images / "fake" / "2.npy", np.zeros((16, 16), np.float32))
    done = run("--verify")
    assert done.returncode == 0
    assert "2.npy: holds something else than when it was scored, and was scored again" in done.stderr
