"""A real Prometheus that takes remote write: its life and its HTTP API."""
import ctypes
import json
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

from .ports import free_port
from .waiting import wait_for

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Prometheus:
    """`prometheus` on a loopback port with its data in `directory`, ended at the latest by `close`."""

    def __init__(self, directory):
        self.program = shutil.which("prometheus")
        assert self.program, "prometheus is not installed: run `make setup`"
        self.directory = Path(directory)
        self.port = free_port()
        self.log_path = self.directory / "prometheus.log"
        self.process = None
        (self.directory / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self):
        return f"{self.url}/api/v1/write"

    @property
    def log(self):
        return self.log_path.read_text()

    def start(self):
        command = [
            self.program, f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        wait_for(self.is_ready, "Prometheus is ready", 30.0, 0.05)
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"Prometheus ended with {self.process.returncode}:\n{self.log[-4000:]}"
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            result = json.load(answer)
        assert result["status"] == "success", result
        return result["data"]

    def query(self, expression, at=None):
        """[(labels, value)] of an instant query."""
        parameters = {"query": expression, **({"time": at} if at else {})}
        result = self.get("query", **parameters)["result"]
        return [(entry["metric"], float(entry["value"][1])) for entry in result if "value" in entry]

    def value(self, expression, at=None):
        """The only value of an instant query; None without one."""
        found = self.query(expression, at)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    def samples(self, selector, at=None, window="1h"):
        """[(seconds, value)] of the only series of a selector."""
        parameters = {"query": f"{selector}[{window}]", **({"time": at} if at else {})}
        result = self.get("query", **parameters)["result"]
        assert len(result) <= 1, result
        return [(float(time), float(value)) for time, value in result[0].get("values", [])] if result else []

    def wait(self, expression, wanted=None, timeout=15.0):
        """Until a query has a value, or the wanted one."""
        def found():
            value = self.value(expression)
            return value is not None and (wanted is None or value == wanted)
        wait_for(found, f"{expression} = {wanted}", timeout, 0.05)
        return self.value(expression)
