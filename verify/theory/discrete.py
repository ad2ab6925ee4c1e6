"""Discrete theory: the discrete analogue of the Gaussian, its spectrum, its differences, its exact failures.

In this module v is the variance, w a frequency in radians a pixel, T(w) = exp(-v (1 - cos w)) the symbol.
"""

from .model import Given, Statement, Step, Theorem, algebra, increasing, induction, use

SCALE = "Lindeberg, Scale-space for discrete signals (1990)"
SYMBOL = {"T(w, v)": "exp(-v*(1 - cos(w)))"}
_W = {"w": "real", "v": "positive"}
_LAM = {"lam": "function"}
_STEP = {"two orders more": Given("lam(n + 2, w) == (2*cos(w) - 2)*lam(n, w)", ("n", "w"))}


def _theorem(
    name: str,
    title: str,
    words: str,
    variables: dict[str, str],
    claims: tuple[str, ...],
    proof: tuple[Step, ...] | None = None,
    *,
    definitions: dict[str, str] | None = None,
    given: dict[str, Given] | None = None,
    axioms: tuple[str, ...] = (),
    lemmas: tuple[str, ...] = (),
    parameters: dict[str, str] | None = None,
    source: str = SCALE,
) -> Theorem:
    return Theorem(
        name,
        "discrete",
        title,
        words,
        Statement(variables, claims, definitions or {}, given or {}),
        proof or tuple(algebra() for _ in claims),
        source,
        axioms,
        lemmas,
        parameters or {},
    )


_COS = use("cosine-sum", a="w*(n + 1/2)", b="w")
_COSM = use("cosine-sum", a="w*(n + 1/2)", b="-w")

THEOREMS = (
    _theorem(
        "bessel-product",
        "Generating function, term by term",
        "exp(v z/2) exp(v/(2 z)): the coefficient of z^n collects the terms (v/2)^(2k+n)/(k! (n+k)!) of the Bessel"
        " series, for every n and k.",
        {"v": "positive", "n": "natural", "k": "natural"},
        ("(v/2)**(n + k)/fact(n + k)*(v/2)**k/fact(k) == (v/2)**(2*k + n)/(fact(k)*fact(n + k))",),
    ),
    _theorem(
        "bessel-recurrence",
        "Recurrence, term by term",
        "I_(n-1) - I_(n+1) = (2 n/v) I_n: in the series, term k of the first minus term k - 1 of the second is"
        " (2n/v) times term k of the third (here written with n + 1 and k + 1, so that no index is negative).",
        {"v": "positive", "n": "natural", "k": "natural"},
        (
            "(v/2)**(2*k + n + 2)/(fact(k + 1)*fact(n + k + 1)) - (v/2)**(2*k + n + 2)/(fact(k)*fact(n + k + 2))"
            " == 2*(n + 1)/v*(v/2)**(2*k + n + 3)/(fact(k + 1)*fact(n + k + 2))",
        ),
    ),
    _theorem(
        "central-difference-exact",
        "First difference of the kernel",
        "T(n+1) - T(n-1) = -(2n/v) T(n): in frequencies, d/dw of the symbol is -v sin w times it.",
        _W,
        ("D(T(w, v), w) == -v*sin(w)*T(w, v)",),
        definitions=SYMBOL,
    ),
    _theorem(
        "discrete-unit-sum",
        "Unit sum, semigroup",
        "T(0) = 1; T(v1) T(v2) = T(v1 + v2).",
        {**_W, "v2": "positive"},
        ("T(0, v) == 1", "T(w, v)*T(w, v2) == T(w, v + v2)"),
        definitions=SYMBOL,
    ),
    _theorem(
        "discrete-moments",
        "Moments",
        "Mean 0, variance v, fourth moment 3 v^2 + v: derivatives of the symbol at frequency 0.",
        _W,
        (
            "At(D(T(w, v), w), w, 0) == 0",
            "-At(D(T(w, v), w, w), w, 0) == v",
            "At(D(T(w, v), w, w, w, w), w, 0) == 3*v**2 + v",
        ),
        definitions=SYMBOL,
    ),
    _theorem(
        "discrete-diffusion",
        "Discrete diffusion equation",
        "dT/dv = 1/2 delta_xx T; on a product of two axes the operators add.",
        {**_W, "z": "real"},
        (
            "D(T(w, v), v) == (2*cos(w) - 2)/2*T(w, v)",
            "D(T(w, v)*T(z, v), v) == ((2*cos(w) - 2) + (2*cos(z) - 2))/2*T(w, v)*T(z, v)",
        ),
        definitions=SYMBOL,
    ),
    _theorem(
        "spectral-operator",
        "Spectral form of P_n, per frequency",
        "The cosines cos(w (i + 1/2)) are eigenfunctions of the second difference, and the first central difference"
        " maps them to -sin w times the sines: with w = pi k/N they are the half-sample symmetric signals.",
        {"w": "real", "n": "integer"},
        (
            "cos(w*(n + 1/2) + w) - 2*cos(w*(n + 1/2)) + cos(w*(n + 1/2) - w) == (2*cos(w) - 2)*cos(w*(n + 1/2))",
            "(cos(w*(n + 1/2) + w) - cos(w*(n + 1/2) - w))/2 == -sin(w)*sin(w*(n + 1/2))",
            "sin(w*(n + 1/2) + w) - 2*sin(w*(n + 1/2)) + sin(w*(n + 1/2) - w) == (2*cos(w) - 2)*sin(w*(n + 1/2))",
        ),
        (
            algebra(_COS, _COSM),
            algebra(
                use("cosine-sum", "1/2", a="w*(n + 1/2)", b="w"),
                use("cosine-sum", "-1/2", a="w*(n + 1/2)", b="-w"),
            ),
            algebra(use("sine-sum", a="w*(n + 1/2)", b="w"), use("sine-sum", a="w*(n + 1/2)", b="-w")),
        ),
        axioms=("cosine-sum", "sine-sum"),
    ),
    _theorem(
        "spectral-smoothing",
        "Every symmetric kernel is diagonal in the cosines",
        "Taps at distance j: c(i + j) + c(i - j) = 2 cos(w j) c(i).",
        {"w": "real", "n": "integer", "j": "natural"},
        ("cos(w*(n + 1/2) + w*j) + cos(w*(n + 1/2) - w*j) == 2*cos(w*j)*cos(w*(n + 1/2))",),
        (
            algebra(
                use("cosine-sum", a="w*(n + 1/2)", b="w*j"),
                use("cosine-sum", a="w*(n + 1/2)", b="-w*j"),
            ),
        ),
        axioms=("cosine-sum",),
    ),
    _theorem(
        "operator-table",
        "Exact statements about P_n, per frequency",
        "With lambda_n the symbol of the n-th difference: P_n = D_n P_0, dP_n/dv = 1/2 P_n D_2, and"
        " P_0(v1) P_0(v2) = P_0(v1 + v2). Circular and symmetric border (input side).",
        {**_W, **_LAM, "n": "natural", "v2": "positive"},
        (
            "D(lam(n, w)*T(w, v), v) == lam(n, w)*T(w, v)*(2*cos(w) - 2)/2",
            "lam(n, w)*T(w, v)*T(w, v2) == lam(n, w)*T(w, v + v2)",
        ),
        definitions=SYMBOL,
        parameters={"order": "n"},
    ),
    _theorem(
        "even-difference",
        "Symbol of the even differences",
        "lambda_(2k) = (2 cos w - 2)^k, from the second difference applied k times.",
        {"w": "real", "k": "natural", "mu": "function"},
        ("mu(k, w) == (2*cos(w) - 2)**k",),
        (
            induction(
                "k",
                algebra(use("given:start")),
                algebra(use("given:once more"), use("IH", "2*cos(w) - 2")),
            ),
        ),
        given={
            "start": Given("mu(0, w) == 1", ("w",)),
            "once more": Given("mu(k + 1, w) == (2*cos(w) - 2)*mu(k, w)", ("k", "w")),
        },
        axioms=("induction",),
    ),
    _theorem(
        "discrete-sigma-gradient",
        "Exact sigma gradient",
        "s d/ds H_n = n H_n + H_(n+2) for the scale-normalised discrete jet H_n = s^n lambda_n T, every n.",
        {"s": "positive", "w": "real", "n": "natural", **_LAM},
        ("s*D(s**n*lam(n, w)*T(w, s**2), s) == n*s**n*lam(n, w)*T(w, s**2) + s**(n + 2)*lam(n + 2, w)*T(w, s**2)",),
        (algebra(use("given:two orders more", "-s**(n + 2)*T(w, s**2)")),),
        definitions=SYMBOL,
        given=_STEP,
        parameters={"order": "n"},
    ),
    _theorem(
        "difference-of-difference",
        "delta_x^2 = delta_xx + delta_xx^2/4",
        "The first central difference applied twice is not the second difference.",
        {"w": "real"},
        ("-sin(w)**2 == (2*cos(w) - 2) + (2*cos(w) - 2)**2/4",),
    ),
    _theorem(
        "discrete-steering-defect",
        "Exact failure of discrete steering of order 2",
        "(c delta_x + q delta_y)^2 differs from c^2 delta_xx + 2 c q delta_x delta_y + q^2 delta_yy by"
        " (c^2 delta_xx^2 + q^2 delta_yy^2)/4. The symbols of delta_x, delta_y are i sin w, i sin z.",
        {"w": "real", "z": "real", "c": "real", "q": "real"},
        (
            "-(c*sin(w) + q*sin(z))**2 - (c**2*(2*cos(w) - 2) - 2*c*q*sin(w)*sin(z) + q**2*(2*cos(z) - 2))"
            " == (c**2*(2*cos(w) - 2)**2 + q**2*(2*cos(z) - 2)**2)/4",
        ),
    ),
    _theorem(
        "error-expansion",
        "Leading discretisation error of every order",
        "For order a + 2b with cos w = 1 - w^2/2 + w^4/24 - w^6 r and sin w/w = 1 - w^2/6 + w^4 q (r and q"
        " smooth in e), w = e u, e = 1/sigma: discrete over continuous jet is"
        " 1 + e^2 (u^4/24 - (a/6 + b/12) u^2) + O(e^4).",
        {"e": "real", "u": "real", "r": "function", "q": "function", "a": "natural", "b": "natural"},
        (
            "At(R(e), e, 0) == 1",
            "At(D(R(e), e), e, 0) == 0",
            "At(D(R(e), e, e), e, 0)/2 == u**4/24 - (a/6 + b/12)*u**2",
        ),
        definitions={
            "R(e)": "exp(e**2*u**4/24 - e**4*u**6*r(e))*(1 - e**2*u**2/6 + e**4*u**4*q(e))**a"
            "*(1 - e**2*u**2/12 + 2*e**4*u**4*r(e))**b"
        },
    ),
    _theorem(
        "elementary-inequalities",
        "Inequalities behind the bounds",
        "For x >= 0: x >= sin x; cos x >= 1 - x^2/2; sin x >= x - x^3/6; 1 - x^2/2 + x^4/24 >= cos x.",
        {"x": "nonnegative"},
        (
            "x >= sin(x)",
            "cos(x) >= 1 - x**2/2",
            "sin(x) >= x - x**3/6",
            "1 - x**2/2 + x**4/24 >= cos(x)",
        ),
        (
            _I1 := increasing("x", algebra(), algebra(use("cosine-at-most-one"))),
            _I2 := increasing("x", algebra(), _I1),
            _I3 := increasing("x", algebra(), _I2),
            increasing("x", algebra(), _I3),
        ),
        axioms=("mean-value", "cosine-at-most-one"),
    ),
    _theorem(
        "fourth-order-generator",
        "Fourth-order discrete scale space",
        "With c = 1 - cos w, the generator c + c^2/6 agrees with w^2/2 to order 5; the next term is -w^6/180.",
        {"w": "real"},
        (
            "At(D(A(w), w, w), w, 0) == 1",
            "At(D(A(w), w, w, w, w), w, 0) == 0",
            "At(D(A(w), w, w, w, w, w, w), w, 0) == -4",
        ),
        definitions={"A(w)": "1 - cos(w) + (1 - cos(w))**2/6"},
    ),
)
