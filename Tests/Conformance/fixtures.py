#!/usr/bin/env python3
"""Writes Tests/Fixtures/otlp: requests as protobuf (.pb) and as the JSON that the published package makes of them,
with OTLP's deviations, spelled as our encoder spells it (.json). Needs the PyPI package opentelemetry-proto."""
from pathlib import Path

from otlpjson import ROOTS, random_request, to_object, to_text

TARGET = Path(__file__).resolve().parents[1] / "Fixtures" / "otlp"
CASES = 6
SIZES = range(400, 6000)


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in ROOTS:
        written = seed = 0
        while written < (CASES if name.endswith("Request") else 2):
            message, _ = random_request(name, f"fixture {seed}")
            seed += 1
            data = message.SerializeToString(deterministic=True)
            if name.endswith("Request") and len(data) not in SIZES:
                continue
            (TARGET / f"{name}.{written}.pb").write_bytes(data)
            (TARGET / f"{name}.{written}.json").write_text(to_text(to_object(message)), encoding="utf-8")
            written += 1


if __name__ == "__main__":
    main()
