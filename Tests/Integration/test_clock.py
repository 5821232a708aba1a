"""A wall clock that jumps by a day, forward and back, neither expires nor holds anything."""
import http.client
import os
import time
from email.utils import formatdate

import pytest

from support.otlp import ids_of, traces
from support.preload import shared_library
from support.process import configuration, to_sink
from support.sink import accept, answer
from support.waiting import wait_for

DAY = 86_400
JUMPS = [pytest.param(DAY, id="forward"), pytest.param(-DAY, id="back")]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return shared_library("clock", tmp_path_factory.mktemp("clock"))


@pytest.fixture
def jumping(launch, shim, tmp_path):
    """Makes a process with a clock of its own, and what sets that clock, in seconds beside the real one."""
    offset = tmp_path / "offset"
    offset.write_text("0")

    def make(config):
        martlet = launch(config, env={**os.environ, "LD_PRELOAD": str(shim), "CLOCK_OFFSET_FILE": str(offset)})

        def jump(seconds):
            offset.write_text(str(seconds))
        return martlet, jump
    return make


def shown_time(martlet):
    """The wall clock's time as the process sees it: that of a line which it is made to write."""
    before = martlet.log.count("nothing has changed")
    martlet.path.write_text("receivers: [")
    martlet.signal(1)
    wait_for(lambda: martlet.log.count("nothing has changed") > before, "a line", 20)
    stamp = martlet.log_records()[-1]["ts"]
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


@pytest.mark.parametrize("seconds", JUMPS)
def test_the_clock_of_the_process_jumps(jumping, sink, seconds):
    martlet, jump = jumping(configuration({"otlp_http": to_sink(sink)}))
    assert abs(shown_time(martlet) - time.time()) < 60
    jump(seconds)
    assert abs(shown_time(martlet) - time.time() - seconds) < 60
    assert martlet.post(traces(1)).status == 200 and sink.wait_for_spans(1)
    assert martlet.stop() == 0


@pytest.mark.parametrize("seconds", JUMPS)
def test_traces_wait_as_long_as_they_should(jumping, sink, seconds):
    config = configuration({"otlp_http": to_sink(sink)}, processors={"tail_sampling": {
        "decision_wait": "4s", "policies": [{"name": "all", "type": "always_sample"}]}})
    martlet, jump = jumping(config)
    request = traces(3)
    begun = time.monotonic()
    assert martlet.post(request).status == 200
    jump(seconds)
    sink.wait_for_spans(3, timeout=60)
    assert time.monotonic() - begun > 3, "a jump decides nothing"
    # And after the jump as before it.
    second = traces(2)
    begun = time.monotonic()
    assert martlet.post(second).status == 200
    sink.wait_for_spans(5, timeout=60)
    assert time.monotonic() - begun > 3
    assert sorted(sink.ids) == sorted(ids_of(request, second)) and martlet.stop() == 0


@pytest.mark.parametrize("seconds", JUMPS)
def test_retries_and_queues_go_on(jumping, sink, tmp_path, seconds):
    exporter = to_sink(sink, retry={"initial_interval": "2s", "max_interval": "2s", "max_elapsed_time": "600s"},
                       queue={"storage": "file_storage", "queue_size": 1000})
    exporter["retry_on_failure"]["randomization_factor"] = 0
    martlet, jump = jumping(configuration({"otlp_http": exporter}, extensions={"file_storage": {
        "directory": str(tmp_path / "queue"), "create_directory": True}}))
    sink.behaviour = answer(503)
    first = traces(2)
    assert martlet.post(first).status == 200
    sink.wait_for_deliveries(1)
    begun = time.monotonic()
    jump(seconds)
    sink.wait_for_deliveries(2, timeout=60)
    assert time.monotonic() - begun > 1.5, "a jump ends no wait"
    sink.behaviour = accept
    second = traces(2)
    assert martlet.post(second).status == 200
    wait_for(lambda: sorted(sink.ids) == sorted(ids_of(first, second)), "both", 60)
    assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0
    assert martlet.stop() == 0


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_date_to_retry_after_is_that_of_the_destinations_clock(jumping, sink, seconds):
    """Its own `Date` says what its clock is; ours does not matter."""
    martlet, jump = jumping(configuration({"otlp_http": to_sink(sink, retry={"initial_interval": "10ms"})}))
    jump(seconds)

    def busy(delivery):
        sink.behaviour = accept
        return answer(503, Retry_After=formatdate(time.time() + 3, usegmt=True))(delivery)
    sink.behaviour = busy
    begun = time.monotonic()
    assert martlet.post(traces(1)).status == 200
    sink.wait_for_spans(1, timeout=60)
    assert time.monotonic() - begun > 1.5 and martlet.stop() == 0


@pytest.mark.parametrize("seconds", JUMPS)
def test_measured_series_live_on(jumping, sink, seconds):
    """Series of span_metrics expire after silence, not after jumps, and their times follow the clock."""
    config = configuration(
        {"otlp_http": to_sink(sink)}, connectors={"span_metrics": {
            "metrics_flush_interval": "1s", "metrics_expiration": "1h"}},
        pipelines={"traces": {"receivers": ["otlp"], "exporters": ["span_metrics"]},
                   "metrics": {"receivers": ["span_metrics"], "exporters": ["otlp_http"]}})
    martlet, jump = jumping(config)

    def calls(request):
        return [point for resource in request.resource_metrics for scope in resource.scope_metrics
                for metric in scope.metrics if metric.name.endswith("calls") for point in metric.sum.data_points]

    def last():
        found = [points[0] for points in map(calls, sink.requests) if points]
        return found[-1] if found else None
    assert martlet.post(traces(1)).status == 200
    wait_for(lambda: last() and last().as_int == 1, "a call", 30)
    start = last().start_time_unix_nano
    jump(seconds)
    wait_for(lambda: abs(last().time_unix_nano / 1e9 - time.time() - seconds) < 60, "the clock's time", 30)
    count = len(sink.requests)
    wait_for(lambda: len(sink.requests) > count + 2, "the series goes on", 30)
    assert last().as_int == 1 and last().start_time_unix_nano <= last().time_unix_nano
    # The span's name is another one, the count of the first series stays what it is: add to it by the same span.
    assert martlet.post(traces(1)).status == 200
    wait_for(lambda: last().as_int == 2, "it counts on from where it was", 30)
    assert abs(last().start_time_unix_nano - start - seconds * 1e9) < 60e9
    jump(0)
    wait_for(lambda: abs(last().start_time_unix_nano - start) < 10e9, "the beginning is as it was", 30)
    assert martlet.stop() == 0


@pytest.mark.parametrize("seconds", JUMPS)
def test_connections_and_streams_live_on(jumping, sink, seconds):
    """Idle time-outs and those of reading are of the monotonic clock."""
    martlet, jump = jumping(configuration({"otlp_http": to_sink(sink)}, http={"idle_timeout": "300s"}))
    connection = http.client.HTTPConnection("127.0.0.1", martlet.port, timeout=30)
    for offset in (0, seconds, 0):
        jump(offset)
        time.sleep(1.5)
        connection.request("POST", "/v1/traces", traces(1).SerializeToString(),
                           {"Content-Type": "application/x-protobuf"})
        reply = connection.getresponse()
        assert reply.status == 200 and reply.read() is not None
    sink.wait_for_spans(3)
    assert martlet.stop() == 0
