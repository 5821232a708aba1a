"""Another configuration while data comes in: nothing is refused, nothing is lost, nothing comes twice."""
import copy
import http.client
import signal
import threading
import time
from collections import Counter

import grpc
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from support import wire
from support.otlp import from_json, ids_of, traces
from support.ports import free_port
from support.process import configuration, to_sink
from support.sink import accept, answer
from support.waiting import wait_for

RELOADS = "martlet_config_reloads_total"


class Stream:
    """Threads that send requests of unique spans over connections that stay open. A request that is not answered with
    200, or whose connection breaks, is a failure: nothing is sent again."""

    def __init__(self, martlet, threads=4):
        self.port = martlet.port
        self.lock = threading.Lock()
        self.acknowledged = []
        self.failures = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.acknowledged) > 50, "load", 30)
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)

    def more(self, count=200, timeout=60):
        """Returns when that many more spans are acknowledged, so that the load has seen what was done before."""
        wanted = len(self.acknowledged) + count
        wait_for(lambda: len(self.acknowledged) >= wanted or self.failures, "more load", timeout)

    def _run(self, number):
        connection = None
        while not self._stopped.is_set():
            # One thread opens a connection for each request: new ones have to work as well.
            if connection is None or number == 0:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            request = traces(3, padding=100)
            try:
                connection.request("POST", "/v1/traces", request.SerializeToString(),
                                   {"Content-Type": "application/x-protobuf"})
                reply = connection.getresponse()
                status, _ = reply.status, reply.read()
                if reply.getheader("Connection", "").lower() == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                status, connection = repr(error), None
            with self.lock:
                if status == 200:
                    self.acknowledged += ids_of(request)
                else:
                    self.failures.append(status)
            time.sleep(0.001)


def write(martlet, config):
    martlet.path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))


def reload(martlet, config, result="success"):
    """Has it read another configuration; returns when that is done."""
    write(martlet, config)
    before = martlet.metric(RELOADS)
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: martlet.metric(RELOADS) > before, "a reload", 60)
    assert martlet.metric("martlet_config_last_reload_successful") == (result == "success"), martlet.log[-2000:]
    return martlet.log_records()[-1] if result != "success" else None


def changed(config, change):
    new = copy.deepcopy(config)
    change(new)
    return new


def check(stream, *sinks, duplicates=0):
    """All that was acknowledged is at each of the sinks together, and nothing twice."""
    assert not stream.failures, Counter(stream.failures)
    wanted = set(stream.acknowledged)

    def missing():
        return wanted - {one for sink in sinks for one in sink.ids}
    wait_for(lambda: not missing(), "all acknowledged spans at the sinks", 60, 0.2)
    received = Counter(one for sink in sinks for one in sink.ids)
    assert sum(count - 1 for count in received.values()) <= duplicates


def to(sink, **options):
    return to_sink(sink, queue={"queue_size": 100_000}, **options)


def test_another_endpoint_of_an_exporter(launch, sinks):
    """Its queue goes on: what the dead destination did not take goes to the new one."""
    first, second = sinks(), sinks()
    config = configuration({"otlp_http": to(first)})
    martlet = launch(config)
    with Stream(martlet) as stream:
        first.behaviour = answer(503)
        stream.more()
        reload(martlet, changed(config, lambda c: c["exporters"]["otlp_http"].update(endpoint=second.endpoint)))
        stream.more()
        sent = martlet.metric("otelcol_exporter_sent_spans_total", exporter="otlp_http")
        assert sent >= 50, "the counter goes on"
    check(stream, first, second)
    assert second.ids and martlet.stop() == 0


def test_another_pipeline_with_an_exporter_of_its_own(launch, sinks):
    first, second = sinks(), sinks()
    config = configuration({"otlp_http": to(first)})
    martlet = launch(config)

    def add(new):
        new["exporters"]["otlp_http/second"] = to(second)
        new["service"]["pipelines"]["traces/second"] = {"receivers": ["otlp"], "exporters": ["otlp_http/second"]}
    with Stream(martlet) as stream:
        reload(martlet, changed(config, add))
        since = len(stream.acknowledged)
        stream.more()
    check(stream, first)
    # Requests that were under way at the change may have gone the old way.
    wait_for(lambda: len(second.ids) >= len(stream.acknowledged) - since - 4 * 3, "the second pipeline's spans", 60)
    assert martlet.stop() == 0


def test_a_removed_exporter_delivers_what_it_holds(launch, sinks):
    first, second = sinks(), sinks()
    config = configuration({"otlp_http": to(first), "otlp_http/gone": to(second)})
    martlet = launch(config)
    second.behaviour = answer(503)

    def remove(new):
        del new["exporters"]["otlp_http/gone"]
        new["service"]["pipelines"]["traces"]["exporters"].remove("otlp_http/gone")
    with Stream(martlet) as stream:
        stream.more(500)
        held = len(stream.acknowledged) - 4 * 3
        assert martlet.metric("otelcol_exporter_queue_size", exporter="otlp_http/gone") > 50
        reload(martlet, changed(config, remove))
        stream.more()
        assert not second.ids
        second.behaviour = accept
        wait_for(lambda: len(set(second.ids)) >= held, "what the removed exporter held", 60, 0.1)
    check(stream, first)
    assert not stream.failures and len(second.ids) == len(set(second.ids))
    wait_for(lambda: "the queue of a removed exporter has ended" in martlet.log, "its end", 30)
    wait_for(lambda: not [labels for labels, _ in martlet.metrics().get("otelcol_exporter_queue_size", [])
                          if labels["exporter"] == "otlp_http/gone"], "its series to go", 30)
    assert martlet.stop() == 0


def test_an_exporter_that_comes_back_finds_its_queue(launch, sinks):
    first, second = sinks(), sinks()
    config = configuration({"otlp_http": to(first), "otlp_http/back": to(second)})
    martlet = launch(config)
    second.behaviour = answer(503)

    def remove(new):
        del new["exporters"]["otlp_http/back"]
        new["service"]["pipelines"]["traces"]["exporters"].remove("otlp_http/back")
    with Stream(martlet) as stream:
        stream.more(300)
        reload(martlet, changed(config, remove))
        stream.more(300)
        size = martlet.metric("otelcol_exporter_queue_size", exporter="otlp_http/back")
        assert size > 50
        reload(martlet, config)
        stream.more(300)
        assert martlet.metric("otelcol_exporter_queue_size", exporter="otlp_http/back") > size
        second.behaviour = accept
    check(stream, first)
    wait_for(lambda: len(second.ids) >= 600 - 4 * 3, "what it held", 60, 0.1)
    assert len(second.ids) == len(set(second.ids)) and martlet.stop() == 0


@pytest.mark.parametrize("shards", [1, 3])
def test_a_changed_processor(launch, sink, shards):
    """In place, or by another one: what a tail sampler holds goes on."""
    policies = [{"name": "all", "type": "always_sample"}]
    config = configuration({"otlp_http": to(sink)}, processors={"tail_sampling": {
        "decision_wait": "600s", "num_shards": 1, "policies": policies}})
    martlet = launch(config)
    with Stream(martlet) as stream:
        stream.more()
        assert not sink.ids
        reload(martlet, changed(config, lambda c: c["processors"]["tail_sampling"].update(
            decision_wait="1s", num_shards=shards)))
        stream.more()
    check(stream, sink)
    assert martlet.stop() == 0


def test_a_processor_in_the_middle_is_added_and_removed(launch, sink):
    """What is above and below goes on, a tail sampler with its traces as well."""
    config = configuration({"otlp_http": to(sink)}, processors={
        "tail_sampling": {"decision_wait": "5s", "policies": [{"name": "all", "type": "always_sample"}]}})

    def add(new):
        new["processors"]["genai"] = {}
        new["processors"]["batch"] = {"timeout": "50ms"}
        new["service"]["pipelines"]["traces"]["processors"] = ["genai", "tail_sampling", "batch"]
    martlet = launch(config)
    with Stream(martlet) as stream:
        held = martlet.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory")
        reload(martlet, changed(config, add))
        assert martlet.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory") >= held > 10
        stream.more()
        reload(martlet, config)
        stream.more()
    check(stream, sink)
    assert martlet.stop() == 0


def test_a_bad_configuration_changes_nothing_and_says_why(launch, sinks):
    sink, other = sinks(), sinks()
    config = configuration({"otlp_http": to(sink)})
    martlet = launch(config)

    def unknown(new):
        new["exporters"]["otlp_http"]["endpont"] = "x"

    def port_in_use(new):
        # All that starts before the receivers runs by then, and ends again.
        new["exporters"]["otlp_http/other"] = to(other)
        new["extensions"]["health_check/2"] = {"endpoint": f"127.0.0.1:{free_port()}"}
        new["service"]["extensions"].append("health_check/2")
        new["receivers"]["otlp/second"] = {"protocols": {"http": {"endpoint": f"127.0.0.1:{other.port}"}}}
        new["service"]["pipelines"]["traces"]["exporters"] = ["otlp_http/other"]
        new["service"]["pipelines"]["traces"]["receivers"].append("otlp/second")

    def same_port(new):
        # A port of a receiver that stays is not taken over.
        new["receivers"]["otlp/second"] = {"protocols": {"http": {"endpoint": f"127.0.0.1:{martlet.port}"}}}
        new["service"]["pipelines"]["traces"]["receivers"].append("otlp/second")

    def telemetry(new):
        new["service"]["telemetry"]["logs"]["level"] = "debug"
        new["exporters"]["otlp_http"]["endpoint"] = other.endpoint
    with Stream(martlet) as stream:
        families = set(martlet.metrics())
        for change, says in [
                ("receivers: [", "config.yaml:2:1: "), (unknown, "config.yaml:"), (port_in_use, str(other.port)),
                (same_port, str(martlet.port)), (telemetry, "service::telemetry::logs")]:
            line = reload(martlet, changed(config, change) if callable(change) else change, "failure")
            assert says in str(line), line
            stream.more(50)
        line = reload(martlet, changed(config, unknown), "failure")
        assert 'did you mean "endpoint"' in str(line)
        assert set(martlet.metrics()) == families, "nothing of what was given up is left"
        assert martlet.metric(RELOADS, result="failure") == 6 and martlet.metric(RELOADS, result="success") == 0
        reload(martlet, config)
        stream.more(50)
    check(stream, sink)
    assert not other.ids and martlet.stop() == 0


def test_another_setting_of_a_receiver_on_the_same_port(launch, sink):
    """Open connections stay open, and follow the new settings with their next request."""
    config = configuration({"otlp_http": to(sink)})
    martlet = launch(config)
    big = traces(1, padding=200_000)
    with Stream(martlet) as stream:
        connection = http.client.HTTPConnection("127.0.0.1", martlet.port, timeout=30)
        connection.request("POST", "/v1/traces", traces(1).SerializeToString(),
                           {"Content-Type": "application/x-protobuf"})
        assert connection.getresponse().read() is not None
        own = connection.sock
        http_section = ["receivers", "otlp", "protocols", "http"]

        def smaller(new):
            section = new
            for key in http_section:
                section = section[key]
            section["max_request_body_size"] = 100_000
        reload(martlet, changed(config, smaller))
        stream.more()
        connection.request("POST", "/v1/traces", big.SerializeToString(), {"Content-Type": "application/x-protobuf"})
        assert connection.sock is own and connection.getresponse().status == 413

        def authenticated(new):
            smaller(new)
            new["extensions"]["bearertokenauth"] = {"token": "sesame"}
            new["service"]["extensions"].append("bearertokenauth")
            new["receivers"]["otlp"]["protocols"]["http"]["auth"] = {"authenticator": "bearertokenauth"}
        reload(martlet, config)
        assert martlet.post(big).status == 200
        stream.more()
    assert not stream.failures, Counter(stream.failures)
    reload(martlet, changed(config, authenticated))
    assert martlet.post(traces(1)).status == 401
    assert martlet.post(traces(1), headers={"Authorization": "Bearer sesame"}).status == 200
    assert martlet.stop() == 0


def test_a_file_is_not_emptied(launch, tmp_path):
    """Without `append` a start empties the file; a reload does not, since it holds what was acknowledged."""
    path = tmp_path / "out.jsonl"
    config = configuration({"file": {"path": str(path)}})
    martlet = launch(config)
    with Stream(martlet) as stream:
        reload(martlet, changed(config, lambda c: c["exporters"]["file"].update(create_directory=True)))
        stream.more(50)
        reload(martlet, changed(config, lambda c: c["exporters"]["file"].update(directory_permissions="0700", create_directory=True)))
        stream.more(50)
    assert not stream.failures, Counter(stream.failures)
    assert martlet.stop() == 0
    request = ExportTraceServiceRequest()
    found = Counter()
    for line in path.read_text().splitlines():
        request.Clear()
        from_json(line, request)
        found.update(ids_of(request))
    assert found == Counter(stream.acknowledged)


def test_calls_over_grpc_go_on(launch, sink):
    """The channel stays, streams of before and after the change are answered."""
    config = configuration({"otlp_http": to(sink)})
    port = free_port()
    config["receivers"]["otlp"]["protocols"]["grpc"] = {"endpoint": f"127.0.0.1:{port}"}
    martlet = launch(config)
    sent, failures, ended = [], [], threading.Event()

    def calls():
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = TraceServiceStub(channel)
            while not ended.is_set():
                request = traces(2)
                try:
                    stub.Export(request, timeout=60)
                    sent.extend(ids_of(request))
                except grpc.RpcError as error:
                    failures.append(str(error))
    threads = [threading.Thread(target=calls) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(6):
        before = len(sent)
        wait_for(lambda: len(sent) > before + 50 or failures, "calls", 60)

        def change(new):
            new["receivers"]["otlp"]["protocols"]["grpc"].update(max_recv_msg_size_mib=4 + number, include_metadata=True)
        reload(martlet, changed(config, change))
    before = len(sent)
    wait_for(lambda: len(sent) > before + 50 or failures, "calls after it", 60)
    ended.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    wait_for(lambda: set(sent) <= set(sink.ids), "all of it", 60, 0.1)
    assert len(sink.ids) == len(set(sink.ids)) and martlet.stop() == 0


def test_a_queue_on_the_disk_goes_on(launch, sinks, tmp_path):
    first, second = sinks(), sinks()
    queue = {"storage": "file_storage", "queue_size": 100_000}
    exporter = to_sink(first, queue=queue)
    config = configuration({"otlp_http": exporter}, extensions={"file_storage": {
        "directory": str(tmp_path / "queue"), "create_directory": True}})
    martlet = launch(config)
    first.behaviour = answer(503)

    def redirect(new):
        new["exporters"]["otlp_http"]["endpoint"] = second.endpoint
        new["exporters"]["otlp_http"]["sending_queue"].update(num_consumers=3, queue_size=90_000)

    def uncounted(new):
        redirect(new)
        new["exporters"]["otlp_http"]["sending_queue"]["sizer"] = "bytes"
    with Stream(martlet) as stream:
        stream.more(600)
        line = reload(martlet, changed(config, uncounted), "failure")
        assert "exporters::otlp_http" in str(line)
        stream.more(50)
        reload(martlet, changed(config, redirect))
        assert martlet.metric("otelcol_exporter_queue_capacity", exporter="otlp_http") == 90_000
        stream.more(50)
    check(stream, first, second, duplicates=30)
    assert martlet.stop() == 0


def test_reload_is_asked_for_on_the_admin_side(launch, sinks):
    first, second = sinks(), sinks()
    config = configuration({"otlp_http": to(first)})
    martlet = launch(config)

    def ask(method="POST", headers=None, body=b""):
        connection = http.client.HTTPConnection("127.0.0.1", martlet.metrics_port, timeout=60)
        connection.request(method, "/-/reload", body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    assert ask()[0] == 403, "off unless it is turned on"
    assert martlet.stop() == 0

    config["service"]["telemetry"]["admin"] = {"reload": True}
    martlet = launch(config)
    assert ask("GET")[0] == 405 and ask("PUT")[0] == 405
    assert ask(headers={"Origin": "http://localhost:3000"})[0] == 403
    with Stream(martlet) as stream:
        write(martlet, changed(config, lambda c: c["exporters"]["otlp_http"].update(endpoint=second.endpoint)))
        status, text = ask()
        assert (status, "exporters::otlp_http" in text) == (200, True), text
        stream.more()
        write(martlet, "receivers: [")
        status, text = ask()
        assert status == 500 and "config.yaml:2:1: " in text
        # Many at once come one after the other.
        write(martlet, config)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(ask()[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert statuses == [200] * 8
        stream.more()
    check(stream, first, second)
    assert martlet.stop() == 0


def test_the_admin_side_can_ask_for_credentials(launch, sink):
    config = configuration({"otlp_http": to(sink)}, extensions={"bearertokenauth": {"token": "sesame"}})
    config["service"]["telemetry"]["admin"] = {"reload": True, "auth": {"authenticator": "bearertokenauth"}}
    martlet = launch(config)

    def get(path, token=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", martlet.metrics_port, timeout=60)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    for path, method in [("/metrics", "GET"), ("/debug/sampling", "GET"), ("/-/reload", "POST")]:
        assert get(path, method=method) == 401 and get(path, "wrong", method) == 401
    assert get("/metrics", "sesame") == 200 and get("/-/reload", "sesame", "POST") == 200
    # The present secret counts.
    write(martlet, changed(config, lambda c: c["extensions"]["bearertokenauth"].update(token="open")))
    assert get("/-/reload", "sesame", "POST") == 200
    assert get("/metrics", "sesame") == 401 and get("/metrics", "open") == 200
    assert martlet.stop() == 0


def test_many_reloads_under_load(launch, sinks, tmp_path):
    """Between two configurations of everything, back and forth."""
    first, second = sinks(), sinks()
    one = configuration({"otlp_http": to(first), "otlp_http/b": to(second)}, processors={"genai": {}})

    def other(new):
        new["exporters"]["otlp_http"]["endpoint"] = second.endpoint
        new["exporters"]["otlp_http/b"]["endpoint"] = first.endpoint
        new["processors"] = {"batch": {"timeout": "20ms"}}
        new["service"]["pipelines"]["traces"]["processors"] = ["batch"]
        new["connectors"] = {"forward": {}}
        new["service"]["pipelines"]["traces"]["exporters"] = ["otlp_http", "forward"]
        new["service"]["pipelines"]["traces/2"] = {"receivers": ["forward"], "exporters": ["otlp_http/b"]}
        new["receivers"]["otlp"]["protocols"]["http"]["include_metadata"] = True
    martlet = launch(one)
    with Stream(martlet) as stream:
        for _ in range(10):
            reload(martlet, changed(one, other))
            stream.more(30)
            reload(martlet, one)
            stream.more(30)
    assert not stream.failures, Counter(stream.failures)
    wanted = Counter(stream.acknowledged)
    wait_for(lambda: Counter(first.ids + second.ids).keys() >= wanted.keys(), "all spans", 60, 0.2)
    wait_for(lambda: Counter(first.ids + second.ids) == Counter(list(wanted) * 2), "each of them twice", 60, 0.5)
    assert martlet.stop() == 0
