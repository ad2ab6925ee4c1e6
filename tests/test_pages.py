"""What derivations look like: MathML is well formed, LaTeX parses, links lead somewhere, nothing is fetched."""

import re
from fractions import Fraction
from html.parser import HTMLParser
from math import prod
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from gdtriton.cli import main
from gdtriton.verify import check_proof, theorem, theorems
from gdtriton.verify.theory import library, pages
from gdtriton.verify.theory.blocks import blocks
from gdtriton.verify.theory.notation import latex, mathml, plain
from gdtriton.verify.theory.open import OPEN
from gdtriton.verify.theory.render import build, relation_box
from gdtriton.verify.theory.terms import Relation, Term, number, parse, parse_relation, symbol

EVERYTHING = [*library.THEOREMS, *library.REFUTATIONS]


class Page(HTMLParser):
    """Sections, links and whatever would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.fetched = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.anchors.append(found["id"])
        if "href" in found:
            self.links.append(found["href"])
        if "src" in found or tag in ("link", "script", "iframe", "object"):
            self.fetched.append(tag)


def formulas(text):
    return [ElementTree.fromstring(m) for m in re.findall(r"<math.*?</math>", text, re.DOTALL)]


def boxes(found):
    for block in blocks(found):
        shown = block.formula if block.formula is not None else block.inline
        if shown is not None:
            yield relation_box(shown) if isinstance(shown, Relation) else build(shown)


@pytest.fixture(scope="module")
def theory(tmp_path_factory):
    """Page and proof file of everything, and what was printed is in the page too."""
    folder = tmp_path_factory.mktemp("theory")
    page, proofs = folder / "theory.html", folder / "theory.json"
    assert main(["verify", "theory", "--ndim", "1", "--html", str(page), "--json", str(proofs)]) == 0
    return page.read_text(), proofs.read_bytes()


@pytest.mark.slow
def test_the_theory_page_stands_alone_and_its_links_lead_somewhere(theory):
    text, _ = theory
    page = Page(text)
    assert page.fetched == []
    assert len(set(page.anchors)) == len(page.anchors)
    assert set(EVERYTHING) <= set(page.anchors)
    assert {link.removeprefix("#") for link in page.links} == set(page.anchors)
    assert all(name in text for name in OPEN)
    assert len(formulas(text)) > 1000


@pytest.mark.slow
def test_the_proof_file_of_one_dimension_is_checked_again(theory):
    report = check_proof(theory[1])
    written_out = [t.id for t in theorems() if "ndim" in t.accepts]
    assert list(report.proved) == [*library.THEOREMS, *written_out]
    assert list(report.refuted) == list(library.REFUTATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYTHING)
def test_every_formula_of_every_derivation_is_latex_and_mathml(name):
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("agg")
    for box in boxes(theorem(name)):
        mathtext.parse(f"${latex(box)}$")
        ElementTree.fromstring(f"<math>{mathml(box)}</math>")
        assert "\\" not in plain(box)


def test_a_derivation_page_holds_the_lemmas_and_links_to_them(capsys):
    assert main(["derive", "njet-formula", "--format", "html"]) == 0
    text = capsys.readouterr().out
    page = Page(text)
    assert page.anchors == ["njet-formula", "hermite-derivative"]
    assert {"#hermite-derivative", "#njet-formula"} == set(page.links)
    assert page.fetched == []
    assert formulas(text)


@pytest.mark.parametrize(
    ("formula", "text", "tex"),
    [
        ("S**(-3/2)", "S^(−3/2)", "{S}^{- 3 / 2}"),
        ("-x**2/(2*s**2)", "−x²/(2 s²)", r"- \frac{{x}^{2}}{2 \, {s}^{2}}"),
        ("D(g(x, s), x, x, y)", "∂_x²∂_y g(x, s)", r"\partial_{x}^{2} \partial_{y} \, g \left(x , s\right)"),
        (
            "Int(Int(f(u, v), u, 1), v, 1)",
            "∫_ℝ ∫_ℝ f(u, v) du dv",
            r"\int_{\mathbb{R}} \, \int_{\mathbb{R}} \, f \left(u , v\right) \, \mathrm{d} u \, \mathrm{d} v",
        ),
        ("s**(-4)*Int(f(u), u, 1)", "1/s⁴ ∫_ℝ f(u) du", None),
        ("At(D(L(x), x), x, 0)", "(∂_x L(x))|_(x = 0)", None),
        ("a - (b - c)", "a − (b − c)", "a - \\left(b - c\\right)"),
        ("-(a - b)", "−(a − b)", None),
        ("-(a - b)/c", "−(a − b)/c", None),
        ("2*x/(3*y)*(-1)", "−(2 x)/(3 y)", None),
        ("Fp(S*x)", "F′(S x)", None),
        ("iff(le(a, b), same(c, d))", "(a ≤ b) ⇔ (c = d)", None),
    ],
)
def test_notation(formula, text, tex):
    box = build(parse(formula))
    assert plain(box) == text
    if tex is not None:
        assert latex(box) == tex


ATOMS = st.sampled_from("abc").map(symbol) | st.integers(-3, 3).map(number)
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda args: Term("add", None, tuple(args)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda args: Term("mul", None, tuple(args)))
        | st.tuples(inner, st.integers(-2, 3).map(number)).map(lambda args: Term("pow", None, args))
    ),
    max_leaves=8,
)
VALUES = {"a": Fraction(2, 7), "b": Fraction(-5, 3), "c": Fraction(11)}


def value(term):
    match term.head:
        case "num":
            return term.data
        case "sym":
            return VALUES[term.data]
        case "add":
            return sum(map(value, term.args))
        case "mul":
            return prod(map(value, term.args))
    return value(term.args[0]) ** int(term.args[1].data)


def value_of_text(text):
    """What a reader computes: a blank and a dot multiply, a small raised number is a power."""
    text = text.replace(" + ", "+").replace(" − ", "-").replace("−", "-").replace(" ", "*").replace("·", "*")
    text = re.sub("[⁰¹²³⁴-⁹]+", lambda m: "**" + m.group().translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")), text)
    text = re.sub(r"(?<![*\d])(\d+)", r"Fraction(\1)", text).replace("^", "**")
    return eval(text, {"Fraction": Fraction, **VALUES})  # made of numbers, names and signs here


@given(FORMULAS)
@example(parse("-(a - b)"))
@example(parse("a/(b*c)*(a + b)/3"))
@example(parse("-(2*a)**2"))
@settings(deadline=None)
def test_a_formula_reads_as_what_it_is(formula):
    try:
        expected = value(formula)
    except ZeroDivisionError:
        reject()
    assert value_of_text(plain(build(formula))) == expected


def test_the_notebook_form_shows_verdict_and_factor():
    found = theorem("scale-covariance").specialise(1, 1, "1/2")
    shown = found._repr_latex_()
    assert shown.startswith("$$")
    assert "refuted" in shown
    assert latex(build(parse("S**(-1/2)"))) in shown
    assert "<math" in found._repr_html_()


def test_statements_print_the_claims_that_were_decided():
    found = theorem("sigma-ladder").specialise(ndim=2, order=1)
    text = pages.text(found)
    for claim in found.statement.claims:
        assert plain(relation_box(parse_relation(claim))) in text
