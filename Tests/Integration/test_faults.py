"""A destination that comes and goes: nothing that was acknowledged is missing, nothing is invented, and what comes
twice is only what a broken connection left in doubt."""
import itertools
import socket
import ssl
import threading
import time
from collections import Counter

import pytest

from support.certificates import Authority
from support.otlp import ids_of, traces
from support.process import configuration, to_sink
from support.sink import Reply, accept, answer, reset, slow
from support.wire import Connection, post_bytes
from support.waiting import wait_for


class Sender(threading.Thread):
    """Sends requests of spans until told to stop; what is refused as temporary is sent again, as clients do."""

    def __init__(self, port, sizes=(1, 5, 20)):
        super().__init__(daemon=True)
        self.port = port
        self.sizes = itertools.cycle(sizes)
        self.sent = set()
        self.acknowledged = set()
        self.refusals = 0
        self.failure = None
        self.ended = threading.Event()

    def run(self):
        try:
            with Connection(self.port, timeout=30) as connection:
                while not self.ended.is_set():
                    self.send_one(connection)
        except Exception as failure:
            self.failure = failure

    def send_one(self, connection):
        request = traces(next(self.sizes), padding=100)
        self.sent.update(ids_of(request))
        while not self.ended.is_set():
            connection.send(post_bytes(request.SerializeToString()))
            status = connection.read_answer().status
            if status == 200:
                self.acknowledged.update(ids_of(request))
                time.sleep(0.002)
                return
            assert status == 503, status
            self.refusals += 1
            time.sleep(0.02)

    def finish(self):
        self.ended.set()
        self.join(30)
        assert self.failure is None, repr(self.failure)


def check(sink, senders):
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    sent = set().union(*(sender.sent for sender in senders))
    arrived = Counter(sink.ids)
    doubtful = {identifier for delivery in sink.doubtful for identifier in delivery.ids}
    missing = acknowledged - set(arrived)
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged spans never arrived"
    assert set(arrived) | doubtful <= sent, "spans that nobody sent"
    repeated = {identifier for identifier, count in arrived.items() if count > 1}
    assert repeated <= doubtful, f"{len(repeated - doubtful)} spans of answered requests were sent again"
    print(f"{len(acknowledged)} spans acknowledged, {len(doubtful)} in doubt, {len(repeated)} delivered again")
    return acknowledged, doubtful


def fail_some(delivery):
    return Reply(503) if delivery.number % 3 == 0 else Reply()


def reset_some(delivery):
    return Reply(reset=True) if delivery.number % 2 == 0 else Reply()


BEHAVIOURS = [answer(503), fail_some, answer(429), slow(0.15), reset, reset_some]


@pytest.mark.parametrize("batch", [False, True], ids=["unbatched", "batched"])
def test_a_destination_that_does_everything_wrong(launch, sink, batch):
    processors = {"batch": {"timeout": "50ms", "send_batch_size": 50, "send_batch_max_size": 70}} if batch else None
    exporter = to_sink(sink, timeout="1s", queue={"queue_size": 50, "num_consumers": 4})
    martlet = launch(configuration({"otlp_http": exporter}, processors=processors))
    senders = [Sender(martlet.port) for _ in range(3)]
    for sender in senders:
        sender.start()
    for behaviour in BEHAVIOURS:
        sink.behaviour = behaviour
        time.sleep(0.4)
        sink.behaviour = accept
        time.sleep(0.05)
    # Gone, then back.
    sink.stop()
    time.sleep(0.5)
    sink.start()
    time.sleep(0.1)
    # Ends connections in the middle of bodies.
    sink.reset_after_bytes = 200
    time.sleep(0.4)
    sink.reset_after_bytes = None
    # Hangs past the exporter's time-out, then is restarted.
    sink.behaviour = sink.hold
    time.sleep(1.5)
    sink.stop()
    sink.release()
    sink.start()
    for sender in senders:
        sender.finish()
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0, timeout=20)
    acknowledged, doubtful = check(sink, senders)
    assert len(acknowledged) > 200 and doubtful and sum(sender.refusals for sender in senders) > 0
    assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0
    assert martlet.metric("otelcol_receiver_accepted_spans_total") == len(acknowledged)
    assert martlet.stop() == 0


def test_a_dead_destination_comes_back(launch, sink):
    sink.stop()
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    sent = [traces(10) for _ in range(20)]
    for request in sent:
        assert martlet.post(request).status == 200
    wait_for(lambda: "will retry" in martlet.log, "a line about the retry")
    sink.start()
    sink.wait_for_spans(200)
    assert Counter(sink.ids) == Counter(ids_of(*sent))
    martlet.wait_for_metric("otelcol_exporter_queue_size", 0)


def test_a_restarted_destination_and_its_old_connections(launch, sink):
    """Connections that the destination closed while they were idle cost no data."""
    martlet = launch(configuration({"otlp_http": to_sink(sink)}))
    sent = []
    for _ in range(5):
        sent.append(traces(2))
        assert martlet.post(sent[-1]).status == 200
        sink.wait_for_spans(2 * len(sent))
        sink.stop()
        sink.start()
    assert Counter(sink.ids) == Counter(ids_of(*sent))


def test_a_reset_in_the_middle_of_a_body(launch, sink):
    sink.reset_after_bytes = 1000
    martlet = launch(configuration({"otlp_http": to_sink(sink, compression="none")}))
    sent = traces(20, padding=50_000)
    assert martlet.post(sent).status == 200
    wait_for(lambda: "will retry" in martlet.log, "a line about the retry")
    assert not sink.deliveries
    sink.reset_after_bytes = None
    sink.wait_for_spans(20)
    assert Counter(sink.ids) == Counter(ids_of(sent))


def test_a_reset_after_the_body_is_in_doubt(martlet, sink):
    sink.behaviour = lambda delivery: Reply(reset=delivery.number < 2)
    sent = traces(7)
    assert martlet.post(sent).status == 200
    sink.wait_for_spans(7)
    assert len(sink.doubtful) == 2
    assert Counter(sink.ids) == Counter(ids_of(sent))


def test_a_hanging_destination_is_given_up(launch, sink):
    sink.behaviour = sink.hold
    martlet = launch(configuration({"otlp_http": to_sink(sink, timeout="300ms")}))
    sent = traces(3)
    assert martlet.post(sent).status == 200
    sink.wait_for_deliveries(3, timeout=15)
    sink.behaviour = accept
    sink.wait_for_spans(3)
    assert set(sink.ids) == set(ids_of(sent))
    assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0


class VanishingPeer:
    """A proxy to a sink whose connections go silent on command: they stay open, and nothing comes or goes any more, as
    when the other machine is gone. New connections work."""

    def __init__(self, sink):
        self.target = sink.port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            silent = threading.Event()
            self.connections.append((near, far, silent))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other, silent), daemon=True).start()

    def _pass(self, one, other, silent):
        try:
            while data := one.recv(1 << 16):
                # Neither read any further nor closed.
                if silent.is_set():
                    return
                other.sendall(data)
            if not silent.is_set():
                other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def vanish(self):
        for _, _, silent in self.connections:
            silent.set()

    def close(self):
        self.listener.close()
        for near, far, _ in self.connections:
            near.close()
            far.close()


@pytest.mark.parametrize("size", [1, 60_000], ids=["small", "larger than what the system buffers"])
def test_a_destination_that_vanishes_from_open_connections(launch, sink, size):
    """Half-open: the connection is given up after `timeout`, and what was on it goes over a new one."""
    peer = VanishingPeer(sink)
    try:
        exporter = {**to_sink(sink, timeout="2s", compression="none"), "endpoint": f"http://127.0.0.1:{peer.port}"}
        martlet = launch(configuration({"otlp_http": exporter}))
        first, second, third = traces(2), traces(100 if size > 1 else 2, padding=size), traces(2)
        assert martlet.post(first).status == 200
        sink.wait_for_spans(2)
        peer.vanish()
        for request in (second, third):
            assert martlet.post(request).status == 200
        wanted = ids_of(first, second, third)
        wait_for(lambda: set(wanted) <= set(sink.ids), "all of it over other connections", 60)
        assert "will retry" in martlet.log
        assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0 and Counter(sink.ids) == Counter(wanted)
        assert martlet.stop() == 0
    finally:
        peer.close()


def test_a_destination_whose_certificate_expires(launch, sink, tmp_path):
    """Nothing is given up: with a new certificate what waited is delivered."""
    authority = Authority(tmp_path)
    good, old = authority.server("good"), authority.server("old", expired=True)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    issued = [good]

    def serve():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(issued[0].cert_file, issued[0].key_file)
            threading.Thread(target=answer_one, args=(context, near), daemon=True).start()

    def answer_one(context, near):
        """One request of the connection, passed on to the sink."""
        try:
            near = context.wrap_socket(near, server_side=True)
            far = socket.create_connection(("127.0.0.1", sink.port))
            threading.Thread(target=copy_all, args=(far, near), daemon=True).start()
            copy_all(near, far)
        except OSError:
            near.close()

    def copy_all(one, other):
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
        except OSError:
            pass
        other.close()
    threading.Thread(target=serve, daemon=True).start()
    try:
        exporter = {**to_sink(sink), "endpoint": f"https://127.0.0.1:{port}", "tls": {"ca_file": str(authority.cert_file)},
                    "disable_keep_alives": True}
        martlet = launch(configuration({"otlp_http": exporter}))
        sent = [traces(2)]
        assert martlet.post(sent[0]).status == 200
        sink.wait_for_spans(2)
        issued[0] = old
        for _ in range(5):
            sent.append(traces(2))
            assert martlet.post(sent[-1]).status == 200
        wait_for(lambda: "expired" in martlet.log and "will retry" in martlet.log, "a line that says why", 20)
        assert len(sink.ids) == 2
        issued[0] = good
        sink.wait_for_spans(12, timeout=30)
        assert Counter(sink.ids) == Counter(ids_of(*sent))
        assert martlet.metric("otelcol_exporter_send_failed_spans_total") == 0 and martlet.stop() == 0
    finally:
        listener.close()


def test_no_host_of_that_name(launch, sink):
    exporter = {**to_sink(sink), "endpoint": "http://host.invalid:4318"}
    martlet = launch(configuration({"otlp_http": exporter}))
    assert martlet.post(traces(1)).status == 200
    wait_for(lambda: "will retry" in martlet.log, "a line about the retry", timeout=15)
    assert martlet.health() == 200


def test_the_circuit_breaker(launch, sinks):
    """A destination that keeps failing is tried by one request at a time; another exporter goes on."""
    dead, alive = sinks(), sinks()
    dead.behaviour = lambda _: Reply(503)
    retry = {"initial_interval": "300ms", "max_interval": "300ms", "randomization_factor": 0}
    martlet = launch(configuration({
        "otlp_http/dead": to_sink(dead, retry=retry), "otlp_http/alive": to_sink(alive, retry=retry)}))
    sent = [traces(1) for _ in range(40)]
    assert [martlet.post(request).status for request in sent] == [200] * 40
    state = "martlet_exporter_circuit_breaker_state"
    wait_for(lambda: martlet.metric(state, exporter="otlp_http/dead") > 0, "an open breaker")
    assert martlet.metric(state, exporter="otlp_http/alive") == 0
    alive.wait_for_spans(40)
    # Ten consumers may have tried at once; from then on it is one attempt each 300 ms.
    tried = len(dead.deliveries)
    begun = time.monotonic()
    dead.wait_for_deliveries(tried + 3, 30)
    assert len(dead.deliveries) - tried <= 5 + (time.monotonic() - begun) / 0.3
    assert "only one request at a time tries it" in martlet.log
    dead.behaviour = accept
    dead.wait_for_spans(40)
    assert Counter(dead.ids) == Counter(ids_of(*sent))
    martlet.wait_for_metric(state, 0, exporter="otlp_http/dead")
    assert "the destination is back" in martlet.log
