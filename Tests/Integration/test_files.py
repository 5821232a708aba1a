"""The file exporter: what other programs read from its files is what was sent."""
import json
import re
import struct
import threading

import pytest
import zstandard
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from support.otlp import flat, from_json, ids_of, traces
from support.process import configuration
from support.wire import Connection, post_bytes
from test_json import lenient_request, parsed
from test_sdk import Recording, record_everything


def lines(path):
    """The messages of a file of JSON lines."""
    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    return [from_json(line, TracesData()) for line in text.splitlines()]


def records(path, *, compressed=False, kind="proto"):
    """The messages of a file of length-prefixed ones."""
    data = path.read_bytes()
    found = []
    while data:
        (size,) = struct.unpack(">I", data[:4])
        part, data = data[4:4 + size], data[4 + size:]
        assert len(part) == size
        if compressed:
            part = zstandard.ZstdDecompressor().decompressobj().decompress(part)
        found.append(TracesData.FromString(part) if kind == "proto" else from_json(part, TracesData()))
    return found


@pytest.fixture
def started(launch, tmp_path):
    """Starts a process with a file exporter of these options; returns it and the path."""
    def start(name="traces.json", processors=None, **options):
        path = tmp_path / "out" / name
        (tmp_path / "out").mkdir(exist_ok=True)
        return launch(configuration({"file": {"path": str(path), **options}}, processors=processors)), path
    return start


def test_the_sdk_to_json_lines(started):
    martlet, path = started(processors={"batch": {"timeout": "50ms"}})
    recording = Recording(martlet.url)
    record_everything(recording.provider)
    recording.finish()
    assert martlet.stop() == 0
    assert parsed(flat(*lines(path))) == parsed(flat(recording.encoded()))


def test_json_lines_are_otlp_json(started):
    martlet, path = started()
    sent = [lenient_request()[1], traces(3)]
    for request in sent:
        assert martlet.post(request).status == 200
    # The answer says that it is written.
    assert parsed(flat(*lines(path))) == parsed(flat(*sent))
    first = json.loads(path.read_text().splitlines()[0])
    span = first["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"])
    assert span["startTimeUnixNano"] == "1790000000000000001" and span["kind"] == 2
    values = {attribute["key"]: attribute.get("value") for attribute in span["attributes"]}
    assert values["largest"] == {"intValue": "9223372036854775807"}
    assert values["nan"] == {"doubleValue": "NaN"} and values["bytes"] == {"bytesValue": "AP/+"}


@pytest.mark.parametrize("format, compression", [("proto", None), ("proto", "zstd"), ("json", "zstd")])
def test_length_prefixed_messages(started, format, compression):
    options = {"format": format, **({"compression": compression} if compression else {})}
    martlet, path = started("traces.bin", **options)
    sent = [lenient_request()[1], traces(3), traces(200, padding=100)]
    for request in sent:
        assert martlet.post(request).status == 200
    assert martlet.stop() == 0
    read = records(path, compressed=bool(compression), kind=format)
    assert len(read) == 3
    assert parsed(flat(*read)) == parsed(flat(*sent))


@pytest.mark.parametrize("append", [False, True])
def test_append(started, append):
    sent = [traces(2), traces(3)]
    for request in sent:
        martlet, path = started(append=append)
        assert martlet.post(request).status == 200
        assert martlet.stop() == 0
    assert flat(*lines(path)) == flat(*(sent if append else sent[1:]))


def test_an_unfinished_line_is_ended(started):
    martlet, path = started(append=True)
    sent = [traces(1), traces(1)]
    martlet.post(sent[0])
    martlet.stop()
    with open(path, "a") as file:
        file.write('{"resourceSpans":[{"torn')
    martlet, path = started(append=True)
    martlet.post(sent[1])
    assert martlet.stop() == 0
    good = [line for line in path.read_text().splitlines() if "torn" not in line]
    assert [ids_of(from_json(line, TracesData())) for line in good] == [ids_of(request) for request in sent]


def test_rotation(started):
    martlet, path = started(rotation={"max_megabytes": 1, "max_backups": 3})
    sent = []
    with Connection(martlet.port) as connection:
        for _ in range(30):
            sent.append(traces(2, padding=100_000))
            connection.send(post_bytes(sent[-1].SerializeToString()))
            assert connection.read_answer().status == 200
    assert martlet.stop() == 0
    rotated = sorted(entry for entry in path.parent.iterdir() if entry != path)
    assert len(rotated) == 3
    pattern = r"traces-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.json"
    assert all(re.fullmatch(pattern, entry.name) for entry in rotated), rotated
    assert all(entry.stat().st_size <= 1 << 20 for entry in path.parent.iterdir())
    kept = [message for entry in [*rotated, path] for message in lines(entry)]
    # The newest are kept, in order and whole.
    assert [ids_of(message) for message in kept] == [ids_of(request) for request in sent[-len(kept):]]
    assert 10 <= len(kept) < 30


def test_a_file_that_is_moved_away_is_begun_anew(started):
    martlet, path = started()
    sent = [traces(1), traces(1)]
    martlet.post(sent[0])
    path.rename(path.with_suffix(".1"))
    assert martlet.post(sent[1]).status == 200
    assert flat(*lines(path.with_suffix(".1"))) == flat(sent[0])
    assert flat(*lines(path)) == flat(sent[1])


def test_groups(started):
    options = {"create_directory": True, "group_by": {"enabled": True, "resource_attribute": "service.name",
                                                      "max_open_files": 2}}
    martlet, path = started("by/*.json", **options)
    sent = {}
    for number in range(12):
        name = f"service {number % 4}"
        request = traces(2, service=name)
        sent.setdefault(name, []).append(request)
        assert martlet.post(request).status == 200
    outside = traces(1, service="../../../outside")
    assert martlet.post(outside).status == 200
    nameless = traces(2)
    del nameless.resource_spans[0].resource.attributes[:]
    martlet.post(nameless)
    martlet.wait_for_metric("otelcol_exporter_send_failed_spans_total", 2, error_type="rejected")
    assert martlet.stop() == 0
    for name, requests in sent.items():
        assert flat(*lines(path.parent / f"{name}.json")) == flat(*requests)
    assert flat(*lines(path.parent / "outside.json")) == flat(outside)
    root = path.parent.parent.parent
    assert not list(root.glob("outside*")) and not list(root.parent.glob("outside*"))


def test_many_writers_write_whole_lines(started):
    """Requests of many connections at once are lines, none torn."""
    martlet, path = started()
    sent = []

    def run():
        with Connection(martlet.port) as connection:
            for _ in range(20):
                request = traces(20, padding=200)
                connection.send(post_bytes(request.SerializeToString()))
                assert connection.read_answer().status == 200
                sent.append(request)
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 160
    assert flat(*lines(path)) == flat(*sent)


def test_a_full_disk_is_told_to_the_client(launch):
    martlet = launch(configuration({"file": {"path": "/dev/full", "format": "json"}}))
    answer = martlet.post(traces(1))
    assert answer.status == 503 and "retry-after" in answer.headers
    assert martlet.health() == 200


def test_standard_output(launch):
    martlet = launch(configuration({"file": {"path": "/dev/stdout"}}))
    sent = traces(2)
    assert martlet.post(sent).status == 200
    assert martlet.stop() == 0
    assert flat(from_json(martlet.output, TracesData())) == flat(sent)
