"""Configuration: sources, substitution, merging, and errors that say where and what."""
import os
import re
import subprocess

import pytest
import yaml

from support import wire
from support.otlp import traces
from support.ports import free_port
from support.process import configuration, to_sink

GOOD = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:4318
processors:
  batch:
    timeout: 1s
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:4319
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlp_http]
"""


@pytest.fixture
def check(binary, tmp_path):
    """Runs `validate`; returns (exit code, standard error)."""
    def run(*arguments, text=None, env=None, command="validate"):
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
            arguments = ("--config", "config.yaml", *arguments)
        outcome = subprocess.run([binary, command, *arguments], cwd=tmp_path, capture_output=True, text=True,
                                 timeout=20, env={**os.environ, **(env or {})})
        return outcome.returncode, outcome.stderr
    return run


def test_a_good_one(check):
    assert check(text=GOOD) == (0, "")


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


WRONG = {
    "unknown key": ("endpoint: 127.0.0.1:4318", "endpiont: 127.0.0.1:4318", "5:9", ["endpiont", "endpoint"]),
    "unknown key of a processor": ("timeout: 1s", "time_out: 1s", "8:5", ["time_out", "timeout"]),
    "unknown top-level key": ("exporters:\n  otlp_http:", "exporter:\n  otlp_http:", "9:1", ["exporter", "exporters"]),
    "unknown type": ("otlp_http", "otlp_htp", "10:3", ["otlp_htp", "otlp_http"]),
    "bad duration": ("timeout: 1s", "timeout: soon", "8:14", ["timeout", "soon"]),
    "bad endpoint": ("127.0.0.1:4318", "127.0.0.1:99999", "5:19", ["endpoint"]),
    "bad URL": ("http://127.0.0.1:4319", "ftp://x", "11:15", ["endpoint"]),
    "a list for a mapping": ("    timeout: 1s", "    - 1", "8:5", ["batch"]),
    "undefined exporter": ("exporters: [otlp_http]", "exporters: [otlp_http/x]", "17:19", ["otlp_http/x"]),
    "undefined receiver": ("receivers: [otlp]", "receivers: [otpl]", "15:19", ["otpl"]),
    "unknown signal": ("    traces:\n", "    tracs:\n", "14:5", ["tracs", "traces"]),
    "refused key": ("timeout: 1s", "timeout: 1s\n    metadata_keys: [a, A]", "9:20", ["metadata_keys"]),
    "broken YAML": ("timeout: 1s", "timeout: [1s", "9:1", ["YAML"]),
    "duplicate key": ("    timeout: 1s", "    timeout: 1s\n    timeout: 2s", "9:5", ["timeout"]),
    "tab": ("    timeout: 1s", "\ttimeout: 1s", "8:1", ["YAML"]),
    "not implemented": ("endpoint: 127.0.0.1:4318", "tls: {}", "5:9", ["tls"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_say_where_and_what(check, name):
    old, new, position, words = WRONG[name]
    code, errors = check(text=changed(old, new))
    assert code == 2
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    line = int(position.split(":")[0])
    # Parsers may point at either end of a value: the line must be right, the column present.
    assert any(re.match(rf"error: config\.yaml:{line}:\d+: ", entry) for entry in lines), errors
    assert all(word in errors for word in words), errors
    if name in ("unknown key", "unknown type", "bad duration", "undefined exporter"):
        assert f"config.yaml:{position}: " in errors, errors


def test_all_errors_at_once(check):
    text = changed("timeout: 1s", "timeout: soon\n    nonsense: 1").replace("127.0.0.1:4318", "x:y:z")
    code, errors = check(text=text)
    assert code == 2 and len([line for line in errors.splitlines() if line.startswith("error: ")]) == 3, errors


def test_run_refuses_what_validate_refuses(check):
    code, errors = check(text=changed("timeout: 1s", "timeout: soon"), command="run")
    assert code == 2 and "config.yaml:8:14" in errors


@pytest.mark.parametrize("source", ["missing.yaml", "/", "env:NOT_SET_AT_ALL", "http://127.0.0.1/x", "yaml:just text"])
def test_unusable_sources(check, source):
    code, errors = check("--config", source)
    assert code == 2 and errors.startswith("error: ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "a", "[]", "service:\n", "service: {pipelines: {}}\n", "\x00", "%",
                                  "a: &a [*a]\n", "a: *b\n", "{" * 5000, "- " * 5000])
def test_no_configuration_at_all(check, text):
    code, errors = check(text=text)
    assert code == 2 and "error: " in errors and len(errors) < 4000


def test_aliases_do_not_explode(check):
    """Nine levels of nine aliases would be 387 million values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for number in range(1, 10):
        levels.append(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]")
    code, _ = check(text="\n".join(levels))
    assert code == 2


def test_substitution(check):
    text = changed("http://127.0.0.1:4319", "${env:TARGET}").replace("1s", "${TIMEOUT:-2s}")
    assert check(text=text, env={"TARGET": "http://127.0.0.1:1"}) == (0, "")
    code, errors = check(text=text, env={"TARGET": "http://127.0.0.1:1", "TIMEOUT": "soon"})
    assert code == 2 and "8:14" in errors
    code, errors = check(text=text)
    assert code == 2 and "TARGET" in errors and "not set" in errors
    code, errors = check(text=changed("http://127.0.0.1:4319", "$TARGET"))
    assert code == 2 and "11:15" in errors


def test_a_secret_is_not_printed(check):
    text = changed("    endpoint: http://127.0.0.1:4319", "    headers: {Authorization: \"${env:TOKEN}\", Bad Name: x}")
    code, errors = check(text=text, env={"TOKEN": "very-secret-token"})
    assert code == 2 and "very-secret-token" not in errors


def test_what_is_not_used_is_a_warning(check):
    code, errors = check(text=changed("service:", "  nop:\nservice:"))
    assert code == 0 and errors.startswith("warning: ") and "nop" in errors


# ---- the same, at work


@pytest.mark.parametrize("endpoint, is_open", [
    ("127.0.0.1:4318", False), ("localhost:4318", False), ('"[::1]:4318"', False), ("127.8.8.8:4318", False),
    ("0.0.0.0:4318", True), ('"[::]:4318"', True), ("192.0.2.1:4318", True), ("collector.example:4318", True),
    ('":4318"', True)])
def test_open_listeners_are_warned_about(check, tmp_path, endpoint, is_open):
    """A listener that others reach, with neither TLS nor authentication, over either protocol."""
    for kind in ("http", "grpc"):
        text = changed("      http:\n        endpoint: 127.0.0.1:4318", f"      {kind}:\n        endpoint: {endpoint}")
        code, said = check(text=text)
        assert code == 0
        assert ("is open to everybody who reaches it" in said) == is_open, said
        if is_open:
            assert f"warning: config.yaml:5:19: receivers::otlp::protocols::{kind}::endpoint" in said
        # With either of them it is not open.
        for name in ("cert", "key"):
            (tmp_path / name).write_text("")
        guarded = text.replace(f"endpoint: {endpoint}", f"endpoint: {endpoint}\n        auth: {{authenticator: basicauth}}")
        guarded = guarded.replace("service:\n", "extensions:\n  basicauth: {htpasswd: {inline: 'a:b'}}\n"
                                  "service:\n  extensions: [basicauth]\n")
        assert "is open to everybody" not in check(text=guarded)[1]
        secured = text.replace(f"endpoint: {endpoint}", f"endpoint: {endpoint}\n        tls: {{cert_file: cert, key_file: key}}")
        assert "is open to everybody" not in check(text=secured)[1]


def test_own_metrics_have_no_tls(check):
    """A key that would promise more than there is gets an error, not silence."""
    for key in ("tls", "auth", "tls_config"):
        text = GOOD.replace("service:\n", "service:\n  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: "
                            f"{{host: 127.0.0.1, port: 8888, {key}: {{cert_file: x}}}}}}}}}}]}}}}\n")
        code, said = check(text=text)
        assert code == 2 and "prometheus" in said and f'"{key}"' in said, said


def test_substitution_merge_and_set_at_work(launch, sinks, tmp_path):
    """The destination is changed by a variable, by a second file, and by --set, in this order of strength."""
    sinks = [sinks() for _ in range(4)]
    config = configuration({"otlp_http": to_sink(sinks[0])})
    config["exporters"]["otlp_http"]["endpoint"] = "${env:DESTINATION}"
    second = tmp_path / "second.yaml"
    second.write_text(yaml.safe_dump({"exporters": {"otlp_http": {"endpoint": sinks[2].endpoint}}}))
    env = {**os.environ, "DESTINATION": sinks[1].endpoint}
    cases = [
        (sinks[1], []),
        (sinks[2], ["--config", str(second)]),
        (sinks[3], ["--config", f"file:{second}", "--set", f"exporters.otlp_http.endpoint={sinks[3].endpoint}"]),
        (sinks[0], ["--config", f"yaml:exporters::otlp_http::endpoint: {sinks[0].endpoint}"]),
    ]
    for sink, arguments in cases:
        martlet = launch(config, args=arguments, env=env)
        assert martlet.post(traces(1)).status == 200
        sink.wait_for_spans(1)
        assert martlet.stop() == 0
    assert [len(sink.deliveries) for sink in sinks] == [1] * 4


def test_a_configuration_in_the_environment(launch, sink):
    config = configuration({"otlp_http": to_sink(sink)})
    env = {**os.environ, "MARTLET_CONFIGURATION": yaml.safe_dump(config)}
    martlet = launch(config, ready=False, env=env)
    martlet.path.write_text("{}\n")
    martlet.args = ["--config", "env:MARTLET_CONFIGURATION"]
    martlet.start()
    assert martlet.post(traces(1)).status == 200
    sink.wait_for_spans(1)


def test_other_paths_and_two_receivers(launch, sink):
    config = configuration({"otlp_http": to_sink(sink)}, http={"traces_url_path": "/own/traces"})
    other = free_port()
    config["receivers"]["otlp/2"] = {"protocols": {"http": {"endpoint": f"127.0.0.1:{other}"}}}
    config["service"]["pipelines"]["traces"]["receivers"].append("otlp/2")
    martlet = launch(config)
    assert martlet.post(traces(1), path="/own/traces").status == 200
    assert martlet.post(traces(1)).status == 404
    assert wire.post(other, traces(1)).status == 200
    sink.wait_for_spans(2)


def test_a_wrong_command_line(binary):
    for arguments, said in (
            (["nonsense"], 'unknown command "nonsense"'),
            (["rnu"], "did you mean run?"),
            (["run", "--nonsense"], 'unknown option "--nonsense"'),
            (["run", "--confg=x.yaml"], "did you mean --config?"),
            (["run", "-x"], 'unknown option "-x"'),
            (["run", "--shutdown-timeout"], "--shutdown-timeout needs a value"),
            (["run", "--shutdown-timeout", "soon"], "--shutdown-timeout must be a duration"),
            (["run", "other"], 'unexpected "other"'),
            (["prices", "cost", "--model", "m", "--json=1"], "--json takes no value"),
            (["prices", "cost", "--model", "m", "--input", "many"], "--input must be a whole number"),
            (["prices", "show"], "<model> is missing"),
            (["generate", "--profile", "odd"], "--profile must be one of"),
            (["generate", "--rate", "inf"], "--rate must be a number")):
        outcome = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10)
        assert outcome.returncode == 2 and outcome.stderr.startswith("error: "), arguments
        assert said in outcome.stderr and outcome.stderr.count("\n") == 1, (arguments, outcome.stderr)
        assert outcome.stdout == ""


def test_other_verbs(binary):
    def run(*arguments):
        return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=10, check=True).stdout
    assert re.fullmatch(r"martlet version \d+\.\d+\.\d+\n", run("version"))
    components = yaml.safe_load(run("components"))
    assert {"otlp"} <= {entry["name"] for entry in components["receivers"]}
    assert {"batch", "memory_limiter"} <= {entry["name"] for entry in components["processors"]}
    assert "Usage: martlet <command>" in run("--help") and run("--help") == run("help") == run()
    assert run("--version") == run("version").split()[-1] + "\n"
    for verb in re.findall(r"^  (\w+) ", run("--help"), re.MULTILINE):
        assert f"Usage: martlet {verb}" in run(verb, "--help") == run(verb, "-h") == run("help", verb)
