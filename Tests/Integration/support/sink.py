"""A destination for telemetry over OTLP/HTTP, in this process: keeps what it took, and misbehaves as told.

A behaviour is a function that is called with each `Delivery` and returns a `Reply`. What a delivery holds counts as
accepted when it is answered with a status of 2xx. It is in doubt when the sender may not have seen that answer (it was
held back, or the connection was reset after the whole body was read): senders may send such a thing again.
"""
import gzip
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .otlp import from_json, ids_of, spans_of
from .ports import free_port
from .waiting import wait_for


# Seconds within which an answer may be on its way.
LAST_MOMENT = 0.5


def message_for(path):
    """An empty request of the signal that a path is for; traces unless it says otherwise."""
    if "metrics" in path:
        return ExportMetricsServiceRequest()
    return ExportLogsServiceRequest() if "logs" in path else ExportTraceServiceRequest()


@dataclass
class Delivery:
    """A request that came in."""
    path: str
    headers: dict
    raw: bytes
    body: bytes
    at: float
    number: int
    request: ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest
    status: int = 0
    # Whether the answer was held back until the end of `hold`.
    held: bool = False

    @property
    def ids(self):
        return ids_of(self.request)

    @property
    def span_count(self):
        return len(spans_of(self.request))


@dataclass
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    # Reset the connection instead of answering.
    reset: bool = False


def accept(_):
    return Reply()


def answer(status, body=b"", **headers):
    """A behaviour: always this status; header names with _ for -."""
    fields = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return lambda _: Reply(status, fields, body)


def first(count, behaviour, then=accept):
    """A behaviour: one for the first `count` deliveries from now, then another."""
    left = [count]

    def act(delivery):
        left[0] -= 1
        return behaviour(delivery) if left[0] >= 0 else then(delivery)
    return act


def reset(_):
    return Reply(reset=True)


def slow(seconds):
    def act(_):
        time.sleep(seconds)
        return Reply()
    return act


class Sink:
    """Listens on a loopback port until `close`; `stop` and `start` make it unreachable and bring it back."""

    def __init__(self):
        self.port = free_port()
        self.lock = threading.Lock()
        self.behaviour = accept
        # When set, a connection is reset after this many bytes of a body.
        self.reset_after_bytes = None
        self.deliveries = []
        self.accepted = []
        self.doubtful = []
        # What could not be read as OTLP.
        self.unreadable = []
        self.released = threading.Event()
        self._server = None
        self.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        sink = self

        class Handler(SinkHandler):
            pass

        Handler.sink = sink
        self._server = SinkServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Connections are reset, new ones refused. Answers of the last moment may not have been read."""
        if self._server:
            server, self._server = self._server, None
            server.shutdown()
            server.server_close()
            server.reset_connections()
            with self.lock:
                recent = time.monotonic() - LAST_MOMENT
                self.doubtful += [delivery for delivery in self.deliveries if delivery.at > recent]

    def close(self):
        self.released.set()
        self.stop()

    def hold(self, delivery):
        """A behaviour: no answer until `release`."""
        delivery.held = True
        self.released.wait(120)
        return Reply()

    def release(self, then=accept):
        self.behaviour = then
        self.released.set()

    # What came

    @property
    def requests(self):
        """The accepted requests, decoded."""
        with self.lock:
            return [delivery.request for delivery in self.accepted]

    @property
    def ids(self):
        """The span ids of accepted requests, with repetitions."""
        return ids_of(*self.requests)

    def wait_for_spans(self, count, timeout=40.0):
        wait_for(lambda: len(self.ids) >= count, f"{count} spans at the sink", timeout)
        return self.ids

    def wait_for_deliveries(self, count, timeout=40.0):
        wait_for(lambda: len(self.deliveries) >= count, f"{count} requests at the sink", timeout)
        return self.deliveries


class SinkServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, *args):
        self.open_sockets = set()
        super().__init__(*args)

    def process_request(self, request, client_address):
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open_sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_):
        """Broken connections are what these tests are about."""

    def reset_connections(self):
        for connection in list(self.open_sockets):
            end_with_reset(connection)


def end_with_reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A close alone does not end a connection that another thread waits on.
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass


class SinkHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sink = None

    def log_message(self, *_):
        """Nothing: the tests ask the sink."""

    def do_POST(self):
        arrived = time.monotonic()
        raw = self.read_body()
        if raw is None:
            return
        try:
            body = self.decode(raw)
            request = message_for(self.path)
            if self.headers["Content-Type"] == "application/json":
                from_json(body, request)
            else:
                request.ParseFromString(body)
        except Exception as failure:
            self.sink.unreadable.append((failure, dict(self.headers), raw[:100]))
            raise
        headers = {name.lower(): value for name, value in self.headers.items()}
        sink = self.sink
        with sink.lock:
            delivery = Delivery(self.path, headers, raw, body, arrived, len(sink.deliveries), request)
            sink.deliveries.append(delivery)
            behaviour = sink.behaviour
        reply = behaviour(delivery)
        if reply.reset:
            with sink.lock:
                sink.doubtful.append(delivery)
            self.close_connection = True
            end_with_reset(self.connection)
            return
        with sink.lock:
            delivery.status = reply.status
            if 200 <= reply.status < 300:
                sink.accepted.append(delivery)
            if delivery.held:
                sink.doubtful.append(delivery)
        self.send_response(reply.status)
        fields = {"Content-Type": "application/x-protobuf", **reply.headers}
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def read_body(self):
        """The body as sent; None when the connection was reset as told, or ended."""
        length = self.headers["Content-Length"]
        limit = self.sink.reset_after_bytes
        if limit is not None:
            self.rfile.read(min(limit, int(length or limit)))
            self.close_connection = True
            end_with_reset(self.connection)
            return None
        if length is not None:
            data = self.rfile.read(int(length))
            return data if len(data) == int(length) else None
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return data

    def decode(self, raw):
        match self.headers["Content-Encoding"]:
            case "gzip": return gzip.decompress(raw)
            case "deflate" | "zlib": return zlib.decompress(raw)
            case "zstd": return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
            case None | "identity": return raw
            case other: raise ValueError(other)
