"""The tool that measures the tests finds the faults that a source can be given."""

import pytest

from source_tree import ROOT

SOURCE = '''"""Text."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    LIMIT = 4

def choose(values: list[int], more: bool = True) -> int | None:
    """The largest é."""
    if not values or len(values) >= 3:
        raise ValueError("none")
    print(values)
    for value, other in zip(values, values, strict=True):
        if value is not None and value % 2 == 0:
            return value + 1
    return None
'''


@pytest.fixture
def mutate(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import mutate

    return mutate


def test_every_kind_of_fault_is_found(mutate):
    found = [(fault.line, fault.old, fault.new) for fault in mutate.Finder("a.py", SOURCE).faults()]
    assert found == [
        (6, "True", "False"),
        (8, "or", "and"),
        (8, "not values", "values"),
        (8, ">=", ">"),
        (8, "3", "4"),
        (9, 'raise ValueError("none")', "pass"),
        (10, "print(values)", "pass"),
        (12, "and", "or"),
        (12, "is not", "is"),
        (12, "==", "!="),
        (12, "%", "*"),
        (12, "2", "3"),
        (12, "0", "1"),
        (13, "return value + 1", "return None"),
        (13, "+", "-"),
        (13, "1", "2"),
    ]


def test_a_fault_changes_its_place_alone(mutate):
    for fault in mutate.Finder("a.py", SOURCE).faults():
        new = mutate.changed(SOURCE, fault)
        assert new != SOURCE
        differing = [
            number
            for number, (first, second) in enumerate(
                zip(SOURCE.splitlines(), new.splitlines(), strict=True), start=1
            )
            if first != second
        ]
        assert differing == [fault.line]


def test_a_fault_is_noticed_or_survives(mutate, tmp_path, monkeypatch):
    monkeypatch.setattr(mutate, "tests_of", lambda file: [["test_a.py"]])
    (tmp_path / "a.py").write_text("def double(x):\n    return 2 * x if x > 0 else 0\n")
    (tmp_path / "test_a.py").write_text(
        "from a import double\ndef test_double():\n    assert double(3) == 6\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    network\n    gpu\n")
    faults = mutate.Finder("a.py", (tmp_path / "a.py").read_text()).faults()
    outcomes = {(fault.old, fault.new): mutate.notice(tmp_path, fault) for fault in faults}
    assert outcomes == {
        ("return 2 * x if x > 0 else 0", "return None"): "killed by test_a.py::test_double",
        ("2", "3"): "killed by test_a.py::test_double",
        ("*", "/"): "killed by test_a.py::test_double",
        (">", ">="): "survived",
        ("0", "1"): "survived",
    }
