"""One table of bad calls: every argument of every public function and constructor, with the message it must give."""

import functools
import math
import re
import types

import pytest
import torch
from torch import nn

import gdtriton as g
from gdtriton import checks
from gdtriton.checks import resolve_implementation

IMAGE = torch.zeros(2, 3, 5, 6)
FEATURES = torch.zeros(2, 3, 4, 5, 6)
WEIGHT = torch.zeros(8, 4, 5)
SIGMA = [1.0, 2.0]
META = torch.zeros(8, 4, 5, device="meta")
NAN = math.nan

smooth = functools.partial(g.gaussian_smooth, IMAGE, 1.0)
jet = functools.partial(g.gaussian_jet, IMAGE, 1.0)
conv = functools.partial(g.jet_conv, FEATURES, WEIGHT, SIGMA)
layer = functools.partial(g.GaussianJetConv2d, 4, 8)

OPTIONS = [
    ({"discretisation": "gauss"}, ValueError, "discretisation must be one of discrete, .*got 'gauss'"),
    ({"discretisation": None}, ValueError, "discretisation must be .*got None"),
    ({"border": "reflect"}, ValueError, "border must be one of symmetric, zero, circular, got 'reflect'"),
    ({"impl": "cuda"}, ValueError, "impl must be one of reference, torch, triton, got 'cuda'"),
]
RUN_OPTIONS = [*OPTIONS, ({"impl": "triton"}, ValueError, "impl must be 'torch' or 'reference' .* cpu, got 'triton'")]
NDIM = [
    ({"ndim": 0}, ValueError, "ndim must be >= 1, got 0"),
    ({"ndim": 2.0}, TypeError, "ndim must be an integer, got 2.0"),
    ({"ndim": True}, TypeError, "ndim must be an integer, got True"),
    ({"ndim": 5}, ValueError, r"image must have at least 5 axes .*got \[2, 3, 5, 6\]"),
]
JETS = [
    ({"order": -1}, ValueError, "order must be in 0 .. 6, got -1"),
    ({"order": 7}, ValueError, "order must be in 0 .. 6, got 7"),
    ({"order": 1.0}, TypeError, "order must be an integer, got 1.0"),
    ({"order": 0, "zero_order": False}, ValueError, "order must be in 1 .. 6, got 0"),
    ({"zero_order": 1}, TypeError, "zero_order must be True or False, got 1"),
    ({"norm_power": NAN}, ValueError, "norm_power must be finite, got nan"),
    ({"norm_power": "1"}, TypeError, "norm_power must be a number, got '1'"),
]
CONV = [
    *JETS[2:3],
    ({"order": 7}, ValueError, "order must be in 1 .. 6, got 7"),
    ({"order": 0}, ValueError, "order must be in 1 .. 6, got 0"),
    *JETS[4:],
    ({"groups": 0}, ValueError, "groups must be >= 1, got 0"),
    ({"groups": 1.0}, TypeError, "groups must be an integer, got 1.0"),
]
IMAGES = [
    ([[1.0]], TypeError, "image must be a tensor, got list"),
    (torch.zeros(5, 6, dtype=torch.complex64), TypeError, "image must be a floating-point tensor, got torch.complex64"),
    (torch.zeros(5, 6, dtype=torch.uint8), TypeError, "image must be a floating-point tensor, got torch.uint8"),
    (torch.zeros(5, 6, dtype=torch.bool), TypeError, "image must be a floating-point tensor, got torch.bool"),
    (torch.zeros(5, 6).to(torch.float8_e4m3fn), TypeError, "image must .*got torch.float8_e4m3fn"),
    (torch.zeros(6), ValueError, r"image must have at least 2 axes \[..., \*spatial\], got \[6\]"),
    (torch.zeros(2, 0, 6), ValueError, r"image must not have an empty spatial axis, got \[2, 0, 6\]"),
]
BAD_VALUES = [0.0, -1.0, NAN, math.inf]
SIGMAS = [
    *((v, ValueError, f"sigma must be finite.*got .*{v}") for v in BAD_VALUES),
    *(([1.0, v], ValueError, f"sigma must be finite.*got .*{v}") for v in BAD_VALUES),
    *((torch.tensor([1.0, v]), ValueError, f"sigma must be finite.*got .*{v}") for v in BAD_VALUES),
    (0, ValueError, "sigma must be finite and > 0 .*got"),
    ("1", TypeError, "sigma must be a number, got '1'"),
    (None, TypeError, "sigma must be a number, got None"),
    (True, TypeError, "sigma must be a number, got True"),
    (["1"], TypeError, "sigma must be a number, got '1'"),
    (torch.tensor(1), TypeError, "sigma must be a floating-point tensor, got torch.int64"),
    (torch.tensor([1j]), TypeError, "sigma must be a floating-point tensor, got torch.complex64"),
    ([], ValueError, r"sigma must not be empty, got shape \[0\]"),
    (torch.zeros(1, device="meta"), ValueError, "sigma must be on cpu or the CPU, got meta"),
]

CALLS = [(smooth, kwargs, *rest) for kwargs, *rest in [*NDIM, *RUN_OPTIONS]]
CALLS += [(jet, kwargs, *rest) for kwargs, *rest in [*NDIM, *JETS, *RUN_OPTIONS]]
CALLS += [(conv, kwargs, *rest) for kwargs, *rest in [*CONV, *RUN_OPTIONS]]
CALLS += [(layer, kwargs, *rest) for kwargs, *rest in [*CONV, *OPTIONS]]
for function in (g.gaussian_smooth, g.gaussian_jet):
    CALLS += [(function, {"image": image, "sigma": 1.0}, *rest) for image, *rest in IMAGES]
    CALLS += [(function, {"image": IMAGE, "sigma": sigma}, *rest) for sigma, *rest in SIGMAS]
    CALLS += [
        (function, {"image": IMAGE, "sigma": torch.ones(2, 2)}, ValueError, r"sigma must be .*\[S\], got \[2, 2\]"),
        (
            function,
            {"image": IMAGE, "sigma": [[1.0]]},
            TypeError,
            r"sigma must be a number, got \[1.0\]",
        ),
    ]
CALLS += [(g.jet_conv, {"features": FEATURES, "weight": WEIGHT, "sigma": sigma}, *rest) for sigma, *rest in SIGMAS]


def conv_with(**changes):
    return {"features": FEATURES, "weight": WEIGHT, "sigma": SIGMA, **changes}


CALLS += [
    (g.jet_conv, conv_with(**changes), *rest)
    for changes, *rest in [
        ({"features": None}, TypeError, "features must be a tensor, got NoneType"),
        ({"features": FEATURES.int()}, TypeError, "features must be a floating-point tensor, got torch.int32"),
        ({"features": FEATURES.to(torch.complex64)}, TypeError, "features must .*got torch.complex64"),
        ({"features": IMAGE[0]}, ValueError, r"features must have shape \[S, B, C_in, \*spatial\], got \[3, 5, 6\]"),
        ({"features": FEATURES[:0]}, ValueError, r"features must have at least one scale .*got \[0, 3, 4, 5, 6\]"),
        ({"features": FEATURES[:, :, :0]}, ValueError, r"features must .*feature channel, got \[2, 3, 0, 5, 6\]"),
        ({"features": FEATURES[..., :0]}, ValueError, r"features must not have an empty .*got \[2, 3, 4, 5, 0\]"),
        ({"weight": [1.0]}, TypeError, "weight must be a tensor, got list"),
        ({"weight": WEIGHT.long()}, TypeError, "weight must be a floating-point tensor, got torch.int64"),
        ({"weight": WEIGHT[0]}, ValueError, r"weight must have shape .*got \[4, 5\]"),
        ({"weight": WEIGHT[..., :4]}, ValueError, r"weight must .*J = 5\] for order 2 in 2 dim.*got \[8, 4, 4\]"),
        ({"zero_order": True}, ValueError, r"weight must .*J = 6\] for order 2 in 2 dimensions, got \[8, 4, 5\]"),
        ({"weight": WEIGHT[:, :3]}, ValueError, r"weight must .*C_in = 4 .*got \[8, 3, 5\]"),
        ({"weight": WEIGHT[:0]}, ValueError, r"weight must .*got \[0, 4, 5\]"),
        ({"groups": 2}, ValueError, r"weight must .*groups = 2, got \[8, 4, 5\]"),
        ({"weight": WEIGHT[:7, :2], "groups": 2}, ValueError, r"weight must .*groups = 2, got \[7, 2, 5\]"),
        (
            {"weight": WEIGHT.double()},
            TypeError,
            "weight must have the dtype of features, torch.float32, got .*float64",
        ),
        ({"weight": META}, ValueError, "weight must be on the device of features, cpu, got meta"),
        ({"bias": 1.0}, TypeError, "bias must be a tensor, got float"),
        ({"bias": torch.zeros(7)}, ValueError, r"bias must have shape \[C_out = 8\], got \[7\]"),
        ({"bias": torch.zeros(8, 1)}, ValueError, r"bias must have shape \[C_out = 8\], got \[8, 1\]"),
        ({"bias": torch.zeros(8).half()}, TypeError, "bias must have the dtype of features, .*got torch.float16"),
        ({"bias": torch.zeros(8).long()}, TypeError, "bias must be a floating-point tensor, got torch.int64"),
        ({"bias": torch.zeros(8, device="meta")}, ValueError, "bias must be on the device of features, cpu, got meta"),
        ({"sigma": 1.0}, ValueError, r"sigma must have shape \[S = 2\], .*got \[\]"),
        ({"sigma": [1.0]}, ValueError, r"sigma must have shape \[S = 2\], .*got \[1\]"),
        ({"sigma": torch.ones(2, 4)}, ValueError, r"sigma must .*\[S, 1, C_in = 4\] .*got \[2, 4\]"),
        ({"sigma": torch.ones(2, 8, 4)}, ValueError, r"sigma must .*\[S, C_out = 8, 1\], got \[2, 8, 4\]"),
        (
            {"features": FEATURES.double(), "weight": WEIGHT.double(), "impl": "triton"},
            ValueError,
            "impl must be 'torch'",
        ),
    ]
]
for cls in (g.GaussianJetConv1d, g.GaussianJetConv2d, g.GaussianJetConv3d):
    for name in ("in_channels", "out_channels"):
        for value, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError), (None, TypeError)):
            CALLS.append(
                (cls, {"in_channels": 4, "out_channels": 8, name: value}, error, f"{name} must be .*got {value}")
            )
CALLS += [
    (layer, kwargs, *rest)
    for kwargs, *rest in [
        ({"groups": 3}, ValueError, "in_channels must be a multiple of groups = 3, got 4"),
        ({"groups": -1}, ValueError, "groups must be >= 1, got -1"),
        ({"bias": 1}, TypeError, "bias must be True or False, got 1"),
        ({"relative_sigma": 0.0}, ValueError, "relative_sigma must be > 0, got 0.0"),
        ({"relative_sigma": -1}, ValueError, "relative_sigma must be > 0, got -1"),
        ({"relative_sigma": NAN}, ValueError, "relative_sigma must be finite, got nan"),
        ({"relative_sigma": "1"}, TypeError, "relative_sigma must be a number, got '1'"),
        ({"learn_sigma": "channel"}, ValueError, "learn_sigma must be None, .*got 'channel'"),
        ({"learn_sigma": True}, ValueError, "learn_sigma must be None, .*got True"),
    ]
]
CALLS.append(
    (
        functools.partial(g.GaussianJetConv1d, 4),
        {"out_channels": 6, "groups": 4},
        ValueError,
        "out_channels must be a multiple of groups = 4, got 6",
    )
)
instance = g.GaussianJetConv2d(4, 8)
TWO = torch.ones(2)
CALLS += [
    (instance, kwargs, *rest)
    for kwargs, *rest in [
        ({"features": [1.0], "sigmas": TWO}, TypeError, "features must be a tensor, got list"),
        ({"features": FEATURES.int(), "sigmas": TWO}, TypeError, "features must be a floating-point tensor"),
        ({"features": FEATURES}, ValueError, r"features must .*without sigmas, got \[2, 3, 4, 5, 6\]"),
        ({"features": FEATURES[0], "sigmas": TWO}, ValueError, r"features must .*with sigmas, got \[3, 4, 5, 6\]"),
        (
            {"features": FEATURES[:, :, :3], "sigmas": TWO},
            ValueError,
            r"features must have C_in = 4 .*\[2, 3, 3, 5, 6\]",
        ),
        ({"features": FEATURES[..., :0], "sigmas": TWO}, ValueError, "features must not have an empty spatial axis"),
        ({"features": FEATURES.double(), "sigmas": TWO}, TypeError, "weight must have the dtype of features"),
        ({"features": FEATURES, "sigmas": [1.0, 2.0]}, TypeError, "sigmas must be a tensor, got list"),
        ({"features": FEATURES, "sigmas": torch.ones(3)}, ValueError, r"sigmas must have shape \[S = 2\], got \[3\]"),
        ({"features": FEATURES, "sigmas": TWO.long()}, TypeError, "sigmas must be a floating-point tensor"),
        ({"features": FEATURES, "sigmas": 0 * TWO}, ValueError, "sigma must be finite and > 0 .*got"),
    ]
]
CALLS += [
    (g.ScaleGrid, {"sigma_0": 1.0, "ratio": 2.0, "n_scales": 3, **change}, *rest)
    for change, *rest in [
        ({"sigma_0": 0.0}, ValueError, "sigma_0 must be finite and > 0, got 0.0"),
        ({"sigma_0": NAN}, ValueError, "sigma_0 must be finite and > 0, got nan"),
        ({"sigma_0": "1"}, TypeError, "sigma_0 must be a number, got '1'"),
        ({"sigma_0": True}, TypeError, "sigma_0 must be a number, got True"),
        ({"ratio": 1.0}, ValueError, "ratio must be finite and > 1, got 1.0"),
        ({"ratio": math.inf}, ValueError, "ratio must be finite and > 1, got inf"),
        ({"ratio": None}, TypeError, "ratio must be a number, got None"),
        ({"n_scales": 0}, ValueError, "n_scales must be >= 1, got 0"),
        ({"n_scales": 2.0}, TypeError, "n_scales must be an integer, got 2.0"),
    ]
]
lift = g.ScaleLift(g.ScaleGrid(1.0, 2.0, 3))
CALLS += [
    (g.jet_orders, {"ndim": 0, "order": 1}, ValueError, "ndim must be an integer >= 1, got 0"),
    (g.jet_orders, {"ndim": 1.5, "order": 1}, ValueError, "ndim must be an integer >= 1, got 1.5"),
    (g.jet_orders, {"ndim": 1, "order": -1}, ValueError, "order must be an integer >= 0, got -1"),
    (g.jet_orders, {"ndim": 1, "order": 0, "zero_order": False}, ValueError, "order must be an integer >= 1, got 0"),
    (g.ScaleLift, {"grid": (1.0, 2.0, 3)}, TypeError, "grid must be a ScaleGrid, got"),
    (lift, {"image": [1.0]}, TypeError, "image must be a tensor, got list"),
    (lift, {"image": IMAGE.long()}, TypeError, "image must be a floating-point tensor, got torch.int64"),
    (lift, {"image": IMAGE[0, 0]}, ValueError, r"image must have shape \[B, C, \*spatial\], got \[5, 6\]"),
    (g.EachScale(nn.ReLU()), {"features": IMAGE[0, 0]}, ValueError, r"features must have shape .*got \[5, 6\]"),
    (g.EachScale, {"module": "relu"}, TypeError, "module must be a module, got 'relu'"),
    (g.ScaleDropout, {"p": 1.0}, ValueError, r"p must be in \[0, 1\), got 1.0"),
    (g.ScaleDropout, {"p": -0.1}, ValueError, r"p must be in \[0, 1\), got -0.1"),
    (g.ScaleDropout, {"p": "1"}, TypeError, "p must be a number, got '1'"),
    (g.ScaleDropout(0.5), {"features": torch.zeros(3)}, ValueError, r"features must have shape .*got \[3\]"),
    (g.ReadOut, {"kind": "center"}, ValueError, "kind must be one of centre, max, mean, got 'center'"),
    (g.ReadOut("max"), {"features": IMAGE[0]}, ValueError, r"features must have shape .*got \[3, 5, 6\]"),
    (g.ReadOut("max"), {"features": FEATURES[..., :0]}, ValueError, "features must not have an empty spatial axis"),
    (g.ReadOut("mean"), {"features": FEATURES[..., :0]}, ValueError, "features must not have an empty spatial axis"),
    (g.ScalePool, {"kind": "sum"}, ValueError, "kind must be one of max, mean, logsumexp, got 'sum'"),
    (g.ScalePool, {"kind": "mean", "return_indices": True}, ValueError, "return_indices must be False .*got True"),
    (g.ScalePool, {"kind": "max", "return_indices": 1}, TypeError, "return_indices must be True or False, got 1"),
    (g.ScalePool("max"), {"features": FEATURES[:0]}, ValueError, r"features must .*S >= 1, got \[0, 3, 4, 5, 6\]"),
    (g.sigma_parameters, {"module": [1]}, TypeError, r"module must be a module, got \[1\]"),
]


def _name(function):
    function = getattr(function, "func", function)
    return getattr(function, "__name__", type(function).__name__)


@pytest.mark.parametrize(
    ("function", "kwargs", "error", "message"), CALLS, ids=[f"{i}-{_name(c[0])}" for i, c in enumerate(CALLS)]
)
def test_bad_call(function, kwargs, error, message):
    args = ()
    if function is g.jet_orders:
        kwargs = dict(kwargs)
        args = kwargs.pop("ndim"), kwargs.pop("order")
    with pytest.raises(error, match=message) as info:
        function(*args, **kwargs)
    # The public name first, then the argument: `name: argument must ..., got ...`.
    text = str(info.value)
    assert re.match(r"\w+: \w+ must .* got ", text), text


@pytest.mark.parametrize(
    ("dtype", "ndim", "error", "message"),
    [
        (torch.float64, 2, TypeError, "jet: impl must be 'torch' or 'reference' for torch.float64, got 'triton'"),
        (torch.float32, 4, ValueError, "jet: impl must be 'torch' or 'reference' for 4 spatial axes, got 'triton'"),
    ],
)
def test_triton_on_a_gpu_never_falls_back(dtype, ndim, error, message):
    on_gpu = types.SimpleNamespace(is_cuda=True, dtype=dtype, device="cuda:0")
    with pytest.raises(error, match=message):
        resolve_implementation("jet", "triton", on_gpu, ndim)
    assert resolve_implementation("jet", None, on_gpu, ndim) == "torch"


def test_triton_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(checks, "TRITON_INSTALLED", False)
    on_gpu = types.SimpleNamespace(is_cuda=True, dtype=torch.float32, device="cuda:0")
    with pytest.raises(ValueError, match="pip install triton"):
        resolve_implementation("jet", "triton", on_gpu, 2)
    assert resolve_implementation("jet", None, on_gpu, 2) == "torch"


def test_kernels_are_the_default_on_a_gpu(monkeypatch):
    monkeypatch.setattr(checks, "TRITON_INSTALLED", True)
    on_gpu = types.SimpleNamespace(is_cuda=True, dtype=torch.bfloat16, device="cuda:0")
    assert resolve_implementation("jet", None, on_gpu, 3) == "triton"


def test_what_is_allowed():
    """The edges of the table: these are not errors."""
    assert g.gaussian_jet(IMAGE[:0], 1.0).shape == (0, 3, 6, 5, 6)
    assert g.jet_conv(FEATURES[:, :0], WEIGHT, SIGMA).shape == (2, 0, 8, 5, 6)
    assert instance(FEATURES[:, :0], torch.ones(2)).shape == (2, 0, 8, 5, 6)
    assert g.gaussian_smooth(IMAGE, 1).shape == IMAGE.shape
    assert g.gaussian_smooth(IMAGE, (1, 2.0)).shape == (2, *IMAGE.shape)
    assert g.gaussian_smooth(IMAGE, torch.tensor(1.0).half()).dtype == torch.float32
