#!/usr/bin/env python3
"""Makes phrase.flac and phrase.csv: a line for double bass, bowed, then plucked, and the truth about it.

Needs fluidsynth, ffmpeg and the sound font FluidR3_GM.sf2 (Debian: fluidsynth ffmpeg fluid-soundfont-gm).
Python's own library is enough.  Run it in this folder:  ./make_phrase.py [path/to/FluidR3_GM.sf2]

The truth comes from the score and from the envelope, nothing else:
- `silence`: the RMS of the 50 ms around the moment lies below -60 dBFS;
- otherwise the technique of the note that was started last: `bowed` or `plucked`.

The phrase is there to demonstrate and to test. It may be used neither for training nor for tuning.
"""

import array
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import wave

HERE = pathlib.Path(__file__).resolve().parent
SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
RATE = 48_000
PEAK = 0.35  # -9 dBFS
SILENCE_DBFS = -60.0
WINDOW_S = 0.05
GRID_S = 0.01
TICKS = 500  # ticks per second of the MIDI file

# General MIDI programs, counted from 0.
CONTRABASS, PIZZICATO_STRINGS = 43, 45
PROGRAM = {"bowed": CONTRABASS, "plucked": PIZZICATO_STRINGS}

# technique, start in seconds, length in seconds, MIDI key, velocity
SCORE = [
    ("bowed", 1.00, 1.40, 38, 84),
    ("bowed", 2.40, 0.80, 41, 78),
    ("bowed", 3.20, 0.80, 43, 88),
    ("bowed", 4.00, 1.60, 45, 96),
    ("bowed", 5.60, 0.60, 43, 84),
    ("bowed", 6.20, 0.60, 40, 80),
    ("bowed", 6.80, 1.80, 38, 90),
    ("bowed", 9.40, 1.00, 33, 92),
    ("bowed", 10.40, 1.60, 31, 96),
    ("plucked", 14.00, 0.70, 38, 96),
    ("plucked", 14.70, 0.70, 41, 90),
    ("plucked", 15.40, 0.70, 43, 98),
    ("plucked", 16.10, 0.70, 45, 104),
    ("plucked", 16.80, 0.35, 48, 100),
    ("plucked", 17.15, 0.35, 45, 92),
    ("plucked", 17.50, 0.70, 43, 100),
    ("plucked", 18.20, 0.70, 41, 94),
    ("plucked", 18.90, 1.20, 38, 108),
    ("plucked", 21.00, 0.50, 33, 104),
    ("plucked", 21.50, 0.50, 36, 98),
    ("plucked", 22.00, 0.50, 38, 102),
    ("plucked", 22.50, 1.50, 31, 112),
]
END_S = 26.0


def variable_length(value):
    """A number as the Standard MIDI File writes it."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def midi_file():
    """The score as a format-0 file: one channel for each technique."""
    channel = {technique: i for i, technique in enumerate(PROGRAM)}
    events = [(0.0, 0, bytes([0xC0 | channel[t], p])) for t, p in PROGRAM.items()]
    for technique, start, length, key, velocity in SCORE:
        c = channel[technique]
        events.append((start, 2, bytes([0x90 | c, key, velocity])))
        events.append((start + length, 1, bytes([0x80 | c, key, 0])))
    track, now = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"), 0
    for time, _, message in sorted(events):
        tick = round(time * TICKS)
        track += variable_length(tick - now) + message
        now = tick
    track += variable_length(round(END_S * TICKS) - now) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    return header + b"MTrk" + struct.pack(">I", len(track)) + track


def render(sound_font, folder):
    """The phrase as mono floats between -PEAK and PEAK, without reverb and chorus."""
    (folder / "phrase.mid").write_bytes(midi_file())
    subprocess.run(
        ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-r", str(RATE), "-g", "0.6", "-O", "s16",
         "-F", folder / "stereo.wav", sound_font, folder / "phrase.mid"],
        check=True,
    )
    with wave.open(str(folder / "stereo.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE)
        stereo = array.array("h", file.readframes(file.getnframes()))
    mono = [(a + b) / 2 for a, b in zip(stereo[::2], stereo[1::2])]
    length = round(END_S * RATE)
    mono = (mono + [0.0] * length)[:length]
    scale = PEAK / max(abs(s) for s in mono)
    return [s * scale for s in mono]


def truth(samples):
    """Stretches (start_s, end_s, class) that cover the phrase without a gap."""
    squares = [0.0]
    for sample in samples:
        squares.append(squares[-1] + sample * sample)
    half = round(WINDOW_S * RATE / 2)
    starts = sorted((start, technique) for technique, start, *_ in SCORE)
    stretches = []
    for step in range(round(END_S / GRID_S)):
        time = step * GRID_S
        middle = round((time + GRID_S / 2) * RATE)
        low, high = max(0, middle - half), min(len(samples), middle + half)
        power = (squares[high] - squares[low]) / (high - low)
        name = "silence"
        if 10 * math.log10(power + 1e-20) >= SILENCE_DBFS:
            name = [technique for start, technique in starts if start <= time + WINDOW_S][-1]
        if stretches and stretches[-1][2] == name:
            stretches[-1][1] = time + GRID_S
        else:
            stretches.append([time, time + GRID_S, name])
    return stretches


def main():
    sound_font = sys.argv[1] if len(sys.argv) > 1 else SOUND_FONT
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        samples = render(sound_font, folder)
        pcm = array.array("h", (round(s * 32767) for s in samples))
        with wave.open(str(folder / "mono.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(pcm.tobytes())
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", folder / "mono.wav", "-map_metadata", "-1",
             "-fflags", "+bitexact", "-compression_level", "12", HERE / "phrase.flac"],
            check=True,
        )
    rows = [f"{start:.2f},{end:.2f},{name}" for start, end, name in truth(samples)]
    (HERE / "phrase.csv").write_text("start_s,end_s,class\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
