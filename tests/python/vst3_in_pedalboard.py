"""Loads a VST3 into pedalboard: sound must pass bit-exactly, the state must survive.  Argument: the bundle."""

import sys

import numpy as np
from pedalboard import load_plugin


def check_sound(plugin):
    """Compares bits, not numbers: a sound card's 24 bits, and what only floats can say."""
    random = np.random.default_rng(7)
    for rate in (22_050, 44_100, 48_000, 96_000, 192_000):
        for block in (17, 64, 512, 8192):
            sound = random.uniform(-1, 1, (2, 20_000)).astype(np.float32)
            sound[:, :4] = [[1e-40, -1e-40, 0.0, -0.0], [1e30, -1e30, 1.0, -1.0]]
            heard = plugin.process(sound, rate, buffer_size=block, reset=True)
            assert heard.shape == sound.shape, (heard.shape, rate, block)
            assert np.array_equal(heard.view(np.uint32), sound.view(np.uint32)), f"{rate} Hz, blocks of {block}"
            print(f"bit-exact: {rate} Hz, blocks of {block}")


def check_state(path, plugin):
    """A second instance takes over what the first one saved."""
    name = next(n for n in plugin.parameters if "gate" in n and "threshold" in n)
    parameter = plugin.parameters[name]
    before = parameter.raw_value
    parameter.raw_value = 0.25 if before > 0.5 else 0.75
    changed, state = parameter.raw_value, plugin.raw_state
    assert changed != before

    other = load_plugin(path)
    assert other.parameters[name].raw_value == before, "a new instance does not start with the default"
    other.raw_state = state
    assert abs(other.parameters[name].raw_value - changed) < 1e-6, (other.parameters[name].raw_value, changed)
    print(f"state: {name} went from {before:.3f} to {changed:.3f} in both instances")


def main():
    path = sys.argv[1]
    plugin = load_plugin(path)
    print(f"{plugin.name}: {len(plugin.parameters)} parameters")
    check_sound(plugin)
    check_state(path, plugin)
    print("all checks passed")


if __name__ == "__main__":
    main()
