"""The stored notebook says what the code says today: it is executed afresh and compared."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "verify" / "derivations.ipynb"


def outputs(notebook):
    """What each cell printed, and the text and the forms of what it showed; a stream may arrive in any pieces.

    The long forms follow the wording of the library and are tested where they are made.
    """
    return [
        (
            "".join(output.get("text", "") for output in cell.outputs),
            [(output.data["text/plain"], sorted(output.data)) for output in cell.outputs if "data" in output],
            [output.ename for output in cell.outputs if output.output_type == "error"],
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.slow
def test_the_stored_outputs_are_those_of_a_fresh_run():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    stored = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    assert outputs(fresh) == outputs(stored), "run: jupyter execute --inplace verify/derivations.ipynb"
    assert all((text or shown) and not errors for text, shown, errors in outputs(stored))
