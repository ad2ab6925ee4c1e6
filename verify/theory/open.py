"""Statements that belong to the theory and are not proved here, each with the reason. No verdict rests on them."""

OPEN = {
    "certified-constants": "the smallest uniform constants K_n of the discretisation error (0.1525 at n = 0): the closed"
    " constants that are proved are up to 4 times larger at n = 0",
    "ladder-norm-order-4": "the exact constant of a scale factor between two channels for derivatives of order 4: the"
    " sign changes of 4 psi_4 + psi_6 are roots of a cubic, for which the formula language has no closed form",
}
