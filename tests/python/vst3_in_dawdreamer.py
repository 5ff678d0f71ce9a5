"""Loads a VST3 into DawDreamer: sound must pass bit-exactly, OSC must tell what was played.

    vst3_in_dawdreamer.py BUNDLE SOUND PRESET PORT

SOUND is mono, 48 kHz, 32-bit floats without a head. PRESET is a .vstpreset that sends OSC to PORT of this machine.
DawDreamer does not hand out what MIDI a plugin sends.
"""

import socket
import sys
import threading

import dawdreamer
import numpy as np

RATE = 48_000


def listen(port):
    """Collects datagrams for as long as the program runs."""
    received = []
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    listener.bind(("127.0.0.1", port))

    def collect():
        while True:
            received.append(listener.recv(65_536))

    threading.Thread(target=collect, daemon=True).start()
    return received


def render(bundle, preset, sound, block):
    engine = dawdreamer.RenderEngine(RATE, block)
    player = engine.make_playback_processor("player", sound)
    plugin = engine.make_plugin_processor("tocco", bundle)
    assert plugin.load_vst3_preset(preset), f"{preset} is no preset of {bundle}"
    assert (plugin.get_num_input_channels(), plugin.get_num_output_channels()) == (2, 2)
    assert plugin.get_latency_samples() == 0, plugin.get_latency_samples()
    engine.load_graph([(player, []), (plugin, ["player"])])
    engine.render(sound.shape[1] / RATE)
    heard = engine.get_audio()[:, : sound.shape[1]]
    # The plugin sends what it still has before it goes.
    threading.Event().wait(0.5)
    return heard


def texts(datagram):
    """The texts of an OSC message: address, types, arguments."""
    return [part.decode() for part in datagram.split(b"\0") if part.isascii() and part.decode().isprintable() and part]


def main():
    bundle, path, preset, port = sys.argv[1:]
    received = listen(int(port))
    mono = np.fromfile(path, dtype="<f4")
    sound = np.stack([mono, mono[::-1]])
    sound[:, :4] = [[1e-40, -1e-40, 0.0, -0.0], [1e30, -1e30, 1.0, -1.0]]
    for block in (64, 512, 4096):
        heard = render(bundle, preset, sound, block)
        assert heard.shape == sound.shape, (heard.shape, sound.shape)
        assert np.array_equal(heard.view(np.uint32), sound.view(np.uint32)), f"blocks of {block}"
        print(f"bit-exact: blocks of {block}")

    del received[:]
    render(bundle, preset, np.stack([mono, mono]), 512)
    messages = [texts(datagram) for datagram in received]
    events = [message[2] for message in messages if message and message[0].endswith("/event")]
    bare = [datagram[-1] for datagram in received if datagram.startswith(b"/class\0")]
    names = [message[2:] for message in messages if message and message[0].endswith("/classes")]
    print(f"{len(received)} OSC messages; classes {names[:1]}, events {events}, /class {len(bare)} times")
    assert ["bowed", "plucked", "none"] in names, names
    assert [event for event in events if event != "none"] and set(events) <= {"bowed", "plucked", "none"}, events
    assert events[0] == "bowed" and bare.count(0) > 0.8 * len(bare), (events, bare)
    print("all checks passed")


if __name__ == "__main__":
    main()
