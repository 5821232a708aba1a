"""A raw HTTP/2 client (RFC 9113) that sends whatever a test wants, valid or not."""
import socket

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame,
    WindowUpdateFrame)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class RawHTTP2:
    """One connection. Methods that make frames return bytes; `send` says whether the server still takes them."""

    def __init__(self, port, settings=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(10)
        self.encoder = Encoder()
        self.next_stream = 1
        self.received = b""
        self.send(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def new_stream(self):
        self.next_stream += 2
        return self.next_stream - 2

    def head(self, path, *, stream=None, fields=(), end=False, content_type="application/grpc"):
        """A request's HEADERS: (stream, bytes)."""
        stream = stream or self.new_stream()
        block = self.encoder.encode([
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", content_type), ("te", "trailers"), *fields])
        return stream, headers(stream, block, end=end)

    def frames(self, until, timeout=20):
        """Frames as they come, up to and with the first for which `until` is true; None at the connection's end."""
        self.socket.settimeout(timeout)
        while True:
            while len(self.received) < 9:
                if not self._receive():
                    yield None
                    return
            frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
            while len(self.received) < 9 + length:
                if not self._receive():
                    yield None
                    return
            frame.parse_body(memoryview(self.received[9:9 + length]))
            self.received = self.received[9 + length:]
            yield frame
            if until(frame):
                return

    def _receive(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)

    def wait_for_end(self, timeout=20):
        """Reads until the server closes; the error code of its GOAWAY, or None without one."""
        code = None
        for frame in self.frames(lambda _: False, timeout):
            if isinstance(frame, GoAwayFrame) and frame.error_code:
                code = frame.error_code
        return code

    def wait_for_settings(self):
        """Reads the server's settings and acknowledges them."""
        for frame in self.frames(lambda frame: isinstance(frame, SettingsFrame)):
            assert frame is not None
        self.send(SettingsFrame(0, flags=["ACK"]).serialize())


def headers(stream, block, *, end=False, complete=True):
    frame = HeadersFrame(stream, block)
    if complete:
        frame.flags.add("END_HEADERS")
    if end:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def continuation(stream, block, *, complete=False):
    return ContinuationFrame(stream, block, flags=["END_HEADERS"] if complete else []).serialize()


def data(stream, content=b"", *, end=False):
    return DataFrame(stream, content, flags=["END_STREAM"] if end else []).serialize()


def reset(stream, code=8):
    return RstStreamFrame(stream, error_code=code).serialize()


def ping(number=0, *, ack=False):
    return PingFrame(0, number.to_bytes(8, "big"), flags=["ACK"] if ack else []).serialize()


def settings(values=None, *, ack=False):
    return SettingsFrame(0, settings=values or {}, flags=["ACK"] if ack else []).serialize()


def window_update(stream, increment):
    return WindowUpdateFrame(stream, increment).serialize()


def frame(kind, stream, payload, flags=0):
    """Any frame, also of unknown kinds."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
