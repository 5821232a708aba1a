"""Libraries of C that are loaded before the C library of the process under test."""
import shutil
import subprocess
from pathlib import Path

import pytest


def shared_library(name, directory):
    """`support/NAME.c` compiled; skips the test without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    library = Path(directory) / f"{name}.so"
    source = Path(__file__).parent / f"{name}.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
