"""Exit statuses of `verify theory` and `derive` where a proof does not close or a check fails; the list, the report."""

import json
from dataclasses import replace

import pytest

from gdtriton.cli import main
from gdtriton.verify import theorem
from gdtriton.verify.theory import library, session
from gdtriton.verify.theory.model import Use, algebra


@pytest.fixture
def small(monkeypatch):
    """A library of three theorems and one wrong statement, to change."""
    theorems = {name: library.THEOREMS[name] for name in ("hermite-derivative", "self-similarity", "rotation")}
    wrong = {"max-invariant": library.REFUTATIONS["max-invariant"]}
    for module in (library, session):
        monkeypatch.setattr(module, "THEOREMS", theorems)
        monkeypatch.setattr(module, "REFUTATIONS", wrong)
    return theorems, wrong


def with_claim(statement, claim):
    return replace(statement, claims=(claim, *statement.claims[1:]))


def test_what_holds_is_status_0_and_the_report_says_what_was_printed(small, tmp_path, capsys):
    path = tmp_path / "proofs.json"
    assert main(["verify", "theory", "--json", str(path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    report = json.loads(path.read_text())["report"]
    assert printed[-2] == report["summary"]
    assert [line.split()[:2] for line in printed[:-2]] == [[r["verdict"], r["id"]] for r in report["rows"]]
    assert main(["check-proof", str(path)]) == 0


def test_a_theorem_that_does_not_close_is_unknown(small, capsys):
    theorems, _ = small
    true = theorems["self-similarity"]
    theorems[true.id] = replace(true, statement=with_claim(true.statement, "S**(N + 1)*g(S*r, S*s) == g(r, s)"))
    assert main(["verify", "theory"]) == 3
    assert "1 unknown" in capsys.readouterr().out
    assert main(["derive", true.id]) == 3
    assert "Unknown: the prover does not close S**(N + 1)*g(S*r, S*s) == g(r, s)." in capsys.readouterr().out
    assert theorem(true.id).verdict == "unknown"


def test_a_proof_that_only_the_prover_accepts_is_a_failed_check(small, capsys):
    theorems, _ = small
    true = theorems["rotation"]
    # a use that contributes nothing changes no sum, and the checker wants a reason for every use
    idle = algebra(*true.proof[0].uses, Use("hermite-zero", {"y": "x"}, "0"))
    theorems[true.id] = replace(true, proof=(idle, *true.proof[1:]), axioms=(*true.axioms, "hermite-zero"))
    assert main(["verify", "theory"]) == 1
    assert "the checker: step 1" in capsys.readouterr().out


def test_a_wrong_statement_that_holds_at_its_witness_is_a_failed_check(small, capsys):
    _, wrong = small
    found = wrong["max-invariant"]
    wrong[found.id] = replace(found, witness=dict.fromkeys(found.witness, "1"))
    assert main(["verify", "theory"]) == 1
    assert "the statement holds at the witness" in capsys.readouterr().out
    assert main(["derive", found.id]) == 3


def test_derive_lists_every_name_with_its_options(capsys):
    assert main(["derive", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*library.THEOREMS, *library.REFUTATIONS]
    (line,) = [line for line in lines if line.startswith("scale-covariance ")]
    assert line.endswith("--ndim --order --norm-power")


@pytest.mark.parametrize("value", ["0", "4", "two", "1.5", "-1", "1e9", "９９"])
def test_a_dimension_out_of_range_is_status_2(value, capsys):
    assert main(["verify", "theory", "--ndim", value]) == 2
    assert "specialise: ndim must be a" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_status_2(small, tmp_path, capsys):
    assert main(["verify", "theory", "--html", str(tmp_path)]) == 2
    assert "IsADirectoryError" in capsys.readouterr().err
