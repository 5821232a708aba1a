"""SIGHUP: policies of a tail sampler change in place, and what it holds is decided about by the new ones."""
import copy
import signal

import yaml

from support.otlp import spans_of, traces
from support.process import configuration, to_sink
from support.waiting import wait_for

LONG = {"name": "long", "type": "span_count", "span_count": {"min_spans": 100}}
PAIRS = {"name": "pairs", "type": "span_count", "span_count": {"min_spans": 2}}


def reload(martlet, config, says):
    """Writes another configuration and waits for what the log says of it."""
    lines = martlet.log.count("SIGHUP")
    martlet.path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: martlet.log.count("SIGHUP") > lines, "a line about SIGHUP", 20)
    assert says in martlet.log.splitlines()[-1], martlet.log[-1000:]


def test_new_policies_decide_what_is_held(launch, sink):
    config = configuration({"otlp_http": to_sink(sink)}, processors={"tail_sampling": {
        "decision_wait": "600s", "policies": [LONG]}})
    martlet = launch(config)
    one, two, three = traces(1), traces(2), traces(2)
    for request in (one, two):
        assert martlet.post(request.SerializeToString()).status == 200

    def changed(change):
        new = copy.deepcopy(config)
        change(new)
        return new

    # Not YAML; a policy that does not exist; a part that a running collector cannot change.
    reload(martlet, "receivers: [", "config.yaml:2:1: ")
    wrong = {"name": "x", "type": "no_such_policy"}
    reload(martlet, changed(lambda c: c["processors"]["tail_sampling"].update(policies=[PAIRS, wrong])), "no_such_policy")

    def other_log(new):
        new["processors"]["tail_sampling"]["policies"] = [PAIRS]
        new["service"]["telemetry"]["logs"]["level"] = "warn"
    reload(martlet, changed(other_log), "service::telemetry::logs")
    assert not sink.requests
    assert martlet.metric("otelcol_processor_tail_sampling_sampling_traces_on_memory") == 2

    # Other policies and another wait: what is held is decided about by them, and soon.
    def good(new):
        new["processors"]["tail_sampling"].update(policies=[PAIRS], decision_wait="1s")
    reload(martlet, changed(good), "processors::tail_sampling")
    sink.wait_for_spans(2, timeout=20)
    martlet.wait_for_metric("otelcol_processor_tail_sampling_sampling_traces_on_memory", 0, timeout=20)
    assert martlet.post(three.SerializeToString()).status == 200
    sink.wait_for_spans(4, timeout=20)
    prefix = "otelcol_processor_tail_sampling_count_traces_sampled_total"
    martlet.wait_for_metric(prefix, 2, policy="pairs", sampled="true")
    assert martlet.metric(prefix, policy="long") == 0
    reload(martlet, changed(good), "nothing")
    assert martlet.stop() == 0
    assert {span.trace_id for span in spans_of(*sink.requests)} == {span.trace_id for span in spans_of(two, three)}
