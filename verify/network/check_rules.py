"""By which rules an operator may be read, and which witnesses refute by which rule: the checker's own tables."""

_POINTWISE = """relu abs neg leaky_relu square sqrt rsqrt reciprocal sign isneginf isposinf isinf isnan isfinite gelu
silu sigmoid tanh elu celu selu softplus mish hardswish hardsigmoid hardtanh exp exp2 log log2 log10 sin cos tan atan
asinh
erf log1p expm1 log_sigmoid log_sigmoid_forward softshrink hardshrink clamp clamp_min clamp_max threshold round floor
ceil trunc nan_to_num logical_not bitwise_not cosh sinh prelu _prelu_kernel pow logical_and logical_or bitwise_and
bitwise_or batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm _native_batch_norm_legit_functional
_native_batch_norm_legit native_batch_norm _batch_norm_with_update_functional group_norm native_group_norm instance_norm
layer_norm native_layer_norm softmax _softmax log_softmax _log_softmax atan2 hypot fmod remainder logaddexp copysign
xlogy nextafter"""
_CASTS = "_to_copy to type_as"
_COPIES = """clone detach alias contiguous dropout native_dropout lift_fresh_copy lift_fresh feature_dropout
alpha_dropout positive copy"""
_SHAPES = "view reshape _unsafe_view flatten squeeze unsqueeze unflatten view_copy squeeze_copy"
_POOLS = """avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
max_pool3d_with_indices max_pool1d_with_indices adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"""
_PADS = """pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
replication_pad3d"""
_REDUCTIONS = "amax amin mean sum logsumexp all any argmax var std prod median linalg_vector_norm"
_MIXES = "linear addmm mm matmul bmm convolution conv1d conv2d conv3d"


def _rules(names: str, *rules: str) -> dict[str, tuple[str, ...]]:
    return {f"aten.{name}": rules for name in names.split()}


ADMITTED: dict[str, tuple[str, ...]] = {
    **_rules(_POINTWISE, "pointwise"),
    **_rules(_CASTS, "identity", "pointwise"),
    **_rules(_COPIES, "identity"),
    **_rules(_SHAPES, "reshape", "moved"),
    **_rules("permute transpose t swapaxes", "permute"),
    **_rules("expand broadcast_to repeat", "expand"),
    **_rules("cumsum", "pointwise", "running-sum"),
    **_rules("add sub", "same-weight", "pointwise", "identity"),
    **_rules("rsub maximum minimum", "same-weight", "pointwise"),
    **_rules("max min", "same-weight", "pointwise", "reduce"),
    **_rules("mul", "product", "factor", "pointwise"),
    **_rules("div", "product", "factor", "pointwise"),
    **_rules("gt lt ge le eq ne", "compare", "pointwise"),
    **_rules("where masked_fill", "choose"),
    **_rules(_MIXES, "mix"),
    **_rules("select", "channel", "pick-scales", "read", "moved"),
    **_rules("slice", "identity", "channel", "channels", "pick-scales", "read", "regrid", "moved"),
    **_rules("index_select", "channels", "pick-scales", "moved"),
    **_rules("flip", "flip"),
    **_rules("roll", "roll"),
    **_rules(_PADS, "pad"),
    **_rules(_POOLS, "window"),
    **_rules(_REDUCTIONS, "reduce"),
    **_rules("cat stack", "join"),
    **_rules("unbind split split_with_sizes", "split"),
    **_rules("unfold gather index as_strided im2col upsample_nearest1d upsample_nearest2d upsample_nearest3d", "moved"),
    **_rules(
        "upsample_bilinear2d upsample_linear1d upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa",
        "identity",
    ),
    **_rules("select_scatter slice_scatter index_put", "written", "identity"),
    "getitem": ("part", "identity"),
    "placeholder": ("image",),
    "gdtriton.jet_conv": ("jet",),
    "gdtriton.gaussian_jet": ("jet",),
}

HOMOGENEOUS = {
    **dict.fromkeys(("relu", "abs", "neg", "leaky_relu", "prelu", "_prelu_kernel"), ("1",)),
    **dict.fromkeys(("mul", "div"), ("1", "-1")),
    **dict.fromkeys(("sign", "isneginf", "isposinf", "isinf", "isnan", "isfinite", "_to_copy", "to"), ("0",)),
    **dict.fromkeys(("gt", "lt", "ge", "le", "eq", "ne"), ("0",)),
    **dict.fromkeys(("clamp", "clamp_min"), ("1",)),
    "square": ("2",),
    "sqrt": ("1/2",),
    "rsqrt": ("-1/2",),
    "reciprocal": ("-1",),
}
"""Degrees of homogeneity that a pointwise step of an operator may claim; "pow" claims its own exponent."""

WITNESSES = {
    "window-pooling": ("taps", "max-window", "window-spread"),
    "fixed-window": ("taps",),
    "dense-over-space": ("taps",),
    "resampling": ("taps", "read"),
    "rearranged": ("samples", "read"),
    "unequal-grids": ("taps",),
    "off-centre": ("read",),
    "position": ("position", "position-factor"),
    "padding": ("position",),
    "weight": ("weight", "weights"),
    "mixed-orders": ("weights",),
    "bias": ("weights",),
    "canvas-mean": ("canvas",),
    "canvas-norm": ("canvas",),
    "canvas-rank": ("canvas",),
    "batch-statistics": ("canvas",),
    "zero-border": ("canvas",),
    "unshared": ("unshared", "scale-shift", "factors"),
    "unequal-ratio": ("ratio",),
    "fixed-sigma": ("ratio", "fixed-sigma", "scale-weights", "scale-shift"),
    "random": ("random",),
}
