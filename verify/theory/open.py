"""Statements that belong to the theory and are not proved here, each with the reason. No verdict rests on them."""

OPEN = {
    "explicit-orders": "scale covariance written out in 1, 2 and 3 dimensions to order 5: no statement data yet",
    "steering-higher": "steering beyond order 2 in 2-D, and rotation beyond 2-D: orders 1 and 2 in the plane are proved",
    "closed-form-bound": "closed-form, Chernoff and Duhamel bounds: their inequalities are not in the step forms yet",
    "certified-constants": "the uniform constants K_n of the discretisation error: branch and bound not yet applied",
    "sampling-aliasing": "aliasing of sampled Gaussian derivatives: Poisson summation is not among the axioms",
    "off-grid-error": "the error of a scale factor between two scale channels: needs the L1 norms of n psi_n + psi_(n+2)",
    "layer-sigma-gradient": "the sigma gradient of a layer with its term in sum |a| <w_a, dLoss/dw_a>: tested, not proved",
}
