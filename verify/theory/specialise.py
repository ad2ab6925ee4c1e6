"""A theorem for numbers: which parameters it has, and what it says and how it is proved for chosen ones.

Theorems with a form of their own in coordinates are in `BUILDERS`; of any other, the variables that it declares as
parameters are replaced by numbers. Pure data: the checker reads it too.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from . import written, written_covariance, written_discrete, written_gauss, written_jets
from .axioms import AXIOMS
from .library import THEOREMS
from .model import Given, Names, Statement, Step, Theorem, Use, algebra, use
from .parameters import DEFAULTS, NAMES, Parameters
from .terms import Term, folded, free_names, parse, parse_relation, substitute
from .written import Line, WrittenOut

Builder = Callable[..., WrittenOut]  # of the theorem, the parameters, and each of its own parameters by name
ALL = NAMES
BUILDERS: dict[str, tuple[tuple[str, ...], Builder]] = {
    "scale-covariance": (ALL, written_covariance.scale_covariance),
    "normalisation-factor": (ALL, written_covariance.normalisation_factor),
    "diffusion-equation": (("ndim",), written_gauss.diffusion),
    "unit-mass-ndim": (("ndim",), written_gauss.unit_mass),
    "fourier-transform": (("ndim",), written_gauss.fourier),
    "semigroup": (("ndim",), written_gauss.semigroup),
    "hermite-derivative": (("order",), written_gauss.hermite_derivative),
    "njet-formula": (("ndim", "order"), written_gauss.njet),
    "self-similarity": (("ndim",), written_gauss.self_similarity),
    "derivative-of-scaled": (("ndim", "order"), written_jets.scaled_function),
    "derivative-of-scaled-kernel": (("ndim", "order"), written_jets.scaled_kernel),
    "steering-order": (("ndim", "order"), written_jets.steering),
    "rotation": (("ndim",), written_jets.rotation),
    "sigma-ladder": (ALL, written_jets.ladder),
    "operator-table": (("order",), written_discrete.operator_table),
    "spectral-operator": (("order",), written_discrete.spectral_operator),
    "even-difference": (("order",), written_discrete.even_difference),
    "discrete-diffusion": (("ndim",), written_discrete.diffusion),
    "discrete-sigma-gradient": (("order", "norm_power"), written_discrete.sigma_gradient),
    "error-expansion": (("order",), written_discrete.error_expansion),
}
SYMBOLS: dict[str, Names] = {
    "layer-jet": {"ndim": "N", "order": "m", "norm_power": "p"},
    "layer-integral": {"ndim": "N"},
    "layer-mean": {"ndim": "N"},
    "layer-spatial-maximum": {"ndim": "N"},
    "layer-sigma-gradient": {"norm_power": "p"},
    "closed-form-bound": {"order": "n"},
    "closed-form-constants": {"order": "n"},
    "aliasing": {"order": "n"},
    "alias-decay": {"order": "n"},
    "off-grid": {"ndim": "N"},
}


def parameters_of(theorem: Theorem) -> tuple[str, ...]:
    """Names of the parameters that may be chosen."""
    if theorem.id in BUILDERS:
        return BUILDERS[theorem.id][0]
    steps = list(theorem.proof)
    for step in steps:
        steps.extend(step.children)
    inductive = {s.variable for s in steps if s.by == "induction"} if theorem.statement.given else set()
    return tuple(
        name
        for name in NAMES
        if (variable := _symbols(theorem).get(name)) in theorem.statement.variables and variable not in inductive
    )


def _symbols(theorem: Theorem) -> Names:
    """The variable of the statement that stands for each parameter."""
    return {**SYMBOLS.get(theorem.id, {}), **theorem.parameters}


def specialise(theorem: Theorem, chosen: Parameters) -> WrittenOut:
    """The theorem at the chosen values; those left out take the library's defaults (2, 2, 1).

    Raises:
        ValueError: the theorem does not have one of them.
    """
    known = parameters_of(theorem)
    foreign = [n for n in chosen.strings() if n not in known]
    if foreign:
        has = f"has the parameters {', '.join(known)}" if known else "has no parameters"
        raise ValueError(f"specialise: {theorem.id} {has}, got {foreign[0]}; leave it out")
    filled = Parameters(**{n: DEFAULTS[n] if getattr(chosen, n) is None else getattr(chosen, n) for n in known})
    if theorem.id in BUILDERS:
        return BUILDERS[theorem.id][1](theorem, filled, **{n: getattr(filled, n) for n in known})
    return _with_numbers(theorem, filled)


def _with_numbers(theorem: Theorem, p: Parameters) -> WrittenOut:
    """The general proof with the numbers put in; what it shows by induction is an instance of the general claim."""
    old = theorem.statement
    numbers = {_symbols(theorem)[name]: value for name, value in p.strings().items()}
    universal = {v for given in old.given.values() for v in given.for_all}
    put_in = {k: parse(v) for k, v in numbers.items()}

    def relation(text: str, kept: Collection[str] = ()) -> str:
        parsed, values = parse_relation(text), {k: v for k, v in put_in.items() if k not in kept}
        left, right = (_folded(substitute(side, values)) for side in (parsed.left, parsed.right))
        return f"{left} {parsed.op} {right}"

    def formula(text: str) -> str:
        return str(substitute(parse(text), put_in))

    def step(old_step: Step) -> Step:
        return replace(old_step, uses=tuple(map(instance, old_step.uses)), children=tuple(map(step, old_step.children)))

    def instance(fact: Use) -> Use:
        # a fact has variables of its own, which stand for themselves unless the proof says otherwise
        own = {k: v for k, v in numbers.items() if k in _free_in(fact.fact, old)}
        values = own | {k: formula(v) for k, v in fact.values.items()}
        return replace(fact, values=values, times=formula(fact.times))

    statement = Statement(
        {k: v for k, v in old.variables.items() if k not in numbers or k in universal},
        (),
        {k: formula(v) for k, v in old.definitions.items()},
        {k: Given(relation(g.formula, g.for_all), g.for_all) for k, g in old.given.items()},
    )
    lines = []
    lemmas = theorem.lemmas
    for i, (claim, own) in enumerate(zip(old.claims, theorem.proof, strict=True), 1):
        if own.by == "induction" and own.variable in numbers:
            values = {n: v for n, v in numbers.items() if n in _names(claim, old)}
            lemmas = (*lemmas, theorem.id)
            proof = algebra(use(f"{theorem.id}/{i}", **values))
            lines.append(Line(relation(claim), proof, "The general theorem at these numbers."))
        else:
            lines.append(Line(relation(claim), step(own), "The general proof at these numbers."))
    return written.written(theorem, p, statement, lines, theorem.axioms, tuple(dict.fromkeys(lemmas)))


def _folded(term: Term) -> Term:
    return folded(Term(term.head, term.data, tuple(map(_folded, term.args))))


def _free_in(fact: str, statement: Statement) -> Collection[str]:
    """The variables of a hypothesis, an axiom or a lemma that a proof may replace."""
    if fact.startswith("given:"):
        return statement.given[fact.removeprefix("given:")].for_all
    lemma, _, claim = fact.partition("/")
    if claim:
        return _names(THEOREMS[lemma].statement.claims[int(claim) - 1], THEOREMS[lemma].statement)
    return AXIOMS[fact].variables if fact in AXIOMS else ()  # an induction hypothesis holds as it stands


def _names(claim: str, statement: Statement) -> frozenset[str]:
    """Names in a claim and in the definitions that it uses."""
    parsed = parse_relation(claim)
    found = free_names(parsed.left) | free_names(parsed.right)
    for signature, body in reversed(list(statement.definitions.items())):
        if signature.partition("(")[0] in found:
            found |= free_names(parse(body))
    return found
