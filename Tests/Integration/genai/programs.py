"""Runs the programs of `apps` in their environments, and reads what Martlet made of their spans."""
import collections
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ROOT / ".cache/libraries"
#: Seconds; a program takes a few.
LIMIT = 100


def run(program, environment, provider_url, traces_url, scenarios, folder, variables=None):
    """Ends when the program's spans have been acknowledged. Nothing of this process's environment reaches it but PATH:
    no key, no endpoint and no OTEL_ variable of whoever runs the tests."""
    python = ENVIRONMENTS / environment / "bin/python"
    assert python.is_file(), f"{python} is not there: run `make setup`"
    done = subprocess.run(
        [python, "-W", "ignore", "-m", f"genai.apps.{program}", provider_url, traces_url, *scenarios],
        cwd=folder, timeout=LIMIT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT / "Tests/Integration"),
             **(variables or {})})
    assert done.returncode == 0, f"{program} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"


@dataclass(frozen=True)
class Span:
    service: str
    scope: str
    name: str
    is_root: bool
    is_error: bool
    start: int
    attributes: dict

    @property
    def status(self):
        return self.attributes.get("gen_ai.cost.status")

    @property
    def has_cost(self):
        return any(key == "gen_ai.usage.cost" or key.startswith("gen_ai.cost.") and key != "gen_ai.cost.status"
                   for key in self.attributes)

    def tokens(self, kind):
        """0 when nothing is said: the conventions leave a count out that is 0."""
        return self.attributes.get(f"gen_ai.usage.{kind}_tokens", 0)


def traces(path):
    """{name of the root span: spans of the trace, by start}, from the JSON lines of a file exporter."""
    by_id = collections.defaultdict(list)
    for line in Path(path).read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            service = _attributes(resource.get("resource", {})).get("service.name", "?")
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    attributes = _attributes(span)
                    assert len(attributes) == len(span.get("attributes", [])), f"{span['name']}: an attribute twice"
                    by_id[span["traceId"]].append(Span(
                        service, scope.get("scope", {}).get("name", ""), span["name"], not span.get("parentSpanId"),
                        span.get("status", {}).get("code") == 2, int(span["startTimeUnixNano"]), attributes))
    found = {}
    for spans in by_id.values():
        (root,) = [span for span in spans if span.is_root]
        assert root.name not in found, f"{root.name}: two traces"
        found[root.name] = sorted(spans, key=lambda span: span.start)
    return found


def _attributes(item):
    return {attribute["key"]: _value(attribute["value"]) for attribute in item.get("attributes", [])}


def _value(value):
    for kind, content in value.items():
        if kind == "intValue":
            return int(content)
        if kind == "arrayValue":
            return [_value(element) for element in content.get("values", [])]
        return content
    return None
