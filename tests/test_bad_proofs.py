"""What is not a proof is rejected with a reason and exit status 2, whatever it is."""

import copy
import json

import pytest

from gdtriton.cli import main
from gdtriton.verify import ProofError, check_proof, theorem, theorems
from gdtriton.verify.theory.check import MAX_BYTES


@pytest.fixture(scope="module")
def proof():
    return theorem("self-similarity").specialise(ndim=2).to_json()


@pytest.fixture(scope="module")
def refutation():
    return theorem("scale-covariance").specialise(1, 1, "1/2").to_json()


def rejected(path, capsys, message=""):
    assert main(["check-proof", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gdtriton check-proof: ")
    assert message in error
    assert "Traceback" not in error


def test_an_honest_file_is_accepted(proof, tmp_path):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    assert main(["check-proof", str(path)]) == 0


@pytest.mark.parametrize("part", [0, 1, 50, 500, -1])
def test_a_truncated_file(proof, part, tmp_path, capsys):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof)[:part])
    rejected(path, capsys, "not a JSON proof file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\xfa not text", "not a JSON proof file"),
        (b'{"format": "\xe9"}', "not a JSON proof file"),
        (b"[" * 200_000, "not a JSON proof file"),
        (b'{"a":' * 100_000, "not a JSON proof file"),
        (b"9" * 100_000, "not a JSON proof file"),
        (b"1e400", "must be an object"),
        (b'{"format": -Infinity}', "is not a number"),
        (b'{"format": "a", "format": "b"}', "a key occurs twice"),
        (b'{"format": "gdtriton-proof-1", "items": ' + b"[]" * 1 + b"}", "1 to 400 items"),
        (b'{"format": "gdtriton-proof-1", "items": [' + b"0," * 400 + b"0]}", "1 to 400 items"),
        (b'{"format": "gdtriton-proof-1", "items": [[[]]]}', "unknown kind of item"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes"),
        (b"\x00" * 64, "not a JSON proof file"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_file_that_is_no_proof(content, message, tmp_path, capsys):
    path = tmp_path / "proof.json"
    path.write_bytes(content)
    rejected(path, capsys, message)


def test_a_directory_and_a_missing_file(tmp_path, capsys):
    rejected(tmp_path, capsys)
    rejected(tmp_path / "missing.json", capsys)


@pytest.mark.parametrize(
    "formula",
    [
        "9**9**9**9 == 1",
        "2**(10**30) == 1",
        f"{'9' * 5000} == 1",
        f"{'(' * 3000}1{')' * 3000} == 1",
        f"{'-' * 3000}1 == 1",
        f"{'+'.join('x' * 2000)} == 1",
        "(x + y + S + s)**64*(x - y + S - s)**64 == 1",
        "fact(10**9) == 1",
        "D(x" + ", x" * 900 + ") == 0",
        "__import__('os').system('true') == 0",
        "x.real == 1",
        "1 == 1 == 1",
        "x",
        "\u0000",
    ],
    ids=lambda formula: formula[:24].replace("\u0000", "null"),
)
def test_a_formula_bomb_ends_soon(proof, formula):
    bad = copy.deepcopy(proof)
    bad["items"][-1]["steps"][0]["shows"] = formula
    with pytest.raises(ProofError) as caught:
        check_proof(bad)
    assert caught.value.step == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"ndim": "3"},
        {"ndim": "4"},
        {"ndim": "1e9"},
        {"ndim": "9" * 30},
        {"ndim": ["2"]},
        {"ndim": {"a": 1}},
        {"ndim": True},
        {"order": "2"},
        {"depth": "2"},
        {},
    ],
    ids=str,
)
def test_a_proof_for_other_numbers(proof, parameters):
    bad = copy.deepcopy(proof)
    bad["items"][-1]["parameters"] = parameters
    with pytest.raises(ProofError):
        check_proof(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"ndim": "1", "order": "1", "norm_power": "1"}},
        {"parameters": {"ndim": "1", "order": "0", "norm_power": "1/2"}},
        {"parameters": {"ndim": "1", "order": "1", "norm_power": "1/3"}},
        {"witness": {"S": "1", "s": "1", "f": "lambda x: x"}},
        {"left": "2"},
        {"right": "2"},
        {"claim": 2},
        {"mistake": "none"},
        {"verdict": "proved"},
        {"id": "normalisation-factor"},
    ],
    ids=str,
)
def test_an_altered_refutation(refutation, change):
    check_proof(refutation)
    bad = copy.deepcopy(refutation)
    bad["items"][-1].update(change)
    with pytest.raises(ProofError):
        check_proof(bad)


NUMBERS = {"ndim": 1, "order": 2, "norm_power": 1}


def altered(item):
    """Every single alteration of a written-out proof, with its kind; each changes what the file says."""
    for i, step in enumerate(item["steps"]):
        changes = {
            "changed number": {"shows": f"{step['shows']} + 1"},
            "undeclared symbol": {"shows": f"{step['shows']} + qqq"},
            "changed rule": {"by": "order-types"},
            "out of order": {"number": step["number"] + 1},
        }
        for j, fact in enumerate(step.get("uses", ())):
            others = step["uses"][:j], step["uses"][j + 1 :]
            changes[f"dropped fact {j}"] = {"uses": [*others[0], *others[1]]}
            changes[f"doubled fact {j}"] = {"uses": [*others[0], fact | {"times": f"2*({fact['times']})"}, *others[1]]}
        for kind, change in changes.items():
            yield kind, item | {"steps": [*item["steps"][:i], step | change, *item["steps"][i + 1 :]]}
        yield "dropped step", item | {"steps": [s for s in item["steps"] if s is not step]}
    for field in ("assumptions", "lemmas"):
        for name in item[field]:
            yield f"removed {name}", item | {field: [n for n in item[field] if n != name]}
    for name, value in item["parameters"].items():
        yield f"another {name}", item | {"parameters": item["parameters"] | {name: str(int(value) + 2)}}
    yield "no numbers", item | {"parameters": {}}


@pytest.mark.slow
@pytest.mark.parametrize("name", [t.id for t in theorems() if t.accepts])
def test_an_altered_written_out_proof(name):
    found = theorem(name)
    *before, item = found.specialise(**{n: NUMBERS[n] for n in found.accepts}).to_json()["items"]
    for kind, changed in altered(item):
        try:
            check_proof({"format": "gdtriton-proof-1", "items": [*before, changed]})
        except ProofError:
            continue
        raise AssertionError(f"{name}: {kind} is accepted")
