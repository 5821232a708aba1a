"""Random messages through our JSON codec and the published package; see roundtrip.py."""
from pathlib import Path

import pytest

import roundtrip
from otlpjson import ROOTS

BUILD = Path(__file__).resolve().parents[2] / ".build"
CASES = 500


@pytest.fixture(scope="module")
def codec():
    built = [path for path in (BUILD / kind / "otlpjson-codec" for kind in ("debug", "release")) if path.exists()]
    assert built, "build it first: swift build --product otlpjson-codec"
    # The newest, so that nobody tests yesterday's code.
    return roundtrip.Codec(max(built, key=lambda path: path.stat().st_mtime))


@pytest.mark.parametrize("name", ROOTS)
def test_codec_agrees_with_the_published_package(codec, name):
    for case in range(CASES):
        roundtrip.check(codec, name, f"pytest.{case}")
