import json
import subprocess
import sys
from dataclasses import replace

import pytest

from gdtriton.cli import main
from gdtriton.verify.theory import library, session
from gdtriton.verify.theory.check import check_proof, check_theorem
from gdtriton.verify.theory.open import OPEN
from gdtriton.verify.theory.proofs import proof_json
from gdtriton.verify.theory.rules import ProofError


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


MALFORMED = ("exp() == 1", "D() == 1", "At(s) == 1", "fact(1/2) == 1", "Sum(1) == 1", "max() == 0", "Heat(s) == s")
MALFORMED += ("H(s) == 1", "Int(s, 2, 1) == 1", "(lambda s: s) == 1", "0**(-1) == 1", "2**(10**9) == 1", "le(s) == 1")


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_formula_is_a_proof_error(text):
    theorem = library.THEOREMS["unit-mass"]
    for place in ("shows", "times", "with"):
        item = proof_json(theorem)
        step = item["steps"][0]
        formula = text.partition(" == ")[0]
        if place == "shows":
            step["shows"] = text
        elif place == "times":
            step["uses"][0]["times"] = formula
        else:
            step["uses"][0]["with"]["h"] = f"lambda u: {formula}"
        with pytest.raises(ProofError):
            check_proof({"format": "gdtriton-proof-1", "items": [item]})


BOMBS = {
    "derivatives": "D(exp(sin(s))*cos(s)**9" + ", s" * 40 + ")",
    "fractions": "1/(" * 30 + "s + 1" + ") + 1" * 30,
    "substitutions": "At(" * 20 + "s + s" + ", s, s*s + s)" * 20,
    "powers": "(1 + s)**64*(2 + s)**64*(3 + s*s)**64*(4 + pi)**64",
    "numbers": "3**(3**(3**3))",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_formula_that_explodes_is_refused(kind):
    item = proof_json(library.THEOREMS["unit-mass"])
    item["steps"][0]["uses"][0]["times"] = BOMBS[kind]
    with pytest.raises(ProofError, match=r"too (large|deep|many)"):
        check_proof({"format": "gdtriton-proof-1", "items": [item]})


READINGS = {"fubini", "poisson-summation", "total-variation"}  # principles that words rest on, not steps


def _without(theorem):
    """The theorem with one assumption less, in the library and in the file alike."""
    for field in ("axioms", "lemmas"):
        for name in set(getattr(theorem, field)) - READINGS:
            yield replace(theorem, **{field: tuple(n for n in getattr(theorem, field) if n != name)})
    for name in theorem.statement.given:
        given = {k: v for k, v in theorem.statement.given.items() if k != name}
        yield replace(theorem, statement=replace(theorem.statement, given=given))


@pytest.mark.parametrize("name", library.THEOREMS)
def test_no_assumption_can_be_spared(name, monkeypatch):
    theorem = library.THEOREMS[name]
    for weaker in _without(theorem):
        monkeypatch.setitem(library.THEOREMS, name, weaker)
        with pytest.raises(ProofError):
            check_theorem(proof_json(weaker), {n: library.THEOREMS[n].statement for n in weaker.lemmas})
