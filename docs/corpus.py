"""Runs the verifier over the corpus of tests/networks_*.py and writes the figures into README between its markers.

`python docs/corpus.py` (minutes) measures, writes `docs/corpus.json` and README's table; `--table` the table only.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
BEGIN, END = "<!-- corpus:begin -->", "<!-- corpus:end -->"
IMAGE = (1, 1, 17, 17)
KINDS = {
    "right": "covariant or invariant",
    "harmless": "with an operation that would break it but has no effect",
    "broken": "broken, in one place",
}
CERTIFIED = ("covariant", "invariant")


def load(path: Path) -> Any:
    """A corpus file as a module under its own name, as the files import each other."""
    if path.stem not in sys.modules:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


def networks() -> Iterator[tuple[str, str, Callable[[], tuple[Any, Any, Any]], str | None]]:
    """(kind, name, builder of (module, image shape, canvas), expected verdict) of every network."""
    for path in sorted(TESTS.glob("networks_good*.py")):
        module = load(path)
        for name, (build, shape, canvas, verdict) in module.GOOD.items():
            yield "right", f"{path.stem}: {name}", lambda b=build, s=shape, c=canvas: (b(), s, c), verdict
        for name, build in getattr(module, "HARMLESS", {}).items():
            yield "harmless", f"{path.stem}: {name}", lambda b=build: (b(), IMAGE, "fixed"), None
    for path in sorted(TESTS.glob("networks_broken*.py")):
        module = load(path)
        for name, build in module.BROKEN.items():
            whole = getattr(module, "build", None)
            yield (
                "broken",
                f"{path.stem}: {name}",
                (lambda w=whole, n=name: w(n)) if whole else (lambda b=build: (b(), IMAGE, "fixed")),
                "refuted",
            )


def count(progress: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Certify every network of the corpus.

    Returns:
        "verdicts" {kind: {certified, refuted, unknown}}, "unexpected" and "unknown" [name and reason], "rules" {rule:
        number of broken networks refuted by it}, "seconds" {median, max}, "versions".
    """
    import torch

    from gdtriton.verify import certify

    torch.set_num_threads(1)
    verdicts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    rules: Counter[str] = Counter()
    seconds, unexpected, unknown, versions = [], [], [], {}
    for kind, name, build, expected in networks():
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module, shape, canvas = build()
        start = time.process_time()
        found = certify(module, shape, canvas=canvas)
        seconds.append(time.process_time() - start)
        verdicts[kind]["certified" if found else found.verdict] += 1
        if expected and found.verdict not in (expected, "unknown"):
            unexpected.append(f"{name}: {found.verdict} ({found.reason})")
        if kind == "harmless" and found.verdict == "refuted":
            unexpected.append(f"{name}: refuted ({found.reason})")
        if found.verdict == "unknown":
            unknown.append(f"{name}: {found.reason}")
        if kind == "broken" and found.verdict == "refuted":
            rules[found.to_json()["offender"]["rule"]] += 1
        versions = found.to_json()["versions"]
        progress(f"{seconds[-1]:6.2f} s  {found.verdict:10} {name}")
    return {
        "verdicts": {kind: {v: row[v] for v in ("certified", "refuted", "unknown")} for kind, row in verdicts.items()},
        "unexpected": unexpected,
        "unknown": unknown,
        "rules": dict(sorted(rules.items(), key=lambda item: (-item[1], item[0]))),
        "seconds": {"median": round(statistics.median(seconds), 2), "max": round(max(seconds), 2)},
        "versions": versions,
    }


def table(figures: dict[str, Any]) -> str:
    """README's table, its caption and the rules that refuted."""
    lines = ["| networks | number | certified | refuted | unknown |", "| --- | --- | --- | --- | --- |"]
    for kind, words in KINDS.items():
        row = figures["verdicts"][kind]
        total = sum(row.values())
        if total:
            lines.append(f"| {words} | {total} | {row['certified']} | {row['refuted']} | {row['unknown']} |")
    rows = figures["verdicts"]
    wrong = rows["right"]["refuted"] + rows["harmless"]["refuted"]
    unknown = sum(row["unknown"] for row in rows.values())
    rules = ", ".join(f"{rule} {number}" for rule, number in figures["rules"].items())
    seconds = figures["seconds"]
    return "\n".join(
        [
            f"The corpus of `tests/networks_*.py`: {rows['broken']['certified']} wrong certificates, {wrong} wrong "
            f"refutations, {unknown} unknown. {seconds['median']:g} s of CPU time a network in the median, "
            f"{seconds['max']:g} s at most, all four links (torch {figures['versions']['torch']}). Written by "
            "`python docs/corpus.py`.",
            "",
            *lines,
            "",
            f"Rules that refuted: {rules}.",
        ]
    )


def write_table(readme: Path, figures: dict[str, Any]) -> None:
    """Replace what stands between the markers."""
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table(figures)}\n{END}{rest.split(END)[1]}")


def main() -> None:
    """Measure unless told not to, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="write README's table from docs/corpus.json, no more")
    if not parser.parse_args().table:
        figures = count(lambda line: print(line, flush=True))
        (DOCS / "corpus.json").write_text(json.dumps(figures, indent=1) + "\n")
    write_table(DOCS.parent / "README.md", json.loads((DOCS / "corpus.json").read_text()))


if __name__ == "__main__":
    main()
