"""README's table of corpus figures is the one of docs/corpus.json, and that is current."""

import importlib.util
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
README = (DOCS.parent / "README.md").read_text()
COMMAND = "run `python docs/corpus.py` and commit README.md and docs/corpus.json"
_spec = importlib.util.spec_from_file_location("corpus_table", DOCS / "corpus.py")
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)
FIGURES = json.loads((DOCS / "corpus.json").read_text())


def test_table_in_readme_is_that_of_the_figures():
    block = README.split(corpus.BEGIN)[1].split(corpus.END)[0].strip()
    assert block == corpus.table(FIGURES), "run `python docs/corpus.py --table`"


def test_figures_have_no_wrong_verdict_and_name_what_is_unknown():
    assert FIGURES["unexpected"] == []
    assert FIGURES["verdicts"]["broken"]["certified"] == 0
    assert FIGURES["verdicts"]["right"]["refuted"] == 0
    assert len(FIGURES["unknown"]) == sum(row["unknown"] for row in FIGURES["verdicts"].values())
    assert sum(FIGURES["rules"].values()) == FIGURES["verdicts"]["broken"]["refuted"]


def test_corpus_is_as_large_as_it_must_be():
    kinds = [kind for kind, *_ in corpus.networks()]
    assert kinds.count("right") >= 30
    assert kinds.count("broken") >= 60


def test_writing_replaces_the_table_and_nothing_else(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{corpus.BEGIN}\nold\n{corpus.END}\nafter\n")
    figures = {**FIGURES, "verdicts": {**FIGURES["verdicts"], "right": {"certified": 7, "refuted": 1, "unknown": 2}}}
    corpus.write_table(readme, figures)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| covariant or invariant | 10 | 7 | 1 | 2 |" in text
    assert "1 wrong refutations" in text
    assert "old" not in text


@pytest.mark.slow
def test_figures_are_current():
    """Everything but the times is counted again."""
    found = corpus.count()
    for key in ("verdicts", "unexpected", "rules"):
        assert found[key] == FIGURES[key], f"{key}: the corpus or the verifier has changed; {COMMAND}"
    assert [line.partition(": ")[0] for line in found["unknown"]] == [
        line.partition(": ")[0] for line in FIGURES["unknown"]
    ], COMMAND
