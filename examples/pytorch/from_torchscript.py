"""Turns a model that the Max object ipt~ loads into one that Tocco loads:

    from_torchscript.py MODEL.ts MODEL.onnx

The TorchScript file has the methods get_sr(), get_seglen() and get_classnames(), and a forward() from raw audio
`[batch, 1, seglen]` to logits `[batch, classes]`. What is written answers as the file does, as far as ONNX Runtime
can tell: both are run on the same windows, and where they differ nothing is written.

Only convert files from people you trust: TorchScript is a program.
"""

import argparse
import os
import sys
import warnings

import onnx_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch

METHODS = ("get_sr", "get_seglen", "get_classnames")


def load(path):
    """The module on the processor, as it is for listening."""
    if not os.path.isfile(path):
        raise onnx_file.Refused(f"{path}: there is no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = torch.jit.load(path, map_location="cpu")
        except (RuntimeError, ValueError) as error:
            raise onnx_file.Refused(f"{path}: it is no TorchScript file, or a damaged one") from error
    return module.eval().float()


def described(module, path):
    """Rate in Hz, length of a window in samples, class names."""
    missing = [name for name in METHODS if not hasattr(module, name)]
    if missing:
        raise onnx_file.Refused(
            f"{path}: it does not say what it is: {', '.join(missing)} missing. ipt~ could not load it either"
        )
    rate, length, classes = (getattr(module, name)() for name in METHODS)
    if not isinstance(classes, (list, tuple)) or not all(isinstance(name, str) for name in classes):
        raise onnx_file.Refused(f"{path}: get_classnames() gives no list of names: {classes!r}")
    return whole(rate, "get_sr()", path), whole(length, "get_seglen()", path), list(classes)


def whole(number, name, path):
    """Rates are written as 24000, 24000.0 or a tensor of it."""
    try:
        value = float(number)
    except (TypeError, ValueError) as error:
        raise onnx_file.Refused(f"{path}: {name} gives no number: {number!r}") from error
    if not value.is_integer():
        raise onnx_file.Refused(f"{path}: {name} gives {value}, which is not a whole number")
    return int(value)


def main():
    parser = argparse.ArgumentParser(description="Turns an ipt~ model (TorchScript) into an ONNX file for Tocco.")
    parser.add_argument("torchscript", help="the .ts file")
    parser.add_argument("onnx", help="the .onnx file to write")
    arguments = parser.parse_args()

    module = load(arguments.torchscript)
    rate, length, classes = described(module, arguments.torchscript)
    names = ", ".join(classes)
    print(f"{arguments.torchscript}: {rate} Hz, windows of {length} samples, {len(classes)} classes: {names}")
    try:
        difference = onnx_file.write(module, rate, length, classes, arguments.onnx)
    except onnx_file.Refused as error:
        raise onnx_file.Refused(f"{arguments.torchscript}: {error}") from error
    print(
        f"{arguments.onnx}: written; on {onnx_file.WINDOWS} windows ONNX Runtime and TorchScript differ "
        f"by at most {difference:.2g}"
    )


if __name__ == "__main__":
    try:
        main()
    except (onnx_file.Refused, OSError) as error:
        sys.exit(f"from_torchscript.py: {error}")
