"""The exporter otlp_grpc against a server of grpcio."""
import os
import socket
import subprocess
import sys
import threading
import time

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

from support.connect_proxy import ConnectProxy
from support.grpc_sink import Failure, GRPCSink, fails, first
from support.otlp import flat, ids_of, traces
from support.ports import free_port
from support.process import configuration
from support.relay import Relay
from support.waiting import wait_for

SENT = "otelcol_exporter_sent_spans_total"
FAILED = "otelcol_exporter_send_failed_spans_total"
Code = grpc.StatusCode

RETRYABLE = [Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.OUT_OF_RANGE, Code.UNAVAILABLE, Code.DATA_LOSS]
FINAL = [Code.UNKNOWN, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.PERMISSION_DENIED,
         Code.FAILED_PRECONDITION, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAUTHENTICATED]


@pytest.fixture
def grpc_sinks():
    made = []

    def make(*arguments, **options):
        made.append(GRPCSink(*arguments, **options))
        return made[-1]
    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def sink(grpc_sinks):
    return grpc_sinks()


def to(endpoint, *, name="otlp_grpc", retry=None, **options):
    retries = {"initial_interval": "50ms", "max_interval": "200ms", "max_elapsed_time": "60s", **(retry or {})}
    exporter = {"endpoint": endpoint, "tls": {"insecure": True}, "timeout": "30s", "retry_on_failure": retries,
                **options}
    return configuration({name: exporter})


@pytest.fixture
def martlet(launch, sink):
    return launch(to(sink.endpoint))


@pytest.mark.parametrize("name", ["otlp_grpc", "otlp"])
@pytest.mark.parametrize("compression", ["none", "gzip", None])
def test_spans_arrive_unchanged(launch, sink, name, compression):
    options = {"compression": compression} if compression else {}
    martlet = launch(to(sink.endpoint, name=name, **options))
    sent = [traces(20, padding=100) for _ in range(20)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(400)
    assert flat(*(call.request for call in sink.taken)) == flat(*sent)
    martlet.wait_for_metric(SENT, 400)
    call = sink.calls[0]
    assert call.metadata["user-agent"] == "martlet"
    assert 20 < call.seconds_left <= 30


def test_a_large_message(launch, sink):
    """More than any window or frame."""
    martlet = launch(to(sink.endpoint, compression="none"))
    sent = traces(500, padding=20_000)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(500, 60)
    assert flat(*(call.request for call in sink.taken)) == flat(sent)


def test_metrics_of_the_sdk(launch, sink):
    config = to(sink.endpoint)
    config["service"]["pipelines"]["metrics"] = dict(config["service"]["pipelines"]["traces"])
    martlet = launch(config)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"http://127.0.0.1:{martlet.port}/v1/metrics"))
    provider = MeterProvider([reader])
    provider.get_meter("test").create_counter("requests").add(5)
    provider.shutdown()
    wait_for(lambda: sink.taken, "metrics", 20)
    metric = sink.taken[0].request.resource_metrics[0].scope_metrics[0].metrics[0]
    assert metric.name == "requests" and metric.sum.data_points[0].as_int == 5


def test_many_calls_share_a_connection(launch, sink):
    """Calls at the same time, each held back, over two connections at most: the first, and that to the address."""
    held = threading.Barrier(8, timeout=30)
    def hold(_):
        held.wait()
        return b""
    sink.behaviour = hold
    martlet = launch(to(sink.endpoint, sending_queue={"num_consumers": 8, "batch": {"max_size": 1, "min_size": 1,
                                                                                    "flush_timeout": "10ms"}}))
    for _ in range(16):
        assert martlet.post(traces(1)).status == 200
    sink.wait_for_spans(16)
    assert len({call.peer for call in sink.calls}) <= 2


def test_headers_and_authority(launch, sink):
    martlet = launch(to(sink.endpoint, headers={"X-Tenant": "one", "authorization": "Bearer secret"},
                        authority="collector.example"))
    martlet.post(traces(1))
    call = sink.wait_for_calls(1)[0]
    assert call.metadata["x-tenant"] == "one" and call.metadata["authorization"] == "Bearer secret"
    assert "secret" not in martlet.log


# Answers

@pytest.mark.parametrize("code", RETRYABLE)
def test_what_is_tried_again(martlet, sink, code):
    sink.behaviour = first(3, fails(code, "100 % busy ✓"))
    sent = traces(5)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(5)
    assert [call.code for call in sink.calls] == [code] * 3 + [Code.OK]
    assert sink.ids == ids_of(sent)
    martlet.wait_for_metric(SENT, 5)
    assert martlet.metric(FAILED) == 0
    record = next(one for one in martlet.log_records() if "will retry" in one["msg"])
    assert f"the destination answered {code.name}: 100 % busy ✓" in record["error"]


@pytest.mark.parametrize("code", FINAL)
def test_what_is_final(martlet, sink, code):
    sink.behaviour = first(1, fails(code, "no"))
    assert martlet.post(traces(5)).status == 200
    martlet.wait_for_metric(FAILED, 5, error_type="permanent")
    good = traces(2)
    martlet.post(good)
    sink.wait_for_spans(2)
    assert sink.ids == ids_of(good)
    record = next(one for one in martlet.log_records() if "dropping data" in one["msg"])
    assert f"{code.name}: no" in record["error"]


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_retry_info(martlet, sink, code):
    status = Status(code=code.value[0], message="slow down")
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)))
    sink.behaviour = first(1, fails(code, "slow down", status))
    martlet.post(traces(1))
    sink.wait_for_spans(1)
    assert sink.calls[1].at - sink.calls[0].at >= 1.5


def test_too_large_is_halved(martlet, sink):
    def act(call):
        return Failure(Code.RESOURCE_EXHAUSTED, "too large") if len(ids_of(call.request)) > 3 else b""
    sink.behaviour = act
    sent = traces(12)
    martlet.post(sent)
    sink.wait_for_spans(12)
    assert sorted(sink.ids) == sorted(ids_of(sent))
    assert martlet.metric(FAILED) == 0


def test_partial_success(martlet, sink):
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "two are bad"
    sink.behaviour = lambda _: answer.SerializeToString()
    martlet.post(traces(5))
    martlet.wait_for_metric(FAILED, 2)
    martlet.wait_for_metric(SENT, 3)
    assert len(sink.calls) == 1
    assert "two are bad" in martlet.log


# Connections

def test_server_goes_and_comes_back(launch, sink):
    martlet = launch(to(sink.endpoint))
    sent = []
    for _ in range(3):
        sent.append(traces(2))
        assert martlet.post(sent[-1]).status == 200
        sink.wait_for_spans(2 * len(sent))
        sink.stop()
        sent.append(traces(2))
        assert martlet.post(sent[-1]).status == 200
        wait_for(lambda: "will retry" in martlet.log, "a retry")
        sink.start()
        sink.wait_for_spans(2 * len(sent))
    assert set(sink.ids) == set(ids_of(*sent))


def test_nobody_there_at_first(launch):
    port = free_port()
    martlet = launch(to(f"127.0.0.1:{port}"))
    sent = traces(3)
    assert martlet.post(sent).status == 200
    wait_for(lambda: "cannot connect" in martlet.log, "a failure")
    sink = GRPCSink(port=port)
    try:
        assert sink.wait_for_spans(3) == ids_of(sent)
    finally:
        sink.close()


def test_a_server_that_hangs(launch, sink):
    release = threading.Event()

    def hang(_):
        release.wait(60)
        return b""
    sink.behaviour = first(1, hang)
    martlet = launch(to(sink.endpoint, timeout="500ms"))
    sent = traces(2)
    martlet.post(sent)
    sink.wait_for_spans(2)
    release.set()
    assert "timeout" in martlet.log


def test_a_connection_that_goes_silent(launch, sink):
    """Neither end says goodbye. The calls after it take another connection."""
    relay = Relay(sink.port)
    try:
        martlet = launch(to(relay.endpoint, timeout="700ms"))
        sent = [traces(2)]
        assert martlet.post(sent[0]).status == 200
        sink.wait_for_spans(2)
        before = relay.joined
        relay.silence()
        for _ in range(5):
            sent.append(traces(2))
            assert martlet.post(sent[-1]).status == 200
        assert sorted(sink.wait_for_spans(12)) == sorted(ids_of(*sent))
        assert "timeout" in martlet.log
        assert before < relay.joined <= before + 3
    finally:
        relay.close()


def test_a_server_of_few_calls_at_a_time(launch, grpc_sinks):
    """Calls beyond the server's SETTINGS_MAX_CONCURRENT_STREAMS wait, and none is lost or sent twice."""
    busy, most, lock = [0], [0], threading.Lock()

    def count(_):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1
        return b""
    sink = grpc_sinks(options=[("grpc.max_concurrent_streams", 2)])
    sink.behaviour = count
    martlet = launch(to(sink.endpoint, sending_queue={"num_consumers": 20}))
    sent = [traces(1) for _ in range(60)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(60)
    assert sorted(sink.ids) == sorted(ids_of(*sent))
    assert most[0] == 2
    assert "will retry" not in martlet.log


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\x00" * 100],
                         ids=["nothing", "http1", "zeros"])
def test_a_server_of_something_else(launch, says):
    """It is retried, since such a thing may be replaced, and never counts as delivered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peers = []

        def serve():
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                peers.append(peer)
                with peer:
                    peer.recv(1000)
                    peer.sendall(says)
        threading.Thread(target=serve, daemon=True).start()
        martlet = launch(to(f"127.0.0.1:{listener.getsockname()[1]}"))
        martlet.post(traces(2))
        wait_for(lambda: len(peers) >= 3, "three tries")
        assert martlet.metric(SENT) == 0
        listener.shutdown(socket.SHUT_RDWR)


def test_otlp_http_server_by_mistake(launch, sinks):
    """An HTTP/1.1 server on the other side."""
    http = sinks()
    martlet = launch(to(f"127.0.0.1:{http.port}"))
    martlet.post(traces(2))
    wait_for(lambda: "will retry" in martlet.log or "dropping data" in martlet.log, "a failure")
    assert martlet.metric(SENT) == 0 and not http.ids


# Addresses

@pytest.mark.skipif(os.geteuid() != 0, reason="a name of several addresses needs a mount namespace of root's")
def test_addresses_take_turns(grpc_sinks, binary, tmp_path):
    """One name, two addresses: both get calls; when one goes the other gets all; when it returns both do."""
    port = free_port()
    here = [grpc_sinks("127.0.0.1", port), grpc_sinks("127.0.0.2", port)]
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.1 pair.example\n127.0.0.2 pair.example\n127.0.0.3 pair.example\n")
    wrapper = tmp_path / "martlet"
    wrapper.write_text(f"#!/bin/sh\nmount --bind {hosts} /etc/hosts && exec {binary} \"$@\"\n")
    wrapper.chmod(0o755)
    from support.process import Martlet
    config = to(f"dns:///pair.example:{port}", sending_queue={"num_consumers": 1})
    outer = tmp_path / "outer"
    outer.write_text(f"#!/bin/sh\nexec unshare --mount {wrapper} \"$@\"\n")
    outer.chmod(0o755)
    martlet = Martlet(outer, tmp_path, config).start()
    sent = []

    def send(count):
        for _ in range(count):
            sent.append(traces(1))
            assert martlet.post(sent[-1]).status == 200
            wait_for(lambda: len(here[0].ids) + len(here[1].ids) >= len(sent), "the span", 20)
    try:
        send(20)
        counts = [len(sink.ids) for sink in here]
        # Nobody listens on the third address: it costs nothing but the try.
        assert min(counts) >= 6, counts
        assert martlet.metric(FAILED) == 0 and "will retry" not in martlet.log
        here[1].stop()
        send(10)
        assert len(here[0].ids) >= counts[0] + 9
        here[1].start()

        def both():
            before = len(here[1].ids)
            send(2)
            return len(here[1].ids) > before
        wait_for(both, "calls at the second address again", 30, 0.2)
        assert sorted(here[0].ids + here[1].ids) == sorted(ids_of(*sent))
    finally:
        martlet.close()


# Proxies

@pytest.fixture
def proxy_to():
    made = []

    def make(hosts):
        made.append(ConnectProxy(hosts))
        return made[-1]
    yield make
    for proxy in made:
        proxy.close()


def without_proxies():
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def test_through_a_proxy(launch, sink, proxy_to):
    """The proxy is asked for a tunnel to the name, which it looks up itself, and HTTP/2 goes through it."""
    port = int(sink.endpoint.rsplit(":", 1)[1])
    proxy = proxy_to({f"backend.test:{port}": ("127.0.0.1", port)})
    martlet = launch(to(f"backend.test:{port}"), env={**without_proxies(), "http_proxy": proxy.url})
    sent = [traces(3) for _ in range(10)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(30)
    assert sorted(sink.ids) == sorted(ids_of(*sent))
    assert proxy.targets and set(proxy.targets) == {f"backend.test:{port}"} and len(proxy.targets) == len(proxy.heads)
    martlet.wait_for_metric(SENT, 30)
    assert martlet.metric(FAILED) == 0


def test_hosts_without_a_proxy(launch, sink, proxy_to):
    proxy = proxy_to({})
    environment = {**without_proxies(), "http_proxy": proxy.url, "no_proxy": "other.test, localhost.localdomain"}
    martlet = launch(to(sink.endpoint), env=environment)
    assert martlet.post(traces(3)).status == 200
    sink.wait_for_spans(3)
    assert not proxy.heads


def test_a_proxy_that_does_not_tunnel(launch, sink, proxy_to):
    port = int(sink.endpoint.rsplit(":", 1)[1])
    proxy = proxy_to({})
    martlet = launch(to(f"backend.test:{port}"), env={**without_proxies(), "http_proxy": proxy.url})
    assert martlet.post(traces(3)).status == 200
    wait_for(lambda: "will retry" in martlet.log, "a failure", 30)
    assert proxy.heads and all(head.startswith("CONNECT ") for head in proxy.heads) and not sink.ids



# TLS

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """ca, server and client, made by openssl."""
    directory = tmp_path_factory.mktemp("certificates")

    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key",
        "-out", "ca.crt")
    for name in ["server", "client"]:
        (directory / f"{name}.ext").write_text("subjectAltName=DNS:collector.example,IP:127.0.0.1\n")
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out",
            f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    return directory


def credentials(certificates, mutual=False):
    def read(name):
        return (certificates / name).read_bytes()
    return grpc.ssl_server_credentials([(read("server.key"), read("server.crt"))],
                                       read("ca.crt") if mutual else None, mutual)


def test_tls(launch, grpc_sinks, certificates):
    sink = grpc_sinks(credentials=credentials(certificates))
    martlet = launch(to(f"https://{sink.endpoint}", tls={"ca_file": str(certificates / "ca.crt")}))
    sent = [traces(3) for _ in range(10)]
    for request in sent:
        martlet.post(request)
    sink.wait_for_spans(30)
    assert flat(*(call.request for call in sink.taken)) == flat(*sent)


def test_a_large_message_over_tls(launch, grpc_sinks, certificates):
    sink = grpc_sinks(credentials=credentials(certificates))
    martlet = launch(to(sink.endpoint, compression="none", tls={"ca_file": str(certificates / "ca.crt")}))
    sent = [traces(300, padding=20_000), traces(5), traces(300, padding=20_000)]
    for request in sent:
        assert martlet.post(request).status == 200
    sink.wait_for_spans(605, 60)
    assert flat(*(call.request for call in sink.taken)) == flat(*sent)


def test_tls_is_the_default(launch, grpc_sinks, certificates):
    """As in otelcol: only `insecure` turns it off."""
    sink = grpc_sinks(credentials=credentials(certificates))
    tls = {"ca_file": str(certificates / "ca.crt"), "server_name_override": "collector.example"}
    martlet = launch(to(sink.endpoint, tls=tls))
    martlet.post(traces(3))
    sink.wait_for_spans(3)


def test_an_unknown_authority(launch, grpc_sinks, certificates):
    sink = grpc_sinks(credentials=credentials(certificates))
    martlet = launch(to(sink.endpoint, tls={}))
    martlet.post(traces(3))
    wait_for(lambda: "TLS failure" in martlet.log, "a failure")
    assert not sink.calls


def test_mutual_tls(launch, grpc_sinks, certificates):
    sink = grpc_sinks(credentials=credentials(certificates, mutual=True))
    tls = {"ca_file": str(certificates / "ca.crt")}
    without = launch(to(sink.endpoint, tls=tls))
    without.post(traces(3))
    wait_for(lambda: "will retry" in without.log, "a failure")
    assert not sink.calls
    tls |= {"cert_file": str(certificates / "client.crt"), "key_file": str(certificates / "client.key")}
    martlet = launch(to(sink.endpoint, tls=tls))
    martlet.post(traces(3))
    sink.wait_for_spans(3)


# Configuration

@pytest.mark.parametrize("options, text", [
    ({"endpoint": "localhost"}, "has no port"),
    ({"endpoint": "unix:///tmp/x.sock"}, "endpoint"),
    ({"endpoint": "localhost:0"}, "must name a host and a port"),
    ({"headers": {"grpc-timeout": "1S"}}, "which the client sets itself"),
    ({"headers": {"a": "\x01"}}, "printable ASCII"),
    ({"balancer_name": "grpclb"}, "round_robin"),
    ({"wait_for_ready": True}, "retry_on_failure"),
    ({"compression": "snappy"}, "use gzip, zstd or none"),
    ({"enpoint": "x"}, "endpoint"),
])
def test_refused(launch, options, text):
    martlet = launch(to(**{"endpoint": "localhost:4317", **options}), ready=False).launch()
    assert martlet.wait() != 0
    assert text in martlet.log
