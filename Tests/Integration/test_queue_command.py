"""`martlet queue`: what a stopped collector left behind, seen and rescued."""
import json
import struct
import subprocess

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.crash import flip_bits
from support.otlp import flat, ids_of, traces
from support.otlp import from_json
from support.process import configuration, to_sink


def queue(binary, *words, code=0):
    result = subprocess.run([str(binary), "queue", *map(str, words)], capture_output=True, timeout=60)
    assert result.returncode == code, result
    return result


@pytest.fixture
def left(launch, sink, tmp_path):
    """(the storage directory, its one queue, the requests in it)"""
    directory = tmp_path / "storage"
    config = configuration(
        {"otlp_http": to_sink(sink, queue={"storage": "file_storage"})},
        extensions={"file_storage": {"directory": str(directory), "create_directory": True, "segment_size": 1 << 16}})
    martlet = launch(config)
    sink.stop()
    sent = [traces(3, padding=500) for _ in range(50)]
    assert [martlet.post(request).status for request in sent] == [200] * 50
    yield martlet, directory, directory / "exporter_otlp_http__traces", sent


def test_a_queue_in_use_is_only_looked_at(binary, left):
    martlet, directory, path, _ = left
    listing = queue(binary, "ls", directory).stdout.decode()
    assert listing.splitlines()[1].split()[:3] == ["exporter_otlp_http__traces", "50", "150"]
    assert listing.splitlines()[1].split()[-1] == "yes"
    assert "open" in queue(binary, "inspect", path).stdout.decode()
    for verb in (["export", path], ["drain", path, "--endpoint", "http://127.0.0.1:1"]):
        assert b"another process has this directory" in queue(binary, *verb, code=1).stderr
    assert martlet.health() == 200


def test_export_as_json_and_protobuf(binary, left, tmp_path):
    martlet, directory, path, sent = left
    martlet.stop(30)
    lines = queue(binary, "export", path).stdout.splitlines()
    found = []
    for line in lines:
        found.append(ExportTraceServiceRequest())
        from_json(json.dumps(json.loads(line)).encode(), found[-1])
    assert flat(*found) == flat(*sent)
    output = tmp_path / "out.pb"
    queue(binary, "export", path, "--format", "proto", "--output", output, "--delete")
    data = output.read_bytes()
    found = []
    while data:
        size, = struct.unpack(">I", data[:4])
        found.append(ExportTraceServiceRequest.FromString(data[4:4 + size]))
        data = data[4 + size:]
    assert [request.SerializeToString() for request in found] == [request.SerializeToString() for request in sent]
    assert queue(binary, "ls", directory).stdout.decode().splitlines()[1].split()[1] == "0"
    assert not list(path.glob("*.seg"))


def test_drain_sends_in_order_and_stops_at_a_failure(binary, left, sink):
    martlet, _, path, sent = left
    martlet.stop(30)
    failed = queue(binary, "drain", path, "--endpoint", sink.endpoint, code=1)
    assert b"0 requests sent" in failed.stderr
    sink.start()
    assert b"50 requests sent" in queue(binary, "drain", path, "--endpoint", sink.endpoint).stderr
    assert sink.ids == ids_of(*sent)
    assert b"0 requests sent" in queue(binary, "drain", path, "--endpoint", sink.endpoint).stderr


def test_damage_is_shown_and_the_rest_exported(binary, left):
    martlet, directory, path, sent = left
    martlet.stop(30)
    flip_bits(sorted(path.glob("*.seg"))[:1], 1, seed=5)
    result = queue(binary, "export", path)
    assert len(result.stdout.splitlines()) >= 49
    if len(result.stdout.splitlines()) < 50:
        assert b"damaged" in result.stderr and list(path.glob("*.corrupt"))


def test_wrong_words(binary, tmp_path):
    assert b"cannot read" in queue(binary, "ls", tmp_path / "none", code=1).stderr
    (tmp_path / "x").mkdir()
    assert b"holds no queue" in queue(binary, "inspect", tmp_path / "x", code=1).stderr
    assert b"holds no queue" in queue(binary, "export", tmp_path / "x", code=1).stderr
    assert not list((tmp_path / "x").iterdir())
    assert b"--endpoint is missing" in queue(binary, "drain", tmp_path / "x", code=2).stderr
    assert b"--format" in queue(binary, "export", tmp_path / "x", "--format", "xml", code=2).stderr
