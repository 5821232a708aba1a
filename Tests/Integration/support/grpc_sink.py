"""A destination for telemetry over OTLP/gRPC, in this process, on grpcio: keeps what it took, and misbehaves as told."""
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .otlp import ids_of
from .ports import free_port
from .waiting import wait_for

REQUESTS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": ExportTraceServiceRequest,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": ExportMetricsServiceRequest,
    "opentelemetry.proto.collector.logs.v1.LogsService": ExportLogsServiceRequest,
}


@dataclass
class Call:
    request: object
    metadata: dict
    peer: str
    seconds_left: float
    at: float = field(default_factory=time.monotonic)
    code: grpc.StatusCode = grpc.StatusCode.OK


@dataclass
class Failure:
    """An answer other than OK; `details` is a google.rpc.Status."""
    code: grpc.StatusCode
    message: str = ""
    details: object = None


def accept(_):
    return b""


def fails(code, message="", details=None):
    return lambda _: Failure(code, message, details)


def first(count, behaviour, then=accept):
    left = [count]

    def act(call):
        left[0] -= 1
        return behaviour(call) if left[0] >= 0 else then(call)
    return act


class GRPCSink:
    """Listens on a loopback port until `close`. `behaviour` is called with each `Call` and returns the answer's bytes
    or a `Failure`."""

    def __init__(self, address="127.0.0.1", port=None, credentials=None, options=()):
        self.port = port or free_port()
        self.address = address
        self.credentials = credentials
        self.options = list(options)
        self.behaviour = accept
        self.lock = threading.Lock()
        self.calls = []
        self.server = None
        self.start()

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def start(self):
        self.server = grpc.server(futures.ThreadPoolExecutor(16), options=[
            ("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), *self.options])
        for service, request in REQUESTS.items():
            method = grpc.unary_unary_rpc_method_handler(
                self.handle, request_deserializer=request.FromString, response_serializer=bytes)
            self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"Export": method})])
        if self.credentials:
            assert self.server.add_secure_port(self.endpoint, self.credentials) == self.port
        else:
            assert self.server.add_insecure_port(self.endpoint) == self.port
        self.server.start()

    def stop(self, grace=0):
        server, self.server = self.server, None
        if server:
            server.stop(grace).wait()

    close = stop

    def handle(self, request, context):
        call = Call(request, dict(context.invocation_metadata()), context.peer(), context.time_remaining())
        answer = self.behaviour(call)
        if isinstance(answer, Failure):
            call.code = answer.code
        with self.lock:
            self.calls.append(call)
        if not isinstance(answer, Failure):
            return answer
        if answer.details is not None:
            context.set_trailing_metadata([("grpc-status-details-bin", answer.details.SerializeToString())])
        context.abort(answer.code, answer.message)

    @property
    def taken(self):
        with self.lock:
            return [call for call in self.calls if call.code == grpc.StatusCode.OK]

    @property
    def ids(self):
        return ids_of(*(call.request for call in self.taken if hasattr(call.request, "resource_spans")))

    def wait_for_calls(self, count, timeout=40.0):
        wait_for(lambda: len(self.calls) >= count, f"{count} calls", timeout)
        return self.calls

    def wait_for_spans(self, count, timeout=40.0):
        wait_for(lambda: len(self.ids) >= count, f"{count} spans at the sink", timeout)
        return self.ids
