"""What a module computes: its graph of ATen operators, with concrete shapes, module paths and source lines.

`torch.export` first: it runs the module through `__call__`, so hooks, parametrisations and overridden forwards are part
of what is read, and Python control flow that depends on values is refused. Where it fails (it refuses modules that keep
tensors on themselves, for instance), `torch.fx` records the same call on proxies of fake tensors. Our operators stay
one node; what no rule knows is written out in simpler operators; equal calls become one node.
"""

import copy
import operator
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn


class TracingError(Exception):
    """Neither tracer could read the module; the message is theirs."""


@dataclass(frozen=True, eq=False, repr=False)
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
        value: Of constants.
        parameter: Name of the parameter that a constant is.
        contiguous: Whether the output lies in memory in the order of its axes.
        dtype: Of the output, None if it is no single tensor.
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
    contiguous: bool = False
    dtype: torch.dtype | None = None

    def __repr__(self) -> str:
        return f"{self.op} {self.name}"


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
    """A copy on the CPU in evaluation (or training) mode; the module itself is not touched.

    Tensors that hang on a computation (kept activations, weights that an old weight_norm computed) are copied without
    it, what cannot be copied (a lock, an open file) is shared.
    """
    memo: dict[int, Any] = {}
    with quiet_state():
        for owner in module.modules():
            _copied_by_value(vars(owner), memo)
        duplicate = copy.deepcopy(module, memo).cpu()
    return duplicate.train(training)


def _copied_by_value(value: Any, memo: dict[int, Any]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _copied_by_value(item, memo)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _copied_by_value(item, memo)
    elif isinstance(value, Tensor):
        if not value.is_leaf:
            memo[id(value)] = value.detach().clone()
    elif not isinstance(value, nn.Module):
        try:
            copy.deepcopy(value, dict(memo))
        except Exception:
            memo[id(value)] = value


def read_graph(
    module: nn.Module, input_shape: tuple[int, ...], dtype: torch.dtype, keep: Collection[str] = ()
) -> Graph:
    """The graph of `module` for one image of `input_shape`.

    Args:
        module: The module.
        input_shape: Shape of the image.
        dtype: Of the image.
        keep: Names of operators that are not written out in others, "aten.conv2d".

    Raises:
        TracingError: If both tracers fail.
    """
    with quiet_state():
        example = torch.zeros(input_shape, dtype=dtype)
        try:
            return _exported(module, example, keep)
        except Exception as error:
            first = f"torch.export: {type(error).__name__}: {_first_line(error)}"
        try:
            return _recorded(module, example, keep)
        except Exception as error:
            raise TracingError(f"{first}; torch.fx: {type(error).__name__}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else ""


def _exported(module: nn.Module, example: Tensor, keep: Collection[str]) -> Graph:
    program = torch.export.export(module, (example,), strict=False)
    written_out = {"aten.einsum"}
    for _ in range(4):
        program = program.run_decompositions(_decompositions(written_out))
        unknown = _without_rule(program.graph_module.graph, set(program.graph_signature.user_inputs), keep)
        if unknown <= written_out:
            break
        written_out |= unknown
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


def _decompositions(names: Collection[str]) -> dict[Any, Any]:
    """PyTorch's own ways to write operators out in simpler ones."""
    table = torch.export.default_decompositions()
    return {op: table[op] for op in list(table) if _operator_name(op) in names}


def _without_rule(graph: fx.Graph, inputs: set[Any], keep: Collection[str]) -> set[str]:
    """Operators on the way from the image that are not kept."""
    moving: set[fx.Node] = set()
    found = set()
    for node in graph.nodes:
        if node.name in inputs or any(operand in moving for operand in node.all_input_nodes):
            moving.add(node)
            if node.op == "call_function" and node.target is not operator.getitem:
                found.add(_operator_name(node.target))
    return found - set(keep)


class _Call(nn.Module):
    """The module under another root, so that its own hooks are part of what is recorded."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> Any:
        return self.module(image)


def _recorded(module: nn.Module, example: Tensor, keep: Collection[str]) -> Graph:
    from torch.fx.experimental.proxy_tensor import make_fx

    holder = _Call(copy.deepcopy(module))
    parameters = {name: p.detach() for name, p in holder.named_parameters()}
    buffers = dict(holder.named_buffers())
    frames = _ModuleFrames(holder)

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], image: Tensor) -> Any:
        return torch.func.functional_call(holder, (parameters, buffers), (image,))

    with fx.traceback.preserve_node_meta(), _as_compiling(), frames:
        table = torch.export.default_decompositions()
        traced = make_fx(
            torch.func.functionalize(call),
            decomposition_table=cast(Any, {op: table[op] for op in list(table) if _operator_name(op) not in keep}),
            tracing_mode="fake",
            record_stack_traces=True,
        )(parameters, buffers, example)
    placeholders = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    flat = [(value, name.removeprefix("module.")) for name, value in parameters.items()]
    state = dict(zip(placeholders, [*flat, *((value, None) for value in buffers.values())], strict=False))
    results = next(node for node in traced.graph.nodes if node.op == "output").args[0]
    outputs = {node.name for node in torch.utils._pytree.tree_leaves(results) if isinstance(node, fx.Node)}
    return _convert(traced, state, outputs, "torch.fx")


@contextmanager
def _as_compiling() -> Iterator[None]:
    """Value checks are left out, as under torch.export: a fake tensor has no values."""
    before = torch.compiler._is_compiling_flag
    torch.compiler._is_compiling_flag = True
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before


class _ModuleFrames:
    """While active, operators that are recorded carry the path of the module that calls them."""

    def __init__(self, holder: nn.Module) -> None:
        self.modules = {m: name.removeprefix("module").removeprefix(".") for name, m in holder.named_modules()}
        self.handles: list[Any] = []
        self.outer: list[Any] = []

    def __enter__(self) -> None:
        for module, name in self.modules.items():
            self.handles.append(module.register_forward_pre_hook(lambda *_, name=name: self._push(name), prepend=True))
            self.handles.append(module.register_forward_hook(lambda *_: self._pop(), always_call=True))

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _push(self, name: str) -> None:
        meta = fx.traceback.current_meta
        self.outer.append(meta.get("nn_module_stack"))
        meta["nn_module_stack"] = {**(self.outer[-1] or {}), name: (name, "")}

    def _pop(self) -> None:
        before = self.outer.pop()
        if before is None:
            fx.traceback.current_meta.pop("nn_module_stack", None)
        else:
            fx.traceback.current_meta["nn_module_stack"] = before


def _convert(
    module: fx.GraphModule, state: dict[str, tuple[Tensor, str | None]], outputs: set[str], tracer: str
) -> Graph:
    known: dict[fx.Node, Node] = {}
    result: list[Node] = []
    calls: dict[Any, Node] = {}

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
            _contiguous(node),
            getattr(node.meta.get("val"), "dtype", None),
        )
        if node.op == "call_function" and not is_random(new):
            key = (str(node.target), _frozen(new.args), _frozen(new.kwargs))
            new = calls.setdefault(key, new)
        known[node] = new
        if new.name == node.name:
            result.append(new)
    wanted = {known[node].name for node in module.graph.nodes if node.name in outputs and node in known}
    chosen = tuple(node for node in result if node.name in wanted)
    if not chosen:
        raise TracingError("the module returns no tensor")
    return Graph(tuple(result), chosen, tracer)


def is_random(node: Node) -> bool:
    """Whether the operator draws random numbers."""
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _frozen(argument: Any) -> Any:
    if isinstance(argument, Node):
        return ("node", argument.name)
    if isinstance(argument, (list, tuple)):
        return tuple(_frozen(a) for a in argument)
    if isinstance(argument, dict):
        return tuple((k, _frozen(v)) for k, v in sorted(argument.items()))
    return (type(argument).__name__, repr(argument))


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


def _contiguous(node: fx.Node) -> bool:
    meta = node.meta.get("val")
    return isinstance(meta, Tensor) and meta.is_contiguous()


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
