"""`martlet sampling replay`: recorded traces through the policies of a configuration."""
import json
import subprocess

import yaml

CONFIG = {
    "receivers": {"otlp": {"protocols": {"http": None}}},
    "processors": {"tail_sampling": {"decision_wait": "1s", "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "long", "type": "span_count", "span_count": {"min_spans": 10}}]}},
    "exporters": {"nop": None},
    "service": {"pipelines": {"traces": {"receivers": ["otlp"], "processors": ["tail_sampling"],
                                         "exporters": ["nop"]}}},
}


def spans_by_trace(path):
    traces = {}
    for line in path.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces.setdefault(span["traceId"], []).append(span)
    return traces


def test_replay_counts_what_the_policies_would_keep(binary, tmp_path):
    recorded, config = tmp_path / "traces.jsonl", tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    subprocess.run([binary, "generate", "--output", recorded, "--traces", "150", "--seed", "5"], check=True,
                   capture_output=True, timeout=30)
    traces = spans_by_trace(recorded)
    errors = {key for key, spans in traces.items() if any(span.get("status", {}).get("code") == 2 for span in spans)}
    long = {key for key, spans in traces.items() if len(spans) >= 10}
    outcome = subprocess.run([binary, "sampling", "replay", "--config", config, "--input", recorded], check=True,
                             capture_output=True, text=True, timeout=30)
    table = {line.split()[0]: line.split()[1:] for line in outcome.stdout.splitlines() if line.strip()}
    for name, kept in (("errors", errors), ("long", long), ("all", errors | long)):
        assert 0 < len(kept) < len(traces)
        assert table[name][:2] == [str(len(kept)), str(len(traces) - len(kept))], outcome.stdout
        assert table[name][3] == str(sum(len(traces[key]) for key in kept))


def test_replay_refuses_what_it_cannot_use(binary, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    missing = subprocess.run([binary, "sampling", "replay", "--config", config, "--input", tmp_path / "none"],
                             capture_output=True, text=True, timeout=30)
    assert missing.returncode == 1 and "No such file" in missing.stderr
