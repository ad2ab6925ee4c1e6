"""Statements that belong to the theory and are not proved here, each with the reason. No verdict rests on them."""

OPEN = {
    "closed-form-bound": "closed-form, Chernoff and Duhamel bounds: their inequalities are not in the step forms yet",
    "certified-constants": "the uniform constants K_n of the discretisation error: branch and bound not yet applied",
    "sampling-aliasing": "aliasing of sampled Gaussian derivatives: Poisson summation is not among the axioms",
    "off-grid-error": "the error of a scale factor between two scale channels: needs the L1 norms of n psi_n + psi_(n+2)",
}
