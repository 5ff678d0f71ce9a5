"""Writes TorchScript files into a folder for the tests of the converter: one as ipt~ loads it, and some that can't be
converted.

    torchscript_files.py FOLDER
"""

import os
import sys
import warnings
from typing import List

import torch
from torch import Tensor, nn

WINDOW = 4_410
CLASSES = ["flatterzunge", "ordinario", "pizzicato", "überblasen"]


class LogMel(nn.Module):
    """A mel spectrogram in decibels, from 0 for its softest number to 1 for its loudest: `[1, 1, mels, frames]`."""

    def __init__(self, fft_size: int):
        super().__init__()
        self.fft_size = fft_size
        self.register_buffer("window", torch.hann_window(fft_size))
        self.register_buffer("filters", torch.rand(fft_size // 2 + 1, 40))

    def forward(self, audio: Tensor) -> Tensor:
        shape = audio.size()
        spectrum = torch.stft(
            audio.reshape(-1, shape[-1]), self.fft_size, 128, self.fft_size, self.window,
            center=True, pad_mode="reflect", normalized=False, onesided=True, return_complex=True,
        )
        spectrum = spectrum.reshape(shape[:-1] + spectrum.shape[-2:])
        power = spectrum.abs().pow(2.0)
        mel = torch.matmul(power.transpose(-1, -2), self.filters).transpose(-1, -2)
        decibels = 10.0 * torch.log10(torch.clamp(mel, min=1e-10))
        softest, loudest = decibels.min(), decibels.max()
        return (decibels - softest) / (loudest - softest + 1e-9)


class Recognizer(nn.Module):
    """Three resolutions as the channels of one picture, as such models are built: even kernels padded to the same
    size, pooling to a size that does not divide the picture's, dropout that only training needs."""

    def __init__(self):
        super().__init__()
        self.mels = nn.ModuleList([LogMel(size) for size in (256, 512, 1024)])
        self.convolutions = nn.Sequential(
            nn.AdaptiveAvgPool2d((48, 30)),
            nn.Conv2d(3, 8, 4, padding="same"), nn.BatchNorm2d(8), nn.LeakyReLU(0.01), nn.MaxPool2d((4, 2)),
            nn.Dropout2d(0.25),
            nn.Conv2d(8, 16, (2, 3), padding="same"), nn.BatchNorm2d(16), nn.LeakyReLU(0.01), nn.MaxPool2d((4, 5)),
        )
        self.head = nn.Sequential(nn.Linear(16 * 3 * 3, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout1d(0.25),
                                  nn.Linear(20, len(CLASSES)))

    def forward(self, audio: Tensor) -> Tensor:
        pictures: List[Tensor] = []
        for mel in self.mels:
            pictures.append(mel(audio))
        features = self.convolutions(torch.cat(pictures, dim=1))
        return self.head(features.view(features.size(0), -1))

    @torch.jit.export
    def get_sr(self) -> int:
        return 22050

    @torch.jit.export
    def get_seglen(self) -> int:
        return 4410

    @torch.jit.export
    def get_classnames(self) -> List[str]:
        return ["flatterzunge", "ordinario", "pizzicato", "überblasen"]


class Described(nn.Module):
    """What the modules below have in common: a rate, a window, three names."""

    @torch.jit.export
    def get_sr(self) -> float:
        return 22050.0

    @torch.jit.export
    def get_seglen(self) -> int:
        return 256

    @torch.jit.export
    def get_classnames(self) -> List[str]:
        return ["a", "b", "c"]


class Phases(Described):
    """Does with complex numbers what ONNX can't."""

    def forward(self, audio: Tensor) -> Tensor:
        spectrum = torch.stft(audio.squeeze(1), 64, 32, window=torch.ones(64), center=False, return_complex=True)
        return (spectrum * spectrum).abs().mean(dim=2)[:, :3]


class Undecided(Described):
    """Takes another way for soft sounds: one graph can't say both."""

    def forward(self, audio: Tensor) -> Tensor:
        loudest = float(audio.abs().max())
        return audio[:, 0, :3] if loudest > 0.05 else 100 * audio[:, 0, 3:6]


class Chance(Described):
    """Never answers the same twice."""

    def forward(self, audio: Tensor) -> Tensor:
        return audio[:, 0, :3] + torch.rand(1, 3)


class FourAnswers(Described):
    """Answers with more numbers than it names classes."""

    def forward(self, audio: Tensor) -> Tensor:
        return audio[:, 0, :4]


class Nameless(nn.Module):
    """Does not say what it is."""

    def forward(self, audio: Tensor) -> Tensor:
        return audio[:, 0, :3]


def main():
    torch.manual_seed(3)
    recognizer = Recognizer()
    # A fresh network's statistics are all 0 and 1, which no trained network has.
    recognizer.train()
    with torch.no_grad():
        for _ in range(8):
            recognizer(torch.randn(4, 1, WINDOW) * 0.1)
    modules = {
        "recognizer": recognizer, "phases": Phases(), "undecided": Undecided(), "chance": Chance(),
        "four_answers": FourAnswers(), "nameless": Nameless(),
    }
    for name, module in modules.items():
        with warnings.catch_warnings():
            # TorchScript has a successor; ipt~ does not read that one.
            warnings.simplefilter("ignore")
            torch.jit.script(module.eval()).save(os.path.join(sys.argv[1], f"{name}.ts"))


if __name__ == "__main__":
    main()
