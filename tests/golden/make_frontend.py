#!/usr/bin/env python3
"""Makes frontend_librosa.f32: what librosa says about a sound that the test makes itself.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install librosa==0.11.0 numpy==2.4.6
    /tmp/golden/bin/python make_frontend.py

The sound: one second at 24 kHz of a rising tone, a steady tone that starts late, and noise, see `sound`.
The file: ln(mel power + 1e-6), frame after frame, 64 bands each, 32-bit floats, little-endian.
The parameters are the default of tocco_models::FrontendConfig.
"""

import pathlib

import librosa
import numpy as np

RATE, FFT, HOP, MELS, FMIN, FMAX, FLOOR = 24_000, 1024, 240, 64, 40.0, 11_500.0, 1e-6


def sound():
    """The same numbers as in tests/tests/frontend.rs."""
    i = np.arange(RATE, dtype=np.float64)
    t = i / RATE
    rising = 0.3 * np.sin(2 * np.pi * (60.0 * t + 4000.0 * t * t))
    steady = np.where(t >= 0.5, 0.2 * np.sin(2 * np.pi * 440.0 * t), 0.0)
    seed, noise = 12_345, np.empty(RATE)
    for n in range(RATE):
        seed = (seed * 1_664_525 + 1_013_904_223) % 2**32
        noise[n] = seed / 2**31 - 1.0
    return (rising + steady + 0.001 * noise).astype(np.float32)


def main():
    # Before the first sample there is silence: the first frame comes after one hop.
    padded = np.concatenate([np.zeros(FFT - HOP, dtype=np.float32), sound()])
    mel = librosa.feature.melspectrogram(
        y=padded, sr=RATE, n_fft=FFT, win_length=FFT, hop_length=HOP, window="hann", center=False,
        power=2.0, n_mels=MELS, fmin=FMIN, fmax=FMAX, htk=False, norm="slaney",
    )
    frames = np.log(mel.astype(np.float64) + FLOOR).T
    path = pathlib.Path(__file__).resolve().parent / "frontend_librosa.f32"
    path.write_bytes(np.ascontiguousarray(frames, dtype="<f4").tobytes())
    print(f"{path.name}: {frames.shape[0]} frames of {frames.shape[1]} bands, librosa {librosa.__version__}")


if __name__ == "__main__":
    main()
