"""docs/loss.md: every example is run, and gives what the page says."""

import doctest
import functools
import re

import pytest
import torch

from source_tree import ROOT

PAGE = (ROOT / "docs" / "loss.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")  # of torch's compiler itself
def test_the_examples_give_what_the_page_says(monkeypatch):
    pytest.importorskip("torchmetrics")
    pytest.importorskip("monai")
    # The default backend builds C++ for minutes; the graph that it gets is the same.
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    runner = doctest.DocTestRunner()
    text = "\n".join(re.findall(r"(?ms)^```pycon\n(.*?)^```", PAGE))
    runner.run(doctest.DocTestParser().get_doctest(text, {}, "docs/loss.md", None, 0))
    failed, tried = runner.summarize()
    assert failed == 0
    assert tried > 30
