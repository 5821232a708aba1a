"""The tail sampler: traces of several processes are decided about once, as a whole; nothing kept is lost."""
import json
import multiprocessing
import random

from support import wire
from support.otlp import spans_of, traces
from support.process import configuration, to_sink
from support.sink import answer, first

TRACES = 60
SERVICES = ["gateway", "agent", "tool"]


def policy(name, kind, **options):
    return {"name": name, "type": kind, **({kind: options} if options else {})}


ERRORS = policy("errors", "status_code", status_codes=["ERROR"])
ALL = policy("all", "always_sample")


def run_service(url, service, jobs, barrier):
    """One process of a distributed application: a span for each job, sent one by one."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import Status, StatusCode

    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=url)))
    tracer = provider.get_tracer("test.tail")
    barrier.wait(30)
    for trace_id, parent, fails in jobs:
        remote = trace.SpanContext(trace_id, parent, is_remote=True, trace_flags=trace.TraceFlags(1))
        context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        with tracer.start_as_current_span(f"{service} work", context=context) as span:
            if fails:
                span.set_status(Status(StatusCode.ERROR))
    provider.shutdown()


def test_three_processes_one_decision(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"tail_sampling": {
        "decision_wait": "4s", "num_shards": 4, "policies": [ERRORS]}}))
    seeded = random.Random(5)
    ids = [(seeded.getrandbits(128) | 1, seeded.getrandbits(64) | 1) for _ in range(TRACES)]
    failing = {ids[index][0]: SERVICES[index // 3 % 3] for index in range(0, TRACES, 3)}
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(len(SERVICES))
    processes = []
    for service in SERVICES:
        jobs = [(*pair, failing.get(pair[0]) == service) for pair in seeded.sample(ids, len(ids))]
        processes.append(spawn.Process(target=run_service, args=(martlet.url, service, jobs, barrier)))
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    sink.wait_for_spans(len(failing) * 3, timeout=20)
    prefix = "otelcol_processor_tail_sampling_"
    assert martlet.metric(prefix + "new_trace_id_received_total") == TRACES
    martlet.wait_for_metric(prefix + "global_count_traces_sampled_total", TRACES - len(failing), sampled="false",
                            decision="not_sampled")
    assert martlet.metric(prefix + "global_count_traces_sampled_total", sampled="true",
                          decision="sampled") == len(failing)
    assert martlet.stop() == 0
    kept = {}
    for request in sink.requests:
        for resource in request.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
            for scope in resource.scope_spans:
                assert scope.scope.name == "test.tail"
                for span in scope.spans:
                    kept.setdefault(int.from_bytes(span.trace_id, "big"), []).append(service)
    assert set(kept) == set(failing)
    assert all(sorted(services) == sorted(SERVICES) for services in kept.values())


def test_a_stop_decides_and_hands_on(launch, sink):
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={"tail_sampling": {
        "decision_wait": "600s", "policies": [ALL]}}))
    sent = [traces(50) for _ in range(10)]
    for request in sent:
        assert martlet.post(request.SerializeToString()).status == 200
    assert not sink.requests
    assert martlet.stop() == 0
    assert len(spans_of(*sink.requests)) == 500


def test_a_destination_that_fails_loses_nothing(launch, sink):
    sink.behaviour = first(5, answer(503))
    martlet = launch(configuration(
        {"otlp_http": to_sink(sink, retry={"initial_interval": "50ms", "max_interval": "100ms"}, queue={"queue_size": 1})},
        processors={"tail_sampling": {"decision_wait": "1s", "policies": [ALL]}}))
    for _ in range(20):
        assert martlet.post(traces(20).SerializeToString()).status == 200
    sink.wait_for_spans(400, timeout=30)
    assert martlet.stop() == 0
    assert len(spans_of(*sink.requests)) == 400


def test_the_present_state_is_shown(launch, sink):
    adaptive = policy("keyed", "adaptive_throughput", goal_throughput=1000, fingerprint_attributes=["service.name"])
    martlet = launch(configuration({"otlp_http": to_sink(sink)}, processors={
        "tail_sampling/a": {"decision_wait": "600s", "num_traces": 3, "num_shards": 1,
                            "policies": [ERRORS, {"name": "or", "type": "and", "and": {"and_sub_policy": [adaptive]}}]}}))
    for index in range(5):
        request = traces(2, service=f"shop \"{index % 2}\"")
        assert martlet.post(request.SerializeToString()).status == 200
    answer = wire.get(martlet.metrics_port, "/debug/sampling")
    assert answer.status == 200
    state = json.loads(answer.body)["tail_sampling/a"]
    assert (state["traces"], state["maximum_traces"], state["shards"]) == (3, 3, 1)
    assert 0 < state["bytes"] < state["maximum_bytes"] and 0 < state["oldest_seconds"] < 600
    assert state["decisions"] == {"num_traces": 2}
    assert state["policies"][0] == {"policy": "errors", "sampled": 0, "not_sampled": 2, "dropped": 0}
    [keyed] = state["adaptive"]
    assert (keyed["policy"], keyed["unit"], keyed["key_count"]) == ("or/keyed", "spans", 2)
    assert sorted(key["key"] for key in keyed["keys"]) == ['shop "0";', 'shop "1";']
    assert wire.get(martlet.metrics_port, "/debug/other").status == 404
    assert martlet.stop() == 0


def test_wrong_policies_are_refused(launch):
    martlet = launch(configuration({"nop": None}, processors={"tail_sampling": {
        "policies": [policy("ottl", "ottl_condition", span=["true"])]}}), ready=False)
    martlet.launch()
    assert martlet.wait() == 2
    assert "OTTL" in martlet.log
