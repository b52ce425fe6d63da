from pathlib import Path

import pytest

from command_line import run_in_process

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def shared():
    """Published files that the project keeps none of."""

    def find(name):
        if not (SHARED / name).exists():
            pytest.skip(f"{name} is not there")
        return SHARED / name

    return find


@pytest.fixture
def iqa(tmp_path, monkeypatch):
    """Run the command line in an empty folder, in this process."""
    monkeypatch.setenv("IQA_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return run_in_process
