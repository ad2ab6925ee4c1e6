"""The assumptions that proofs may name: textbook analysis, definitions of special functions, principles.

Nothing here is about this library's code. A schematic formula holds for all values of its variables of the
stated kinds, under the stated condition; a principle (no formula) licenses a rule of the checker or a reading.
"""

from .model import Axiom

_SPACE = {"N": "natural", "h": "function"}
_ANGLES = {"a": "real", "b": "real"}


def _every_axis(names: str) -> Axiom:
    """`change-of-variables` with the integral over R^N iterated."""
    scaled = ", ".join(f"S*{u}" for u in names)
    sides = [f"h({', '.join(names)})", f"h({scaled})"]
    for u in names:
        sides = [f"Int({side}, {u}, 1)" for side in sides]
    return Axiom(
        f"change-of-variables-{len(names)}d",
        "Linear change of variables on every axis of an iterated integral that converges absolutely.",
        f"{sides[0]} == S**{len(names)}*{sides[1]}",
        {"h": "function", "S": "positive"},
    )


AXIOMS: dict[str, Axiom] = {
    a.id: a
    for a in (
        Axiom("induction", "Induction on the natural numbers."),
        Axiom(
            "mean-value",
            "Mean value theorem: a function on an interval with zero derivative is constant, with non-negative"
            " derivative does not fall.",
        ),
        Axiom(
            "differentiate-under-integral",
            "Derivatives pass under the integral or sum: f is measurable with |f(x)| <= C exp(c |x|), or the series"
            " converges absolutely and locally uniformly.",
        ),
        Axiom(
            "change-of-variables",
            "Linear change of variables u = S v in R^N, Jacobian S^N; all integrals converge absolutely.",
            "Int(h(u), u, N) == S**N*Int(h(S*u), u, N)",
            {**_SPACE, "S": "positive"},
        ),
        *map(_every_axis, ("u", "uv", "uvw")),
        Axiom(
            "translation",
            "The integral over R^N is invariant under u -> u + c.",
            "Int(h(u), u, N) == Int(h(u + c), u, N)",
            {**_SPACE, "c": "vector"},
        ),
        Axiom(
            "gaussian-integral",
            "The integral of exp(-u^2) over the line is sqrt(pi).",
            "Int(exp(-u**2), u, 1) == pi**(1/2)",
        ),
        Axiom(
            "fubini",
            "An absolutely convergent integral over R^N is an iterated integral; a product of functions of"
            " different coordinates integrates to the product of the integrals.",
        ),
        Axiom(
            "vanishing-boundary",
            "The derivative of a function that vanishes at infinity integrates to zero over the line.",
            "Int(h[1](u), u, 1) == 0",
            {"h": "function"},
            condition="decays",
        ),
        Axiom(
            "hermite-zero",
            "Definition of the Hermite polynomials: H_0 = 1.",
            "H(0, y) == 1",
            {"y": "real"},
        ),
        Axiom(
            "hermite-one",
            "Definition of the Hermite polynomials: H_1 = 2 y.",
            "H(1, y) == 2*y",
            {"y": "real"},
        ),
        Axiom(
            "hermite-recursion",
            "Definition of the Hermite polynomials: H_(m+1) = 2 y H_m - 2 m H_(m-1); at m = 0 the last term is zero.",
            "H(m + 1, y) == 2*y*H(m, y) - 2*m*H(m - 1, y)",
            {"m": "natural", "y": "real"},
        ),
        Axiom(
            "cosine-sum",
            "cos(a + b) = cos a cos b - sin a sin b.",
            "cos(a + b) == cos(a)*cos(b) - sin(a)*sin(b)",
            _ANGLES,
        ),
        Axiom(
            "sine-sum",
            "sin(a + b) = sin a cos b + cos a sin b.",
            "sin(a + b) == sin(a)*cos(b) + cos(a)*sin(b)",
            _ANGLES,
        ),
        Axiom(
            "under-integral",
            "Functions that are equal everywhere have equal integrals, also after multiplication by a third.",
            "Int(h(u)*q(u), u, N) == Int(k(u)*q(u), u, N)",
            {**_SPACE, "k": "function", "q": "function"},
            condition="equal",
        ),
        Axiom(
            "equal-arguments",
            "A function has equal values at equal arguments.",
            "f(a) == f(b)",
            {"f": "function", "a": "real", "b": "real"},
            condition="equal",
        ),
        Axiom(
            "supremum",
            "The supremum of a set of values is that of the same set; of S^w times it, S^w times that.",
        ),
        Axiom("square-nonnegative", "Squares are not negative.", "y**2 >= 0", {"y": "real"}),
        Axiom("cosine-at-most-one", "cos x <= 1.", "1 >= cos(x)", {"x": "real"}),
    )
}
