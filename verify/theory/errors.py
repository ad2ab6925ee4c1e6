"""Errors in space: finite differences, smoothing, truncated tails, and scale factors between two channels."""

from .continuous import LINDEBERG
from .discrete import SCALE
from .model import Given, Statement, Step, Theorem, algebra, consequence, increasing, use

_DIFFERENCE = "f(x + h) + f(x - h) - 2*f(x) - h**2*f[2](x)"
_CENTRAL = "(f(x + h) - f(x - h))/2 - h*f[1](x)"
_KERNEL = "-exp(e(r))/2*(R(k + 1, r) - 2*R(k, r) + R(k - 1, r))"
_SECOND = "G(x + 1, r) - 2*G(x, r) + G(x - 1, r) - D(G(x, r), x, x)"
_SECOND_AT_K = "G(x - k + 1, r) - 2*G(x - k, r) + G(x - k - 1, r) - G[2](x - k, r)"


def _psi(order: int) -> str:
    return f"D(psi(y){', y' * order})" if order else "psi(y)"


def _bounded(order: int) -> dict[str, Given]:
    return {
        "bounded above": Given(f"M >= f[{order}](x)", ("x",)),
        "bounded below": Given(f"f[{order}](x) >= -M", ("x",)),
    }


def _taylor(times: int, *last: tuple[str, str, str]) -> Step:
    """The remainder and its first derivatives vanish at h = 0; the last one has a sign by the bounds."""
    if not times:
        return algebra(*(use(f"given:bounded {side}", factor, x=place) for side, factor, place in last))
    return increasing("h", algebra(), _taylor(times - 1, *last))


def _path(sign: str, side: str) -> Step:
    """t(r) M/24 + sign (W(r) - W(0)) does not fall; `side` bounds -sign times the error of the second difference."""
    other = "" if sign == "-" else "-"
    slope = consequence(
        use("given:time runs", "M/24"),
        use("sum-equal", f"{sign}1", h="lambda k: R[0, 1](k, r)*G(x - k, r)", q=f"lambda k: {_KERNEL}*G(x - k, r)"),
        use(
            "sum-equal",
            f"{sign}1",
            h="lambda k: R(k, r)*G[0, 1](x - k, r)",
            q="lambda k: R(k, r)*exp(e(r))/2*G[2](x - k, r)",
        ),
        use("sum-shift", f"{other}exp(e(r))/2", h="lambda k: R(k + 1, r)*G(x - k, r)", c="-1"),
        use("sum-shift", f"{other}exp(e(r))/2", h="lambda k: R(k - 1, r)*G(x - k, r)", c="1"),
        use(
            "sum-monotone",
            "exp(e(r))/2",
            h="lambda k: R(k, r)*M/12",
            q=f"lambda k: {sign}R(k, r)*({_SECOND_AT_K})",
        ),
        use("given:unit sum", "-M/24*exp(e(r))"),
        needs=(
            algebra(use("given:kernel equation", "G(x - point, r)", k="point")),
            algebra(use("given:diffusion", "R(point, r)", x="x - point")),
            consequence(
                use(
                    "product-nonnegative",
                    a="R(point, r)",
                    b=f"M/12 {'+' if sign == '-' else '-'} ({_SECOND_AT_K.replace('k', 'point')})",
                ),
                needs=(
                    algebra(use("given:weights", k="point")),
                    algebra(use(f"given:second difference {side}", x="x - point")),
                ),
            ),
        ),
    )
    return increasing("r", algebra(use("given:time starts", "M/24")), slope)


def _convolution(sign: str) -> Step:
    """M V + sign (the rate of L) is not negative: M B bounds the integrand."""
    other = "" if sign == "-" else "-"
    pairs = (("+", "+"), ("-", "-")) if sign == "" else (("-", "+"), ("+", "-"))
    image, norm = {"+": "above -M", "-": "below M"}, {"+": "above", "-": "below"}
    products, needs = [], []
    for first, second in pairs:
        values = {"a": f"M {first} f(point)", "b": f"B(x - point, t) {second} K(x - point, t)"}
        products.append(use("product-nonnegative", "1/2", **values))
        needs.append(algebra(use(f"given:image {image[first]}", u="point")))
        needs.append(algebra(use(f"given:norm {norm[second]}", x="x - point")))
    slope = consequence(
        use("given:rate", f"{sign}1"),
        use("integral-monotone", h="lambda u: M*B(x - u, t)", k=f"lambda u: {other}f(u)*K(x - u, t)"),
        use("given:L1 norm", "-M"),
        needs=(consequence(*products, needs=tuple(needs)),),
    )
    return increasing("t", algebra(), slope)


THEOREMS = (
    Theorem(
        "difference-error",
        "discrete",
        "Finite differences against derivatives",
        "|f(x + h) - 2 f(x) + f(x - h) - h^2 f''(x)| <= M h^4/12 where |f''''| <= M: the remainder starts at 0 with"
        " three derivatives, and the fourth has the right sign.",
        Statement(
            {"f": "function", "x": "real", "h": "nonnegative", "M": "nonnegative"},
            (f"M*h**4/12 >= {_DIFFERENCE}", f"M*h**4/12 >= -({_DIFFERENCE})"),
            {},
            _bounded(4),
        ),
        (
            _taylor(4, ("above", "1", "x + h"), ("above", "1", "x - h")),
            _taylor(4, ("below", "1", "x + h"), ("below", "1", "x - h")),
        ),
        SCALE,
        ("mean-value",),
    ),
    Theorem(
        "central-difference-error",
        "discrete",
        "Central differences against the first derivative",
        "|(f(x + h) - f(x - h))/2 - h f'(x)| <= M h^3/6 where |f'''| <= M.",
        Statement(
            {"f": "function", "x": "real", "h": "nonnegative", "M": "nonnegative"},
            (f"M*h**3/6 >= {_CENTRAL}", f"M*h**3/6 >= -({_CENTRAL})"),
            {},
            _bounded(3),
        ),
        (
            _taylor(3, ("above", "1/2", "x + h"), ("above", "1/2", "x - h")),
            _taylor(3, ("below", "1/2", "x + h"), ("below", "1/2", "x - h")),
        ),
        SCALE,
        ("mean-value",),
    ),
    Theorem(
        "smoothing-error",
        "discrete",
        "Discrete against continuous smoothing of any image (Duhamel)",
        "W(r) smooths with G to variance t(r) and then discretely with R over the rest, from T_v f at r = 0 towards"
        " g_v f; t(r) = v r/(1 + r), and exp(e) is its derivative. Then |W(r) - W(0)| <= t(r) M/24 with M a bound of"
        " |f''''|, so |T_v f - g_v f| <= v M/24.",
        Statement(
            {
                **dict.fromkeys(("R", "G", "t", "e"), "function"),
                **{"x": "real", "r": "nonnegative", "k": "integer", "M": "nonnegative"},
            },
            ("t(r)*M/24 >= -(W(r) - W(0))", "t(r)*M/24 >= W(r) - W(0)"),
            {"W(r)": "Sum(R(k, r)*G(x - k, r), k)"},
            {
                "time starts": Given("t(0) == 0"),
                "time runs": Given("D(t(r), r) == exp(e(r))", ("r",)),
                "kernel equation": Given(f"D(R(k, r), r) == {_KERNEL}", ("k", "r")),
                "diffusion": Given("D(G(x, r), r) == exp(e(r))/2*D(G(x, r), x, x)", ("x", "r")),
                "weights": Given("R(k, r) >= 0", ("k", "r")),
                "unit sum": Given("Sum(R(k, r), k) == 1", ("r",)),
                "second difference above": Given(f"M/12 >= {_SECOND}", ("x", "r")),
                "second difference below": Given(f"M/12 >= -({_SECOND})", ("x", "r")),
            },
        ),
        (_path("", "above"), _path("-", "below")),
        SCALE,
        (
            "mean-value",
            "differentiate-under-integral",
            "sum-equal",
            "sum-shift",
            "sum-monotone",
            "product-nonnegative",
        ),
    ),
    Theorem(
        "tail-bound",
        "discrete",
        "The truncated tail (Chernoff)",
        "I is 1 from the index q on and 0 before. The tail is at most exp(s (z + 1/z)/2 - s) z^-q for every z >= 1; with"
        " q = s (z - 1/z)/2 the exponent is sqrt(s^2 + q^2) - s - q log z, and z is stationary there.",
        Statement(
            {"T": "function", "I": "function", "s": "positive", "z": "positive", "q": "real", "k": "integer"},
            (
                "exp(s*(z + 1/z)/2 - s)*z**(-q) >= Sum(T(k)*I(k), k)",
                "(s*(z + 1/z)/2)**2 == s**2 + (s*(z - 1/z)/2)**2",
                "D(s*(z + 1/z)/2 - s - q*log(z), z) == (s*(z - 1/z)/2 - q)/z",
            ),
            {},
            {
                "generating function": Given("Sum(T(k)*z**k, k) == exp(s*(z + 1/z)/2 - s)"),
                "weights": Given("T(k) >= 0", ("k",)),
                "indicator": Given("z**(k - q) >= I(k)", ("k",)),
            },
        ),
        (
            consequence(
                use("given:generating function", "-z**(-q)"),
                use("sum-monotone", h="lambda k: T(k)*z**(k - q)", q="lambda k: T(k)*I(k)"),
                needs=(
                    consequence(
                        use("product-nonnegative", a="T(point)", b="z**(point - q) - I(point)"),
                        needs=(
                            algebra(use("given:weights", k="point")),
                            algebra(use("given:indicator", k="point")),
                        ),
                    ),
                ),
            ),
            algebra(),
            algebra(),
        ),
        SCALE,
        ("sum-monotone", "product-nonnegative"),
    ),
    Theorem(
        "off-grid",
        "channels",
        "A scale factor between two channels",
        "L as a function of t = log sigma changes at the rate f * K, K = n psi_n + psi_(n+2) by the sigma ladder; B bounds"
        " |K| with integral V. Then |L(t) - L(0)| <= M V t for any image with |f| <= M.",
        Statement(
            {
                **dict.fromkeys("LfKB", "function"),
                **{"x": "vector", "u": "vector", "t": "nonnegative", "M": "nonnegative", "V": "nonnegative"},
                "N": "natural",
            },
            ("M*V*t >= -(L(x, t) - L(x, 0))", "M*V*t >= L(x, t) - L(x, 0)"),
            {},
            {
                "rate": Given("D(L(x, t), t) == Int(f(u)*K(x - u, t), u, N)", ("x", "t")),
                "image below M": Given("M >= f(u)", ("u",)),
                "image above -M": Given("f(u) >= -M", ("u",)),
                "norm below": Given("B(x, t) >= K(x, t)", ("x", "t")),
                "norm above": Given("B(x, t) >= -K(x, t)", ("x", "t")),
                "L1 norm": Given("Int(B(x - u, t), u, N) == V", ("x", "t")),
            },
        ),
        (_convolution(""), _convolution("-")),
        f"{LINDEBERG}, section 4.4",
        ("mean-value", "integral-monotone", "product-nonnegative"),
    ),
    Theorem(
        "ladder-norms",
        "channels",
        "The rates of scale-normalised derivatives, orders 0 to 3",
        "K_n = n psi_n + psi_(n+2), psi_n the n-th derivative of the Gaussian, is the derivative of A_n with the sign of"
        " the factored polynomial (y^4 - 4 y^2 + 1 vanishes at y_1, y_2 = (sqrt 6 -+ sqrt 2)/2). The integral V_n of |K_n|"
        " is the total variation of A_n: 4 psi(1), 8 psi(sqrt 2), 4 A_2(y_1) - 4 A_2(y_2), 8 psi(1) + 72 psi(sqrt 6).",
        Statement(
            {"y": "real"},
            (
                *(f"{n}*{_psi(n)} + {_psi(n + 2)} == D(A{n}(y), y)" for n in range(4)),
                "D(A0(y), y) == (y - 1)*(y + 1)*psi(y)",
                "D(A1(y), y) == -y*(y**2 - 2)*psi(y)",
                "D(A2(y), y) == (y**2 - 2 - 3**(1/2))*(y**2 - 2 + 3**(1/2))*psi(y)",
                "D(A3(y), y) == -y*(y - 1)*(y + 1)*(y**2 - 6)*psi(y)",
                "((6**(1/2) - 2**(1/2))/2)**2 == 2 - 3**(1/2)",
                "((6**(1/2) + 2**(1/2))/2)**2 == 2 + 3**(1/2)",
                "4*psi(1) == -4*A0(1)",
                "8*psi(2**(1/2)) == 4*A1(2**(1/2))",
                "8*psi(1) + 72*psi(6**(1/2)) == 4*A3(6**(1/2)) - 4*A3(1)",
                "121/125 >= 4*psi(1)",
                "47/40 >= 8*psi(2**(1/2))",
                "1833/1000 >= 4*A2((6**(1/2) - 2**(1/2))/2) - 4*A2((6**(1/2) + 2**(1/2))/2)",
                "3367/1000 >= 8*psi(1) + 72*psi(6**(1/2))",
            ),
            {
                "psi(y)": "(2*pi)**(-1/2)*exp(-y**2/2)",
                "A0(y)": "-y*psi(y)",
                "A1(y)": "y**2*psi(y)",
                "A2(y)": "(y - y**3)*psi(y)",
                "A3(y)": "(y**4 - 3*y**2)*psi(y)",
            },
        ),
        (*(algebra() for _ in range(13)), *(Step("branch-and-bound") for _ in range(4))),
        f"{LINDEBERG}, section 4.4",
        ("total-variation",),
    ),
)
