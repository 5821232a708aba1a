"""A tail sampler whose buffer is on a disk too: after a restart traces are decided as if nothing had happened."""
import copy
import signal
import time

import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from support import wire
from support.crash import kill
from support.otlp import ids_of, new_span_id, new_trace_id, spans_of, traces
from support.process import configuration, to_sink
from support.waiting import wait_for

PAIRS = {"name": "pairs", "type": "span_count", "span_count": {"min_spans": 2}}
ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
HELD = "otelcol_processor_tail_sampling_sampling_traces_on_memory"
DECISIONS = "martlet_tail_sampling_decisions_total"


def durable(sink, directory, *, storage=None, queue=None, **options):
    return configuration(
        {"otlp_http": to_sink(sink, queue=queue or {"storage": "file_storage"})},
        processors={"tail_sampling": {"storage": "file_storage", "policies": [PAIRS], **options}},
        extensions={"file_storage": {
            "directory": str(directory), "create_directory": True, "timeout": "10s", "segment_size": 1 << 16,
            **(storage or {})}})


def more(request, count=1):
    """Further spans of a request's trace."""
    others = traces(count)
    for span in spans_of(others):
        span.trace_id = spans_of(request)[0].trace_id
    return others


def post(martlet, *requests):
    for request in requests:
        assert martlet.post(request.SerializeToString()).status == 200


def records(martlet, part):
    return martlet.metric("martlet_storage_records", processor="tail_sampling", data_type=part)


def test_a_killed_buffer_goes_on(launch, sink, tmp_path):
    """Half of each trace before the kill, the other half after it; what is decided about is decided about once."""
    config = durable(sink, tmp_path / "storage", decision_wait="3s", num_shards=3)
    martlet = launch(config)
    split = [traces(1) for _ in range(20)]
    alone = [traces(1) for _ in range(20)]
    post(martlet, *split, *alone)
    time.sleep(0.5)
    assert not sink.requests
    kill(martlet)
    martlet.start(30)
    assert martlet.metric(HELD) == 40
    rest = [more(request) for request in split]
    post(martlet, *rest)
    assert set(sink.wait_for_spans(40, 30)) == set(ids_of(*split, *rest))
    martlet.wait_for_metric(HELD, 0, 30)
    assert martlet.metric(DECISIONS, trigger="decision_wait") == 40
    assert len(sink.ids) == 40, "what is kept came once"
    wait_for(lambda: records(martlet, "traces") == 0, "the log to be empty of requests", 20)


def test_decisions_are_remembered(launch, sink, tmp_path):
    config = durable(sink, tmp_path / "storage", decision_wait="500ms", record_reason=True)
    martlet = launch(config)
    kept, gone, open_ones = traces(2), traces(1), None
    post(martlet, kept, gone)
    sink.wait_for_spans(2, 20)
    martlet.wait_for_metric(HELD, 0, 20)
    wait_for(lambda: records(martlet, "traces") == 0, "the requests to be done with", 20)
    for _ in range(2):
        kill(martlet)
        martlet.start(30)
        assert martlet.metric(HELD) == 0
        # One more span of each: as a trace of its own none would be kept.
        late, lost = more(kept), more(gone, 2)
        post(martlet, late, lost)
        before = len(sink.ids)
        sink.wait_for_spans(before + 1, 20)
        assert sink.ids[-1] == ids_of(late)[0]
        span = spans_of(*sink.requests)[-1]
        values = {attribute.key: attribute.value for attribute in span.attributes}
        assert values["tailsampling.policy"].string_value == "pairs"
        assert values["tailsampling.cached_decision"].bool_value
        wait_for(lambda: records(martlet, "traces") == 0, "the requests to be done with", 20)
    time.sleep(1.5)
    assert len(sink.ids) == 4
    assert martlet.metric(HELD) == 0


def test_a_stop_keeps_traces(launch, sink, tmp_path):
    """A restart does not cut traces in two, and needs no destination."""
    config = durable(sink, tmp_path / "storage", decision_wait="2s")
    martlet = launch(config)
    sent = [traces(1) for _ in range(10)]
    post(martlet, *sent)
    sink.stop()
    assert martlet.stop(20) == 0
    assert "stays in the storage" in martlet.log
    assert not sink.requests
    sink.start()
    martlet.start(30)
    assert martlet.metric(HELD) == 10
    rest = [more(request) for request in sent]
    post(martlet, *rest)
    assert set(sink.wait_for_spans(20, 30)) == set(ids_of(*sent, *rest))
    assert martlet.stop(20) == 0
    assert len(sink.ids) == 20


def test_what_is_to_go_at_a_stop_goes(launch, sink, tmp_path):
    config = durable(sink, tmp_path / "storage", decision_wait="600s", drop_pending_traces_on_shutdown=True)
    martlet = launch(config)
    post(martlet, traces(3))
    assert martlet.stop(20) == 0
    martlet.start(30)
    assert martlet.metric(HELD) == 0
    assert not sink.requests


def test_time_goes_on_where_it_stood(launch, sink, tmp_path):
    """The time between two runs is not waited for, and not counted."""
    config = durable(sink, tmp_path / "storage", decision_wait="4s")
    martlet = launch(config)
    sent = traces(1)
    post(martlet, sent)
    kill(martlet)
    time.sleep(4.5)
    martlet.start(30)
    assert martlet.metric(HELD) == 1, "it has 4 s of being there"
    rest = more(sent)
    post(martlet, rest)
    assert set(sink.wait_for_spans(2, 30)) == set(ids_of(sent, rest))


def test_kept_traces_wait_for_the_next_stage_on_the_disk(launch, sink, tmp_path):
    """Decided about, and nobody has taken them: the exporter's queue has no storage."""
    config = durable(sink, tmp_path / "storage", decision_wait="300ms", queue={"queue_size": 1, "sizer": "requests"})
    martlet = launch(config)
    sink.stop()
    sent = []
    for _ in range(8):
        sent.append(traces(2))
        post(martlet, sent[-1])
        time.sleep(0.2)
    martlet.wait_for_metric(HELD, 0, 20)
    assert records(martlet, "traces") >= 1
    kill(martlet)
    sink.start()
    martlet.start(30)
    # What the queue in memory had is gone with it; what it had refused is there.
    wait_for(lambda: len(set(sink.ids)) >= 2, "the refused traces", 30)
    wait_for(lambda: records(martlet, "traces") == 0, "the requests to be done with", 30)
    assert len(set(sink.ids)) == len(sink.ids)


def test_new_policies_decide_what_came_back(launch, sink, tmp_path):
    config = durable(sink, tmp_path / "storage", decision_wait="600s")
    martlet = launch(config)
    one = traces(1)
    one_failed = more(one)
    spans_of(one_failed)[0].status.code = 2
    post(martlet, one)
    kill(martlet)
    martlet.start(30)
    new = copy.deepcopy(config)
    new["processors"]["tail_sampling"].update(policies=[ERRORS], decision_wait="1s")
    martlet.path.write_text(yaml.safe_dump(new, sort_keys=False))
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: "SIGHUP" in martlet.log, "a line about SIGHUP", 20)
    post(martlet, one_failed)
    assert set(sink.wait_for_spans(2, 20)) == set(ids_of(one, one_failed))


def test_the_storage_is_no_part_that_a_reload_changes(launch, sink, tmp_path):
    config = durable(sink, tmp_path / "storage")
    martlet = launch(config)
    del config["processors"]["tail_sampling"]["storage"]
    martlet.path.write_text(yaml.safe_dump(config, sort_keys=False))
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: "processors::tail_sampling::storage" in martlet.log, "a line about SIGHUP", 20)


def test_log_records_come_back_too(launch, sink, tmp_path):
    path = tmp_path / "logs.jsonl"
    config = durable(sink, tmp_path / "storage", decision_wait="3s")
    config["exporters"]["file"] = {"path": str(path), "flush_interval": "100ms"}
    config["service"]["pipelines"]["logs"] = {
        "receivers": ["otlp"], "processors": ["tail_sampling"], "exporters": ["file"]}
    martlet = launch(config)
    kept, gone = traces(2), traces(1)
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for trace_id, text in ((ids_of(kept)[0][0], "kept"), (ids_of(gone)[0][0], "gone"), (new_trace_id(), "unmatched")):
        record = scope.log_records.add(trace_id=trace_id, span_id=new_span_id())
        record.body.string_value = text
    assert wire.post(martlet.port, request.SerializeToString(), path="/v1/logs").status == 200
    post(martlet, kept)
    kill(martlet)
    martlet.start(30)
    post(martlet, gone)
    sink.wait_for_spans(2, 30)
    wait_for(lambda: path.exists() and "unmatched" in path.read_text() and "kept" in path.read_text(), "records", 30)
    assert "gone" not in path.read_text()
    wait_for(lambda: records(martlet, "traces") == 0, "the requests to be done with", 20)


def test_a_full_log_decides_and_refuses(launch, sink, tmp_path):
    """The oldest traces go first, so that there is room; with nothing to win by that, requests are refused."""
    config = durable(sink, tmp_path / "storage", decision_wait="600s", storage={"max_size": 1 << 20})
    martlet = launch(config)
    sent, refused = [], 0
    end = time.monotonic() + 60
    while time.monotonic() < end and len(sent) < 300:
        request = traces(2, padding=5000)
        answer = martlet.post(request.SerializeToString())
        if answer.status == 200:
            sent.append(request)
        else:
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
            refused += 1
            time.sleep(0.05)
        assert martlet.metric("martlet_storage_bytes", processor="tail_sampling", data_type="traces") <= 1 << 20
    assert len(sent) == 300, refused
    assert martlet.metric(DECISIONS, trigger="storage") > 100
    # The log holds a third of the 3 MiB at most: about 102 requests.
    wait_for(lambda: len(sink.ids) >= 380, "what was decided about early", 60)
    kill(martlet)
    martlet.start(30)
    assert martlet.metric(HELD) + len(set(sink.ids)) / 2 >= 300


def test_a_storage_that_is_not_there_is_refused(launch, sink, tmp_path):
    config = durable(sink, tmp_path / "storage")
    config["processors"]["tail_sampling"]["storage"] = "file_storage/other"
    martlet = launch(config, ready=False)
    martlet.launch()
    assert martlet.wait(20) == 2
    assert "processors::tail_sampling::storage" in martlet.log and "file_storage/other" in martlet.log
