import json
import subprocess
import sys

import pytest

from gdtriton.cli import main
from gdtriton.verify.theory import library, session
from gdtriton.verify.theory.check import check_proof
from gdtriton.verify.theory.open import OPEN


@pytest.fixture(scope="module")
def result():
    return session.run()


def test_everything_is_proved_and_every_wrong_statement_refuted(result):
    rows, proofs = result
    assert [(r.id, r.reason) for r in rows if r.verdict == "unknown"] == []
    report = check_proof(json.dumps(proofs))
    assert len(report.proved) == len(library.THEOREMS)
    assert len(report.refuted) >= 20


def test_the_checker_needs_neither_sympy_nor_torch_nor_the_prover(result, tmp_path):
    path = tmp_path / "proofs.json"
    path.write_text(json.dumps(result[1]))
    code = (
        "import sys\nsys.modules.update(dict.fromkeys(('sympy', 'torch', 'triton', 'numpy')))\n"
        "from gdtriton.cli import main\n"
        f"status = main(['check-proof', {str(path)!r}])\n"
        "loaded = [m for m in sys.modules if m.endswith(('theory.prover', 'theory.symbolic'))]\n"
        "assert not loaded, loaded\nsys.exit(status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"format": NaN}', '{"format": "x", "items": []}'])
def test_a_bad_file_is_a_clear_error_with_status_2(text, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert main(["check-proof", str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_list_names_every_theorem(capsys):
    assert main(["verify", "theory", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*library.THEOREMS, *OPEN]


def test_what_is_open_is_not_a_theorem_too():
    assert OPEN
    assert all(reason for reason in OPEN.values())
    assert not set(OPEN) & set(library.THEOREMS)
