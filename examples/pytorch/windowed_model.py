"""Makes a windowed model in PyTorch, as the ipt_recognition project's are: raw audio to logits, with three log-mel
spectrograms of different resolution inside the network, and a small convolutional network behind each.

    windowed_model.py OUT.onnx [--torchscript OUT.ts] [--window SAMPLES] [--hop SAMPLES] [--seed N]

It learns within seconds to tell high tones, low tones and noise that it makes itself: a start for a model of your own,
and what Tocco's tests load. A smaller --hop makes the same network slower, on purpose.
"""

import argparse
import sys
import warnings
from typing import List

import numpy as np
import torch
from torch import Tensor, nn

import onnx_file

SAMPLE_RATE = 24_000
# Sorted, which is how ipt_recognition orders the folders it was trained on.
CLASSES = ["high", "low", "noise"]
FFT_SIZES = (512, 1024, 2048)
WINDOW = 7_680
HOP = 256
STEPS = 100
MELS = 48
# Channels of the first convolutions.
WIDTH = 8
BATCH = 32
# Softer than any sound of the training: what a frame of silence is taken for.
POWER_FLOOR = 1e-6


def mel_filters(fft_size, lowest=40.0, highest=11_000.0):
    """Triangles, evenly spaced on O'Shaughnessy's mel scale: `[bins, MELS]`."""
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    corners = 700 * (10 ** (np.linspace(mel(lowest), mel(highest), MELS + 2) / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.tensor(np.maximum(0, np.minimum(rising, falling)), dtype=torch.float32)


class LogMel(nn.Module):
    """`[batch, 1, samples]` to `[batch, 1, mels, frames]`, roughly between -1 and 1."""

    def __init__(self, fft_size: int):
        super().__init__()
        self.fft_size = fft_size
        self.hop = HOP
        self.floor = POWER_FLOOR
        window = torch.hann_window(fft_size)
        # Scaled so that a tone has the same power in every resolution.
        self.register_buffer("window", window / window.sum(), persistent=True)
        self.register_buffer("filters", mel_filters(fft_size), persistent=True)

    def forward(self, audio: Tensor) -> Tensor:
        spectrum = torch.stft(
            audio.squeeze(1), self.fft_size, self.hop, self.fft_size, self.window,
            center=True, pad_mode="reflect", normalized=False, onesided=True, return_complex=True,
        )
        power = spectrum.abs().pow(2.0)
        mel = torch.matmul(power.transpose(1, 2), self.filters).transpose(1, 2)
        return (torch.log10(mel + self.floor) / 3 + 1).unsqueeze(1)


def branch(width):
    """A convolutional network whose strides do what pooling does elsewhere: `[batch, 2 * width, 1, 1]`."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding="same"), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.01),
        nn.AdaptiveAvgPool2d((6, 1)), nn.Dropout2d(0.1),
    )


class Network(nn.Module):
    """Logits `[batch, classes]` of windows `[batch, 1, window]`; softmax is whose listens."""

    def __init__(self, window: int):
        super().__init__()
        self.frontends = nn.ModuleList([LogMel(size) for size in FFT_SIZES])
        self.branches = nn.ModuleList([branch(WIDTH) for _ in FFT_SIZES])
        self.head = nn.Sequential(
            nn.Linear(6 * 2 * WIDTH * len(FFT_SIZES), 32), nn.ReLU(), nn.Linear(32, len(CLASSES))
        )
        self.sr = SAMPLE_RATE
        self.seglen = window
        self.classnames = CLASSES

    def forward(self, audio: Tensor) -> Tensor:
        heard: List[Tensor] = []
        for frontend, branch in zip(self.frontends, self.branches):
            heard.append(branch(frontend(audio)).flatten(1))
        return self.head(torch.cat(heard, dim=1))

    # What ipt~ asks a TorchScript file.
    @torch.jit.export
    def get_sr(self) -> int:
        return self.sr

    @torch.jit.export
    def get_seglen(self) -> int:
        return self.seglen

    @torch.jit.export
    def get_classnames(self) -> List[str]:
        return self.classnames


def sounds(random, count, window):
    """Windows `[count, 1, window]` of one class each, and the classes: tones and noise at any level, over a soft
    background. Some begin within the window, as the sound before the first note is silence."""
    time = np.arange(window) / SAMPLE_RATE
    labels = random.integers(len(CLASSES), size=count)
    audio = np.empty((count, 1, window), dtype=np.float32)
    for row, label in enumerate(labels):
        if CLASSES[label] == "noise":
            sound = random.standard_normal(window) / 3
        else:
            lowest, highest = (1_500, 7_000) if CLASSES[label] == "high" else (80, 700)
            hertz = lowest * (highest / lowest) ** random.random()
            sound = np.sin(2 * np.pi * (hertz * time + random.random()))
        sound = sound * 10 ** random.uniform(-2, -0.2)
        if random.random() < 0.4:
            sound[: random.integers(window // 2)] = 0
        audio[row, 0] = sound + 10 ** random.uniform(-5, -3.5) * random.standard_normal(window)
    return torch.from_numpy(audio), torch.from_numpy(labels)


def train(network, seed):
    """Trains on sounds made on the way."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    network.train()
    for _ in range(STEPS):
        audio, labels = sounds(random, BATCH, network.seglen)
        loss = nn.functional.cross_entropy(network(audio), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


def correct(network, seed):
    """The share of right answers on new sounds."""
    audio, labels = sounds(np.random.default_rng(seed), 64, network.seglen)
    with torch.no_grad():
        return (network(audio).argmax(dim=1) == labels).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("onnx", help="the model file for Tocco")
    parser.add_argument("--torchscript", help="also write the file that ipt~ would load")
    parser.add_argument("--window", type=int, default=WINDOW, help="samples that one answer is about")
    parser.add_argument("--hop", type=int, default=HOP, help="samples between two frames in the written network; it is "
                        "trained with the default, whose answers hold for steady sounds at any hop")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    network = Network(arguments.window)
    train(network, arguments.seed)
    share = correct(network, arguments.seed + 1)
    print(f"trained {STEPS} steps: {100 * share:.1f} % of 64 new sounds right")
    for frontend in network.frontends:
        frontend.hop = arguments.hop
    if arguments.torchscript:
        with warnings.catch_warnings():
            # TorchScript has a successor; ipt~ does not read that one.
            warnings.simplefilter("ignore")
            torch.jit.script(network).save(arguments.torchscript)
        print(f"{arguments.torchscript}: written as TorchScript")
    difference = onnx_file.write(network, SAMPLE_RATE, arguments.window, CLASSES, arguments.onnx)
    print(f"{arguments.onnx}: written; ONNX Runtime and PyTorch differ by at most {difference:.2g}")


if __name__ == "__main__":
    try:
        main()
    except (onnx_file.Refused, OSError) as error:
        sys.exit(f"windowed_model.py: {error}")
