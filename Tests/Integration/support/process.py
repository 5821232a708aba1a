"""The process under test: its configuration, its life, its logs, its metrics."""
import ctypes
import json
import signal
import subprocess
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from . import wire
from .ports import free_port
from .waiting import wait_for

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Martlet:
    """`martlet run`, ended at the latest by `close`."""

    def __init__(self, binary, directory, config, *, args=(), env=None):
        self.binary = binary
        self.directory = Path(directory)
        self.config = config
        self.args = args
        self.env = env
        self.path = self.directory / "config.yaml"
        self.path.write_text(yaml.safe_dump(config, sort_keys=False))
        self.log_path = self.directory / "stderr.log"
        self.output_path = self.directory / "stdout.log"
        self.process = None

    @property
    def port(self):
        return int(self.config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rsplit(":")[-1])

    @property
    def health_port(self):
        return int(self.config["extensions"]["health_check"]["endpoint"].rsplit(":")[-1])

    @property
    def metrics_port(self):
        reader = self.config["service"]["telemetry"]["metrics"]["readers"][0]
        return reader["pull"]["exporter"]["prometheus"]["port"]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/traces"

    @property
    def log(self):
        return self.log_path.read_text()

    @property
    def output(self):
        return self.output_path.read_text()

    # Life

    def launch(self):
        command = [str(self.binary), "run", "--config", str(self.path), *self.args]
        with open(self.log_path, "ab") as log, open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                preexec_fn=_die_with_parent)
        return self

    def start(self, timeout=40.0):
        self.launch()
        wait_for(self.is_ready_or_ended, "ready", timeout)
        assert self.process.poll() is None, f"ended with {self.process.returncode} at the start:\n{self.log}"
        return self

    def is_ready_or_ended(self):
        return self.process.poll() is not None or self.health() == 200

    def health(self, path="/"):
        """The status of the health check; None when nothing answers."""
        try:
            return wire.get(self.health_port, path).status
        except (OSError, AttributeError):
            return None

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=20.0):
        """The exit code."""
        return self.process.wait(timeout)

    def stop(self, timeout=20.0):
        """Ends it gracefully and returns the exit code."""
        self.signal()
        return self.wait(timeout)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_alive(self):
        return self.process.poll() is None

    def rss(self):
        """Resident bytes now."""
        return self._status("VmRSS")

    def peak_rss(self):
        """Highest resident bytes since the start."""
        return self._status("VmHWM")

    def _status(self, name):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} of the process")

    # Traffic

    def post(self, body, **options):
        return wire.post(self.port, body, **options)

    # Metrics

    def metrics(self):
        """All samples: {name: [(labels, value)]}."""
        answer = wire.get(self.metrics_port, "/metrics")
        assert answer.status == 200
        return parse_metrics(answer.body.decode())

    def metric(self, name, **labels):
        """The sum over the series of a metric that have these labels; 0 without any."""
        return sum(value for found, value in self.metrics().get(name, [])
                   if all(found.get(key) == wanted for key, wanted in labels.items()))

    def wait_for_metric(self, name, wanted, timeout=10.0, **labels):
        wait_for(lambda: self.metric(name, **labels) == wanted, f"{name}{labels or ''} = {wanted}", timeout, 0.02)

    def log_records(self):
        """The lines of a log with `encoding: json`."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]


def parse_metrics(text):
    """{name: [(labels, value)]} of the Prometheus text format."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def configuration(exporters, *, processors=None, http=None, pipelines=None, connectors=None, level="info",
                  extensions=None):
    """A configuration with one otlp receiver, health check and metrics on free ports. Without `pipelines`: one of
    traces through all processors to all exporters."""
    processors = processors or {}
    if pipelines is None:
        pipelines = {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}}
        if processors:
            pipelines["traces"]["processors"] = list(processors)
    extensions = {"health_check": {"endpoint": f"127.0.0.1:{free_port()}"}, **(extensions or {})}
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": free_port()}}}}
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{free_port()}", **(http or {})}}}},
        "processors": processors,
        "exporters": exporters,
        "connectors": connectors or {},
        "extensions": extensions,
        "service": {
            "extensions": list(extensions),
            "telemetry": {"logs": {"level": level, "encoding": "json"}, "metrics": {"readers": [reader]}},
            "pipelines": pipelines,
        },
    }
    return {key: value for key, value in config.items() if value}


def to_sink(sink, *, retry=None, queue=None, **options):
    """An otlp_http exporter to a sink, with retries that a test can wait for."""
    retries = {"initial_interval": "50ms", "max_interval": "200ms", "max_elapsed_time": "60s", **(retry or {})}
    exporter = {"endpoint": sink.endpoint, "retry_on_failure": retries, **options}
    if queue:
        exporter["sending_queue"] = queue
    return exporter
