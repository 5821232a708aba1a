"""A remote-write receiver, 1.0 and 2.0, in this process: reads snappy and protobuf by hand, from the specifications,
and checks each request against the rules for senders (prometheus.io, "Remote-Write 1.0" and "2.0")."""
import math
import re
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .ports import free_port
from .waiting import wait_for

V1 = "prometheus.WriteRequest"
V2 = "io.prometheus.write.v2.Request"
STALE = 0x7FF0000000000002
ORDINARY_NAN = 0x7FF8000000000001
LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")


# Snappy's block format

def unsnappy(data):
    length, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            count = (tag >> 2) + 1
            if count > 60:
                extra = count - 60
                count = int.from_bytes(data[at:at + extra], "little") + 1
                at += extra
            assert at + count <= len(data), "a literal runs past the end"
            out += data[at:at + count]
            at += count
            continue
        if tag & 3 == 1:
            count, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            size = 2 if tag & 3 == 2 else 4
            count, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + size], "little")
            at += size
        assert 0 < offset <= len(out), "a copy from before the start"
        while count > 0:
            piece = out[len(out) - offset:len(out) - offset + count]
            out += piece
            count -= len(piece)
    assert len(out) == length, f"{len(out)} bytes, {length} announced"
    return bytes(out)


# Protobuf

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        assert shift < 70, "overlong varint"


def fields(data):
    """(number, wire type, value) of each field; fixed ones as bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        elif kind == 2:
            length, at = varint(data, at)
            assert at + length <= len(data), "a field runs past the end"
            value, at = data[at:at + length], at + length
        else:
            raise AssertionError(f"wire type {kind}")
        yield number, kind, value


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value):
    return (value >> 1) ^ -(value & 1)


def bits(raw):
    return struct.unpack("<Q", raw)[0]


def number(raw):
    return struct.unpack("<d", raw)[0]


def packed(data):
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


# Messages

@dataclass
class Sample:
    value: float
    bits: int
    timestamp: int
    start: int = 0


@dataclass
class Exemplar:
    labels: dict
    value: float
    timestamp: int


@dataclass
class NativeHistogram:
    count: int = 0
    sum: float = 0.0
    sum_bits: int = 0
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: int = 0
    negative_spans: list = field(default_factory=list)
    negative_deltas: list = field(default_factory=list)
    positive_spans: list = field(default_factory=list)
    positive_deltas: list = field(default_factory=list)
    reset_hint: int = 0
    timestamp: int = 0
    start: int = 0

    def counts(self, sign="positive"):
        """{bucket index: count} without empty buckets."""
        deltas = iter(getattr(self, f"{sign}_deltas"))
        result, index, count = {}, 0, 0
        for offset, length in getattr(self, f"{sign}_spans"):
            index += offset
            for _ in range(length):
                count += next(deltas)
                assert count >= 0
                if count:
                    result[index] = count
                index += 1
        assert not list(deltas), "more deltas than buckets"
        return result


@dataclass
class Series:
    # In order, as sent.
    pairs: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    histograms: list = field(default_factory=list)
    exemplars: list = field(default_factory=list)
    type: int = 0
    help: str = ""
    unit: str = ""
    has_metadata: bool = False

    @property
    def labels(self):
        return dict(self.pairs)

    @property
    def name(self):
        return self.labels.get("__name__")

    @property
    def key(self):
        return tuple(self.pairs)


def read_histogram(data):
    read = NativeHistogram()
    for tag, _, value in fields(data):
        if tag == 1:
            read.count = value
        elif tag == 3:
            read.sum, read.sum_bits = number(value), bits(value)
        elif tag == 4:
            read.schema = zigzag(value)
        elif tag == 5:
            read.zero_threshold = number(value)
        elif tag == 6:
            read.zero_count = value
        elif tag in (8, 11):
            span = {n: v for n, _, v in fields(value)}
            side = read.negative_spans if tag == 8 else read.positive_spans
            side.append((zigzag(span.get(1, 0)), span.get(2, 0)))
        elif tag in (9, 12):
            side = read.negative_deltas if tag == 9 else read.positive_deltas
            side += [zigzag(delta) for delta in packed(value)]
        elif tag == 14:
            read.reset_hint = value
        elif tag == 15:
            read.timestamp = signed(value)
        elif tag == 17:
            read.start = signed(value)
        else:
            raise AssertionError(f"field {tag} of a histogram")
    return read


def read_label(data):
    pair = {n: v.decode() for n, _, v in fields(data)}
    return pair.get(1, ""), pair.get(2, "")


def read_sample(data):
    sample = Sample(0.0, 0, 0)
    for tag, _, value in fields(data):
        if tag == 1:
            sample.value, sample.bits = number(value), bits(value)
        elif tag == 2:
            sample.timestamp = signed(value)
        elif tag == 3:
            sample.start = signed(value)
    return sample


def read_v1(body):
    series, metadata = [], []
    for tag, _, value in fields(body):
        if tag == 3:
            entry = {n: v for n, _, v in fields(value)}
            metadata.append((entry[2].decode(), entry.get(1, 0), entry.get(4, b"").decode(),
                             entry.get(5, b"").decode()))
            continue
        assert tag == 1, f"field {tag} of a WriteRequest"
        one = Series()
        for part, _, content in fields(value):
            if part == 1:
                one.pairs.append(read_label(content))
            elif part == 2:
                one.samples.append(read_sample(content))
            elif part == 3:
                labels, rest = [], {}
                for n, _, v in fields(content):
                    if n == 1:
                        labels.append(read_label(v))
                    else:
                        rest[n] = v
                one.exemplars.append(Exemplar(dict(labels), number(rest[2]), signed(rest[3])))
            elif part == 4:
                one.histograms.append(read_histogram(content))
            else:
                raise AssertionError(f"field {part} of a TimeSeries")
        series.append(one)
    return series, metadata


def read_v2(body):
    symbols, raw = [], []
    for tag, _, value in fields(body):
        assert tag in (4, 5), f"field {tag} of a Request"
        if tag == 4:
            symbols.append(value.decode())
        else:
            raw.append(value)
    assert symbols and symbols[0] == "", "symbols[0] is not empty"
    assert len(set(symbols)) == len(symbols), "symbols come twice"

    def pairs(data):
        references = list(packed(data))
        assert len(references) % 2 == 0, "an odd number of references"
        texts = [symbols[reference] for reference in references]
        return list(zip(texts[::2], texts[1::2]))

    series = []
    for data in raw:
        one = Series()
        for part, _, content in fields(data):
            if part == 1:
                one.pairs += pairs(content)
            elif part == 2:
                one.samples.append(read_sample(content))
            elif part == 3:
                one.histograms.append(read_histogram(content))
            elif part == 4:
                rest = {n: v for n, _, v in fields(content)}
                one.exemplars.append(Exemplar(dict(pairs(rest.get(1, b""))), number(rest[2]), signed(rest[3])))
            elif part == 5:
                meta = {n: v for n, _, v in fields(content)}
                one.has_metadata = True
                one.type, one.help = meta.get(1, 0), symbols[meta.get(3, 0)]
                one.unit = symbols[meta.get(4, 0)]
            else:
                raise AssertionError(f"field {part} of a TimeSeries")
        series.append(one)
    return series, []


# Rules for senders

def check_request(request, legacy_names):
    """What a receiver may demand of a request; raises AssertionError."""
    headers = request.headers
    assert headers.get("content-encoding") == "snappy"
    assert headers.get("user-agent")
    if request.version == V1:
        assert headers["content-type"] == "application/x-protobuf"
        assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    else:
        assert headers["content-type"] == f"application/x-protobuf;proto={V2}"
        assert headers["x-prometheus-remote-write-version"] == "2.0.0"
    assert request.series or request.metadata, "an empty request"
    for series in request.series:
        check_series(series, request.version, legacy_names)


def check_series(series, version, legacy_names):
    names = [name for name, _ in series.pairs]
    assert [n.encode() for n in names] == sorted(n.encode() for n in names), f"labels are not sorted: {names}"
    assert len(set(names)) == len(names), f"labels come twice: {names}"
    assert all(name for name in names) and all(value for _, value in series.pairs), f"empty: {series.pairs}"
    assert series.name
    if legacy_names:
        assert LEGACY_METRIC.match(series.name), series.name
        assert all(LEGACY_LABEL.match(name) for name in names), names
    assert bool(series.samples) != bool(series.histograms), "samples or histograms, one of them"
    times = [sample.timestamp for sample in series.samples or series.histograms]
    assert times == sorted(set(times)), "samples are not in order"
    assert all(time > 0 for time in times)
    for sample in series.samples:
        if math.isnan(sample.value):
            assert sample.bits in (STALE, ORDINARY_NAN), hex(sample.bits)
    for histogram in series.histograms:
        check_histogram(histogram)
    for exemplar in series.exemplars:
        assert exemplar.timestamp > 0
        assert sum(len(k) + len(v) for k, v in exemplar.labels.items()) <= 128
    if version == V2:
        assert series.has_metadata and series.type != 0, f"no metadata: {series.name}"
        for sample in series.samples or series.histograms:
            assert sample.start <= sample.timestamp
            assert sample.start > 0 or series.type not in (1, 3, 5), f"no start: {series.name}"


def check_histogram(histogram):
    assert -4 <= histogram.schema <= 8
    if histogram.sum_bits == STALE:
        return
    total = histogram.zero_count
    for sign in ("positive", "negative"):
        spans = getattr(histogram, f"{sign}_spans")
        assert all(offset >= 0 for offset, _ in spans[1:]), "a span before the one before"
        assert sum(length for _, length in spans) == len(getattr(histogram, f"{sign}_deltas"))
        total += sum(histogram.counts(sign).values())
    assert total == histogram.count if not math.isnan(histogram.sum) else total <= histogram.count


# The receiver

@dataclass
class Request:
    headers: dict
    raw: bytes
    plain: bytes
    version: str
    series: list
    metadata: list
    status: int = 0

    @property
    def sample_count(self):
        return sum(len(series.samples) for series in self.series)

    @property
    def histogram_count(self):
        return sum(len(series.histograms) for series in self.series)

    @property
    def exemplar_count(self):
        return sum(len(series.exemplars) for series in self.series)


@dataclass
class Reply:
    status: int = 204
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    # Whether an answer of 2xx to version 2.0 says what was written.
    says_written: bool = True


def accept(_):
    return Reply()


class Receiver:
    """Listens on a loopback port until `close`. `behaviour` is called with each request and returns a `Reply`."""

    def __init__(self, legacy_names=True):
        self.port = free_port()
        self.lock = threading.Lock()
        self.behaviour = accept
        self.legacy_names = legacy_names
        self.requests = []
        self.faults = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.handle(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, handler):
        raw = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        version = V2 if V2 in headers.get("content-type", "") else V1
        try:
            plain = unsnappy(raw)
            series, metadata = (read_v2 if version == V2 else read_v1)(plain)
            request = Request(headers, raw, plain, version, series, metadata)
            check_request(request, self.legacy_names)
        except Exception as fault:  # whatever is wrong is the test's to see
            with self.lock:
                self.faults.append(repr(fault))
            handler.send_error(400)
            return
        reply = self.behaviour(request)
        request.status = reply.status
        with self.lock:
            self.requests.append(request)
        handler.send_response(reply.status)
        if version == V2 and reply.says_written and 200 <= reply.status < 300:
            prefix = "X-Prometheus-Remote-Write"
            handler.send_header(f"{prefix}-Samples-Written", str(request.sample_count))
            handler.send_header(f"{prefix}-Histograms-Written", str(request.histogram_count))
            handler.send_header(f"{prefix}-Exemplars-Written", str(request.exemplar_count))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.status != 204:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        if reply.status != 204:
            handler.wfile.write(reply.body)

    # What came

    def taken(self):
        with self.lock:
            return [request for request in self.requests if 200 <= request.status < 300]

    def series(self, name=None, **labels):
        """All series of taken requests with this name and these labels, in the order they came in."""
        return [series for request in self.taken() for series in request.series
                if (name is None or series.name == name)
                and all(series.labels.get(key) == value for key, value in labels.items())]

    def only(self, name, **labels):
        found = self.series(name, **labels)
        assert len(found) == 1, f"{len(found)} series {name} {labels} among {sorted({s.name for s in self.series()})}"
        return found[0]

    def names(self):
        return {series.name for series in self.series()}

    def wait(self, name, timeout=10.0, **labels):
        wait_for(lambda: self.faults or self.series(name, **labels), f"series {name} {labels}", timeout)
        assert not self.faults, self.faults
        return self.series(name, **labels)

    def check_order(self):
        """The samples of each series, over all requests, came in order of time, and none twice."""
        last = {}
        for request in self.taken():
            for series in request.series:
                for sample in series.samples or series.histograms:
                    before = last.get(series.key, 0)
                    assert sample.timestamp > before, f"{series.labels}: {sample.timestamp} after {before}"
                    last[series.key] = sample.timestamp
