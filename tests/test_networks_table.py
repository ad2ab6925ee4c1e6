"""README's table of the corpus is what networks_results.json says, and that is about the corpus as it is."""

import json

import networks_table as networks

DATA = json.loads(networks.RESULTS.read_text())


def test_table_in_the_readme_is_generated():
    text = networks.README.read_text()
    assert networks.table(DATA) in text.partition(networks.BEGIN)[2].partition(networks.END)[0]


def test_results_are_about_all_networks_of_the_corpus():
    assert [(r["group"], r["name"]) for r in DATA["rows"]] == [(row[0], row[1]) for row in networks.corpus()]


def test_no_verdict_is_wrong_and_refutations_have_witnesses():
    assert not [r["name"] for r in DATA["rows"] if networks.wrong(r)]
    assert all(r["witness"] for r in DATA["rows"] if r["verdict"] == "refuted")
    assert all(r["trusted_steps"] is not None for r in DATA["rows"] if r["verdict"] != "unknown")


def test_wrong_is_what_it_says():
    assert networks.wrong({"verdict": "refuted", "expected": "invariant"})
    assert networks.wrong({"verdict": "invariant", "expected": "refuted"})
    assert networks.wrong({"verdict": "covariant", "expected": "invariant"})
    assert networks.wrong({"verdict": "refuted", "expected": None})
    assert not networks.wrong({"verdict": "unknown", "expected": "refuted"})
