"""Run the corpus, keep what came out in networks_results.json, and write README's table of it.

python tests/networks_table.py           run all networks (minutes), write the file and the table
python tests/networks_table.py --new     run the networks that have no row yet
python tests/networks_table.py --render  write the table from the file only
"""

import json
import platform
import statistics
import sys
import time
from pathlib import Path

import networks_broken as broken
import networks_broken_scale as scale
import networks_broken_space as space
import networks_found as found_by_search
import networks_found_more as found_later
import networks_good as good
import networks_good_more as more

HERE = Path(__file__).parent
RESULTS, README = HERE / "networks_results.json", HERE.parent / "README.md"
BEGIN, END = "<!-- networks: python tests/networks_table.py -->", "<!-- networks end -->"
WORDS = {
    "right": "covariant or invariant",
    "broken": "broken, the kinds of defect one by one",
    "disguised": "broken, in disguise",
    "harmless": "odd, but no defect reaches an output",
    "found": "broken, from a search for wrong verdicts",
    "unusual": "right, in unusual words",
}


def corpus():
    """(group, name, builder, shape, canvas, expected verdict or None)."""
    image = (1, 1, 17, 17)
    rows = [("right", name, *row) for name, row in {**good.GOOD, **more.GOOD}.items()]
    for name in broken.BROKEN:
        rows.append(("broken", name, lambda n=name: broken.build(n)[0], *broken.build(name)[1:], "refuted"))
    rows += [("disguised", n, b, image, "fixed", "refuted") for n, b in {**space.BROKEN, **scale.BROKEN}.items()]
    rows += [("harmless", n, b, image, "fixed", None) for n, b in more.HARMLESS.items()]
    rows += [("found", n, *row, "refuted") for n, row in {**found_by_search.WRONG, **found_later.WRONG}.items()]
    return rows + [("unusual", n, *row, None) for n, row in found_by_search.UNUSUAL.items()]


def wrong(row):
    """Whether a verdict is wrong; unknown is not."""
    found, expected = row["verdict"], row["expected"]
    if found == "unknown":
        return False
    return found == "refuted" if expected is None else found != expected


def run(known=()):
    """Run all networks but those that have a row in `known`."""
    import torch

    from gdtriton.verify import certify, check_proof

    rows = []
    done = {(row["group"], row["name"]): row for row in known}
    for group, name, build, shape, canvas, expected in corpus():
        if (group, name) in done:
            rows.append(done[group, name])
            continue
        torch.manual_seed(0)
        module = build()
        start = time.process_time()
        found = certify(module, shape, canvas=canvas)
        seconds = time.process_time() - start
        data = found.to_json()
        trusted = len(check_proof(data).trusted) if found.verdict != "unknown" else None
        link = next((x["numbers"] for x in data["links"] if x["name"] == "network"), {})
        rows.append(
            {
                "group": group,
                "name": name,
                "verdict": found.verdict,
                "expected": expected,
                "rule": (data["offender"] or {}).get("rule"),
                "witness": (data.get("witness") or {}).get("kind"),
                "seconds": round(seconds, 2),
                "derivation_seconds": link.get("seconds"),
                "nodes": link.get("nodes"),
                "trusted_steps": trusted,
            }
        )
        print(group, name, found.verdict, round(seconds, 1), flush=True)
    versions = {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}
    RESULTS.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1) + "\n")


def table(data):
    """The table of README."""
    lines = ["| networks | | certified | refuted | unknown | wrong |", "| --- | --- | --- | --- | --- | --- |"]
    for group, words in WORDS.items():
        rows = [r for r in data["rows"] if r["group"] == group]
        counts = [sum(r["verdict"] in kinds for r in rows) for kinds in (("covariant", "invariant"), ("refuted",))]
        unknown = sum(r["verdict"] == "unknown" for r in rows)
        lines.append(f"| {words} | {len(rows)} | {counts[0]} | {counts[1]} | {unknown} | {sum(map(wrong, rows))} |")
    seconds = [r["seconds"] for r in data["rows"]]
    lines += [
        "",
        f"CPU seconds a network, tracing included: median {statistics.median(seconds):.1f}, longest {max(seconds):.1f} "
        f"(torch {data['versions']['torch']}, one thread). Every certificate was accepted by `gdtriton check-proof`, "
        "every refutation has a witness that is computed again.",
    ]
    return "\n".join(lines)


def render():
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    data = json.loads(RESULTS.read_text())
    README.write_text(f"{before}{BEGIN}\n{table(data)}\n{END}{after}")


if __name__ == "__main__":
    if "--render" not in sys.argv:
        run(json.loads(RESULTS.read_text())["rows"] if "--new" in sys.argv else ())
    render()
