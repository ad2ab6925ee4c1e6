"""Directional derivatives of every order, and what a rotation of the image does not change."""

from itertools import product
from math import factorial

from .continuous import LINDEBERG
from .model import Given, Statement, Theorem, algebra, consequence, induction, use

_EQUATIONS = f"{LINDEBERG}, eqs. (7), (8)"


def _explicit(ndim: int, order: int) -> str:
    """The derivative of that order along (c, q, ...) as the multinomial sum."""
    axes, weights = ("x", "y", "z")[:ndim], ("c", "q", "e")[:ndim]
    line = ", ".join(f"{x} + r*{c}" for x, c in zip(axes, weights, strict=True))
    terms = []
    for index in product(range(order, -1, -1), repeat=ndim):
        if sum(index) == order:
            number = factorial(order)
            for a in index:
                number //= factorial(a)
            factors = [f"{c}**{a}" for c, a in zip(weights, index, strict=True) if a]
            terms.append("*".join([str(number), *factors, f"L[{', '.join(map(str, index))}]({', '.join(axes)})"]))
    return f"At(D(L({line}){', r' * order}), r, 0) == {' + '.join(terms)}"


_DIRECTION = {"L": "function", "r": "real", "x": "real", "y": "real", "c": "real", "q": "real"}
_ROTATED = {"M(x, y, z)": "L(x*cos(t) - y*sin(t), x*sin(t) + y*cos(t), z)"}
_AT = "(x*cos(t) - y*sin(t), x*sin(t) + y*cos(t), z)"

THEOREMS = (
    Theorem(
        "steering-recursion",
        "continuous",
        "The coefficients of steering",
        "W(n, k) = n!/(k! (n - k)!) c^k q^(n - k) satisfies W(n + 1, k + 1) = c W(n, k) + q W(n, k + 1): Pascal's rule.",
        Statement(
            {"n": "natural", "k": "natural", "c": "positive", "q": "positive"},
            (
                "fact(n + 1)/(fact(k + 1)*fact(n - k))*c**(k + 1)*q**(n - k)"
                " == c*fact(n)/(fact(k)*fact(n - k))*c**k*q**(n - k)"
                " + q*fact(n)/(fact(k + 1)*fact(n - k - 1))*c**(k + 1)*q**(n - k - 1)",
            ),
        ),
        (algebra(),),
        _EQUATIONS,
    ),
    Theorem(
        "steering-order",
        "continuous",
        "Steering of every order",
        "J_m, the derivative of order m along (c, q), is the sum over k of W(m, k) L_(x^k y^(m - k)), with the"
        " coefficients of theorem steering-recursion, zero outside 0..m. In N dimensions y is itself a direction among"
        " the axes that are left, one axis after the other.",
        Statement(
            {
                **{"J": "function", "L": "function", "W": "function", "h": "function"},
                **{"m": "natural", "k": "integer", "x": "real", "y": "real", "c": "real", "q": "real"},
            },
            ("J(m, x, y) == Sum(W(m, k)*L[k, m - k](x, y), k)",),
            {},
            {
                "order zero": Given("J(0, x, y) == L(x, y)", ("x", "y")),
                "along the direction": Given(
                    "J(m + 1, x, y) == c*D(J(m, x, y), x) + q*D(J(m, x, y), y)", ("m", "x", "y")
                ),
                "one coefficient": Given("Sum(W(0, k)*h(k), k) == h(0)", ("h",)),
                "Pascal": Given("W(m + 1, k) == c*W(m, k - 1) + q*W(m, k)", ("m", "k")),
            },
        ),
        (
            induction(
                "m",
                algebra(
                    use("given:order zero"),
                    use("given:one coefficient", "-1", h="lambda k: L[k, -k](x, y)"),
                ),
                consequence(
                    use("given:along the direction"),
                    use("IH", "c", "x"),
                    use("IH", "q", "y"),
                    use("sum-shift", "c", h="lambda k: W(m, k)*L[k + 1, m - k](x, y)", c="-1"),
                    use(
                        "sum-equal",
                        h="lambda k: (c*W(m, k - 1) + q*W(m, k))*L[k, m + 1 - k](x, y)",
                        q="lambda k: W(m + 1, k)*L[k, m + 1 - k](x, y)",
                    ),
                    needs=(algebra(use("given:Pascal", "-L[point, m + 1 - point](x, y)", k="point")),),
                ),
            ),
        ),
        _EQUATIONS,
        ("induction", "sum-shift", "sum-equal", "differentiate-under-integral"),
        parameters={"order": "m"},
    ),
    Theorem(
        "steering-2d",
        "continuous",
        "Steering in the plane, orders 1 to 6",
        "The derivative along (c, q) of order m with its binomial coefficients; (c, q) = (cos t, sin t) is a unit vector.",
        Statement(_DIRECTION, tuple(_explicit(2, m) for m in range(1, 7))),
        tuple(algebra() for _ in range(6)),
        _EQUATIONS,
    ),
    Theorem(
        "steering-3d",
        "continuous",
        "Steering in space, orders 1 to 4",
        "The derivative along (c, q, e) of order m with its multinomial coefficients.",
        Statement({**_DIRECTION, "z": "real", "e": "real"}, tuple(_explicit(3, m) for m in range(1, 5))),
        tuple(algebra() for _ in range(4)),
        _EQUATIONS,
    ),
    Theorem(
        "rotation",
        "continuous",
        "Rotation in any dimension, one plane at a time",
        "The Laplacian, the length of the gradient and |x| do not change when the image is rotated in the plane of two"
        " axes; z is any other coordinate, whose part stays as it is. Every rotation of R^N is a product of such.",
        Statement(
            {"L": "function", "x": "real", "y": "real", "z": "real", "t": "real"},
            (
                "D(M(x, y, z), x, x) + D(M(x, y, z), y, y) + D(M(x, y, z), z, z)"
                f" == L[2, 0, 0]{_AT} + L[0, 2, 0]{_AT} + L[0, 0, 2]{_AT}",
                "D(M(x, y, z), x)**2 + D(M(x, y, z), y)**2 + D(M(x, y, z), z)**2"
                f" == L[1, 0, 0]{_AT}**2 + L[0, 1, 0]{_AT}**2 + L[0, 0, 1]{_AT}**2",
                "(x*cos(t) - y*sin(t))**2 + (x*sin(t) + y*cos(t))**2 + z**2 == x**2 + y**2 + z**2",
            ),
            _ROTATED,
        ),
        (algebra(), algebra(), algebra()),
        f"{LINDEBERG}, section 4",
    ),
)
