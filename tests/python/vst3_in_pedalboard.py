"""Loads a VST3 into pedalboard: sound must pass bit-exactly, the state must survive.

    vst3_in_pedalboard.py BUNDLE            all checks
    vst3_in_pedalboard.py BUNDLE --restore  another workstation: reads a state from its standard input and says
                                            what the gate's threshold was before and is after

Pedalboard asks for thousands of texts while it loads a plugin with many parameters (a VST3 has one for every MIDI
controller), which takes most of a minute: so both workstations load at the same time.
"""

import subprocess
import sys

import numpy as np
from pedalboard import load_plugin

GATE = "gate_threshold_dbfs"


def check_sound(plugin):
    """Compares bits, not numbers: a sound card's samples, and what only floats can say."""
    random = np.random.default_rng(7)
    for rate in (22_050, 44_100, 48_000, 96_000, 192_000):
        for block in (1, 17, 64, 512, 8192):
            sound = random.uniform(-1, 1, (2, 20_000)).astype(np.float32)
            sound[:, :4] = [[1e-40, -1e-40, 0.0, -0.0], [1e30, -1e30, 1.0, -1.0]]
            heard = plugin.process(sound, rate, buffer_size=block, reset=True)
            assert heard.shape == sound.shape, (heard.shape, rate, block)
            assert np.array_equal(heard.view(np.uint32), sound.view(np.uint32)), f"{rate} Hz, blocks of {block}"
            print(f"bit-exact: {rate} Hz, blocks of {block}")


def change_and_save(plugin):
    """Moves a parameter and gives its new value and the state."""
    parameter = plugin.parameters[GATE]
    parameter.raw_value = 0.25 if parameter.raw_value > 0.5 else 0.75
    # A VST3 hears of a parameter with the next block of sound.
    plugin.process(np.zeros((2, 1024), dtype=np.float32), 48_000)
    return parameter.raw_value, plugin.raw_state


def restore(plugin):
    before = plugin.parameters[GATE].raw_value
    plugin.raw_state = sys.stdin.buffer.read()
    print(before, plugin.parameters[GATE].raw_value)


def main():
    if sys.argv[2:] == ["--restore"]:
        restore(load_plugin(sys.argv[1]))
        return
    other = subprocess.Popen(
        [sys.executable, __file__, sys.argv[1], "--restore"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    plugin = load_plugin(sys.argv[1])
    print(f"{plugin.name}: {len(plugin.parameters)} parameters")
    check_sound(plugin)

    default = plugin.parameters[GATE].raw_value
    changed, state = change_and_save(plugin)
    answer, _ = other.communicate(state, timeout=300)
    assert other.returncode == 0, "the other workstation failed"
    before, after = (float(number) for number in answer.split())
    assert changed != default and before == default, (default, changed, before)
    assert abs(after - changed) < 1e-6, (after, changed)
    print(f"state: the gate's threshold went from {before:.3f} to {after:.3f} in the other workstation too")
    print("all checks passed")


if __name__ == "__main__":
    main()
