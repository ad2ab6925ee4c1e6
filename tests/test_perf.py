"""The benchmark harness: its code path on tiny cases, and the schema of every committed result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def _bench(*arguments):
    command = [sys.executable, str(ROOT / "perf" / "bench.py"), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    path = tmp_path_factory.mktemp("perf") / "quick.json"
    done = _bench("--quick", "--out", path)
    assert done.returncode == 0, done.stderr
    return path


def test_quick_run_times_every_provider_that_passes_the_gate(quick):
    document = json.loads(quick.read_text())
    assert {row["status"] for row in document["rows"]} == {"ok"}
    assert {row["provider"] for row in document["rows"]} == {
        "ours", "conv2d-nchw", "conv2d-channels-last", "plain-adj", "dense",
    }  # fmt: skip
    assert all(row["median_ms"] > 0 for row in document["rows"])


def test_compare_lists_every_row_with_a_ratio(quick):
    done = _bench("--compare", quick, quick)
    rows = json.loads(quick.read_text())["rows"]
    assert done.returncode == 0
    assert done.stdout.count("| 1.00 |  |") == len(rows)


def test_compare_marks_only_what_is_outside_the_noise(quick, tmp_path):
    document = json.loads(quick.read_text())
    for row in document["rows"][1:]:
        for name in ("median_ms", "p20_ms", "p80_ms"):
            row[name] *= 1000
    slower = tmp_path / "slower.json"
    slower.write_text(json.dumps(document))
    done = _bench("--compare", quick, slower)
    assert done.stdout.count("*") == len(document["rows"]) - 1


@pytest.mark.parametrize("quantity", ["output", "features", "weight", "sigma"])
def test_gate_refuses_a_wrong_result(quantity):
    import torch

    from perf.bench import make_call, make_inputs
    from perf.cases import BenchCase
    from perf.gate import ORACLES, judge

    case = BenchCase(2, 3, 2.0, size=12, batch=2)
    golden, bound = ORACLES["jet"](case, make_inputs(case, "jet", 0))
    actual = make_call(case, "ours", "training", 0)()
    assert judge(case, actual, golden, bound)[0]
    wrong = actual | {quantity: actual[quantity] * 5}
    passed, _, reason = judge(case, wrong, golden, bound)
    assert not passed
    assert reason.startswith(quantity)
    assert not judge(case, actual | {quantity: torch.full_like(actual[quantity], torch.nan)}, golden, bound)[0]


def test_schema_refuses_times_of_failed_rows_and_missing_metadata(quick):
    from perf.schema import check_document, finite

    document = json.loads(quick.read_text())
    check_document(document)
    document["rows"][0] |= {"status": "failed", "reason": "wrong"}
    with pytest.raises(ValueError, match="no time"):
        check_document(document)
    document = json.loads(quick.read_text())
    del document["metadata"]["commit"]
    with pytest.raises(ValueError, match="commit"):
        check_document(document)
    assert finite({"a": [float("nan"), 1.0], "b": float("inf")}) == {"a": [None, 1.0], "b": None}


@pytest.mark.parametrize("path", sorted((ROOT / "perf" / "results").glob("*.json")), ids=lambda path: path.name)
def test_committed_results_have_the_schema(path):
    from perf.schema import KIND, check_document

    document = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert isinstance(document["kind"], str)
    if document["kind"] == KIND:
        check_document(document)
        assert not document["quick"]


def test_report_replaces_what_stands_between_its_markers(quick):
    from perf.report import BEGIN, END, insert, table

    first = insert("# Title\n", f"{BEGIN}\none\n{END}")
    assert first.startswith("# Title\n")
    second = insert(first + "after\n", f"{BEGIN}\ntwo\n{END}")
    assert "one" not in second
    assert second.endswith(f"two\n{END}\nafter\n")
    document = json.loads(quick.read_text())
    lines = table(document).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + len({(json.dumps(row["case"]), row["mode"]) for row in document["rows"]})
