"""Continuous theory: the Gaussian, its derivatives and their scale covariance in N dimensions.

g(r; s) is the isotropic Gaussian of standard deviation s at distance r, in R^N; g1 the one on the line.
"""

from .model import Given, Statement, Theorem, algebra, constant, induction, use

GAUSS_1 = {"g1(x, s)": "(2*pi*s**2)**(-1/2)*exp(-x**2/(2*s**2))"}
GAUSS_N = {"g(r, s)": "(2*pi*s**2)**(-N/2)*exp(-r**2/(2*s**2))"}
LINDEBERG = "Lindeberg, Scale-covariant and scale-invariant Gaussian derivative networks (2022)"
NJET = "Pintea et al., Resolution learning in deep convolutional networks using scale-space theory (2021)"

THEOREMS = (
    Theorem(
        id="diffusion-equation",
        topic="continuous",
        title="Diffusion equation",
        words="The Gaussian in N dimensions satisfies d g/d sigma = sigma Laplacian g. Radial form: the Laplacian of"
        " a function of r = |x| is g_rr + (N - 1)/r g_r.",
        source=f"{LINDEBERG}, eq. (5)",
        statement=Statement(
            variables={"s": "positive", "r": "positive", "N": "natural"},
            definitions=GAUSS_N,
            claims=("D(g(r, s), s) == s*(D(g(r, s), r, r) + (N - 1)/r*D(g(r, s), r))",),
        ),
        proof=(algebra(),),
        parameters={"ndim": "N"},
    ),
    Theorem(
        id="diffusion-product",
        topic="continuous",
        title="Diffusion equation, one axis more",
        words="If G on R^N (with Laplacian LG) and K on the line satisfy the diffusion equation, so does their"
        " product on R^(N+1): with the one-dimensional case, induction on N gives every dimension.",
        source=f"{LINDEBERG}, eq. (5)",
        statement=Statement(
            variables={
                "s": "positive",
                "x": "vector",
                "y": "real",
                "G": "function",
                "K": "function",
                "LG": "function",
            },
            given={
                "diffusion in x": Given("D(G(x, s), s) == s*LG(x, s)", ("x", "s")),
                "diffusion in y": Given("D(K(y, s), s) == s*D(K(y, s), y, y)", ("y", "s")),
            },
            claims=("D(G(x, s)*K(y, s), s) == s*(LG(x, s)*K(y, s) + G(x, s)*D(K(y, s), y, y))",),
        ),
        proof=(algebra(use("given:diffusion in x", "K(y, s)"), use("given:diffusion in y", "G(x, s)")),),
    ),
    Theorem(
        id="unit-mass",
        topic="continuous",
        title="Unit mass on the line",
        words="The Gaussian integrates to one.",
        source=f"{LINDEBERG}, eq. (5)",
        statement=Statement(
            variables={"s": "positive"},
            definitions=GAUSS_1,
            claims=("Int(g1(u, s), u, 1) == 1",),
        ),
        axioms=("change-of-variables", "gaussian-integral"),
        proof=(
            algebra(
                use("change-of-variables", h="lambda u: g1(u, s)", S="s*2**(1/2)", N="1"),
                use("gaussian-integral", "pi**(-1/2)"),
            ),
        ),
    ),
    Theorem(
        id="fourier-transform",
        topic="continuous",
        title="Fourier transform",
        words="The Fourier transform of the Gaussian is exp(-sigma^2 w^2/2): both sides satisfy the same differential"
        " equation in w (integration by parts) and agree at w = 0.",
        source=f"{LINDEBERG}, eq. (5)",
        statement=Statement(
            variables={"s": "positive", "w": "real", "x": "real"},
            definitions=GAUSS_1,
            claims=("Int(g1(x, s)*cos(w*x), x, 1)*exp(s**2*w**2/2) == 1",),
        ),
        axioms=("mean-value", "differentiate-under-integral", "vanishing-boundary"),
        lemmas=("unit-mass",),
        proof=(
            constant(
                "w",
                "0",
                algebra(
                    use(
                        "vanishing-boundary",
                        "exp(s**2*w**2/2)",
                        h="lambda x: s**2*g1(x, s)*sin(w*x)",
                    )
                ),
                algebra(use("unit-mass/1")),
            ),
        ),
    ),
    Theorem(
        id="hermite-derivative",
        topic="continuous",
        title="Derivative of a Hermite polynomial",
        words="H_m' = 2 m H_(m-1), from the recursion alone, for every m.",
        source=f"{NJET}, eq. (2)",
        statement=Statement(
            variables={"m": "natural", "y": "real"},
            claims=("D(H(m, y), y) == 2*m*H(m - 1, y)",),
        ),
        axioms=("induction", "hermite-zero", "hermite-one", "hermite-recursion"),
        proof=(
            induction(
                "m",
                (
                    algebra(use("hermite-zero", "1", "y")),
                    algebra(use("hermite-one", "1", "y"), use("hermite-zero", "-2")),
                ),
                algebra(
                    use("hermite-recursion", "1", "y"),
                    use("IH", "2*y"),
                    use("IH-1", "-2*m"),
                    use("hermite-recursion", "-2*m", m="m - 1"),
                ),
            ),
        ),
        parameters={"order": "m"},
    ),
)
