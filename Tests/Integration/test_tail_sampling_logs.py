"""Log records follow the decision of the tail sampler about their trace."""
import json

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support import wire
from support.otlp import new_trace_id, traces
from support.process import configuration, to_sink
from support.waiting import wait_for

ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}


def records(*pairs):
    """A request of log records: (trace id or None, text)."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "logs"
    scope = resource.scope_logs.add()
    for trace_id, text in pairs:
        record = scope.log_records.add(trace_id=trace_id or b"")
        record.body.string_value = text
    return request


def texts(path):
    if not path.exists():
        return []
    return [record["body"]["stringValue"] for line in path.read_text().splitlines()
            for resource in json.loads(line)["resourceLogs"] for scope in resource["scopeLogs"]
            for record in scope["logRecords"]]


def test_records_follow_their_trace(launch, sink, tmp_path):
    path = tmp_path / "logs.jsonl"
    pipelines = {
        "logs": {"receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["file"]},
        "traces": {"receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["otlp_http"]}}
    martlet = launch(configuration(
        {"otlp_http": to_sink(sink), "file": {"path": str(path)}},
        processors={"tail_sampling": {"decision_wait": "2s", "num_shards": 3, "policies": [ERRORS]}},
        pipelines=pipelines))

    def post(request):
        answer = wire.post(martlet.port, request.SerializeToString(), path="/v1/logs")
        assert answer.status == 200

    failed, fine = traces(2), traces(2)
    failed.resource_spans[0].scope_spans[0].spans[1].status.code = 2
    failed_id, fine_id = (request.resource_spans[0].scope_spans[0].spans[0].trace_id for request in (failed, fine))
    # Before the spans, with them, of a trace that never comes, of no trace.
    post(records((failed_id, "kept 1"), (fine_id, "gone 1"), (None, "free"), (new_trace_id(), "unmatched")))
    for request in (failed, fine):
        assert martlet.post(request.SerializeToString()).status == 200
    post(records((fine_id, "gone 2"), (failed_id, "kept 2")))
    sink.wait_for_spans(2, timeout=20)
    wait_for(lambda: {"kept 1", "kept 2", "free", "unmatched"} <= set(texts(path)), "the kept records", 20)
    post(records((failed_id, "late"), (fine_id, "late and gone")))
    wait_for(lambda: "late" in texts(path), "the late record", 20)
    name = "martlet_tail_sampling_log_records_total"
    counts = {labels["decision"]: value for labels, value in martlet.metrics()[name]}
    assert counts == {"kept": 3, "not_kept": 3, "unmatched": 1, "no_trace": 1}
    assert martlet.stop() == 0
    assert sorted(texts(path)) == ["free", "kept 1", "kept 2", "late", "unmatched"]


def test_a_stop_hands_records_on(launch, sink, tmp_path):
    path = tmp_path / "logs.jsonl"
    pipelines = {
        "traces": {"receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["otlp_http"]},
        "logs": {"receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["file"]}}
    martlet = launch(configuration(
        {"otlp_http": to_sink(sink), "file": {"path": str(path)}},
        processors={"tail_sampling": {"decision_wait": "600s", "policies": [ERRORS]}}, pipelines=pipelines))
    failed, fine = traces(1), traces(1)
    failed.resource_spans[0].scope_spans[0].spans[0].status.code = 2
    for index, request in enumerate((failed, fine)):
        trace_id = request.resource_spans[0].scope_spans[0].spans[0].trace_id
        body = records((trace_id, f"record {index}"), (new_trace_id(), f"other {index}")).SerializeToString()
        assert wire.post(martlet.port, body, path="/v1/logs").status == 200
        assert martlet.post(request.SerializeToString()).status == 200
    assert martlet.stop() == 0
    assert sorted(texts(path)) == ["other 0", "other 1", "record 0"]
