"""Runs a windowed model in ONNX Runtime on windows of noise and tones at several levels.

    onnx_runtime_answers.py MODEL.onnx WINDOW OUT.f32

OUT gets, as little-endian float32, each window's samples and then its logits.
"""

import sys

import numpy as np
import onnxruntime


def main():
    model, length, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(11)
    with open(out, "wb") as file:
        for level in np.logspace(0, -4, 12):
            tone = np.sin(random.uniform(0.005, 2) * np.arange(length))
            window = (level * (tone + random.uniform(0, 0.5) * random.standard_normal(length))).astype("<f4")
            (logits,) = session.run(None, {session.get_inputs()[0].name: window[None, None]})
            file.write(window.tobytes() + logits.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
