"""Fixtures of the integration tests. The binary is $MARTLET_BIN, else the release build of this repository."""
import os

# Before anything imports grpc: its handlers of fork would end the processes that the tests start beside a gRPC server.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

from pathlib import Path

import pytest

from support.process import Martlet, configuration, to_sink
from support.sink import Sink

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def binary():
    path = Path(os.environ.get("MARTLET_BIN", ROOT / ".build/release/martlet"))
    assert path.is_file(), f"{path} is not there: run `make build`, or set MARTLET_BIN"
    return path.resolve()


@pytest.fixture
def sinks():
    """Makes sinks that end with the test."""
    made = []

    def make():
        made.append(Sink())
        return made[-1]
    yield make
    for sink in made:
        sink.close()
    assert not [fault for sink in made for fault in sink.unreadable], "a sink was sent something unreadable"


@pytest.fixture
def sink(sinks):
    return sinks()


@pytest.fixture
def launch(binary, tmp_path):
    """Makes processes of a configuration: `launch(config)` is ready for data, `launch(config, ready=False)` is not
    started. The test's end is their end; what they logged is shown when the test fails."""
    made = []

    def make(config, *, args=(), env=None, ready=True):
        directory = tmp_path / f"martlet{len(made)}"
        directory.mkdir()
        process = Martlet(binary, directory, config, args=args, env=env)
        made.append(process)
        return process.start() if ready else process
    yield make
    for process in made:
        crashed = process.process is not None and process.process.poll() not in (None, 0, 1, 2, -9, -15)
        process.close()
        if process.log_path.exists():
            print(f"--- log of {process.directory.name}\n{process.log[-4000:]}")
        assert not crashed, f"the process under test crashed: {process.process.returncode}"


@pytest.fixture
def martlet(launch, sink):
    """A process that sends what it takes to `sink`, without batching."""
    return launch(configuration({"otlp_http": to_sink(sink)}))


@pytest.fixture(scope="module")
def shared_martlet(binary, tmp_path_factory):
    """One process for all tests of a module that drops what it takes, with a small limit of bodies."""
    http = {"max_request_body_size": 1 << 20, "cors": {
        "allowed_origins": ["https://*.example.com", "http://localhost:3000"], "allowed_headers": ["X-Tenant"],
        "max_age": 600}}
    process = Martlet(binary, tmp_path_factory.mktemp("martlet"), configuration({"nop": None}, http=http)).start()
    yield process
    alive = process.is_alive()
    code = process.stop() if alive else process.process.returncode
    process.close()
    assert alive and code == 0, f"ended with {code}:\n{process.log[-4000:]}"
