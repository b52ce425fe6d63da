"""Progress in notebooks, on terminals and in logs."""

import rich.console

from iqa_registry import progress


def test_a_notebook_without_widgets_has_no_bar_and_no_warning(monkeypatch, capsys):
    """Rich warns there in every cell; warnings are errors in the tests."""
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with progress.progress_bar("scoring") as report:
        report(1, 1)
    assert capsys.readouterr() == ("", "")
    with progress.progress_bar("scoring", show=True) as report:
        report(1, 1)
    assert capsys.readouterr().err == "scoring: 1 of 1 pairs (100 %)\n"
