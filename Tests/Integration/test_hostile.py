"""Hostile bodies: the right answer, bounded memory, and no harm to other clients."""
import threading
import time
from random import Random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from support import wire
from support.hostile import ODD, REFUSED
from support.otlp import rpc_status, traces
from support.process import configuration
from support.wire import JSON, PROTOBUF, Connection, post_bytes

# Above what the process takes for itself and for the largest body of these tests with its records.
RSS_BOUND = 160 << 20
# Longest time that a good request may take while hostile ones come, on a slow and busy machine.
LATENCY_BOUND = 3.0


class GoodClient(threading.Thread):
    """Posts small requests on one connection until told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.count = 0
        self.worst = 0.0
        self.failure = None
        self.ended = threading.Event()
        self.start()

    def run(self):
        try:
            with Connection(self.port) as connection:
                while not self.ended.is_set():
                    begun = time.monotonic()
                    connection.send(post_bytes(traces(2).SerializeToString()))
                    answer = connection.read_answer()
                    self.worst = max(self.worst, time.monotonic() - begun)
                    assert answer and answer.status == 200 and answer.body == b"", answer
                    self.count += 1
                    time.sleep(0.002)
        except Exception as failure:
            self.failure = failure

    def finish(self):
        self.ended.set()
        self.join(15)
        assert self.failure is None, f"a good client was harmed: {self.failure!r}"
        assert self.count > 0 and self.worst < LATENCY_BOUND


@pytest.fixture(scope="module")
def attacked(shared_martlet):
    client = GoodClient(shared_martlet.port)
    yield shared_martlet
    client.finish()
    assert shared_martlet.peak_rss() < RSS_BOUND, f"{shared_martlet.peak_rss() >> 20} MiB"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(attacked, name):
    answer = attacked.post(REFUSED[name])
    assert (answer.status, answer.headers["content-type"]) == (400, PROTOBUF)
    status = rpc_status(answer)
    assert status.code == 3 and status.message
    assert attacked.post(traces(1)).status == 200


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_in_gzip(attacked, name):
    assert attacked.post(REFUSED[name], compress=True).status == 400


@pytest.mark.parametrize("name", ODD)
def test_what_is_only_odd(attacked, name):
    body, rejected = ODD[name]
    answer = attacked.post(body)
    assert answer.status == 200
    assert ExportTraceServiceResponse.FromString(answer.body).partial_success.rejected_spans == rejected


JSON_BOMBS = {
    "array in array": '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"value":'
                      + '{"arrayValue":{"values":[' * 30_000,
    "objects": '{"a":' * 150_000,
    "brackets": "[" * 900_000,
    "a long number": '{"a":' + "9" * 900_000 + "}",
    "a million empty spans": '{"resourceSpans":[{"scopeSpans":[{"spans":[' + "{}," * 330_000 + "{}]}]}]}",
    "a string without end": '{"a":"' + "x" * 900_000,
    "backslashes": '{"a":"' + "\\" * 900_001,
}


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_hostile_json(attacked, name):
    answer = attacked.post(JSON_BOMBS[name].encode(), kind=JSON)
    # An unknown key may hold any number: that one is well-formed.
    assert answer.status == (200 if name == "a long number" else 400), answer.body[:200]


def test_random_bytes(attacked):
    """Nothing but 200 and 400, and no memory kept."""
    random = Random(20_261_121)
    good = traces(5, padding=30).SerializeToString()
    with Connection(attacked.port) as connection:
        for number in range(1500):
            if number % 3:
                body = bytearray(good)
                for _ in range(random.randrange(1, 6)):
                    body[random.randrange(len(body))] = random.randrange(256)
            else:
                body = random.randbytes(random.randrange(200))
            connection.send(post_bytes(bytes(body)))
            answer = connection.read_answer()
            assert answer.status in (200, 400), bytes(body)


def test_many_hostile_clients_at_once(launch):
    """Eight clients that send the worst of all, again and again, next to a good one."""
    martlet = launch(configuration({"nop": None}))
    good = GoodClient(martlet.port)
    bodies = [REFUSED["array in array"], REFUSED["a million empty spans"], ODD["200,000 empty spans"][0],
              ODD["300,000 empty scopes"][0]]
    wrong = []

    def attack(body):
        for _ in range(6):
            answer = wire.post(martlet.port, body)
            if answer is None or answer.status not in (200, 400):
                wrong.append(answer)
    attackers = [threading.Thread(target=attack, args=(body,)) for body in bodies * 2]
    for thread in attackers:
        thread.start()
    for thread in attackers:
        thread.join()
    good.finish()
    assert not wrong
    assert martlet.peak_rss() < RSS_BOUND, f"{martlet.peak_rss() >> 20} MiB"
    assert martlet.stop() == 0
