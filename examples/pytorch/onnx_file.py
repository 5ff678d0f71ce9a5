"""Writes a windowed PyTorch network as an ONNX file that Tocco loads: raw audio `[1, 1, seglen]` to logits
`[1, classes]`, with the metadata keys `sr`, `seglen` and `classnames` of the ipt_recognition project.

The network is traced once, on one window, into a graph of ATen operators, whatever it was made of: a module in
Python or a TorchScript file. There every branch is decided and every shape known. ONNX has no complex numbers, so
what lies between a short-time Fourier transform and its magnitude is carried as pairs of real numbers.
"""

import io
import json
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch.fx.experimental.proxy_tensor import make_fx

OPSET = 17
# How far ONNX Runtime may lie from PyTorch, as a share of the largest logit (of 1 where all are smaller).
TOLERANCE = 1e-3
WINDOWS = 10

aten = torch.ops.aten


class Refused(Exception):
    """Why a network can't be written, as a sentence for its owner."""


def write(network, sample_rate, window, classes, path):
    """Writes `network` to `path` and gives the largest difference of a logit between PyTorch and ONNX Runtime.

    `network` takes `[1, 1, window]` samples at `sample_rate` Hz and gives `[1, len(classes)]` logits. A network
    that ONNX can't express or ONNX Runtime runs differently is refused, and nothing is written.
    """
    check(sample_rate, window, classes)
    windows = test_windows(sample_rate, window)
    with torch.no_grad(), warnings.catch_warnings():
        # PyTorch says that even kernels are slow, that the exporter has a successor, that shapes are constants.
        warnings.simplefilter("ignore")
        expected = run_pytorch(network, windows, len(classes))
        model = export(network, windows[:1])
    metadata = {
        "sr": str(sample_rate),
        "seglen": str(window),
        "classnames": json.dumps(list(classes), ensure_ascii=False),
        # What the answer to one window is, so that a machine that runs the network wrongly refuses it.
        "tocco.reference": json.dumps(reference(windows[0], expected[0])),
    }
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    difference = compare(model, windows, expected)
    onnx.save(model, path)
    return difference


def check(sample_rate, window, classes):
    if sample_rate <= 0 or window <= 0:
        raise Refused(f"a rate of {sample_rate} Hz and a window of {window} samples describe no sound")
    if not classes or len(set(classes)) != len(classes) or not all(classes):
        raise Refused(f"the class names must be there, and differ: {classes}")


def test_windows(sample_rate, length):
    """Noise at levels from full scale down to -80 dBFS, tones, and silence: `[WINDOWS, 1, length]`."""
    random = torch.Generator().manual_seed(1)
    windows = torch.randn(WINDOWS, 1, length, generator=random)
    windows *= torch.logspace(-0.5, -4, WINDOWS)[:, None, None]
    time = torch.arange(length) / sample_rate
    for row, hertz in enumerate((110, 440, 1760)):
        windows[3 * row + 1, 0] += 0.3 * torch.sin(2 * torch.pi * hertz * time)
    windows[-1] = 0
    return windows


def run_pytorch(network, windows, classes):
    """Logits `[WINDOWS, classes]`, one window at a time as in a live recognizer."""
    try:
        rows = [network(window[None]) for window in windows]
    except Exception as error:
        raise Refused(
            f"the network does not take a window of shape {[1, *windows.shape[1:]]}: {last_line(error)}"
        ) from error
    for row in rows:
        if not isinstance(row, torch.Tensor) or row.is_complex() or row.shape != (1, classes):
            shape = list(row.shape) if isinstance(row, torch.Tensor) else type(row).__name__
            raise Refused(f"the network answers with {shape}, not with one logit for each of its {classes} classes")
    logits = torch.cat(rows).to(torch.float32)
    if not torch.isfinite(logits).all():
        raise Refused("the network answers with numbers that are not finite")
    return logits.numpy()


def export(network, window):
    """The network as an ONNX model of float32, for windows of just this shape."""
    try:
        # Before autograd takes operators apart: a convolution is still a convolution, a pool a pool.
        graph = make_fx(network, pre_dispatch=True)(window)
    except Exception as error:
        raise Refused(
            "the network can't be written as one graph. Does it take another way for another sound? PyTorch says: "
            + last_line(error)
        ) from error
    real = RealNumbers(graph)
    buffer = io.BytesIO()
    try:
        torch.onnx.export(
            real, (window,), buffer, input_names=["audio"], output_names=["logits"], opset_version=OPSET, dynamo=False
        )
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"PyTorch's exporter can't write this network as ONNX: {last_line(error)}") from error
    return onnx.load_from_string(buffer.getvalue())


class Complex:
    """A complex tensor as a real one with a last dimension of two: real and imaginary part."""

    def __init__(self, parts):
        self.parts = parts


class RealNumbers(torch.nn.Module):
    """Runs a traced graph without complex numbers and without what only training needs."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph

    def forward(self, window):
        interpreter = Interpreter(self.graph)
        interpreter.extra_traceback = False
        logits = interpreter.run(window)
        # The same for a network in another precision: Tocco speaks float32.
        return logits.to(torch.float32)


class Interpreter(torch.fx.Interpreter):
    def call_function(self, target, args, kwargs):
        if target in (aten.stft.default, aten.stft.center):
            return Complex(stft(target, args, kwargs))
        if target in (aten.dropout.default, aten.feature_dropout.default) and not args[2]:
            return args[0]
        if target in POOLS:
            return adaptive_average(args[0], args[1])
        if any(isinstance(value, Complex) for value in torch.utils._pytree.tree_leaves((args, kwargs))):
            return on_complex(target, args, kwargs)
        return super().call_function(target, args, kwargs)


def stft(target, args, kwargs):
    """`torch.stft` with its answer as pairs: `[..., bins, frames, 2]`."""
    values = {argument.name: argument.default_value for argument in target._schema.arguments}
    values.update(zip((argument.name for argument in target._schema.arguments), args))
    values.update(kwargs)
    samples, size = values["self"], values["n_fft"]
    batch = samples if samples.dim() == 2 else samples[None]
    if values.get("center"):
        batch = torch.nn.functional.pad(batch[None], [size // 2, size // 2], mode=values["pad_mode"])[0]
    length = values["win_length"] or size
    window = torch.ones(length) if values["window"] is None else values["window"]
    left = (size - length) // 2
    window = torch.nn.functional.pad(window, [left, size - length - left])
    if values["normalized"]:
        window = window / size**0.5
    onesided = values["onesided"] is not False
    spectrum = Spectrum.apply(batch, window, size, values["hop_length"] or size // 4, onesided).transpose(1, 2)
    return spectrum if samples.dim() == 2 else spectrum[0]


class Spectrum(torch.autograd.Function):
    """`[batch, samples]` to `[batch, frames, bins, 2]`, as ONNX's operator STFT.

    PyTorch's exporter knows that operator too, but leaves out the last dimension of its input, on which tract insists.
    """

    @staticmethod
    def forward(_, batch, window, size, hop, onesided):
        spectrum = torch.stft(batch, size, hop, size, window, center=False, onesided=onesided, return_complex=True)
        return torch.view_as_real(spectrum).transpose(1, 2).contiguous()

    @staticmethod
    def symbolic(graph, batch, window, size, hop, onesided):
        def number(value):
            return graph.op("Constant", value_t=torch.tensor(value))

        signal = graph.op("Unsqueeze", batch, number([-1]))
        spectrum = graph.op("STFT", signal, number(hop), window, number(size), onesided_i=int(onesided))
        count, samples = batch.type().sizes()
        # Without a shape the exporter does not write well what comes behind.
        shape = [count, (samples - size) // hop + 1, size // 2 + 1 if onesided else size, 2]
        spectrum.setType(batch.type().with_sizes(shape))
        return spectrum


POOLS = (aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default)


def adaptive_average(values, sizes):
    """Adaptive average pooling to any size as a product with a matrix for each axis: ONNX has no such operator."""
    for axis, size in zip(range(-len(sizes), 0), sizes):
        length = values.shape[axis]
        # In NumPy, so that it is a constant: an assignment to a part of a tensor is not written well.
        weights = np.zeros((length, size), dtype=np.float32)
        for column in range(size):
            start, end = column * length // size, -(-(column + 1) * length // size)
            weights[start:end, column] = 1 / (end - start)
        values = (values.transpose(axis, -1) @ torch.from_numpy(weights)).transpose(axis, -1)
    return values


# What may happen to complex numbers on their way to a magnitude, by the operator.
def on_complex(target, args, kwargs):
    value, rest = args[0], args[1:]
    if not isinstance(value, Complex) or kwargs:
        raise unknown(target)
    real, imaginary = value.parts[..., 0], value.parts[..., 1]
    rank = value.parts.dim() - 1
    if target is aten.abs.default:
        return torch.sqrt(real * real + imaginary * imaginary)
    if target is aten.real.default:
        return real
    if target is aten.imag.default:
        return imaginary
    if target is aten.view_as_real.default:
        return value.parts
    if target in (aten.view.default, aten.reshape.default):
        return Complex(value.parts.reshape(*rest[0], 2))
    if target is aten.transpose.int:
        return Complex(value.parts.transpose(*(dimension % rank for dimension in rest)))
    if target is aten.unsqueeze.default:
        return Complex(value.parts.unsqueeze(rest[0] % (rank + 1)))
    if target is aten.squeeze.dim:
        return Complex(value.parts.squeeze(rest[0] % rank))
    raise unknown(target)


def unknown(target):
    return Refused(
        f"the network does «{target}» with complex numbers, which ONNX does not have; Tocco can convert a short-time "
        "Fourier transform followed by abs, real, imag or view_as_real"
    )


def compare(model, windows, expected):
    """Runs the file's bytes in ONNX Runtime; gives the largest difference, refuses one that is too large."""
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers = np.concatenate([session.run(None, {"audio": window[None].numpy()})[0] for window in windows])
    except Exception as error:
        raise Refused(f"ONNX Runtime can't run the converted network: {last_line(error)}") from error
    difference = float(np.abs(answers - expected).max())
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    # Asked this way round so that a NaN does not pass.
    if not difference <= allowed:
        raise Refused(
            f"ONNX Runtime answers differently from PyTorch: a logit differs by {difference:.2g}, more than "
            f"{allowed:.2g}; nothing was written"
        )
    return difference


def reference(window, logits):
    return {"input": [float(f"{sample:.9g}") for sample in window.flatten().tolist()], "output": logits.tolist()}


def last_line(error):
    """The end of a long message, which is where PyTorch says what it is about, less its marks."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.endswith(("Error:", "<--- HERE"))]
    return lines[-1] if lines else type(error).__name__
