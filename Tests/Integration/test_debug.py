"""The debug exporter shows what it was given, as much as was asked for."""
import pytest

from support.otlp import traces
from support.process import configuration


def run(launch, count=1, **options):
    martlet = launch(configuration({"debug": {"use_internal_logger": False, **options}}))
    sent = [traces(3, name="shown") for _ in range(count)]
    for request in sent:
        span = request.resource_spans[0].scope_spans[0].spans[0]
        span.attributes.add(key="key \x1b[31m").value.string_value = "value\nof two lines \x07"
        span.events.add(name="an event")
        assert martlet.post(request).status == 200
    assert martlet.stop() == 0
    return martlet, sent


def test_basic(launch):
    martlet, _ = run(launch, verbosity="basic")
    lines = martlet.output.splitlines()
    assert len(lines) == 1 and "spans" in lines[0] and "3" in lines[0]


def test_normal(launch):
    martlet, sent = run(launch, verbosity="normal")
    for number, span in enumerate(sent[0].resource_spans[0].scope_spans[0].spans):
        lines = [line for line in martlet.output.splitlines() if span.span_id.hex() in line]
        assert len(lines) == 1 and f"shown {number}" in lines[0] and span.trace_id.hex() in lines[0]


def test_detailed(launch):
    martlet, sent = run(launch, verbosity="detailed")
    for wanted in ("service.name", "integration", "Trace ID", "shown 2", "an event", "Client",
                   sent[0].resource_spans[0].scope_spans[0].spans[2].span_id.hex()):
        assert wanted in martlet.output, wanted


def test_control_characters_do_not_reach_the_terminal(launch):
    martlet, _ = run(launch, verbosity="detailed")
    assert "\x1b" not in martlet.output and "\x07" not in martlet.output
    assert "value\\nof two lines" in martlet.output


@pytest.mark.parametrize("initial, thereafter, shown", [(5, 0, {5}), (2, 100, {2}), (2, 1, {20}), (0, 10, {2})])
def test_sampling(launch, initial, thereafter, shown):
    martlet, _ = run(launch, 20, verbosity="basic", sampling_initial=initial, sampling_thereafter=thereafter)
    lines = len(martlet.output.splitlines())
    # A second may end in between: then the count begins anew.
    assert min(shown) <= lines <= 2 * max(shown), lines


def test_the_log_and_files(launch, tmp_path):
    martlet = launch(configuration({"debug": {"verbosity": "normal"}}))
    martlet.post(traces(2, name="in the log"))
    assert martlet.stop() == 0
    assert martlet.output == "" and "in the log 1" in martlet.log
    path = tmp_path / "shown.txt"
    martlet, _ = run(launch, output_paths=[str(path), "stderr"])
    assert path.read_text() in martlet.log and len(path.read_text().splitlines()) == 1 and martlet.output == ""
