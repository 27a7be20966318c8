"""The weights of an exported llm.onnx by the onnx package, dequantised by rules of our own: an independent reader of what
the tool writes. The rules are those of onnxruntime's contrib operators and of ONNX's DequantizeLinear."""
import dataclasses
import pathlib

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclasses.dataclass
class Quantised:
    """A matrix [O, I] as it is stored: w = (code - zero_point) * scale."""
    bits: int
    block: int
    codes: np.ndarray  # int [O, I]
    scale: np.ndarray  # float64 [O, G]
    zero_point: np.ndarray  # int [O, G]

    def __post_init__(self):
        rows, cols = self.codes.shape
        if self.scale.shape != (rows, cols // self.block) or self.zero_point.shape != self.scale.shape:
            raise ValueError(f"codes {self.codes.shape}, scales {self.scale.shape}, zero points {self.zero_point.shape}, block {self.block}")

    @property
    def weight(self):
        """float64 [O, I]."""
        wide = [np.repeat(x, self.block, axis=1) for x in (self.zero_point, self.scale)]
        return (self.codes - wide[0]) * wide[1]


def load(directory):
    return onnx.load(str(pathlib.Path(directory) / "llm.onnx"))


def save(model, directory):
    """Writes `model` as llm.onnx in the new `directory`, with its weights inside."""
    directory.mkdir()
    onnx.save(model, str(directory / "llm.onnx"))
    return directory


def initializers(model):
    """{name: TensorProto}."""
    return {t.name: t for t in model.graph.initializer}


def array(tensor):
    return numpy_helper.to_array(tensor)


def replace(model, name, values):
    """Gives the initializer `name` other values."""
    initializers(model)[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def attributes(node):
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def unpack(data, bits, count):
    """`count` codes of each row of bytes, the first one in the lowest bits."""
    if bits == 8:
        return data[:, :count].astype(np.int64)
    out = np.stack([data & 15, data >> 4], axis=-1).reshape(len(data), -1)
    if out[:, count:].any():
        raise ValueError("the rest of a row's last byte is not zero")
    return out[:, :count].astype(np.int64)


def of_mat_mul_n_bits(node, tensors):
    a = attributes(node)
    rows, cols, bits, block = a["N"], a["K"], a["bits"], a["block_size"]
    groups = cols // block
    codes, scales, zero_points = (array(tensors[name]) for name in node.input[1:4])
    if codes.shape != (rows, groups, block * bits // 8) or zero_points.shape != (rows, (groups * bits + 7) // 8):
        raise ValueError(f"{node.name}: codes {codes.shape}, zero points {zero_points.shape}")
    return Quantised(bits, block, unpack(codes.reshape(rows, -1), bits, cols), scales.astype(np.float64),
                     unpack(zero_points, bits, groups))


def of_dequantize_linear(node, tensors):
    a = attributes(node)
    if a["axis"] != 0:
        raise ValueError(f"{node.name}: axis {a['axis']}")
    bits = {onnx.TensorProto.UINT4: 4, onnx.TensorProto.UINT8: 8}[tensors[node.input[0]].data_type]
    codes, scales, zero_points = (array(tensors[name]).T for name in node.input)
    return Quantised(bits, a["block_size"], codes.astype(np.int64), scales.astype(np.float64), zero_points.astype(np.int64))


def quantised(model):
    """{name of the matrix: Quantised}; the name is Hugging Face's."""
    tensors, out = initializers(model), {}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            out[node.input[1].removesuffix("_codes")] = of_mat_mul_n_bits(node, tensors)
        elif node.op_type == "DequantizeLinear":
            out[node.input[0].removesuffix("_codes_t")] = of_dequantize_linear(node, tensors)
    return out


def floats(model):
    """{Hugging Face's name: float array} of matrices and vectors that are stored as floats."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    out = {}
    for name, tensor in initializers(model).items():
        if tensor.data_type in kinds and name.startswith(("model.", "lm_head.")) and not name.endswith(("_scales", "_scales_t")):
            out[name.removesuffix("_t")] = array(tensor).T if name.endswith("_t") else array(tensor)
    return out


def dequantised(model):
    """`model` with a float32 matrix for each quantised one."""
    weights = quantised(model)
    out = onnx.ModelProto()
    out.CopyFrom(model)
    del out.graph.node[:]
    new = {name + "_t": w.weight.astype(np.float32).T for name, w in weights.items()}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            node = helper.make_node("MatMul", [node.input[0], node.input[1].removesuffix("_codes") + "_t"], node.output, name=node.name)
        elif node.op_type == "DequantizeLinear":
            node = helper.make_node("Identity", [node.input[0].removesuffix("_codes_t") + "_t"], node.output, name=node.name)
        out.graph.node.append(node)
    out.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in new.items())
    return out
