"""Statements that belong to the theory and are not proved here, each with the reason. No verdict rests on them."""

OPEN = {
    "uniform-constants-orders": "the smallest uniform constants of the discretisation error of derivatives: 0.1525 of"
    " order 0 is proved; for orders from 1 on, where the errors of the factors partly cancel, the closed constants that"
    " are proved are 4 to 60 times larger than the smallest",
    "ladder-norm-order-4": "the exact constant of a scale factor between two channels for derivatives of order 4: the"
    " sign changes of 4 psi_4 + psi_6 are roots of a cubic, for which the formula language has no closed form",
}
