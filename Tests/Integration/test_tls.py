"""TLS and mutual TLS of the servers: real SDKs, openssl and curl as clients; rotation; what is refused."""
import os
import shutil
import socket
import ssl
import subprocess
import time

import grpc
import pytest
import requests
from cryptography import x509
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support.certificates import Authority, fingerprint
from support.otlp import traces
from support.ports import free_port
from support.process import configuration, to_sink
from support.waiting import wait_for


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path):
    return Authority(tmp_path, "stranger")


def secured(sink, tls, **options):
    """Both protocols with the same TLS; nothing is open."""
    http = {"tls": tls, **options.pop("http", {})}
    config = configuration({"otlp_http": to_sink(sink)}, http=http)
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}", "tls": tls, **options}
    return config, port


def keys_of(issued, **more):
    return {"cert_file": str(issued.cert_file), "key_file": str(issued.key_file), **more}


def grpc_channel(port, authority, client=None):
    credentials = grpc.ssl_channel_credentials(
        authority.cert_file.read_bytes(), client.private if client else None, client.cert if client else None)
    return grpc.secure_channel(f"localhost:{port}", credentials)


def send_http(process, authority, client=None, **options):
    cert = (str(client.cert_file), str(client.key_file)) if client else None
    return requests.post(
        f"https://localhost:{process.port}/v1/traces", traces(1).SerializeToString(), cert=cert,
        verify=str(authority.cert_file), headers={"content-type": "application/x-protobuf"}, timeout=20, **options)


def presented(port):
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as connection:
        return fingerprint(x509.load_der_x509_certificate(connection.getpeercert(True)))


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_sdks_over_tls(launch, sink, authority, kind, monkeypatch):
    # These go before what a session of `requests` is told.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    config, port = secured(sink, keys_of(authority.server(kind=kind)))
    process = launch(config)
    exporters = [
        GRPCSpanExporter(
            endpoint=f"https://localhost:{port}", compression=grpc.Compression.Gzip,
            credentials=grpc.ssl_channel_credentials(authority.cert_file.read_bytes())),
        HTTPSpanExporter(
            endpoint=f"https://localhost:{process.port}/v1/traces", certificate_file=str(authority.cert_file))]
    for exporter in exporters:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("scope")
        for number in range(300):
            with tracer.start_as_current_span(f"span {number}", attributes={"text": "x" * 2000}):
                pass
        assert provider.force_flush(30_000)
        provider.shutdown()
    assert len(sink.wait_for_spans(600, 30)) == 600
    assert process.stop() == 0


def test_mutual_tls(launch, sink, authority, stranger):
    tls = keys_of(authority.server(), client_ca_file=str(authority.cert_file))
    config, port = secured(sink, tls)
    process = launch(config)
    known = authority.client()
    with grpc_channel(port, authority, known) as channel:
        TraceServiceStub(channel).Export(traces(1), timeout=20)
    assert send_http(process, authority, known).status_code == 200

    refused = [None, stranger.client(), authority.client("expired", expired=True), authority.server("swapped")]
    for client in refused:
        with grpc_channel(port, authority, client) as channel, pytest.raises(grpc.RpcError) as failure:
            TraceServiceStub(channel).Export(traces(1), timeout=5)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE, client
        with pytest.raises(requests.exceptions.ConnectionError):
            send_http(process, authority, client)
    # The refused ones have harmed nobody, and nothing of theirs came through.
    with grpc_channel(port, authority, known) as channel:
        TraceServiceStub(channel).Export(traces(1), timeout=20)
    assert len(sink.wait_for_spans(3)) == 3
    assert process.metric("otelcol_receiver_accepted_spans_total") == 3
    assert process.metric("martlet_server_tls_handshake_failures_total", transport="grpc") >= 4
    assert process.metric("martlet_server_tls_handshake_failures_total", transport="http") >= 4
    assert any("TLS handshake failed" in line["msg"] for line in process.log_records())


def test_clients_refuse_the_wrong_server(launch, sink, authority, stranger):
    for server in (stranger.server(), authority.server("old", expired=True)):
        config, port = secured(sink, keys_of(server))
        process = launch(config)
        with grpc_channel(port, authority) as channel, pytest.raises(grpc.RpcError) as failure:
            TraceServiceStub(channel).Export(traces(1), timeout=5)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
        with pytest.raises(requests.exceptions.ConnectionError):
            send_http(process, authority)
        assert process.stop() == 0
    assert any("expired" in line["msg"] for line in process.log_records())


def test_plain_text_on_a_secured_port(launch, sink, authority):
    config, port = secured(sink, keys_of(authority.server()))
    process = launch(config)
    for target in (process.port, port):
        with socket.create_connection(("127.0.0.1", target), 10) as connection:
            connection.settimeout(20)
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            answer = connection.recv(100)
            assert not answer.startswith(b"HTTP"), answer
    assert send_http(process, authority).status_code == 200


def handshake(port, *arguments):
    """What `openssl s_client` says of a handshake."""
    outcome = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments], input=b"", capture_output=True,
        timeout=30, check=False, env={**os.environ, "OPENSSL_CONF": "/dev/null"})
    text = (outcome.stdout + outcome.stderr).decode(errors="replace")
    return outcome.returncode == 0 and "Cipher is (NONE)" not in text, text


def test_versions_and_ciphers(launch, sink, authority):
    config, port = secured(sink, keys_of(authority.server(kind="rsa")))
    process = launch(config)
    weakest = "@SECLEVEL=0"
    for target in (process.port, port):
        for version in ("-tls1", "-tls1_1"):
            ok, text = handshake(target, version, "-cipher", f"ALL:{weakest}")
            assert not ok, text
        for version in ("-tls1_2", "-tls1_3"):
            ok, text = handshake(target, version)
            assert ok, text
        for cipher in ("AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384",
                       "DHE-RSA-AES128-GCM-SHA256", "NULL", "aNULL", "CAMELLIA128-SHA", "PSK"):
            ok, text = handshake(target, "-tls1_2", "-cipher", f"{cipher}:{weakest}")
            assert not ok, (cipher, text)
        for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
            ok, text = handshake(target, "-tls1_2", "-cipher", cipher)
            assert ok and cipher in text, text
        # No compression, no renegotiation by the client, no early data.
        ok, text = handshake(target, "-tls1_3")
        assert "Compression: NONE" in text and "Max Early Data: 0" in text or "Early data was not sent" in text
    for alpn, target, expected in (("h2", port, "h2"), ("http/1.1", process.port, "http/1.1"), ("h2", process.port, "h2")):
        _, text = handshake(target, "-alpn", alpn)
        assert f"ALPN protocol: {expected}" in text, text


def test_configured_versions_and_ciphers(launch, sink, authority):
    suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    tls = keys_of(authority.server(kind="rsa"), max_version="1.2", cipher_suites=[suite], curve_preferences=["P384"])
    config, port = secured(sink, tls)
    launch(config)
    ok, text = handshake(port)
    assert ok and "TLSv1.2" in text and "ECDHE-RSA-AES256-GCM-SHA384" in text and "secp384r1" in text, text
    assert not handshake(port, "-tls1_3")[0]
    assert not handshake(port, "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-tls1_2")[0]
    assert not handshake(port, "-groups", "X25519")[0]

    config, port = secured(sink, keys_of(authority.server("modern"), min_version="1.3"))
    launch(config)
    assert handshake(port, "-tls1_3")[0] and not handshake(port, "-tls1_2")[0]


def test_http_versions_by_alpn(launch, sink, authority):
    config, _ = secured(sink, keys_of(authority.server()))
    process = launch(config)
    body = traces(2).SerializeToString()
    for extra, version in ((["--http2"], "2"), (["--http1.1"], "1.1"), (["--no-alpn"], "1.1"), ([], "2")):
        outcome = subprocess.run(
            ["curl", "-s", "-X", "POST", *extra, "--cacert", str(authority.cert_file), "-H",
             "content-type: application/x-protobuf", "--data-binary", "@-", "-o", "/dev/null", "-w",
             "%{http_code} %{http_version}", f"https://localhost:{process.port}/v1/traces"],
            input=body, capture_output=True, timeout=30, check=True)
        assert outcome.stdout.decode() == f"200 {version}", extra
    sink.wait_for_spans(8)


def test_rotation(launch, sink, authority, tmp_path):
    first, second = authority.server("first"), authority.server("second")
    cert, key = tmp_path / "live.crt", tmp_path / "live.key"

    def install(cert_bytes, key_bytes):
        for path, content in ((cert, cert_bytes), (key, key_bytes)):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").replace(path)
    install(first.cert, first.private)
    tls = {"cert_file": str(cert), "key_file": str(key), "reload_interval": "100ms"}
    config, port = secured(sink, tls)
    process = launch(config)
    assert presented(port) == presented(process.port) == fingerprint(first.certificate)
    with grpc_channel(port, authority) as open_before:
        TraceServiceStub(open_before).Export(traces(1), timeout=20)
        # A file that cannot be used changes nothing, and is said once.
        cert.write_bytes(b"no certificate")
        wait_for(lambda: "cannot be used" in process.log, "a line about the bad file", 20)
        assert presented(port) == fingerprint(first.certificate)
        # The new pair is taken, without a restart; connections that are open go on.
        install(second.cert, second.private)
        for target in (port, process.port):
            wait_for(lambda: presented(target) == fingerprint(second.certificate), "the new certificate", 20)
        TraceServiceStub(open_before).Export(traces(1), timeout=20)
    with grpc_channel(port, authority) as channel:
        TraceServiceStub(channel).Export(traces(1), timeout=20)
    # The key of another certificate is refused as well.
    install(first.cert, second.private)
    wait_for(lambda: "does not belong" in process.log, "a line about the wrong key", 20)
    assert presented(port) == fingerprint(second.certificate)
    assert len(sink.wait_for_spans(3)) == 3
    assert "PRIVATE KEY" not in process.log and process.stop() == 0


def test_rotation_of_the_client_authority(launch, sink, authority, stranger, tmp_path):
    trusted = tmp_path / "trusted.crt"
    shutil.copy(authority.cert_file, trusted)
    tls = keys_of(authority.server(), client_ca_file=str(trusted), client_ca_file_reload=True, reload_interval="100ms")
    config, _ = secured(sink, tls)
    process = launch(config)
    new, old = stranger.client(), authority.client()
    assert send_http(process, authority, old).status_code == 200

    def accepts(client):
        try:
            return send_http(process, authority, client).status_code == 200
        except requests.exceptions.ConnectionError:
            return False
    assert not accepts(new)
    shutil.copy(stranger.cert_file, trusted)
    wait_for(lambda: accepts(new), "the new authority", 20, 0.1)
    assert not accepts(old)


def test_slow_and_broken_handshakes(launch, sink, authority):
    tls = keys_of(authority.server(), handshake_timeout="500ms", max_handshakes=20)
    config, port = secured(sink, tls)
    process = launch(config)
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
    begun = time.monotonic()
    for connection in idle:
        connection.settimeout(20)
        # Closed without an answer: those over the bound at once, the others after their time.
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
        connection.close()
    assert time.monotonic() - begun < 20
    for junk in (b"\x16\x03\x01\xff\xff" + bytes(1000), os.urandom(5000), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(junk)
    with grpc_channel(port, authority) as channel:
        TraceServiceStub(channel).Export(traces(1), timeout=20)
    sink.wait_for_spans(1)
    assert process.is_alive()


@pytest.mark.parametrize("option, change, words", [
    ("cert_file", {"cert_file": "/none.crt"}, "No such file"),
    ("key_file", {"key_file": "/none.key"}, "No such file"),
    ("client_ca_file", {"client_ca_file": "/none"}, "No such file"),
    ("key_file", {"key_file": "OTHER"}, "does not belong"),
    ("cert_file", {"cert_file": "/dev/null"}, "no certificate"),
    ("key_file", {"key_file": "/dev/null"}, "no private key"),
    ("key_file", {"key_file": None}, "missing"),
    ("min_version", {"min_version": "1.3", "max_version": "1.2"}, "max_version"),
    ("cipher_suites", {"cipher_suites": ["TLS_RSA_WITH_RC4_128_SHA"]}, "too weak"),
    ("cipher_suites", {"cipher_suites": ["fast"]}, "no cipher suite"),
    ("curve_preferences", {"curve_preferences": ["P224"]}, "no curve"),
    ("cert_pem", {"cert_pem": "x"}, "beside cert_file"),
])
def test_configuration_errors(binary, launch, sink, authority, option, change, words):
    tls = {**keys_of(authority.server()), **change}
    if tls["key_file"] == "OTHER":
        tls["key_file"] = str(authority.server("other").key_file)
    tls = {key: value for key, value in tls.items() if value is not None}
    config, _ = secured(sink, tls)
    process = launch(config, ready=False)
    outcome = subprocess.run([binary, "validate", "--config", process.path], capture_output=True, text=True, timeout=30)
    assert outcome.returncode == 2
    line = next(line for line in outcome.stderr.splitlines() if option in line)
    assert words in line and "config.yaml:" in line and "tls" in line, outcome.stderr


def test_other_servers(launch, sink, authority):
    tls = keys_of(authority.server())
    scrape = free_port()
    config = configuration(
        {"otlp_http": to_sink(sink), "prometheus": {"endpoint": f"127.0.0.1:{scrape}", "tls": tls}},
        pipelines={"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]},
                   "metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}},
        extensions={"health_check/tls": {"endpoint": f"127.0.0.1:{free_port()}", "tls": tls}})
    launch(config)
    for url in (f"https://localhost:{scrape}/metrics",
                "https://localhost:" + config["extensions"]["health_check/tls"]["endpoint"].rsplit(":")[-1]):
        assert requests.get(url, verify=str(authority.cert_file), timeout=20).status_code == 200
