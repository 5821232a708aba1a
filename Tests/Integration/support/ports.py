"""Free loopback ports below the kernel's range for outgoing connections, so that no client takes them meanwhile."""
import random
import socket

FIRST, LAST = 10_000, 32_000
_given = set()


def free_port():
    while True:
        port = random.randrange(FIRST, LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
