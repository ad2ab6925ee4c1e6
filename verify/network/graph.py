"""What a module computes: its graph of ATen operators, with concrete shapes, module paths and source lines.

`torch.export` first: it runs the module through `__call__`, so hooks, parametrisations and overridden forwards are part
of what is read, and Python control flow that depends on values is refused. Where it fails, `torch.fx` traces the module
symbolically (which refuses the same control flow) and the result is written out in ATen operators. Our operators stay
one node.
"""

import copy
import operator
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn


class TracingError(Exception):
    """Neither tracer could read the module; the message is theirs."""


@dataclass(frozen=True)
class Node:
    """One operator call.

    Args:
        name: Unique in the graph.
        op: "placeholder", "constant", "getitem", "output" or the operator without overload, "aten.add".
        args: Positional arguments; operands are `Node`.
        kwargs: Keyword arguments.
        path: Dotted path of the innermost module, "" for the root.
        source: "file.py:12" of the user's line, or "".
        shape: Shape of the (first) output, None if it has none.
        target: What computes it, for operators.
    """

    name: str
    op: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    source: str = ""
    shape: tuple[int, ...] | None = None
    target: Any = None
    value: Tensor | None = None
    parameter: str | None = None

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class Graph:
    """The nodes in execution order, those of the outputs, and which tracer read them."""

    nodes: tuple[Node, ...]
    outputs: tuple[Node, ...]
    tracer: str


@contextmanager
def quiet_state() -> Iterator[None]:
    """Keep the random state of the caller, and the tracers' deprecation warnings to ourselves."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def evaluation_copy(module: nn.Module, training: bool) -> nn.Module:
    """A copy on the CPU in evaluation (or training) mode; the module itself is not touched."""
    with quiet_state():
        duplicate = copy.deepcopy(module).cpu()
    return duplicate.train(training)


def read_graph(module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype) -> Graph:
    """The graph of `module` for one image of `input_shape`.

    Raises:
        TracingError: If both tracers fail.
    """
    with quiet_state():
        example = torch.zeros(input_shape, dtype=dtype)
        try:
            return _exported(module, example)
        except Exception as error:
            first = f"torch.export: {type(error).__name__}: {_first_line(error)}"
        try:
            return _symbolic(module, example)
        except Exception as error:
            raise TracingError(f"{first}; torch.fx: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else ""


def _exported(module: nn.Module, example: Tensor) -> Graph:
    program = torch.export.export(module, (example,), strict=False).run_decompositions(_decompositions())
    signature = program.graph_signature
    state: dict[str, tuple[Tensor, str | None]] = {}
    for placeholder, name in signature.inputs_to_parameters.items():
        state[placeholder] = (program.state_dict[name], name)
    for placeholder, name in signature.inputs_to_buffers.items():
        value = program.state_dict[name] if name in program.state_dict else program.constants[name]
        state[placeholder] = (value, None)
    for placeholder, name in signature.inputs_to_lifted_tensor_constants.items():
        state[placeholder] = (program.constants[name], None)
    return _convert(program.graph_module, state, set(signature.user_outputs), "torch.export")


def _decompositions() -> dict[Any, Any]:
    """Write out einsum, and nothing else that PyTorch has an operator for."""
    table = torch.export.default_decompositions()
    op = torch.ops.aten.einsum.default
    return {op: table[op]} if op in table else {}


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        plain = not (m._forward_hooks or m._forward_pre_hooks)
        return plain and (
            type(m).__module__.startswith("gdtriton.") or super().is_leaf_module(m, module_qualified_name)
        )


def _symbolic(module: nn.Module, example: Tensor) -> Graph:
    from torch.fx.experimental.proxy_tensor import make_fx

    symbolic = fx.GraphModule(module, _Tracer().trace(module))
    parameters = dict(symbolic.named_parameters())
    buffers = dict(symbolic.named_buffers())

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], image: Tensor) -> Any:
        return torch.func.functional_call(symbolic, (parameters, buffers), (image,))

    traced = make_fx(torch.func.functionalize(call), tracing_mode="fake")(parameters, buffers, example)
    placeholders = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    flat = [(value, name) for name, value in parameters.items()] + [(value, None) for value in buffers.values()]
    state = dict(zip(placeholders, flat, strict=False))
    results = next(node for node in traced.graph.nodes if node.op == "output").args[0]
    outputs = {node.name for node in torch.utils._pytree.tree_leaves(results) if isinstance(node, fx.Node)}
    return _convert(traced, state, outputs, "torch.fx")


def _convert(
    module: fx.GraphModule, state: dict[str, tuple[Tensor, str | None]], outputs: set[str], tracer: str
) -> Graph:
    known: dict[fx.Node, Node] = {}
    result: list[Node] = []

    def rebuild(argument: Any) -> Any:
        return fx.node.map_arg(argument, cast(Any, known.__getitem__))

    for node in module.graph.nodes:
        if node.op == "output":
            continue
        value, parameter = state.get(node.name, (None, None))
        op = node.op
        if node.op == "placeholder" and value is not None:
            op = "constant"
        elif node.op == "get_attr":
            op, value = "constant", operator.attrgetter(node.target)(module)
        elif node.op == "call_function":
            op = "getitem" if node.target is operator.getitem else _operator_name(node.target)
        elif node.op != "placeholder":
            raise TracingError(f"node {node.name} of kind {node.op}")
        if op == "aten._assert_tensor_metadata":
            continue
        new = Node(
            node.name,
            op,
            rebuild(node.args) if node.op == "call_function" else (),
            dict(rebuild(node.kwargs)),
            _path(node),
            _source(node),
            _shape(node, value),
            node.target,
            value,
            parameter,
        )
        known[node] = new
        result.append(new)
    by_name = {node.name: node for node in result}
    chosen = tuple(by_name[name] for name in sorted(outputs, key=[n.name for n in result].index) if name in by_name)
    if not chosen:
        raise TracingError("the module returns no tensor")
    return Graph(tuple(result), chosen, tracer)


def _operator_name(target: Any) -> str:
    name = str(target)
    overload = getattr(target, "_overloadname", None)
    return name.removesuffix(f".{overload}") if overload else name


def _shape(node: fx.Node, value: Tensor | None) -> tuple[int, ...] | None:
    if value is not None:
        return tuple(value.shape)
    meta = node.meta.get("val")
    if isinstance(meta, (tuple, list)):
        meta = meta[0] if meta else None
    return tuple(int(n) for n in meta.shape) if isinstance(meta, Tensor) else None


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    last = list(stack.values())[-1] if stack else ("", "")
    return re.sub(r"@\d+", "", str(last[0])).removeprefix("L['self'].")


_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARY = re.compile(
    r"site-packages[/\\]torch[/\\]|[/\\]gdtriton[/\\](layers|scale_axis|functional|composed|scales)\.py$"
)


def _source(node: fx.Node) -> str:
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""
