"""The assumptions that proofs may name: textbook analysis, definitions of special functions, principles.

Nothing here is about this library's code. A schematic formula holds for all values of its variables of the
stated kinds, under the stated condition; a principle (no formula) licenses a rule of the checker or a reading.
"""

from .model import Axiom

_SPACE = {"N": "natural", "h": "function"}
_ANGLES = {"a": "real", "b": "real"}

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
        Axiom(
            "change-of-variables-plane",
            "Change of variables u = S v in the plane, as an iterated integral; Jacobian S^2.",
            "Int(Int(h(u, v), u, 1), v, 1) == S**2*Int(Int(h(S*u, S*v), u, 1), v, 1)",
            {"h": "function", "S": "positive"},
        ),
        Axiom(
            "change-of-variables-space",
            "Change of variables u = S v in space, as an iterated integral; Jacobian S^3.",
            "Int(Int(Int(h(u, v, w), u, 1), v, 1), w, 1) == S**3*Int(Int(Int(h(S*u, S*v, S*w), u, 1), v, 1), w, 1)",
            {"h": "function", "S": "positive"},
        ),
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
            needs=("h(point) == k(point)",),
            point="vector",
        ),
        Axiom(
            "equal-arguments",
            "A function has equal values at equal arguments.",
            "f(a) == f(b)",
            {"f": "function", "a": "real", "b": "real"},
            condition="equal",
            needs=("a == b",),
        ),
        Axiom(
            "sum-equal",
            "Terms that are equal one by one have equal sums.",
            "Sum(h(k), k) == Sum(q(k), k)",
            {"h": "function", "q": "function"},
            needs=("h(point) == q(point)",),
            point="integer",
        ),
        Axiom(
            "sum-shift",
            "k -> k + c maps the integers onto themselves; the sum over all of them does not change.",
            "Sum(h(k), k) == Sum(h(k + c), k)",
            {"h": "function", "c": "integer"},
        ),
        Axiom(
            "sum-reflect",
            "k -> -k maps the integers onto themselves; the sum over all of them does not change.",
            "Sum(h(k), k) == Sum(h(-k), k)",
            {"h": "function"},
        ),
        Axiom(
            "sum-exchange",
            "Finite or absolutely convergent double sums may be taken in either order.",
            "Sum(Sum(h(j, k), k), j) == Sum(Sum(h(j, k), j), k)",
            {"h": "function"},
        ),
        Axiom("cosine-at-pi", "cos(pi) = -1.", "cos(pi) == -1"),
        Axiom("sine-at-pi", "sin(pi) = 0.", "sin(pi) == 0"),
        Axiom(
            "supremum-reindex",
            "u -> S u maps R^N onto itself, so the set of values is the same, and so is its supremum.",
            "Sup(h(u), u, N) == Sup(h(S*u), u, N)",
            {**_SPACE, "S": "positive"},
        ),
        Axiom(
            "supremum-scaled",
            "The supremum of c > 0 times a function is c times its supremum.",
            "Sup(c*h(u), u, N) == c*Sup(h(u), u, N)",
            {**_SPACE, "c": "positive"},
        ),
        Axiom(
            "supremum-equal",
            "Functions that are equal everywhere have equal suprema.",
            "Sup(h(u), u, N) == Sup(k(u), u, N)",
            {**_SPACE, "k": "function"},
            needs=("h(point) == k(point)",),
            point="vector",
        ),
        Axiom(
            "maximum-scaled",
            "The largest of c > 0 times some values is c times the largest of them.",
            "Max(c*h(k), k) == c*Max(h(k), k)",
            {"h": "function", "c": "positive"},
        ),
        Axiom(
            "maximum-equal",
            "Values that are equal one by one have equal largest values.",
            "Max(h(k), k) == Max(q(k), k)",
            {"h": "function", "q": "function"},
            needs=("h(point) == q(point)",),
            point="integer",
        ),
        Axiom(
            "total-variation",
            "The integral of |A'| is the sum of the changes of A between the points where A' changes its sign.",
        ),
        Axiom(
            "poisson-summation",
            "Poisson summation: the Fourier transform of a sampled function is the periodic sum of its transform.",
        ),
        Axiom(
            "product-nonnegative",
            "A product of numbers that are not negative is not negative.",
            "a*b >= 0",
            _ANGLES,
            needs=("a >= 0", "b >= 0"),
        ),
        Axiom(
            "power-monotone",
            "x -> x^p does not fall on the positive numbers, p >= 0.",
            "a**p >= b**p",
            {"a": "positive", "b": "positive", "p": "nonnegative"},
            needs=("a >= b",),
        ),
        Axiom(
            "log-monotone",
            "The logarithm does not fall.",
            "log(a) >= log(b)",
            {"a": "positive", "b": "positive"},
            needs=("a >= b",),
        ),
        Axiom(
            "cosine-monotone",
            "The cosine does not rise on [0, pi].",
            "cos(a) >= cos(b)",
            _ANGLES,
            needs=("b >= a", "a >= 0", "pi >= b"),
        ),
        Axiom(
            "jordan",
            "Jordan's inequality: the sine lies above its chord on [0, pi/2].",
            "sin(x) >= 2*x/pi",
            {"x": "real"},
            needs=("x >= 0", "pi/2 >= x"),
        ),
        Axiom(
            "sum-monotone",
            "Terms that are larger one by one have a larger sum.",
            "Sum(h(k), k) >= Sum(q(k), k)",
            {"h": "function", "q": "function"},
            needs=("h(point) >= q(point)",),
            point="integer",
        ),
        Axiom(
            "integral-monotone",
            "A function that is larger everywhere has a larger integral.",
            "Int(h(u), u, N) >= Int(k(u), u, N)",
            {**_SPACE, "k": "function"},
            needs=("h(point) >= k(point)",),
            point="vector",
        ),
        Axiom("square-nonnegative", "Squares are not negative.", "y**2 >= 0", {"y": "real"}),
        Axiom("cosine-at-most-one", "cos x <= 1.", "1 >= cos(x)", {"x": "real"}),
    )
}
