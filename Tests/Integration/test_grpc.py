"""OTLP over gRPC: the OpenTelemetry Python SDK and grpcio as clients."""
import concurrent.futures
import queue
import shutil
import subprocess
import time

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from support.otlp import spans_of
from support.ports import free_port
from support.process import configuration, to_sink
from support.waiting import wait_for

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def grpc_configuration(sink, *, exporter=None, **grpc_keys):
    """Traces over gRPC and HTTP to the sink."""
    config = configuration({"otlp_http": to_sink(sink, **(exporter or {}))})
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}", **grpc_keys}
    return config, port


@pytest.fixture
def server(launch, sink):
    config, port = grpc_configuration(sink)
    process = launch(config)
    return process, port


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server[1]}", options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def request_of(count=1, size=0, first_id=1):
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first_id, first_id + count):
        span = spans.add(trace_id=number.to_bytes(16, "big"), span_id=number.to_bytes(8, "big"), name="span")
        if size:
            span.attributes.add(key="text").value.string_value = "x" * size
    return request


def raw(channel, path=EXPORT):
    """The method without any encoding of messages."""
    return channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)


def details(error):
    """The google.rpc.Status of a failed call."""
    fields = dict(error.trailing_metadata())
    return Status.FromString(fields["grpc-status-details-bin"])


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_sdk(server, sink, compression):
    _, port = server
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "sdk"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.add_span_processor(BatchSpanProcessor(
        OTLPSpanExporter(endpoint=f"127.0.0.1:{port}", insecure=True, compression=compression),
        max_export_batch_size=100))
    tracer = provider.get_tracer("scope")
    for number in range(1000):
        with tracer.start_as_current_span(f"span {number}", attributes={"number": number, "text": "Grüße" * 50}):
            pass
    assert provider.force_flush(30_000)
    provider.shutdown()
    sent = {(span.context.trace_id, span.context.span_id, span.name) for span in memory.get_finished_spans()}

    sink.wait_for_spans(len(sent), 20)
    arrived = [(int.from_bytes(span.trace_id, "big"), int.from_bytes(span.span_id, "big"), span.name)
               for request in sink.requests for span in spans_of(request)]
    assert len(arrived) == len(sent) == 1000 and set(arrived) == sent


def test_counts_and_acknowledgement(server, channel, sink):
    process, _ = server
    response = TraceServiceStub(channel).Export(request_of(10), timeout=10)
    assert response == ExportTraceServiceResponse() and not response.HasField("partial_success")
    assert TraceServiceStub(channel).Export(ExportTraceServiceRequest(), timeout=10) == ExportTraceServiceResponse()
    invalid = request_of(3)
    invalid.resource_spans[0].scope_spans[0].spans[1].trace_id = b""
    response = TraceServiceStub(channel).Export(invalid, timeout=10)
    assert response.partial_success.rejected_spans == 1 and "trace id" in response.partial_success.error_message
    assert len(sink.wait_for_spans(12)) == 12
    assert process.metric("otelcol_receiver_accepted_spans_total", transport="grpc") == 12
    assert process.metric("otelcol_receiver_refused_spans_total", transport="grpc") == 1


def test_large_messages_and_limits(launch, sink):
    config, port = grpc_configuration(sink, max_recv_msg_size_mib=2)
    launch(config)
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_send_message_length", -1)]) as channel:
        stub = TraceServiceStub(channel)
        stub.Export(request_of(1, 1_900_000), timeout=20)
        for request, compression in ((request_of(1, 2_200_000), None), (request_of(1, 60_000_000), grpc.Compression.Gzip)):
            with pytest.raises(grpc.RpcError) as failure:
                stub.Export(request, timeout=20, compression=compression)
            assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            # Without RetryInfo: the same message will never fit.
            assert not details(failure.value).details
        stub.Export(request_of(1), timeout=10)
    assert len(sink.wait_for_spans(2)) == 2


def test_bad_calls(server, channel, sink):
    process, _ = server
    cases = [
        (EXPORT, b"\x0a\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (EXPORT, b"\x0a\x05\x12\x03\x12\x01\xff", grpc.StatusCode.INVALID_ARGUMENT),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", b"", grpc.StatusCode.UNIMPLEMENTED),
        ("/none.Service/Export", b"", grpc.StatusCode.UNIMPLEMENTED),
    ]
    for path, message, expected in cases:
        with pytest.raises(grpc.RpcError) as failure:
            raw(channel, path)(message, timeout=10)
        assert failure.value.code() == expected, (path, failure.value)
        assert failure.value.details()
    # Others are not harmed, on the same connection too.
    TraceServiceStub(channel).Export(request_of(5), timeout=10)
    assert len(sink.wait_for_spans(5)) == 5
    assert process.is_alive()


@pytest.mark.parametrize("encoding, body, status", [
    ("snappy", b"\0\0\0\0\0", 12), ("identity", b"\1\0\0\0\0", 13), ("gzip", b"\1\0\0\0\3abc", 3),
    ("identity", b"\0\0\0\0\5\0", 13), ("identity", b"\0\0\0\0", 13), ("identity", b"", 13),
    ("identity", b"\0\0\0\0\0\0\0\0\0\0", 13), ("identity", b"\0\xff\xff\xff\xff", 8), ("identity", b"\0\0\0\0\0", 0)])
def test_framing(server, encoding, body, status):
    process, port = server
    outcome = subprocess.run(
        ["curl", "-s", "-i", "--http2-prior-knowledge", "-X", "POST", "-H", "content-type: application/grpc",
         "-H", "te: trailers", "-H", f"grpc-encoding: {encoding}", "--data-binary", "@-",
         f"http://127.0.0.1:{port}{EXPORT}"], input=body, capture_output=True, timeout=20, check=True)
    assert f"grpc-status: {status}\r\n".encode() in outcome.stdout, outcome.stdout
    assert process.is_alive()


def test_signals_without_a_pipeline_are_unimplemented(channel):
    for stub in (MetricsServiceStub(channel), LogsServiceStub(channel)):
        with pytest.raises(grpc.RpcError) as failure:
            stub.Export(ExportMetricsServiceRequest(), timeout=10)
        assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_overload_is_unavailable_with_retry_info(launch, sink):
    config, port = grpc_configuration(sink, exporter={
        "queue": {"queue_size": 1, "sizer": "requests", "num_consumers": 1}})
    sink.behaviour = sink.hold
    launch(config)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = TraceServiceStub(channel)
        error = None
        for number in range(20):
            try:
                stub.Export(request_of(1, first_id=number + 1), timeout=10)
            except grpc.RpcError as failure:
                error = failure
        assert error is not None and error.code() == grpc.StatusCode.UNAVAILABLE
        info = RetryInfo()
        assert details(error).details[0].Unpack(info) and info.retry_delay.ToNanoseconds() > 0


def test_deadline(launch, sink):
    config, port = grpc_configuration(sink, exporter={"queue": {"wait_for_result": True}})
    sink.behaviour = sink.hold
    launch(config)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError) as failure:
            TraceServiceStub(channel).Export(request_of(1), timeout=0.5)
        assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - begun < 30


def test_health_service(server, channel):
    check = raw(channel, "/grpc.health.v1.Health/Check")
    assert check(b"", timeout=10) == b"\x08\x01"
    name = b"opentelemetry.proto.collector.trace.v1.TraceService"
    assert check(b"\x0a" + bytes([len(name)]) + name, timeout=10) == b"\x08\x01"
    with pytest.raises(grpc.RpcError) as failure:
        check(b"\x0a\x05other", timeout=10)
    assert failure.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_checking_library(server, channel):
    process, _ = server
    stub = HealthStub(channel)
    assert stub.Check(HealthCheckRequest(), timeout=10).status == HealthCheckResponse.SERVING
    assert stub.Check(HealthCheckRequest(service="grpc.health.v1.Health"), timeout=10).status == 1
    unknown = stub.Watch(HealthCheckRequest(service="other"), timeout=20)
    assert next(unknown).status == HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()
    watch = stub.Watch(HealthCheckRequest(service="opentelemetry.proto.collector.trace.v1.TraceService"), timeout=20)
    assert next(watch).status == HealthCheckResponse.SERVING
    # The stop is not held up by those who watch, and they hear of it.
    process.signal()
    with pytest.raises(grpc.RpcError) as failure:
        for _ in range(10):
            assert next(watch).status == HealthCheckResponse.NOT_SERVING
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert process.wait() == 0


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_asked_step_by_step(channel, version):
    """As grpcurl does: the next question comes after the answer, in one call."""
    # Both versions have the same messages.
    method = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
    questions = queue.Queue()
    answers = method(iter(questions.get, None), timeout=30)

    def ask(**question):
        questions.put(reflection_pb2.ServerReflectionRequest(**question))
        return next(answers)
    names = [service.name for service in ask(list_services="").list_services_response.service]
    trace = "opentelemetry.proto.collector.trace.v1.TraceService"
    assert trace in names and "grpc.health.v1.Health" in names and "grpc.reflection.v1.ServerReflection" in names
    for name in names:
        assert ask(file_containing_symbol=name).file_descriptor_response.file_descriptor_proto, name
    assert ask(file_containing_symbol="none.Such").error_response.error_code == 5
    assert ask(file_by_filename="none.proto").error_response.error_code == 5
    files = ask(file_by_filename="opentelemetry/proto/common/v1/common.proto").file_descriptor_response
    assert FileDescriptorProto.FromString(files.file_descriptor_proto[0]).package == "opentelemetry.proto.common.v1"
    extension = reflection_pb2.ExtensionRequest(containing_type="x", extension_number=1)
    assert ask(file_containing_extension=extension).error_response.error_code == 5
    questions.put(None)
    assert list(answers) == []


def test_reflection_library(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    assert "opentelemetry.proto.collector.trace.v1.TraceService" in database.get_services()
    method = pool.FindServiceByName("opentelemetry.proto.collector.trace.v1.TraceService").FindMethodByName("Export")
    assert method.input_type.full_name == "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
    span = pool.FindMessageTypeByName("opentelemetry.proto.trace.v1.Span")
    # The same fields as in the published descriptors.
    published = {field.name: (field.number, field.type) for field in Span.DESCRIPTOR.fields}
    assert {field.name: (field.number, field.type) for field in span.fields} == published
    assert pool.FindMessageTypeByName("opentelemetry.proto.trace.v1.Span.Event")


def test_streams_with_bad_messages(channel):
    for path in ("/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"):
        call = channel.stream_stream(path, request_serializer=bytes, response_deserializer=bytes)
        for message in (b"\xff\xff", b"\x0a\xff", bytes(70_000)):
            with pytest.raises(grpc.RpcError) as failure:
                for _ in call(iter([message]), timeout=20):
                    pass
            assert failure.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
        with pytest.raises(grpc.RpcError) as failure:
            list(call(iter([b"", b"\xff"]), timeout=20))
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    TraceServiceStub(channel).Export(request_of(1), timeout=10)


def test_graceful_stop_answers_calls_under_way(launch, sink):
    config, port = grpc_configuration(sink)
    process = launch(config)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = TraceServiceStub(channel)
        acknowledged = 0
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(stub.Export, request_of(50, first_id=1 + 50 * number), timeout=20)
                     for number in range(400)]
            wait_for(lambda: any(call.done() for call in calls), "a first answer", 10)
            process.signal()
            for call in calls:
                try:
                    call.result()
                    acknowledged += 50
                except grpc.RpcError as failure:
                    assert failure.code() == grpc.StatusCode.UNAVAILABLE
    assert process.wait() == 0
    assert acknowledged > 0 and len(set(sink.ids)) >= acknowledged


def test_http2_for_otlp_http(server, sink):
    process, port = server
    body = request_of(3).SerializeToString()
    for extra, version in ((["--http2-prior-knowledge"], "2"), (["--http1.1"], "1.1")):
        outcome = subprocess.run(
            ["curl", "-s", "-X", "POST", *extra, "-H", "content-type: application/x-protobuf", "--data-binary", "@-",
             "-o", "/dev/null", "-w", "%{http_code} %{http_version}", process.url],
            input=body, capture_output=True, timeout=20, check=True)
        assert outcome.stdout.decode() == f"200 {version}"
    outcome = subprocess.run(
        ["curl", "-s", "--http1.1", "-X", "POST", "-d", "", f"http://127.0.0.1:{port}{EXPORT}"], timeout=20,
        capture_output=True, check=False)
    assert outcome.returncode != 0, "HTTP/1.1 on the gRPC port"
    assert len(sink.wait_for_spans(6)) == 6


# Tools of nghttp2. Where they are not installed (Debian's nghttp2-client) these tests are left out.

def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def framed(body):
    return b"\0" + len(body).to_bytes(4, "big") + body


@needs("nghttp")
def test_nghttp(server, sink, tmp_path):
    """Several calls on one connection, with padding, and windows of a few bytes for the answers."""
    _, port = server
    (tmp_path / "body").write_bytes(framed(request_of(5, size=1000).SerializeToString()))
    for extra in ([], ["--padding=200"], ["-w", "4", "-W", "4"], ["--max-concurrent-streams=1"],
                  ["--header-table-size=0"], ["--encoder-header-table-size=0"]):
        outcome = subprocess.run(
            ["nghttp", "-nv", *extra, "-m3", "-d", tmp_path / "body", "-H", "content-type: application/grpc", "-H",
             "te: trailers", f"http://127.0.0.1:{port}{EXPORT}"], capture_output=True, text=True, timeout=60,
            check=True)
        # Trailers come last; colours are off where nobody looks.
        assert outcome.stdout.count("grpc-status: 0") == 3, outcome.stdout
        assert "error" not in outcome.stdout.lower().replace("error_code=no_error", ""), outcome.stdout
    sink.wait_for_spans(5)


@needs("h2load")
@pytest.mark.parametrize("clients, streams", [(1, 1), (8, 1), (4, 50)])
def test_h2load(launch, tmp_path, clients, streams):
    config = configuration({"nop": None})
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}"}
    process = launch(config)
    body = request_of(20, size=500).SerializeToString()
    (tmp_path / "message").write_bytes(framed(body))
    (tmp_path / "body").write_bytes(body)
    targets = ((f"http://127.0.0.1:{port}{EXPORT}", "message", "application/grpc"),
               (process.url, "body", "application/x-protobuf"))
    before = process.rss()
    for url, name, content_type in targets:
        outcome = subprocess.run(
            ["h2load", "-n", "2000", "-c", str(clients), "-m", str(streams), "-d", tmp_path / name, "-H",
             f"content-type: {content_type}", url], capture_output=True, text=True, timeout=120, check=True)
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in outcome.stdout, outcome.stdout
        assert "status codes: 2000 2xx" in outcome.stdout
    wait_for(lambda: process.metric("otelcol_receiver_accepted_spans_total") == 2 * 2000 * 20, "the count", 20)
    # What was taken was let go again.
    assert process.rss() - before < 150 << 20


def test_curl_asks_to_upgrade(server, sink):
    """`curl --http2` without TLS offers h2c: it is answered over HTTP/1.1."""
    process, _ = server
    outcome = subprocess.run(
        ["curl", "-s", "--http2", "-H", "content-type: application/x-protobuf", "--data-binary", "@-", "-o",
         "/dev/null", "-w", "%{http_code} %{http_version}", process.url],
        input=request_of(3).SerializeToString(), capture_output=True, timeout=20, check=True)
    assert outcome.stdout.decode() == "200 1.1"
    assert len(sink.wait_for_spans(3)) == 3
