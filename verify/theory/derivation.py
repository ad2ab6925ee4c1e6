"""A theorem to explore: choose dimension, order and power, read the derivation, see what was decided.

`theorem(id)` is the statement with its symbols; `.specialise(ndim=2, order=3)` the same for numbers. The verdict is
computed when it is first asked for: sympy proves, the independent checker re-derives; a false statement is refuted
by a witness.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from . import library, pages, session
from .model import Refutation, Statement, Theorem
from .parameters import Parameters
from .proofs import collection, proof_json
from .specialise import parameters_of, specialise
from .written import Line, WrittenOut


class Derivation:
    """A statement of the library, with symbols or for chosen numbers.

    Attributes:
        id: name of the theorem, or of the wrong statement.
        parameters: what was chosen; empty: all symbols.
        written_out: what is proved, line by line; None for a wrong statement of the library.
        wrong: the false statement with its witness; None for a theorem that holds.
    """

    def __init__(
        self, name: str, parameters: Parameters | None = None, decided: Iterable[session.Outcome] = ()
    ) -> None:
        self.id = name
        self.parameters = parameters or Parameters()
        self._decided = list(decided)
        self.written_out: WrittenOut | None = None
        self.wrong: Refutation | None = library.REFUTATIONS.get(name)
        if name in library.THEOREMS:
            general = library.THEOREMS[name]
            if self.parameters:
                self.written_out = specialise(general, self.parameters)
                self.parameters = self.written_out.parameters
                self.wrong = self.written_out.wrong
            else:
                pairs = zip(general.statement.claims, general.proof, strict=True)
                self.written_out = WrittenOut(general, tuple(Line(c, s, "") for c, s in pairs), self.parameters)
        elif self.parameters:
            raise ValueError(f"specialise: {name} is a wrong statement with numbers of its own; it has no parameters")

    @property
    def anchor(self) -> str:
        """Name of the section on a page."""
        return "-".join([self.id, *(f"{n}-{v}" for n, v in self.parameters.strings().items())])

    @property
    def title(self) -> str:
        """Title of the theorem, or the mistake in the wrong statement."""
        if self.id in library.THEOREMS:
            return library.THEOREMS[self.id].title
        assert self.wrong is not None
        return f"Wrong: {self.wrong.mistake}"

    @property
    def theorem(self) -> Theorem | None:
        """What is proved on the way."""
        return self.written_out.theorem if self.written_out is not None else None

    @property
    def statement(self) -> Statement:
        """The statement that the verdict is about."""
        stated = self.wrong or self.theorem
        assert stated is not None
        return stated.statement

    def specialise(self, ndim: Any = None, order: Any = None, norm_power: Any = None) -> "Derivation":
        """The same theorem for numbers. What is left out is 2, 2 and 1; with nothing chosen the symbols stay.

        Args:
            ndim: dimension, 1 to 3.
            order: total order of the derivatives, 0 to 6.
            norm_power: exponent of the scale normalisation, exact: 1, "1/2", Fraction(1, 2) or 0.5; size at most 9,
                denominator at most 16.

        Raises:
            ValueError: out of range, or the theorem does not have this parameter.
        """
        return Derivation(self.id, Parameters.read({"ndim": ndim, "order": order, "norm_power": norm_power}))

    @property
    def accepts(self) -> tuple[str, ...]:
        """The parameters that `specialise` takes for this theorem."""
        return parameters_of(library.THEOREMS[self.id]) if self.id in library.THEOREMS else ()

    @cached_property
    def _outcomes(self) -> list[session.Outcome]:
        if self._decided:
            return self._decided
        found = []
        if self.theorem is not None:
            established: dict[str, Statement] = {}
            found += [session.decide(lemma, Parameters(), established) for lemma in lemmas_of(self.theorem)]
            found.append(session.decide(self.theorem, self.parameters, established))
        if self.wrong is not None:
            found.append(session.decide_wrong(self.wrong, self.parameters))
        return found

    @property
    def verdict(self) -> str:
        """`proved`, `refuted`, or `unknown` where a step does not close."""
        verdicts = [row.verdict for row, _ in self._outcomes]
        return "unknown" if "unknown" in verdicts else verdicts[-1]

    @property
    def reason(self) -> str:
        """Why the verdict is unknown."""
        return "; ".join(row.reason for row, _ in self._outcomes if row.reason)

    @property
    def seconds(self) -> float:
        """Time that proving and checking took."""
        return sum(row.seconds for row, _ in self._outcomes)

    @property
    def residual(self) -> str | None:
        """The factor that survives in a refuted statement, as a formula such as `S**(-3/2)`; None where none does."""
        return self.written_out.residual if self.written_out is not None else None

    @property
    def steps(self) -> tuple[str, ...]:
        """What each step of the proof shows, in the formula language."""
        if self.theorem is None:
            return ()
        return tuple(step["shows"] for step in proof_json(self.theorem)["steps"])

    def to_json(self) -> dict[str, Any]:
        """The proof file: lemmas first, then the proof, then the refutation; `check_proof` reads it."""
        return collection([item for _, item in self._outcomes if item is not None])

    def _repr_latex_(self) -> str:
        return pages.notebook_latex(self)

    def _repr_html_(self) -> str:
        return pages.fragment(self)

    def __str__(self) -> str:
        return pages.text(self)

    def __repr__(self) -> str:
        chosen = f", {self.parameters}" if self.parameters else ""
        return f"<Derivation {self.id}{chosen}>"


def of_outcome(outcome: session.Outcome) -> Derivation:
    """The derivation of something that `session.run` has decided."""
    row = outcome[0]
    return Derivation(row.id, row.parameters, [outcome])


def lemmas_of(theorem: Theorem) -> list[Theorem]:
    """The theorems that it rests on, each after those that it rests on itself."""
    found: dict[str, Theorem] = {}

    def visit(names: tuple[str, ...]) -> None:
        for name in names:
            if name not in found:
                visit(library.THEOREMS[name].lemmas)
                found[name] = library.THEOREMS[name]

    visit(theorem.lemmas)
    return list(found.values())


def theorem(name: str) -> Derivation:
    """The theorem, or wrong statement, of that name.

    Raises:
        ValueError: there is none; the nearest names are given.
    """
    known = [*library.THEOREMS, *library.REFUTATIONS]
    if name not in known:
        near = get_close_matches(str(name)[:80], known, 3, 0.4)
        ask = f"did you mean {' or '.join(near)}?" if near else "`gdtriton derive --list` names all"
        raise ValueError(f"theorem: id must be the name of a theorem, got {str(name)[:80]!r}; {ask}")
    return Derivation(name)


def theorems() -> tuple[Derivation, ...]:
    """All theorems, lemmas before their use."""
    return tuple(map(Derivation, library.THEOREMS))
