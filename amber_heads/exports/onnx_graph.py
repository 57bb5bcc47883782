"""A loaded run as one ONNX graph: every member's heads, gate and standardisation, side by side.

A member is a (fold, seed). Its tensors are slices of initialisers whose first axis is the member,
so that a layer of all members is one batched MatMul. Members of unlike width are padded with zeros,
which nothing downstream reads: a padded unit is relu(0) = 0, and its outgoing weights are 0.

    <modality>                (batch, feature) float32, as the encoder gave it: not standardised;
                              (batch, layer, feature) where the run sums layers
    <head>_distribution       (batch, class) the mean over members
    <head>_members            (member, batch, class)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from amber_heads.configuration.options import FUSION
from amber_heads.heads import Architecture
from amber_heads.stack.featurizer import SCALE
from amber_heads.using.loaded import LoadedRun

#: What ONNX Runtime reads since 1.13; nothing here needs a newer one.
OPSET, IR_VERSION = 17, 8

#: Tensors by name, the first axis the member; vectors of a layer are (member, 1, out).
Tensors = dict[str, Float[np.ndarray, "member ... _"]]


def build_graph(run: LoadedRun, *, metadata: Mapping[str, str]) -> Any:
    """The graph as `onnx.ModelProto`; the same run and metadata give the same one.

    Args:
        run: All of its folds read the same entries.
        metadata: Texts that are kept with the model.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = _Graph(run.architecture(0))
    for entry in run.modalities[0]:
        graph.standardise(entry.modality)
    for entry in run.modalities[0]:
        name = entry.modality
        graph.answer(name, graph.layer(f"{name}.hidden", graph.read(name, by=name), relu=True))
    if FUSION in run.heads:
        graph.fuse([entry.modality for entry in run.modalities[0]])
    num_classes, num_members = len(run.classes), len(run.members)
    inputs = [
        helper.make_tensor_value_info(
            one.modality, TensorProto.FLOAT, ["batch", *one.shape], "not standardised"
        )
        for one in run.modalities[0]
    ]
    outputs = []
    for head in run.heads:
        shapes: dict[str, list[Any]] = {"distribution": ["batch", num_classes]}
        shapes["members"] = [num_members, "batch", num_classes]
        outputs += [
            helper.make_tensor_value_info(f"{head}_{name}", TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]
    tensors = {**member_tensors(run), **graph.constants}
    stored = [numpy_helper.from_array(one, name) for name, one in tensors.items()]
    made = helper.make_graph(graph.nodes, "amber", inputs, outputs, stored)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    helper.set_model_props(model, dict(metadata))
    return model


def member_tensors(run: LoadedRun) -> Tensors:
    """Every member's parameters and statistics, stacked; weights are (member, in, out)."""
    width = max(run.architecture(fold).hidden for fold, _ in run.members)
    each = [_tensors_of(run, fold, seed, width) for fold, seed in run.members]
    return {name: np.ascontiguousarray(np.stack([one[name] for one in each])) for name in each[0]}


def _tensors_of(run: LoadedRun, fold: int, seed: int, width: int) -> dict[str, np.ndarray]:
    architecture = run.architecture(fold)
    views = architecture.views(run.member(fold, seed).unsqueeze(0))
    found: dict[str, np.ndarray] = {}
    for name, view in views.items():
        values = view[0].numpy()
        if name.endswith(".scores"):  # softmax(s a), s inside: (1, 1, layer)
            found[name] = np.float32(SCALE) * values[None, None]
            continue
        is_gate = name.startswith(f"{FUSION}.gate.")
        blocks = architecture.gate_width // architecture.hidden if is_gate else 1
        layer = name.rpartition(".")[0]
        out = len(run.classes) if layer.endswith(".output") else width
        columns = values[None] if values.ndim == 1 else values.T  # (in, out), a bias (1, out)
        reads_hidden = layer.endswith(".output") or layer == f"{FUSION}.hidden"
        rows = width if reads_hidden and values.ndim == 2 else len(columns)
        found[name] = _padded(columns, rows, out, blocks)
    for number, entry in enumerate(run.modalities[fold]):
        for kind, statistics in (("mean", run.means), ("scale", run.scales)):
            shaped = statistics[fold][number].float().numpy().reshape(1, *entry.shape)
            found[f"{entry.modality}.{kind}"] = shaped
    return found


def _padded(
    values: Float[np.ndarray, "rows columns"], rows: int, columns: int, blocks: int
) -> Float[np.ndarray, "more_rows more_columns"]:
    """Zeros behind the rows, and behind each of so many blocks of columns."""
    parts = values.reshape(len(values), blocks, -1)
    whole = np.zeros((rows, blocks, columns), np.float32)
    whole[: len(values), :, : parts.shape[2]] = parts
    return whole.reshape(rows, blocks * columns)


class _Graph:
    """Nodes in order, and the constants that they read; each node is named after its output."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Put a node behind the others; gives its output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def axes(self, axis: int) -> str:
        """A constant that names an axis."""
        name = f"axis_{axis}"
        self.constants[name] = np.array([axis], np.int64)
        return name

    def standardise(self, modality: str) -> None:
        """(batch, ...) -> (member, batch, ...), each with its fold's statistics."""
        each = self.add("Unsqueeze", [modality, self.axes(0)], f"{modality}.each")
        centred = self.add("Sub", [each, f"{modality}.mean"], f"{modality}.centred")
        self.add("Div", [centred, f"{modality}.scale"], f"{modality}.standardised")

    def read(self, modality: str, *, by: str) -> str:
        """What a head reads of a modality, (member, batch, feature): as it is, or summed layers."""
        standardised = f"{modality}.standardised"
        if modality not in self.architecture.layered:
            return standardised
        scores = self.architecture.layer_scores(modality)[by]
        stem = scores.removesuffix(".scores")
        weights = self.add("Softmax", [scores], f"{stem}.weights", axis=-1)
        row = self.add("MatMul", [weights, standardised], f"{stem}.row")  # (., batch, 1, feature)
        return self.add("Squeeze", [row, self.axes(2)], f"{stem}.sum")

    def layer(self, name: str, source: str, *, relu: bool = False) -> str:
        """A linear layer of all members."""
        product = self.add("MatMul", [source, f"{name}.weight"], f"{name}.product")
        found = self.add("Add", [product, f"{name}.bias"], f"{name}.sum")
        return self.add("Relu", [found], f"{name}.relu") if relu else found

    def answer(self, head: str, hidden: str) -> None:
        """A head's distributions, of every member and their mean."""
        logits = self.layer(f"{head}.output", hidden)
        members = self.add("Softmax", [logits], f"{head}_members", axis=-1)
        self.add("ReduceMean", [members], f"{head}_distribution", axes=[0], keepdims=0)

    def fuse(self, modalities: list[str]) -> None:
        """The gate, a softmax over modalities feature by feature, and the head behind it."""
        sources = {one: self.read(one, by=FUSION) for one in modalities}
        projected = [self.layer(f"{FUSION}.project.{m}", z) for m, z in sources.items()]
        logits = f"{FUSION}.gate.bias"
        for m, z in sources.items():
            part = self.add("MatMul", [z, f"{FUSION}.gate.{m}.weight"], f"{FUSION}.gate.{m}")
            logits = self.add("Add", [logits, part], f"{FUSION}.gate.with.{m}")
        gate = self.add(
            "Softmax", [self._gate_logits(logits, len(modalities))], f"{FUSION}.gate", axis=0
        )
        stacked = self._stacked(projected, f"{FUSION}.projected")
        weighted = self.add("Mul", [gate, stacked], f"{FUSION}.weighted")
        fused = self.add("ReduceSum", [weighted, self.axes(0)], f"{FUSION}.fused", keepdims=0)
        self.answer(FUSION, self.layer(f"{FUSION}.hidden", fused, relu=True))

    def _gate_logits(self, logits: str, number: int) -> str:
        """(member, batch, (M - 1) hidden) -> (M, member, batch, hidden), the last one zero."""
        from onnx import helper

        names = [f"{FUSION}.gate.logits.{one}" for one in range(number - 1)]
        if len(names) == 1:
            self.add("Identity", [logits], names[0])
        else:
            self.nodes.append(
                helper.make_node("Split", [logits], names, name=f"{FUSION}.gate.split", axis=-1)
            )
        self.constants["zero"] = np.zeros(1, np.float32)
        fixed = self.add("Mul", [names[0], "zero"], f"{FUSION}.gate.logits.{number - 1}")
        return self._stacked([*names, fixed], f"{FUSION}.gate.logits")

    def _stacked(self, names: list[str], output: str) -> str:
        """Equal shapes as one tensor with a new first axis."""
        each = [self.add("Unsqueeze", [one, self.axes(0)], f"{one}.one") for one in names]
        return self.add("Concat", each, output, axis=0)
