"""A derivation as text, LaTeX, Markdown and HTML with MathML; the HTML needs no network and no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from .blocks import Block, blocks, results
from .notation import LETTERS, Box, latex, mathml, plain, row
from .open import OPEN
from .render import SIGNS, build, relation_box
from .terms import Relation, parse, parse_relation

if TYPE_CHECKING:
    from . import session
    from .derivation import Derivation

CLAIMS_IN_TABLE = 3
RELATIONS = {latex_sign for latex_sign, _ in SIGNS.values()}
WIDTH = 100  # characters of a formula on a line
STYLE = """
body{font:16px/1.55 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.5em;margin:.2em 0}h2{font-size:1.25em;margin:2em 0 .3em}h3{font-size:1em;margin:1.2em 0 .2em;color:#444}
p{margin:.35em 0}.formula{overflow-x:auto;overflow-y:hidden;padding:.15em 0 .15em 1.2em}.in{margin-left:1.4em}
math{font-size:1.08em}code{font-size:.95em}a{color:#0b5394}
table{border-collapse:collapse;margin:1em 0}
td,th{padding:.25em .7em;border:1px solid #ccc;text-align:left;vertical-align:top}
.proved{color:#0a6b2d}.refuted{color:#b00020}.unknown{color:#8a5a00}
section{border-top:1px solid #ddd;margin-top:2em}section:first-child{border:0;margin:0}
td.claims{border-bottom:2px solid #999;max-width:60em;overflow-x:auto;overflow-y:hidden;padding:.5em 1.5em}
"""


def heading(found: Derivation) -> str:
    """Title with the chosen numbers."""
    return found.title + (f" ({found.parameters})" if found.parameters else "")


def _formula(block: Block) -> Box | None:
    shown = block.formula if block.formula is not None else block.inline
    if shown is None:
        return None
    return relation_box(shown) if isinstance(shown, Relation) else build(shown)


def _sentence(block: Block, link: Callable[[str], str], quote: Callable[[str], str]) -> str:
    """Words, links and tail of a sentence."""
    return " ".join([quote(block.words), *map(link, block.links)]) + quote(block.tail)


def text(found: Derivation) -> str:
    """Plain text, a formula a line."""
    lines = [heading(found), f"{found.id}: {found.verdict}"]
    for block in blocks(found):
        box = _formula(block)
        indent = "  " * block.level
        if block.kind == "heading":
            lines += ["", block.words]
        elif block.formula is not None and box is not None:
            lines.append(f"{indent}    {plain(box)}")
        elif block.words:
            tail = f" {plain(box)}" if box is not None else ""
            lines.append(indent + _sentence(block, str, str) + tail)
    return "\n".join(lines) + "\n"


def markdown(found: Derivation) -> str:
    """Markdown with LaTeX between dollar signs."""
    lines = [f"# {heading(found)}", "", f"`{found.id}`: **{found.verdict}**"]
    for block in blocks(found):
        box = _formula(block)
        if block.kind == "heading":
            lines += ["", f"## {block.words}"]
        elif block.formula is not None and box is not None:
            lines += ["", f"$${latex(box)}$$"]
        elif block.words:
            tail = f" ${latex(box)}$" if box is not None else ""
            lines += ["", _sentence(block, "`{}`".format, _markdown_words) + tail]
    return "\n".join(lines) + "\n"


def _markdown_words(words: str) -> str:
    """Words in which Markdown sees no emphasis."""
    return words.replace("*", r"\*").replace("_", r"\_")


TEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"^": r"\^{}", "\\": r"\textbackslash{}", "~": r"\~{}", "′": "$'$"}
    | {letter: f"$\\{name}$" for name, letter in LETTERS.items()}
)


def latex_document(found: Derivation) -> str:
    """A LaTeX document that needs amsmath and amssymb."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath,amssymb}",
        r"\setlength{\parindent}{0pt}\setlength{\parskip}{4pt}",
        r"\begin{document}",
        rf"\section*{{{heading(found).translate(TEX)}}}",
        rf"\texttt{{{found.id.translate(TEX)}}}: {found.verdict}",
    ]
    for block in blocks(found):
        box = _formula(block)
        if block.kind == "heading":
            lines += ["", rf"\subsection*{{{block.words.translate(TEX)}}}"]
        elif block.formula is not None and box is not None:
            lines.append(rf"\[ {latex(box)} \]")
        elif block.words:
            tail = f" ${latex(box)}$" if box is not None else ""
            lines += ["", _sentence(block, str, str).translate(TEX) + tail]
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def notebook_latex(found: Derivation) -> str:
    """Statement and verdict as one display, for notebooks without HTML."""
    claims = [parse_relation(c) for c in results(found)]
    lines = [latex(relation_box(c)) for c in claims]
    verdict = rf"\text{{{found.verdict}}}"
    if found.residual is not None:
        verdict += rf",\quad \text{{surviving factor }} {latex(build(parse(found.residual)))}"
    return "$$\\begin{gathered}\n" + " \\\\\n".join([*lines, verdict]) + "\n\\end{gathered}$$"


def fragment(
    found: Derivation, link: Callable[[str], str] = lambda name: f"<code>{escape(name)}</code>", level: int = 2
) -> str:
    """One derivation as HTML; `link` makes a reference to another theorem."""
    lines = [
        f"<section id='{escape(found.anchor)}'><h{level}>{escape(heading(found))}</h{level}>"
        f"<p><code>{escape(found.id)}</code> <b class='{found.verdict}'>{found.verdict}</b></p>"
    ]
    for block in blocks(found):
        box = _formula(block)
        css = " class='in'" if block.level else ""
        if block.kind == "heading":
            lines.append(f"<h{level + 1}>{escape(block.words)}</h{level + 1}>")
        elif block.formula is not None and box is not None:
            lines += [
                f"<div class='formula{' in' if block.level else ''}'><math display='block'>{mathml(part)}</math></div>"
                for part in _broken(box)
            ]
        elif block.words:
            tail = f" <math displaystyle='true'>{mathml(box)}</math>" if box is not None else ""
            lines.append(f"<p{css}>{_sentence(block, link, escape)}{tail}</p>")
    return "\n".join([*lines, "</section>"])


def _broken(box: Box) -> list[Box]:
    """A relation too wide for the page in two lines, the second from its sign on."""
    match box.inner:
        case (left, Box("sign", middle) as relation, right) if middle in RELATIONS and len(plain(box)) > WIDTH:
            return [left, row(relation, right)]
    return [box]


def document(title: str, body: str) -> str:
    """A self-contained page."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def derivation_page(found: Derivation, used: Sequence[Derivation]) -> str:
    """A page with the derivation and, after it, the theorems that it uses."""
    return document(heading(found), "\n".join(_linked([found, *used])))


def _linked(shown: Sequence[Derivation]) -> list[str]:
    """Derivations under each other, with links to what each uses and what uses it."""
    here = {d.id for d in shown if not d.parameters}

    def link(name: str) -> str:
        return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name in here else f"<code>{escape(name)}</code>"

    parts = []
    for found in shown:
        parts.append(fragment(found, link))
        users = [d for d in shown if d.theorem is not None and found.id in d.theorem.lemmas and not found.parameters]
        if users:
            names = ", ".join(f"<a href='#{escape(d.anchor)}'>{escape(d.anchor)}</a>" for d in users)
            parts.append(f"<p>Used by {names}.</p>")
    return parts


def theory_page(summary: str, rows: Sequence[tuple[session.Row, Derivation]], topics: Mapping[str, str]) -> str:
    """The table of everything that was decided, what is not proved, and every derivation."""
    parts = [f"<h1>The theory of gdtriton</h1><p>{escape(summary)}</p>"]
    for topic, title in topics.items():
        lines = "".join(_line(row, found) for row, found in rows if row.topic == topic)
        if lines:
            parts.append(
                f"<h2>{escape(title[:1].upper() + title[1:])}</h2><table><tr><th>id</th><th>theorem</th>"
                f"<th>verdict</th><th>seconds</th><th>assumptions</th></tr>{lines}</table>"
            )
    unproved = "".join(f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in OPEN.items())
    if unproved:
        parts.append(f"<h2>Not proved here</h2><ul>{unproved}</ul>")
    parts += _linked([found for _, found in rows])
    return document("The theory of gdtriton", "\n".join(parts))


def _line(row: session.Row, found: Derivation) -> str:
    boxes = [b for claim in results(found)[:CLAIMS_IN_TABLE] for b in _broken(relation_box(parse_relation(claim)))]
    shown = "".join(f"<div><math displaystyle='true'>{mathml(box)}</math></div>" for box in boxes)
    more = "<div>…</div>" if len(results(found)) > CLAIMS_IN_TABLE else ""
    return (
        f"<tr><td><a href='#{escape(found.anchor)}'>{escape(row.name)}</a></td><td>{escape(found.title)}</td>"
        f"<td class='{row.verdict}'>{row.verdict} {escape(row.reason)}</td><td>{row.seconds:.3f}</td>"
        f"<td>{escape(', '.join(row.assumptions))}</td></tr><tr><td colspan='5' class='claims'>{shown}{more}</td></tr>"
    )
