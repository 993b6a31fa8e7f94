"""One int8 table where the converter of .tflite writes two.

A tied embedding is looked up (GATHER) and multiplied with (FULLY_CONNECTED). Quantizing, the converter gives the first
one scale for the whole table and the second one a scale a row, and so writes the table twice: a third of a small model.
Here the lookup is made to read the table of the product:

    before   GATHER(table int8, ids) -> DEQUANTIZE
    after    MUL(CAST(GATHER(table int8, ids)), GATHER(scales, ids))

which is also nearer to the original, with a scale a row.

Shapes: V vocabulary, D width.
"""

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

MODEL_IDENTIFIER = b"TFL3"
_OP = schema.BuiltinOperator


def share_table(content: bytes) -> bytes:
    """A .tflite with every looked-up table that is also multiplied with written once.

    Args:
        content: a .tflite as the converter wrote it; comes back as it is where there is no such table.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    scales = {}  # buffer of a table -> buffer of its row scales
    for subgraph in model.subgraphs:
        for lookup, dequantize in _lookups(model, subgraph):
            table = subgraph.tensors[lookup.inputs[0]]
            product = _same_table_in_a_product(model, table)
            if product is not None:
                if product.buffer not in scales:
                    row_scales = np.asarray(product.quantization.scale, "<f4")
                    scales[product.buffer] = _add_buffer(model, row_scales.tobytes())
                _read_from(model, subgraph, lookup, dequantize, product, scales[product.buffer])
    if not scales:
        return content
    _forget_unused_buffers(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _code(model, operator) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _lookups(model, subgraph):
    """The pairs (GATHER, DEQUANTIZE) of int8 tables that are read by nothing else."""
    readers = {}
    for operator in subgraph.operators:
        for tensor in operator.inputs:
            readers.setdefault(int(tensor), []).append(operator)
    pairs = []
    for operator in subgraph.operators:
        if _code(model, operator) != _OP.GATHER:
            continue
        table, gathered = int(operator.inputs[0]), int(operator.outputs[0])
        next_operators = readers.get(gathered, [])
        if (
            _is_quantized(model, subgraph.tensors[table], num_scales=1)
            and len(readers[table]) == 1
            and len(next_operators) == 1
            and _code(model, next_operators[0]) == _OP.DEQUANTIZE
        ):
            pairs.append((operator, next_operators[0]))
    return pairs


def _is_quantized(model, tensor, num_scales: int) -> bool:
    quantization = tensor.quantization
    return (
        tensor.type == schema.TensorType.INT8
        and tensor.shape is not None
        and len(tensor.shape) == 2
        and model.buffers[tensor.buffer].data is not None
        and quantization is not None
        and quantization.scale is not None
        and len(quantization.scale) == num_scales
    )


def _same_table_in_a_product(model, table):
    """The weights of a FULLY_CONNECTED that are `table` within the rounding of both, or None."""
    looked_up = _values(model, table)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            if _code(model, operator) != _OP.FULLY_CONNECTED:
                continue
            weights = subgraph.tensors[operator.inputs[1]]
            if not _is_quantized(model, weights, num_scales=len(looked_up)):
                continue
            if tuple(weights.shape) != looked_up.shape:
                continue
            steps = (np.asarray(weights.quantization.scale) + table.quantization.scale[0])[:, None]
            if np.all(np.abs(_values(model, weights) - looked_up) <= 0.51 * steps):
                return weights
    return None


def _values(model, tensor) -> np.ndarray:
    """The numbers that a quantized matrix stands for, (V, D)."""
    stored = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.int8)
    stored = stored.reshape(tensor.shape).astype("float32")
    zero = np.asarray(tensor.quantization.zeroPoint, "float32").reshape(-1, 1)
    return (stored - zero) * np.asarray(tensor.quantization.scale, "float32").reshape(-1, 1)


def _read_from(model, subgraph, lookup, dequantize, product, scales: int) -> None:
    """Rewrites one lookup; `dequantize` becomes the CAST, and what it wrote is written by the MUL."""
    table, ids = subgraph.tensors[lookup.inputs[0]], int(lookup.inputs[1])
    gathered, vectors = subgraph.tensors[lookup.outputs[0]], int(dequantize.outputs[0])
    table.buffer, table.quantization, gathered.quantization = product.buffer, None, None

    shape = list(subgraph.tensors[vectors].shape)
    signature = subgraph.tensors[vectors].shapeSignature
    one = None if signature is None else [*signature[:-1], 1]
    scale_table = _add_tensor(subgraph, "row_scales", [table.shape[0], 1], None, scales)
    scale = _add_tensor(subgraph, "row_scale", [*shape[:-1], 1], one, _add_buffer(model))
    cast = _add_tensor(subgraph, "looked_up", shape, signature, _add_buffer(model))

    dequantize.opcodeIndex = _opcode(model, _OP.CAST)
    dequantize.builtinOptionsType = schema.BuiltinOptions.CastOptions
    dequantize.builtinOptions = schema.CastOptionsT()
    dequantize.builtinOptions.inDataType = schema.TensorType.INT8
    dequantize.builtinOptions.outDataType = schema.TensorType.FLOAT32
    dequantize.outputs = [cast]

    gather = schema.OperatorT()
    gather.opcodeIndex = lookup.opcodeIndex
    gather.builtinOptionsType = lookup.builtinOptionsType
    gather.builtinOptions = lookup.builtinOptions
    gather.inputs, gather.outputs = [scale_table, ids], [scale]
    multiply = schema.OperatorT()
    multiply.opcodeIndex = _opcode(model, _OP.MUL)
    multiply.builtinOptionsType = schema.BuiltinOptions.MulOptions
    multiply.builtinOptions = schema.MulOptionsT()
    multiply.inputs, multiply.outputs = [cast, scale], [vectors]
    place = subgraph.operators.index(dequantize) + 1
    subgraph.operators[place:place] = [gather, multiply]


def _add_buffer(model, data: bytes | None = None) -> int:
    buffer = schema.BufferT()
    if data is not None:
        buffer.data = np.frombuffer(data, np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _add_tensor(subgraph, name, shape, signature, buffer: int) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.shapeSignature = name.encode(), shape, signature
    tensor.type, tensor.buffer = schema.TensorType.FLOAT32, buffer
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _opcode(model, builtin: int) -> int:
    """The index of an operator in the file's list, put there where it is missing."""
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, 1
    code.deprecatedBuiltinCode = min(builtin, 127)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _forget_unused_buffers(model) -> None:
    used = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
