"""HTTP/1.1 by hand: what well-behaved client libraries do not let a test send."""
import gzip
import socket
from dataclasses import dataclass, field

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""


class Connection:
    """One TCP connection to the process under test."""

    def __init__(self, port, timeout=10.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(1 << 16)
        self._unread += data
        return bool(data)

    def read_answer(self, *, head_only=False):
        """The next answer, also 1xx ones; None when the peer ended the connection before one."""
        while b"\r\n\r\n" not in self._unread:
            if not self._more():
                assert not self._unread, f"the connection ended inside an answer: {self._unread[:200]!r}"
                return None
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        assert version == "HTTP/1.1", first
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice in {head!r}"
            headers[name.lower()] = value.strip()
        answer = Answer(int(status), headers)
        if answer.status < 200 or head_only:
            return answer
        length = int(headers.get("content-length", 0))
        while len(self._unread) < length:
            assert self._more(), "the connection ended inside a body"
        answer.body, self._unread = self._unread[:length], self._unread[length:]
        return answer

    def is_ended(self):
        """Whether the peer ends the connection without another byte, within the time-out."""
        try:
            return not self._unread and not self._more()
        except ConnectionError:
            return True


def head(method="POST", path="/v1/traces", headers=None, version="HTTP/1.1"):
    lines = [f"{method} {path} {version}", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post_bytes(body, kind=PROTOBUF, headers=None, path="/v1/traces", version="HTTP/1.1"):
    fields = {"Content-Type": kind, "Content-Length": len(body), **(headers or {})}
    return head("POST", path, fields, version) + body


def chunked(body, size=1000):
    """A body in chunks, with an extension and a trailer."""
    out = b""
    for start in range(0, len(body), size):
        part = body[start:start + size]
        out += b"%x;name=value\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\nX-Trailer: yes\r\n\r\n"


def ask(port, data, timeout=10.0):
    """One request on a connection of its own."""
    with Connection(port, timeout) as connection:
        try:
            connection.send(data)
        except ConnectionError:
            # The answer to a request that is not wanted may come before its end.
            pass
        return connection.read_answer()


def post(port, body, kind=PROTOBUF, headers=None, path="/v1/traces", timeout=10.0, compress=False):
    """Posts a message or bytes, and returns the answer."""
    data = body if isinstance(body, bytes) else body.SerializeToString()
    fields = dict(headers or {})
    if compress:
        data = gzip.compress(data)
        fields["Content-Encoding"] = "gzip"
    return ask(port, post_bytes(data, kind, fields, path), timeout)


def get(port, path, timeout=5.0):
    return ask(port, head("GET", path), timeout)
