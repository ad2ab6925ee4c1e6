"""Layers that add up: any number of feature channels, derivatives and scale channels; their sigma gradient."""

from .continuous import NJET
from .layers import RESIDUAL, F, layer
from .model import Given, Statement, Theorem, algebra, consequence, use

_CHANNELS = {"channels are fields": Given("Fp(c, S*x, S*s) == S**w*F(c, x, s)", ("c", "x", "s"))}
_POOLED, _POOLED_IMAGE = "F(x, exp(t(k))*s)", "Fp(S*x, S*exp(t(k))*s)"

THEOREMS = (
    layer(
        "mix",
        "Linear mixing of any number of channels: equal weights",
        "Sums, 1x1 convolutions and concatenations of channels c of one weight keep it, and so does a residual sum.",
        (
            "Sum(a(c)*Fp(c, S*x, S*s), c) == S**w*Sum(a(c)*F(c, x, s), c)",
            "Gp(S*x, S*s) + Hp(S*x, S*s) == S**w*(G(x, s) + H(x, s))",
        ),
        proof=(
            consequence(
                use("sum-equal", h="lambda c: a(c)*Fp(c, S*x, S*s)", q="lambda c: S**w*a(c)*F(c, x, s)"),
                needs=(algebra(use("given:channels are fields", "a(point)", c="point")),),
            ),
            algebra(use("given:G is a field"), use("given:H is a field")),
        ),
        fields={"G": "w", "H": "w"},
        kinds={"F": "function", "Fp": "function", "a": "function", "c": "integer"},
        axioms=("sum-equal",),
        extra=_CHANNELS,
    ),
    layer(
        "depthwise-separable",
        "Depthwise-separable layers: equal weights",
        "Each channel c with weights b of its own over its derivatives k, mixed by the weights a, keeps the common"
        " weight of the derivatives.",
        "Sum(a(c)*Sum(b(c, k)*Fp(c, k, S*x, S*s), k), c) == S**w*Sum(a(c)*Sum(b(c, k)*F(c, k, x, s), k), c)",
        proof=(
            consequence(
                use(
                    "sum-equal",
                    h="lambda c: a(c)*Sum(b(c, k)*Fp(c, k, S*x, S*s), k)",
                    q="lambda c: S**w*a(c)*Sum(b(c, k)*F(c, k, x, s), k)",
                ),
                needs=(
                    consequence(
                        use(
                            "sum-equal",
                            "a(point)",
                            h="lambda k: b(point, k)*Fp(point, k, S*x, S*s)",
                            q="lambda k: S**w*b(point, k)*F(point, k, x, s)",
                        ),
                        needs=(
                            algebra(use("given:derivatives are fields", "b(point, point1)", c="point", k="point1")),
                        ),
                    ),
                ),
            ),
        ),
        fields={},
        kinds={**dict.fromkeys(("F", "Fp", "a", "b"), "function"), "c": "integer", "k": "integer"},
        axioms=("sum-equal",),
        extra={
            "derivatives are fields": Given("Fp(c, k, S*x, S*s) == S**w*F(c, k, x, s)", ("c", "k", "x", "s")),
        },
        source=f"{RESIDUAL}, abstract",
    ),
    layer(
        "pool-over-scales",
        "Mean and maximum over any set of scale channels: equal weights",
        "Channels at exp(t_k) s for any finite or infinite set of k, each followed to its image at S exp(t_k) s. What"
        " a finite grid loses and gains at its ends is in the theorems on finite scale channels.",
        (
            f"Sum({_POOLED_IMAGE}, k)/n == S**w*Sum({_POOLED}, k)/n",
            f"Max({_POOLED_IMAGE}, k) == S**w*Max({_POOLED}, k)",
        ),
        proof=(
            consequence(
                use("sum-equal", "1/n", h=f"lambda k: {_POOLED_IMAGE}", q=f"lambda k: S**w*{_POOLED}"),
                needs=(algebra(use(F, s="exp(t(point))*s")),),
            ),
            consequence(
                use("maximum-equal", h=f"lambda k: {_POOLED_IMAGE}", q=f"lambda k: S**w*{_POOLED}"),
                use("maximum-scaled", c="S**w", h=f"lambda k: {_POOLED}"),
                needs=(algebra(use(F, s="exp(t(point))*s")),),
            ),
        ),
        kinds={"t": "function", "n": "positive"},
        axioms=("sum-equal", "maximum-equal", "maximum-scaled"),
    ),
    layer(
        "pool-logsumexp",
        "Logsumexp over any set of scale channels: weight 0",
        "Equal values have equal exponentials, equal sums and equal logarithms.",
        f"log(Sum(exp({_POOLED_IMAGE}), k)) == log(Sum(exp({_POOLED}), k))",
        proof=(
            consequence(
                use(
                    "equal-arguments",
                    f="lambda y: log(y)",
                    a=f"Sum(exp({_POOLED_IMAGE}), k)",
                    b=f"Sum(exp({_POOLED}), k)",
                ),
                needs=(
                    consequence(
                        use("sum-equal", h=f"lambda k: exp({_POOLED_IMAGE})", q=f"lambda k: exp({_POOLED})"),
                        needs=(
                            consequence(
                                use(
                                    "equal-arguments",
                                    f="lambda y: exp(y)",
                                    a="Fp(S*x, S*exp(t(point))*s)",
                                    b="F(x, exp(t(point))*s)",
                                ),
                                needs=(algebra(use(F, s="exp(t(point))*s")),),
                            ),
                        ),
                    ),
                ),
            ),
        ),
        fields={"F": "0"},
        kinds={"t": "function"},
        axioms=("equal-arguments", "sum-equal"),
        drop="w",
    ),
    layer(
        "scale-convolution",
        "Operators between scale channels with shared taps: any weight",
        "The sum over k of a_k F(exp(t_k) s), any number of taps at fixed ratios of scale that do not depend on the"
        " channel, keeps the weight.",
        f"Sum(a(k)*{_POOLED_IMAGE}, k) == S**w*Sum(a(k)*{_POOLED}, k)",
        proof=(
            consequence(
                use("sum-equal", h=f"lambda k: a(k)*{_POOLED_IMAGE}", q=f"lambda k: S**w*a(k)*{_POOLED}"),
                needs=(algebra(use(F, "a(point)", s="exp(t(point))*s")),),
            ),
        ),
        kinds={"a": "function", "t": "function"},
        axioms=("sum-equal",),
    ),
    Theorem(
        "layer-sigma-gradient",
        "layers",
        "The sigma gradient of a layer",
        "y = sum over a of w_a s^(p m_a) D_a L, m_a = |a|, with cotangent c: dLoss/ds = s <g_L, Q> +"
        " (p/s) sum over a of m_a w_a dLoss/dw_a. Q is the Laplacian of L, K_a = D_a Q, g_L = sum w_a s^(p m_a) G_a"
        " with G_a = D_a^T c; dLoss/dw_a = s^(p m_a) <c, D_a L>.",
        Statement(
            {
                **dict.fromkeys(("c", "w", "m", "J", "K", "G", "Q"), "function"),
                **{"s": "positive", "p": "real", "a": "integer", "i": "integer"},
            },
            (
                "D(Sum(c(i)*Sum(w(a)*s**(p*m(a))*J(a, i, s), a), i), s)"
                " == s*Sum(Sum(w(a)*s**(p*m(a))*G(a, i, s), a)*Q(i, s), i)"
                " + p/s*Sum(m(a)*w(a)*Sum(c(i)*s**(p*m(a))*J(a, i, s), i), a)",
            ),
            {},
            {
                "diffusion": Given("D(J(a, i, s), s) == s*K(a, i, s)", ("a", "i", "s")),
                "adjoint": Given("Sum(c(i)*K(a, i, s), i) == Sum(G(a, i, s)*Q(i, s), i)", ("a", "s")),
            },
        ),
        (
            consequence(
                use("sum-exchange", "p/s", h="lambda i, a: c(i)*w(a)*m(a)*s**(p*m(a))*J(a, i, s)"),
                use("sum-exchange", h="lambda i, a: c(i)*w(a)*s**(p*m(a))*J[0, 0, 1](a, i, s)"),
                use(
                    "sum-equal",
                    h="lambda a: w(a)*s**(p*m(a))*Sum(c(i)*J[0, 0, 1](a, i, s), i)",
                    q="lambda a: w(a)*s**(p*m(a))*s*Sum(G(a, i, s)*Q(i, s), i)",
                ),
                use("sum-exchange", "-s", h="lambda i, a: Q(i, s)*w(a)*s**(p*m(a))*G(a, i, s)"),
                needs=(
                    consequence(
                        use(
                            "sum-equal",
                            "w(point)*s**(p*m(point))",
                            h="lambda i: c(i)*J[0, 0, 1](point, i, s)",
                            q="lambda i: c(i)*s*K(point, i, s)",
                        ),
                        use("given:adjoint", "w(point)*s**(p*m(point))*s", a="point"),
                        needs=(algebra(use("given:diffusion", "c(point1)", a="point", i="point1")),),
                    ),
                ),
            ),
        ),
        f"{NJET}, section 3.3",
        ("sum-equal", "sum-exchange", "differentiate-under-integral"),
    ),
)
