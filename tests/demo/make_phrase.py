#!/usr/bin/env python3
"""Makes phrase.flac and phrase.csv: a line for double bass, bowed, then plucked, and the truth about it.

Needs fluidsynth, ffmpeg and the sound font MuseScore_General_Full.sf3 (Debian: fluidsynth ffmpeg
musescore-general-soundfont).
Python's own library is enough.  Run it in this folder:  ./make_phrase.py [path/to/sound font]

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
SOUND_FONT = "/usr/share/sounds/sf3/MuseScore_General_Full.sf3"
RATE = 48_000
PEAK = 0.14  # -17 dBFS: louder would make a larger file
SILENCE_DBFS = -60.0
WINDOW_S = 0.05
GRID_S = 0.01
TICKS = 500  # ticks per second of the MIDI file

# General MIDI programs, counted from 0.
CONTRABASS, PIZZICATO_STRINGS = 43, 45
PROGRAM = {"bowed": CONTRABASS, "plucked": PIZZICATO_STRINGS}

# technique, start in seconds, length in seconds, MIDI key, velocity
SCORE = [
    ("bowed", 1.00, 1.00, 36, 90),
    ("bowed", 2.00, 1.00, 39, 82),
    ("bowed", 3.00, 2.00, 43, 94),
    ("bowed", 5.00, 0.70, 41, 80),
    ("bowed", 5.70, 0.70, 39, 86),
    ("bowed", 6.40, 0.70, 38, 78),
    ("bowed", 7.10, 1.60, 36, 92),
    ("bowed", 9.50, 1.50, 34, 96),
    ("bowed", 11.00, 1.50, 29, 88),
    ("plucked", 14.20, 0.60, 36, 98),
    ("plucked", 14.80, 0.60, 43, 92),
    ("plucked", 15.40, 0.60, 39, 100),
    ("plucked", 16.00, 0.60, 43, 94),
    ("plucked", 16.60, 0.60, 34, 104),
    ("plucked", 17.20, 0.60, 41, 96),
    ("plucked", 17.80, 0.60, 38, 100),
    ("plucked", 18.40, 0.60, 41, 92),
    ("plucked", 19.00, 1.40, 36, 110),
    ("plucked", 21.20, 0.80, 32, 102),
    ("plucked", 22.00, 0.40, 34, 96),
    ("plucked", 22.40, 0.40, 36, 100),
    ("plucked", 22.80, 1.40, 29, 108),
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
