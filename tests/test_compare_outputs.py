"""The comparison of two trees: what counts as a difference, and what does not."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest
from PIL import Image

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

import compare_outputs  # noqa: E402
from comparison import files, inputs  # noqa: E402

RULES = files.Rules(
    frozenset({"seconds"}), {"licence": "license"}, (files.Split("metric", "component", r"(.*)\[(.*)\]"),)
)


def found(old, new):
    return list(files.printed(old, new, "stdout", RULES))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3 pairs in 1.2 s", "3 pairs in 30 s"),
        ('{"a": 0.1, "seconds": 1}', '{"a": 0.10000000001, "seconds": 2}'),
        ('[{"licence": "MIT"}]', '[{"license": "MIT"}]'),
        ("a,seconds\nx,1\n", "a,seconds\nx,2\n"),
        ("metric,score\nk[tumor],1\nk,2\n", "metric,component,score\nk,tumor,1\nk,,2\n"),
        ("mean 0.30000000000000004", "mean 0.3"),
    ],
)
def test_what_does_not_count(old, new):
    assert found(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("mean 0.9594", "mean 0.9595", "stdout: 'mean 0.9594' -> 'mean 0.9595'"),
        ("one", "two", "stdout: - one"),
        ('{"a": {"b": 1}}', '{"a": {"b": 2}}', "stdout.a.b: 1 -> 2"),
        ('{"a": [1]}', '{"a": [1, 2]}', "stdout.a: 1 entries -> 2"),
        ('{"a": 1}', '{"a": true}', "stdout.a: 1 -> True"),
        ("a,b\nx,1\n", "a,b\nx,1.001\n", "stdout: row 0: column b: '1' -> '1.001'"),
        ("a,b\n007,1\n", "a,b\n7,1\n", "stdout: row 0: column a: '007' -> '7'"),
        ("a,b\nx,1\n", "a,c\nx,1\n", "stdout: column b: only in the old tree"),
        ("a,b\nx,1\n", "b,a\n1,x\n", "stdout: the columns stand in another order: b, a"),
        ("a,b\nx,1\n", "a,b\nx,1\ny,2\n", "stdout: 1 rows -> 2"),
        (
            "metric,score\nk[t],1\n",
            "metric,component,score\nk,s,1\n",
            "stdout: row 0: column component: 't' -> 's'",
        ),
        ("metric,b\nx,1\ny,2\n", "metric,b\ny,2\n", "stdout: row x: only in the old tree"),
        ("metric,b\nx,1\ny,2\n", "metric,b\ny,3\n", "stdout: row y: column b: '2' -> '3'"),
    ],
)
def test_what_counts(old, new, line):
    assert line in found(old, new)


def test_files_are_compared_by_what_they_hold(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    image = np.zeros((4, 4), np.uint8)
    for number, folder in enumerate((old, new)):
        (folder / "run" / "scores").mkdir(parents=True)
        # Another number of parts, the same rows.
        frame = pl.DataFrame({"score": [1.0, 2.0], "seconds": [float(number)] * 2})
        for place, part in enumerate((frame,) if number else (frame[:1], frame[1:])):
            part.write_parquet(folder / "run" / "scores" / f"part-{place}.parquet")
        Image.fromarray(image + number).save(folder / "a.png")
        nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2)), np.eye(4) * (1 + number)), folder / "v.nii.gz")
        (folder / "note.txt").write_text(f"{folder}/run\n")
    (new / "more.txt").write_text("")
    (new / "in").symlink_to(tmp_path)
    clean = files.cleaner([(str(old), "<work>"), (str(new), "<work>")])
    assert list(files.folders(old, new, RULES, clean)) == [
        "a.png: 16 of 16 values differ, by 1 at most",
        "more.txt: only in the new tree",
        "v.nii.gz affine: 3 of 16 values differ, by 1 at most",
    ]


def test_exit_code_and_traceback_count_and_messages_do_not():
    command = compare_outputs.Command("a 1", "list", "list")
    old = compare_outputs.Result(0, "same", "a warning", 1.0)
    new = compare_outputs.Result(1, "same", "Traceback (most recent call last)\nValueError: no", 2.0)
    lines = list(compare_outputs.differences(command, old, new, RULES))
    assert lines == [
        "exit code: 0 -> 1 (ValueError: no)",
        "stderr: traceback in the new tree: ValueError: no",
    ]
    worded = compare_outputs.Result(0, "same", "another warning", 1.0)
    assert list(compare_outputs.differences(command, old, worded, RULES)) == []


def test_intended_differences_are_counted_with_their_reason(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[intended]]\ncommand = "^list"\nline = "column base"\nreason = "moved"\n'
        '[[intended]]\nline = "never"\nreason = "old"\n'
    )
    _, intended = compare_outputs.read_rules(path)
    printed = []
    lines = [("list 1", "stdout: column base: x"), ("info 1", "stdout: column base: x")]
    assert compare_outputs.report(lines, intended, printed.append) == 1
    assert printed == [
        "info 1: stdout: column base: x",
        "intended: 1 lines: moved",
        "intended, but not seen: old",
        "1 differences, 1 more are intended",
    ]


def test_the_declared_commands_and_rules_are_read():
    chains = compare_outputs.read_chains(TOOLS / "comparison" / "commands.toml")
    assert sum(map(len, chains.values())) >= 40
    assert any(command.old != command.new for commands in chains.values() for command in commands)
    assert list(compare_outputs.read_chains(TOOLS / "comparison" / "commands.toml", ["maps"])) == ["maps"]
    with pytest.raises(SystemExit, match="unknown chain: mops"):
        compare_outputs.read_chains(TOOLS / "comparison" / "commands.toml", ["mops"])
    rules, _ = compare_outputs.read_rules(TOOLS / "comparison" / "intended.toml")
    assert "seconds" in rules.ignored


def test_inputs_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        inputs.make_inputs(tmp_path / name)
    assert list(files.folders(tmp_path / "a", tmp_path / "b", RULES)) == []
    assert pl.read_csv(tmp_path / "a" / "pairs.csv", infer_schema=False)["subject"][0] == "007"


def test_a_tree_that_answers_differently_is_found_out(tmp_path, capsys):
    """Two made-up trees whose command prints its arguments, one of them more than that."""
    for name, extra in (("old", ""), ("new", "!")):
        package = tmp_path / name / "iqa_registry"
        (package / "sample").mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(f"import sys\nprint(*sys.argv[1:], {extra!r})\n")
        (package / "sample" / "ratings.csv").write_text("pair_id\n")
        (tmp_path / name / "pyproject.toml").write_text('[project]\nname = "iqa-registry"\nversion = "1"\n')
    (tmp_path / "commands.toml").write_text('[chains]\na = ["list", { old = "x -o", new = "x --table" }]\n')
    (tmp_path / "intended.toml").write_text("")
    given = ["--commands", tmp_path / "commands.toml", "--intended", tmp_path / "intended.toml"]
    arguments = [tmp_path / "old", tmp_path / "new", "--scratch", tmp_path / "work", *given]
    assert compare_outputs.main(list(map(str, arguments))) == 1
    printed = capsys.readouterr().out
    assert "a 1: stdout: + list !" in printed
    assert "a 2: stdout: - x -o" in printed
    times = (tmp_path / "work" / "times.csv").read_text().splitlines()
    assert len(times) == 3
    same = [tmp_path / "old", tmp_path / "old", "--same-forms", "--scratch", tmp_path / "again", *given]
    assert compare_outputs.main(list(map(str, same))) == 0


def test_a_tree_that_does_not_run_is_an_error(tmp_path):
    """Without an iqa_registry of its own, the installed one would be compared with itself."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "iqa-registry"\nversion = "1"\n')
    tree = compare_outputs.Tree(tmp_path, tmp_path / "work", tmp_path / "inputs", tmp_path / "weights")
    with pytest.raises(SystemExit, match="is not in this tree"):
        tree.check()
