"""A client that sends the same thing again and again, in a process of its own: `python http2_load.py KIND PORT`."""
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import http2
from support.otlp import traces

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def message(count=1):
    body = traces(count).SerializeToString()
    return b"\0" + len(body).to_bytes(4, "big") + body


def rapid_reset(connection):
    stream, head = connection.head(EXPORT)
    return head + http2.reset(stream)


def allowed(connection, body=message(100)):
    """What a good client sends, of the size that others waste."""
    stream, head = connection.head(EXPORT)
    return head + http2.data(stream, body, end=True)


KINDS = {
    "allowed": allowed,
    "rapid resets": rapid_reset,
    "pings": lambda connection: http2.ping() * 50,
    "unknown frames": lambda connection: http2.frame(0x77, 0, bytes(100)) * 50,
    "empty data": lambda connection: connection.head(EXPORT)[1] + http2.data(connection.next_stream - 2) * 50,
}


def main(kind, port):
    while True:
        with http2.RawHTTP2(port) as connection:
            connection.send(http2.settings(ack=True))
            for _ in range(200):
                if not connection.send(KINDS[kind](connection)):
                    break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
