"""Who may send: tokens, passwords and API keys on both protocols; tenants; what is refused, and at what cost."""
import base64
import concurrent.futures
import os
import socket
import subprocess
import threading
import time

import bcrypt
import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support import http2, wire
from support.grpc_sink import GRPCSink
from support.otlp import traces
from support.ports import free_port
from support.process import configuration, to_sink
from support.sink import slow
from support.waiting import wait_for

TOKEN = "token-of-the-tests-0123456789"
OTHER = "another-token-0123456789"
KEYS = {"red": "key-of-the-red-tenant-00", "blue": "key-of-the-blue-tenant-0"}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def hashed(password, rounds=4):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def crypted(kind, password):
    """A hash of `openssl passwd`: -6 is SHA-512, -5 SHA-256, -1 MD5."""
    return subprocess.run(["openssl", "passwd", kind, password], capture_output=True, text=True, check=True).stdout.strip()


def guarded(exporters, extension, **options):
    """Both protocols behind the authenticator `auth`."""
    auth = {"auth": {"authenticator": "auth"}}
    kind, settings = extension
    if "inline" in settings.get("htpasswd", {}):
        # A dollar sign stands for itself when it is doubled.
        htpasswd = settings["htpasswd"]
        settings = {**settings, "htpasswd": {**htpasswd, "inline": htpasswd["inline"].replace("$", "$$")}}
    config = configuration(exporters, http={**auth, **options}, extensions={f"{kind}/x": settings})
    auth["auth"]["authenticator"] = f"{kind}/x"
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}", **auth, **options}
    return config, port


def call(port, metadata=(), request=None):
    """The status of a call over gRPC."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            TraceServiceStub(channel).Export(request or traces(1), timeout=20, metadata=metadata)
        except grpc.RpcError as failure:
            return failure.code()
    return grpc.StatusCode.OK


def post(process, headers=None, request=None):
    return process.post((request or traces(1)).SerializeToString(), headers=headers or {})


def check(process, port, header, good, bad):
    """Good credentials are taken, others refused, on both protocols; the number of spans that came."""
    for value in good:
        assert post(process, {header: value}).status == 200, value
        assert call(port, [(header, value)]) == grpc.StatusCode.OK
    for value in bad:
        answer = post(process, {header: value} if value is not None else {})
        assert answer.status == 401 and answer.headers["www-authenticate"], value
        fields = [(header, value)] if value is not None else []
        assert call(port, fields) == grpc.StatusCode.UNAUTHENTICATED, value
    return 2 * len(good)


def test_bearer_tokens(launch, sink):
    config, port = guarded({"otlp_http": to_sink(sink)}, ("bearertokenauth", {"tokens": [TOKEN, OTHER]}))
    process = launch(config)
    bad = [None, "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}", TOKEN, "Bearer ", basic("a", TOKEN)]
    expected = check(process, port, "authorization", [f"Bearer {TOKEN}", f"Bearer {OTHER}"], bad)
    assert len(sink.wait_for_spans(expected)) == expected
    assert process.metric("otelcol_receiver_accepted_spans_total") == expected
    failures = "martlet_extension_auth_failures_total"
    assert process.metric(failures) == 2 * len(bad)
    assert process.metric(failures, reason="missing") == 2 and process.metric(failures, reason="rejected") >= 4
    assert "not authenticated" in process.log and TOKEN not in process.log and TOKEN[:-1] not in process.log
    # The real SDKs.
    for exporter in (
            GRPCSpanExporter(endpoint=f"127.0.0.1:{port}", insecure=True, headers={"authorization": f"Bearer {TOKEN}"}),
            HTTPSpanExporter(endpoint=process.url, headers={"authorization": f"Bearer {OTHER}"})):
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        for _ in range(50):
            provider.get_tracer("scope").start_span("span").end()
        assert provider.force_flush(20_000)
        provider.shutdown()
    assert len(sink.wait_for_spans(expected + 100)) == expected + 100


def test_token_file_is_read_again(launch, sink, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# of the tests\n{TOKEN}\n")
    settings = {"filename": str(path), "reload_interval": "100ms", "header": "X-Token", "scheme": ""}
    config, port = guarded({"otlp_http": to_sink(sink)}, ("bearertokenauth", settings))
    process = launch(config)
    check(process, port, "x-token", [TOKEN], [OTHER])
    path.write_text("")
    wait_for(lambda: "cannot be used" in process.log, "a line about the empty file", 20)
    check(process, port, "x-token", [TOKEN], [OTHER])
    path.write_text(f"{OTHER}\n")
    wait_for(lambda: post(process, {"x-token": OTHER}).status == 200, "the new token", 20)
    check(process, port, "x-token", [OTHER], [TOKEN])


def test_passwords(launch, sink, tmp_path):
    path = tmp_path / "htpasswd"
    path.write_text(f"alice:{hashed('wonder land')}\nbob:{crypted('-6', 'builder')}\n")
    inline = f"carol:{crypted('-5', 'sha')}\ndave:{crypted('-1', 'md5')}\neve:plain:text\nalice:never\n"
    settings = {"htpasswd": {"file": str(path), "inline": inline, "reload_interval": "100ms"},
                "max_failures_per_minute": 100_000}
    config, port = guarded({"otlp_http": to_sink(sink)}, ("basicauth", settings))
    process = launch(config)
    good = [basic("alice", "wonder land"), basic("bob", "builder"), basic("carol", "sha"), basic("dave", "md5"),
            basic("eve", "plain:text")]
    bad = [None, "Basic", "Basic !!!!", "Basic " + base64.b64encode(b"alice").decode(), f"Bearer {TOKEN}",
           basic("alice", "wonder lan"), basic("alice", "never"), basic("alice", ""), basic("bob", "wonder land"),
           basic("nobody", "builder"), basic("eve", "plain"), basic("dave", "x" * 10_000), basic("", ""),
           basic("bob", "builder\0"), basic("eve", "plain:text\0")]
    for _ in range(2):
        check(process, port, "authorization", good, bad)
    assert "wonder" not in process.log and "builder" not in process.log
    # A password that has changed is asked for at once, although the old one was remembered.
    path.write_text(f"alice:{hashed('changed')}\n")
    wait_for(lambda: post(process, {"authorization": basic("alice", "changed")}).status == 200, "the new password", 20)
    check(process, port, "authorization", [basic("alice", "changed")], [good[0], good[1]])
    assert process.is_alive() and process.stop() == 0


def test_slow_hashes_are_paid_once(launch, sink):
    """A hash that takes a fifth of a second: many requests cost one check, and others are not held up meanwhile."""
    settings = {"htpasswd": {"inline": f"alice:{hashed('secret', 12)}\neve:plain"}, "max_failures_per_minute": 3}
    config, port = guarded({"otlp_http": to_sink(sink)}, ("basicauth", settings))
    process = launch(config)
    begun = process_cpu(process)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: call(port, [("authorization", basic("alice", "secret"))]), range(40)))
        assert set(statuses) == {grpc.StatusCode.OK}
        statuses = list(pool.map(lambda _: post(process, {"authorization": basic("alice", "secret")}).status, range(40)))
        assert set(statuses) == {200}
    spent = process_cpu(process) - begun
    # Eighty checks would be sixteen seconds.
    assert spent < 8, spent
    # Guesses are not even checked after a few; those who were right before are not affected, nor is a cheap check.
    outcomes = [post(process, {"authorization": basic("alice", f"guess {number}")}).status for number in range(8)]
    assert outcomes[:3] == [401] * 3 and outcomes[4:] == [429] * 4, outcomes
    assert call(port, [("authorization", basic("alice", "guess"))]) == grpc.StatusCode.UNAVAILABLE
    for user, password in (("alice", "secret"), ("eve", "plain")):
        assert post(process, {"authorization": basic(user, password)}).status == 200
        assert call(port, [("authorization", basic(user, password))]) == grpc.StatusCode.OK


def process_cpu(process):
    fields = open(f"/proc/{process.process.pid}/stat").read().rsplit(") ")[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_bodies_wait_for_the_check(launch, sink):
    """What was sent behind a head whose password takes long is neither lost nor taken before."""
    config, _ = guarded({"otlp_http": to_sink(sink)}, ("basicauth", {"htpasswd": {"inline": f"a:{hashed('b', 11)}"}}))
    process = launch(config)
    body = traces(1, padding=300_000).SerializeToString()
    for password, status in (("b", b"200"), ("c", b"401")):
        head = (f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('a', password)}\r\n"
                f"Content-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n")
        with socket.create_connection(("127.0.0.1", process.port), 10) as connection:
            connection.settimeout(30)
            connection.sendall(head.encode() + body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)
    # The same, over HTTP/2, in one piece; and a client that is gone before the check is done.
    with http2.RawHTTP2(process.port) as connection:
        connection.wait_for_settings()
        stream, head = connection.head("/v1/traces", content_type="application/x-protobuf",
                                       fields=[("authorization", basic("a", "b"))])
        content = traces(1).SerializeToString()
        connection.send(head + http2.data(stream, content[:10]) + http2.data(stream, content[10:], end=True))
        answer = [frame for frame in connection.frames(lambda frame: isinstance(frame, http2.HeadersFrame))][-1]
        assert answer.stream_id == stream
    for number in range(5):
        with socket.create_connection(("127.0.0.1", process.port), 10) as connection:
            head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('a', str(number))}\r\nContent-Length: 5\r\n\r\n"
            connection.sendall(head.encode())
    assert len(sink.wait_for_spans(2, 20)) == 2
    assert post(process, {"authorization": basic("a", "b")}).status == 200


def test_bodies_of_strangers_are_not_read(launch):
    config, port = guarded({"nop": None}, ("bearertokenauth", {"token": TOKEN}))
    process = launch(config)
    before = process.rss()
    connections = []
    for number in range(30):
        connection = socket.create_connection(("127.0.0.1", process.port), 10)
        connections.append(connection)
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 60000000\r\n\r\n")
        connection.settimeout(20)
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 401"), answer
    for connection in connections:
        try:
            for _ in range(100):
                connection.sendall(bytes(100_000))
        except OSError:
            pass
        connection.close()
    assert process.rss() - before < 50 << 20
    assert process.metric("martlet_memory_held_bytes") == 0
    # A body that would not even decode is not looked at.
    assert process.post(b"\xff\xff", headers={}).status == 401
    assert process.post(b"\xff\xff", headers={"authorization": f"Bearer {TOKEN}"}).status == 400


def test_tenants(launch, sink):
    """Each key's data goes in requests of its own, with the tenant in a header that clients cannot choose."""
    keys = [{"key": key, "tenant": tenant} for tenant, key in KEYS.items()]
    exporter = to_sink(sink, queue={"batch": {"flush_timeout": "300ms", "partition": {"metadata_keys": ["tenant"]}}})
    config, port = guarded({"otlp_http": exporter}, ("api_keys", {"keys": keys}), include_metadata=True)
    process = launch(config)
    expected = check(process, port, "x-api-key", KEYS.values(), [None, KEYS["red"][:-1], "x" * 24])
    wait_for(lambda: len(sink.ids) == expected, "all spans", 20)
    before = len(sink.requests)
    requests = {tenant: [traces(2, service=tenant) for _ in range(10)] for tenant in KEYS}
    for pair in zip(*requests.values()):
        for tenant, request in zip(KEYS, pair):
            # What a client says about its tenant does not count.
            headers = {"x-api-key": KEYS[tenant], "tenant": "green", "auth.tenant": "green"}
            assert post(process, headers, request).status == 200
    wait_for(lambda: len(sink.ids) == expected + 40, "all spans", 20)
    for request in sink.requests[before:]:
        services = {resource.resource.attributes[0].value.string_value for resource in request.resource_spans}
        assert len(services) == 1, "tenants were mixed"


@pytest.mark.parametrize("queue", [
    {"batch": {"flush_timeout": "300ms", "partition": {"metadata_keys": ["tenant", "x-route"]}}},
    {"num_consumers": 1},
    {"enabled": False},
], ids=["gathered", "queued", "direct"])
def test_tenants_reach_the_destination(launch, sink, queue):
    """The tenant of a key, and a header that the client chose, are headers of what is sent, over both protocols."""
    keys = [{"key": key, "tenant": tenant} for tenant, key in KEYS.items()]
    received = GRPCSink()
    auth = {"auth": {"authenticator": "headers_setter/out"}}
    config, _ = guarded(
        {"otlp_http": {**to_sink(sink, queue=queue), **auth},
         "otlp_grpc": {"endpoint": received.endpoint, "tls": {"insecure": True}, "sending_queue": queue, **auth}},
        ("api_keys", {"keys": keys}), include_metadata=True)
    config["extensions"]["headers_setter/out"] = {"headers": [
        {"key": "X-Scope-OrgID", "from_context": "Tenant"},
        {"key": "x-route", "from_context": "X-Route", "default_value": "none"}]}
    config["service"]["extensions"].append("headers_setter/out")
    process = launch(config)
    try:
        for number in range(8):
            for tenant, key in KEYS.items():
                headers = {"x-api-key": key, "tenant": "green"} | ({"x-route": "fast"} if number % 2 else {})
                assert post(process, headers, traces(2, service=f"{tenant}-{number % 2}")).status == 200
        expected = 16 * len(KEYS)
        wait_for(lambda: len(sink.ids) == len(received.ids) == expected, "all spans", 20)
        found = [(delivery.headers, delivery.request) for delivery in sink.deliveries]
        found += [(sent.metadata, sent.request) for sent in received.taken]
        for headers, request in found:
            headers = {name.lower(): value for name, value in headers.items()}
            names = {resource.resource.attributes[0].value.string_value for resource in request.resource_spans}
            assert names == {f"{headers['x-scope-orgid']}-{int(headers['x-route'] == 'fast')}"}
    finally:
        received.close()


@pytest.mark.parametrize("bound", ["requests", "memory"])
def test_a_greedy_tenant_leaves_room_for_others(launch, sink, bound):
    """One tenant sends far more than the destination takes; whoever sends little is not refused for it."""
    sink.behaviour = slow(0.02)
    keys = [{"key": key, "tenant": tenant} for tenant, key in KEYS.items()]
    size = 90 if bound == "requests" else 100_000
    config, _ = guarded(
        {"otlp_http": to_sink(sink, compression="none", queue={"queue_size": size, "num_consumers": 1})},
        ("api_keys", {"keys": keys}))
    if bound == "memory":
        config["extensions"]["memory_limiter"] = {"check_interval": "1s", "limit_mib": 16, "spike_limit_mib": 4}
        config["service"]["extensions"].append("memory_limiter")
    # Which clients are told apart is drawn by lot; here it is always the same draw, in which these two are.
    process = launch(config, env={**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"})
    padding = 0 if bound == "requests" else 64 << 10
    # Both are known before it begins.
    for key in KEYS.values():
        assert post(process, {"x-api-key": key}, traces(1)).status == 200
    over = threading.Event()
    counts = {200: 0, 503: 0}

    def flood():
        while not over.is_set():
            status = post(process, {"x-api-key": KEYS["red"]}, traces(1, padding=padding)).status
            counts[status] += 1
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        floods = [pool.submit(flood) for _ in range(4)]
        try:
            wait_for(lambda: counts[503] > 20, "the first refusals", 60)
            modest = []
            for _ in range(30):
                modest.append(post(process, {"x-api-key": KEYS["blue"]}, traces(1, service="blue")).status)
                # A fifth of what the destination takes.
                time.sleep(0.1)
        finally:
            over.set()
        for done in floods:
            done.result()
    assert modest == [200] * 30
    assert counts[200] >= 30
    assert process.stop() == 0


def test_api_keys_of_a_file(launch, sink, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# tenants\nred: {KEYS['red']}\n")
    config, port = guarded(
        {"otlp_http": to_sink(sink)},
        ("api_keys", {"filename": str(path), "reload_interval": "100ms", "header": "authorization", "scheme": "Bearer"}))
    process = launch(config)
    check(process, port, "authorization", [f"Bearer {KEYS['red']}"], [KEYS["red"], f"Bearer {KEYS['blue']}"])
    path.write_text(f"red: {KEYS['red']}\nblue: {KEYS['blue']}\n")
    wait_for(lambda: call(port, [("authorization", f"Bearer {KEYS['blue']}")]) == grpc.StatusCode.OK, "the new key", 20)


def test_other_servers_and_preflights(launch):
    auth = {"authenticator": "bearertokenauth/x"}
    health = free_port()
    config, _ = guarded({"nop": None}, ("bearertokenauth", {"token": TOKEN}))
    config["receivers"]["otlp"]["protocols"]["http"]["cors"] = {"allowed_origins": ["http://page.example"]}
    config["extensions"]["health_check/x"] = {"endpoint": f"127.0.0.1:{health}", "auth": auth}
    # It is named before the authenticator on purpose.
    config["service"]["extensions"].insert(0, "health_check/x")
    process = launch(config)
    assert wire.get(health, "/").status == 401
    preflight = (b"OPTIONS /v1/traces HTTP/1.1\r\nHost: x\r\nOrigin: http://page.example\r\n"
                 b"Access-Control-Request-Method: POST\r\n\r\n")
    with socket.create_connection(("127.0.0.1", process.port), 10) as connection:
        connection.sendall(preflight)
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")
    answer = post(process, {"origin": "http://page.example"})
    assert answer.status == 401 and answer.headers["access-control-allow-origin"] == "http://page.example"


@pytest.mark.parametrize("extension, words", [
    (("bearertokenauth", {}), "must be set"),
    (("bearertokenauth", {"token": "a", "tokens": ["b"]}), "beside"),
    (("bearertokenauth", {"filename": "/none"}), "No such file"),
    (("basicauth", {}), "must be set"),
    (("basicauth", {"htpasswd": {"inline": "alice"}}), "name:password"),
    (("basicauth", {"htpasswd": {"inline": "alice:$apr1$x$y"}}), "htpasswd -B"),
    (("basicauth", {"htpasswd": {"inline": "alice:$2y$31$" + "x" * 53}}), "cost"),
    (("basicauth", {"htpasswd": {"inline": "a:b"}, "client_auth": {"username": "a"}}), "both"),
    (("api_keys", {"keys": [{"key": "short", "tenant": "a"}]}), "characters"),
    (("api_keys", {"keys": [{"key": "k" * 20, "tenant": "a"}, {"key": "k" * 20, "tenant": "b"}]}), "twice"),
    (("headers_setter", {"headers": [{"key": "a", "value": "b"}]}), "no authenticator of servers"),
    (("basicauth", {"client_auth": {"username": "a", "password": "b"}}), "no authenticator of servers"),
    (("health_check", {"endpoint": "127.0.0.1:1"}), "no authenticator of servers"),
])
def test_configuration_errors(binary, launch, extension, words):
    config, _ = guarded({"nop": None}, extension)
    process = launch(config, ready=False)
    outcome = subprocess.run([binary, "validate", "--config", process.path], capture_output=True, text=True, timeout=30)
    assert outcome.returncode == 2
    line = next((line for line in outcome.stderr.splitlines() if words in line), None)
    assert line and "config.yaml:" in line, outcome.stderr


def test_authenticators_that_are_not_there(binary, launch):
    for change, words in (({"extensions": {}}, "is not defined"), ({"listed": []}, "is not listed")):
        config, _ = guarded({"nop": None}, ("bearertokenauth", {"token": TOKEN}))
        if "extensions" in change:
            config["extensions"].pop("bearertokenauth/x")
        config["service"]["extensions"].remove("bearertokenauth/x")
        process = launch(config, ready=False)
        outcome = subprocess.run(
            [binary, "validate", "--config", process.path], capture_output=True, text=True, timeout=30)
        assert outcome.returncode == 2 and words in outcome.stderr, outcome.stderr
