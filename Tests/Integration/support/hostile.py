"""Protobuf bytes that no well-meaning client sends, written by hand."""

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field, wire_type):
    return varint(field << 3 | wire_type)


def message(field, content):
    return tag(field, LENGTH) + varint(len(content)) + content


def nested(levels, wrap, innermost=b""):
    """`innermost` inside `levels` messages; `wrap` lists the field numbers of one level, outermost first."""
    parts = []
    size = len(innermost)
    for _ in range(levels):
        for field in reversed(wrap):
            prefix = tag(field, LENGTH) + varint(size)
            parts.append(prefix)
            size += len(prefix)
    return b"".join(reversed(parts)) + innermost


def in_span(content):
    """A request with one span of these fields, after valid ids."""
    ids = message(1, b"\x01" * 16) + message(2, b"\x02" * 8)
    return message(1, message(2, message(2, ids + content)))


def in_value(content):
    """A request with one span that has one attribute of this AnyValue."""
    return in_span(message(9, message(1, b"key") + message(2, content)))


# What is refused as a whole, by name.
REFUSED = {
    "array in array": in_value(nested(100_000, [5, 1])),
    "map in map": in_value(nested(70_000, [6, 1, 2])),
    "just too deep": in_value(nested(120, [5, 1])),
    "a million empty spans": message(1, message(2, b"\x12\x00" * 500_000)),
    "length of 2^63": tag(1, LENGTH) + varint(2**63) + b"x",
    "length of 2^64 - 1": tag(1, LENGTH) + varint(2**64 - 1) + b"x",
    "length of 2^31": tag(1, LENGTH) + varint(2**31) + b"x" * 100,
    "length of 2^31 in a span": in_span(tag(5, LENGTH) + varint(2**31)),
    "length one too long": tag(1, LENGTH) + varint(3) + b"\x12\x00",
    "inner length past the outer": message(1, tag(2, LENGTH) + varint(1000)) + b"\x12" * 2000,
    "overlong varint as tag": b"\x8a" + b"\x80" * 10 + b"\x00",
    "overlong varint as value": in_span(tag(6, VARINT) + b"\xff" * 11 + b"\x01"),
    "varint without end": in_span(tag(6, VARINT) + b"\xff" * 9),
    "varint of 70 bits": in_span(tag(6, VARINT) + b"\xff" * 9 + b"\x7f"),
    "tag 0": b"\x00\x00",
    "field 0": b"\x02\x00",
    "wire type 6": b"\x0e\x00",
    "wire type 7": b"\x0f\x00",
    "end of a group": tag(1, END_GROUP),
    "unfinished group": tag(15, START_GROUP) * 1000,
    "invalid UTF-8 in a name": in_span(message(5, b"\xff\xfe")),
    "surrogates in a name": in_span(message(5, b"\xed\xa0\x80")),
    "overlong UTF-8 in a name": in_span(message(5, b"\xc0\xaf")),
    "invalid UTF-8 in a key": in_span(message(9, message(1, b"\x80"))),
    "invalid UTF-8 in a value": in_value(message(1, b"\xf5\x80\x80\x80")),
    "invalid UTF-8 in a status": in_span(message(15, message(2, b"\xff"))),
    "varint for a message": tag(1, VARINT) + b"\x01",
    "message for a fixed64": in_span(message(7, b"12345678")),
    "fixed32 for a fixed64": in_span(tag(7, FIXED32) + b"1234"),
    "truncated fixed64": in_span(tag(7, FIXED64) + b"1234"),
    "varint for a string": in_span(tag(5, VARINT) + b"\x01"),
    "two values in a oneof": in_value(message(1, b"text") + tag(3, VARINT) + b"\x01"),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "JSON": b'{"resourceSpans":[]}',
    "zeros": b"\x00" * 1000,
    "ones": b"\xff" * 1000,
}

# What is valid, if odd: (request, spans rejected).
ODD = {
    "empty": (b"", 0),
    "unknown fields everywhere": (in_span(tag(200, VARINT) + b"\x01" + message(536_870_911, b"\xff\xff")), 0),
    "300,000 empty resources": (b"\x0a\x00" * 300_000, 0),
    "300,000 empty scopes": (message(1, b"\x12\x00" * 300_000), 0),
    "200,000 empty spans": (message(1, message(2, b"\x12\x00" * 200_000)), 200_000),
    "a span with 100,000 empty events": (in_span(b"\x5a\x00" * 100_000), 0),
    "a span with 100,000 empty attributes": (in_span(b"\x4a\x00" * 100_000), 0),
    "nested within the limit": (in_value(nested(20, [5, 1])), 0),
    "a name of 900 KB": (in_span(message(5, b"n" * 900_000)), 0),
    "a repeated name": (in_span(message(5, b"first") * 10_000), 0),
    "a long varint for a small number": (in_span(tag(6, VARINT) + b"\x82\x80\x00"), 0),
    "all zero ids": (message(1, message(2, message(2, message(1, bytes(16)) + message(2, bytes(8))))), 1),
}
