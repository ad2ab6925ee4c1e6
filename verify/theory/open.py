"""Statements that belong to the theory and are not proved here, each with the reason. No verdict rests on them."""

OPEN = {
    "certified-constants": "the smallest uniform constants K_n of the discretisation error (0.1525 at n = 0): the closed"
    " constants that are proved are up to 4 times larger at n = 0",
    "sampled-decay": "that aliases decrease with their distance for n <= v^2: used in the words of theorem aliasing,"
    " u^n exp(-u^2/2) falls for u^2 >= n, is not a step of its proof",
}
