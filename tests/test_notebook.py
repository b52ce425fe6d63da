"""docs/first_hour.ipynb: every cell runs, and gives what is stored in the notebook."""

import copy
import re
import sys

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

import english
from first_hour import NOTEBOOK, differences, execute, texts


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(found):
    return [output for cell in found.cells for output in cell.get("outputs", ())]


@pytest.mark.network
@pytest.mark.filterwarnings("ignore")  # of the machinery of notebooks; those of the kernel are its own
def test_the_cells_give_what_is_stored(stored, tmp_path):
    fresh = execute(stored, tmp_path)
    found = differences(stored, fresh)
    assert not found, "run `python tests/support/first_hour.py`\n" + "\n".join(found.values())
    figures = [output for output in outputs(fresh) if "image/png" in output.get("data", {})]
    assert len(figures) == 2
    errors = [output.text for output in outputs(fresh) if output.get("name") == "stderr"]
    assert not [text for text in errors if "Warning" in text]


def test_every_cell_was_run_in_order(stored):
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert sum(bool(texts(cell)) for cell in stored.cells) >= 8


def test_it_is_small_and_knows_no_machine(stored):
    assert NOTEBOOK.stat().st_size < 300_000
    text = "\n".join(str(output.get("data", output)) for output in outputs(stored))
    assert not re.findall(r"(?<![\w.<])/(?:tmp|home|root|Users|work|usr|var)/\S*|[A-Z]:\\\\\S*", text)
    assert "site-packages" not in text


def test_its_english_and_its_links(stored):
    text = "\n\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    assert not english.check(english.without_code(text), NOTEBOOK.name)
    assert max(count for _, count in english.sentences(text)) <= english.LONGEST_SENTENCE
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert links
    for target in links:
        assert (NOTEBOOK.parent / target).exists(), target


def test_another_number_or_word_is_a_difference(stored):
    changed = copy.deepcopy(stored)
    cell = next(cell for cell in changed.cells if cell.id == "train")
    assert not differences(stored, changed)
    first = re.search(r"\d\.\d{3}", texts(cell))[0]
    cell.outputs[0].text = texts(cell).replace(first, f"{float(first) + 0.001:.3f}", 1)
    assert not differences(stored, changed)
    cell.outputs[0].text = texts(cell).replace("step  2", "step  3", 1)
    assert list(differences(stored, changed)) == ["train"]
    cell.outputs[0].text = texts(stored.cells[changed.cells.index(cell)]).replace(first, "9.000", 1)
    assert list(differences(stored, changed)) == ["train"]


def test_a_cell_that_raises_is_an_error(tmp_path):
    failing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(failing, tmp_path)


def test_the_kernel_is_this_interpreter(tmp_path):
    code = "import sys; print(sys.executable)"
    made = execute(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), tmp_path)
    assert texts(made.cells[0]).strip() == sys.executable
