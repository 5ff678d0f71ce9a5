"""Decodes, resamples and analyses recordings as a Python project usually does: a loop over librosa, timed.

The Rust side of this benchmark (features.rs beside this file) starts this script, sends one line of JSON a request and
reads one line back:

    {"files": [...], "rate", "fft_size", "window", "hop", "mels", "fmin", "fmax", "floor"}
        answers {"seconds": of the loop, "sound": seconds of sound that came out, "failed": files that can't be read}

librosa.load decodes with soundfile (libsndfile) and resamples with soxr at its quality "soxr_hq", the defaults.
"""

import json
import sys
import time
import warnings

import librosa
import numpy as np


def log_mel(path, request):
    sound, rate = librosa.load(path, sr=request["rate"])
    power = librosa.feature.melspectrogram(
        y=sound,
        sr=rate,
        n_fft=request["fft_size"],
        win_length=request["window"],
        hop_length=request["hop"],
        n_mels=request["mels"],
        fmin=request["fmin"],
        fmax=request["fmax"],
    )
    return len(sound), np.log(power + request["floor"])


def main():
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        request = json.loads(line)
        samples, failed = 0, 0
        start = time.perf_counter()
        for path in request["files"]:
            try:
                count, _ = log_mel(path, request)
                samples += count
            except Exception as error:
                failed += 1
                print(f"librosa: {path}: {error}", file=sys.stderr)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "sound": samples / request["rate"], "failed": failed}), flush=True)


if __name__ == "__main__":
    main()
