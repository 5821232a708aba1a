#!/usr/bin/env python3
"""Compares our JSON codec with the published protobuf package on random messages.

usage: roundtrip.py CODEC [CASES] [SEED]      CODEC is the executable of Tests/Conformance/Codec

Each case is a random request or response. Its canonical encoding and a scrambled one go through our encoder, whose
text must mean what the package's parser reads; the package's text, rewritten in the ways OTLP allows, and our own text
must decode to the canonical bytes. Needs the PyPI package opentelemetry-proto. Exits 1 at the first difference."""
import base64
import json
import random
import struct
import subprocess
import sys

from otlpjson import IDS, ROOTS, fill, random_request, scramble, to_object


class Codec:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, command, name, data):
        frame = bytes([command, len(name)]) + name.encode() + struct.pack("<I", len(data)) + data
        self.process.stdin.write(frame)
        self.process.stdin.flush()
        status, size = struct.unpack("<BI", self.process.stdout.read(5))
        return status, self.process.stdout.read(size)

    def encode(self, name, data):
        return self.run(0, name, data)

    def decode(self, name, text):
        return self.run(1, name, text)


def respell(value, rnd, key=""):
    """The same message in other JSON that OTLP allows."""
    if isinstance(value, dict):
        members = [(name, respell(member, rnd, name)) for name, member in value.items()]
        if rnd.random() < 0.1:
            members.insert(rnd.randrange(len(members) + 1), ("unknown_key", [1.5e3, {"a": [None, True]}, "\u00e9\n"]))
        if rnd.random() < 0.1 and "schemaUrl" not in value:
            members.append(("schemaUrl", None))
        return dict(members)
    if isinstance(value, list):
        return [respell(element, rnd, key) for element in value]
    if isinstance(value, bool) or value is None:
        return value
    if key in IDS:
        return value.upper() if rnd.random() < 0.5 else value
    if key == "bytesValue":
        if rnd.random() < 0.5:
            value = value.rstrip("=")
        return value.replace("+", "-").replace("/", "_") if rnd.random() < 0.5 else value
    is_64_bit = key in ("intValue", "asInt", "count", "zeroCount", "bucketCounts") or key.endswith("UnixNano") \
        or key.startswith("rejected")
    if isinstance(value, str) and is_64_bit and rnd.random() < 0.5:
        return int(value)
    if isinstance(value, (int, float)) and rnd.random() < 0.3:
        return str(value)
    return value


def check(codec, name, seed):
    message, rnd = random_request(name, seed)
    canonical = message.SerializeToString(deterministic=True)
    scrambled = scramble(canonical, message.DESCRIPTOR, rnd)
    for data in (canonical, scrambled):
        meant = ROOTS[name].FromString(data)
        meant.DiscardUnknownFields()
        status, text = codec.encode(name, data)
        assert status == 0, f"encoder refused: {text.decode()}"
        assert json.loads(text) == json.loads(json.dumps(to_object(meant))), "encoder's text differs"
        status, back = codec.decode(name, text)
        assert status == 0, f"decoder refused our text: {back.decode()}"
        assert ROOTS[name].FromString(back) .SerializeToString(deterministic=True) == \
            meant.SerializeToString(deterministic=True), "our text decodes to another message"
    text = json.dumps(respell(to_object(message), rnd), ensure_ascii=rnd.random() < 0.5,
                      indent=rnd.choice((None, None, 1)))
    status, back = codec.decode(name, text.encode())
    assert status == 0, f"decoder refused: {back.decode()}"
    assert ROOTS[name].FromString(back).SerializeToString(deterministic=True) == canonical, "decoded message differs"


def main():
    codec = Codec(sys.argv[1])
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for case in range(cases):
        name = list(ROOTS)[case % len(ROOTS)]
        try:
            check(codec, name, f"{seed}.{case}")
        except AssertionError as problem:
            print(f"{name}, case {case} of seed {seed}: {problem}")
            return 1
    print(f"{cases} cases agree (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
