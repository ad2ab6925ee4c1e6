import copy
import json
import re
import subprocess
import sys

import pytest

from gdtriton.cli import main
from gdtriton.verify.theory import library, session
from gdtriton.verify.theory.check import ProofError, check_proof
from gdtriton.verify.theory.open import OPEN
from gdtriton.verify.theory.prover import Prover
from gdtriton.verify.theory.symbolic import vanishes
from gdtriton.verify.theory.terms import parse


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


def _zero(theorem_id, formula):
    if "le(" in formula or "max(" in formula:
        return False
    reader = Prover(library.THEOREMS[theorem_id], library.THEOREMS).reader
    return vanishes(reader.read(parse(formula)))


def _alterations(proof):
    for i, step in enumerate(proof["steps"]):
        dropped = copy.deepcopy(proof)
        del dropped["steps"][i]
        yield "dropped step", dropped
        left, op, right = re.split(" (==|>=) ", step["shows"])
        shown = {
            "changed number": f"{left} {op} {right} + 1",
            "undeclared symbol": f"{left} {op} {right}*qqq",
        }
        # minus zero is zero: turning its sign is an equivalent rewriting, and sympy says when
        turned_zero = _zero(proof["id"], left) or (op == "==" and _zero(proof["id"], right))
        if not turned_zero:
            shown["changed sign"] = f"-({left}) {op} {right}"
        for name, text in shown.items():
            changed = copy.deepcopy(proof)
            changed["steps"][i]["shows"] = text
            yield name, changed
        for j, _ in enumerate(step.get("uses", [])):
            less = copy.deepcopy(proof)
            del less["steps"][i]["uses"][j]
            yield "dropped use", less
            scaled = copy.deepcopy(proof)
            scaled["steps"][i]["uses"][j]["times"] = f"2*({scaled['steps'][i]['uses'][j]['times']})"
            yield "changed factor", scaled
    for i, _ in enumerate(proof["assumptions"]):
        removed = copy.deepcopy(proof)
        del removed["assumptions"][i]
        yield "assumption removed", removed


def test_altered_proofs_are_rejected(result):
    items = [i for i in result[1]["items"] if i["format"] == "theorem"]
    accepted, tried = [], 0
    for position, item in enumerate(items):
        before = [i for i in items[:position] if i["id"] in _needed(item, items)]
        other = copy.deepcopy(item)
        other["statement"] = items[(position + 1) % len(items)]["statement"]
        for kind, altered in [("statement of another theorem", other), *_alterations(item)]:
            tried += 1
            try:
                check_proof({"format": "gdtriton-proof-1", "items": [*before, altered]})
            except ProofError:
                continue
            accepted.append((item["id"], kind))
    assert accepted == []
    assert tried > 500


def _needed(item, items):
    by_id = {i["id"]: i for i in items}
    found = set()
    stack = list(item["lemmas"])
    while stack:
        name = stack.pop()
        found.add(name)
        stack += by_id[name]["lemmas"]
    return found


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
