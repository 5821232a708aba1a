"""Every YAML under examples/ and deploy/: Martlet's own configurations pass `martlet validate`, also those inside
ConfigMaps and Compose files; the rest parses. And the configurations that the documents show are valid too."""
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("examples", "deploy")
DOCUMENTS = ("README.md", "docs/**/*.md", "examples/**/*.md")


def is_configuration(path):
    return path.name == "config.yaml" or path.name.startswith("martlet")


def yaml_files():
    return sorted(path for folder in FOLDERS for suffix in ("yaml", "yml") for path in
                  (ROOT / folder).rglob(f"*.{suffix}"))


def looks_like_configuration(text):
    """Whether a text inside another file is a collector's configuration, not just any YAML."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return "receivers:" in text and "service:" in text
    return isinstance(content, dict) and {"receivers", "exporters", "service"} <= content.keys()


def embedded_in(document):
    """(name, text) of the texts that a Kubernetes ConfigMap or a Compose file holds."""
    if not isinstance(document, dict):
        return
    if document.get("kind") == "ConfigMap":
        yield from (document.get("data") or {}).items()
    for name, entry in (document.get("configs") or {}).items():
        if isinstance(entry, dict) and "content" in entry:
            # Compose reads $$ as one dollar.
            yield name, entry["content"].replace("$$", "$")


def embedded_configurations():
    found = []
    for path in yaml_files():
        if is_configuration(path):
            continue
        for document in yaml.safe_load_all(path.read_text()):
            found += [(path, name, text) for name, text in embedded_in(document) if looks_like_configuration(text)]
    return found


def documented_configurations():
    found = []
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            blocks = re.findall(r"^```yaml\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL)
            found += [(path, number, text) for number, text in enumerate(blocks, 1) if looks_like_configuration(text)]
    return found


def name_of(case):
    path, *rest = case if isinstance(case, tuple) else (case,)
    return ":".join([str(path.relative_to(ROOT)), *map(str, rest[:1])])


@pytest.fixture(scope="module")
def binary():
    path = Path(os.environ.get("MARTLET_BIN", ROOT / ".build/release/martlet"))
    assert path.is_file(), f"{path} is not there: run `make build`, or set MARTLET_BIN"
    return path


def validate(binary, configuration, directory):
    return subprocess.run([binary, "validate", "--config", str(configuration)], cwd=directory, capture_output=True,
                          text=True, timeout=30)


@pytest.mark.parametrize("path", [path for path in yaml_files() if is_configuration(path)], ids=name_of)
def test_configuration(binary, path, tmp_path):
    outcome = validate(binary, path, tmp_path)
    # In a container the listener is open by design: the network around it is closed.
    said = [line for line in outcome.stderr.splitlines() if "is open to everybody who reaches it" not in line]
    assert outcome.returncode == 0 and not said, outcome.stderr


@pytest.mark.parametrize("case", embedded_configurations() + documented_configurations(), ids=name_of)
def test_embedded_configuration(binary, case, tmp_path):
    configuration = tmp_path / "config.yaml"
    configuration.write_text(case[2])
    outcome = validate(binary, configuration, tmp_path)
    # In a container the listener is open by design: the network around it is closed.
    said = [line for line in outcome.stderr.splitlines() if "is open to everybody who reaches it" not in line]
    assert outcome.returncode == 0 and not said, outcome.stderr


@pytest.mark.parametrize("path", [path for path in yaml_files() if not is_configuration(path)], ids=name_of)
def test_other_yaml_parses(path):
    documents = list(yaml.safe_load_all(path.read_text()))
    assert documents and all(isinstance(document, dict) for document in documents)


def test_something_is_checked():
    assert any(is_configuration(path) for path in yaml_files())
    assert {path.name for path, *_ in embedded_configurations()} >= {"compose.yaml", "kubernetes.yaml"}


def test_a_wrong_configuration_is_found(binary, tmp_path):
    configuration = tmp_path / "config.yaml"
    configuration.write_text("receivers: {otlp: {protocols: {http: {endpiont: 1}}}}\nexporters: {debug: }\n"
                             "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n")
    outcome = validate(binary, configuration, tmp_path)
    assert outcome.returncode == 2
    assert "endpiont" in outcome.stderr and "endpoint" in outcome.stderr


def test_texts_that_are_no_configuration():
    assert not looks_like_configuration("a: 1")
    assert not looks_like_configuration("just text")
    assert looks_like_configuration("receivers: {}\nexporters: {}\nservice: {}")
    assert list(embedded_in({"kind": "ConfigMap", "data": {"a": "b"}})) == [("a", "b")]
    assert list(embedded_in({"configs": {"a": {"content": "x: $${env:Y}"}}})) == [("a", "x: ${env:Y}")]
