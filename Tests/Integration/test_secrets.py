"""Secrets of a configuration come out nowhere: a word of its own in each key that holds one, and a look at everything
that Martlet says."""
import base64
import copy
import itertools
import json
import os
import signal
import subprocess

import pytest
import yaml

from support import wire
from support.certificates import Authority
from support.otlp import traces
from support.ports import free_port
from support.process import configuration, to_sink
from support.sink import answer
from support.waiting import wait_for

_numbers = itertools.count(1)


class Words:
    """Words that nobody else says, by where they are used."""

    def __init__(self):
        self.all = {}

    def new(self, where):
        word = f"hush{next(_numbers):03d}{os.urandom(8).hex()}"
        self.all[word] = where
        return word

    def check(self, text, source):
        for word, where in self.all.items():
            for form in (word, base64.b64encode(word.encode()).decode().rstrip("=")):
                assert form not in text, f"the secret of {where} is in {source}"


def secretive(sink, words, tmp_path):
    """A configuration with a secret wherever one can be."""
    authority = Authority(tmp_path)
    server, client = authority.server(kind="rsa"), authority.client(kind="rsa")

    def key(where, issued):
        pem = issued.private.decode()
        # The middle of the key's text.
        words.all["".join(pem.splitlines()[1:-1])[40:80]] = where
        words.all[pem.splitlines()[2][:40]] = where
        return pem
    extensions = {
        "basicauth/server": {"htpasswd": {"inline": f"alice:{words.new('htpasswd.inline')}"}},
        "basicauth/client": {"client_auth": {"username": "bob", "password": words.new("client_auth.password")}},
        "bearertokenauth": {"token": words.new("token")},
        "bearertokenauth/many": {"tokens": [words.new("tokens[0]"), words.new("tokens[1]")]},
        "api_keys": {"keys": [{"key": words.new("keys.key"), "tenant": "red"}]},
        "headers_setter": {"headers": [
            {"key": "X-One", "value": words.new("headers_setter.value")},
            {"key": "X-Two", "from_context": "absent", "default_value": words.new("headers_setter.default_value")}]},
    }
    dead = f"127.0.0.1:{free_port()}"
    retry = {"initial_interval": "100ms", "max_interval": "100ms", "max_elapsed_time": "60s"}
    exporters = {
        "otlp_http": {**to_sink(sink), "headers": {"X-Key": words.new("otlp_http.headers")},
                      "auth": {"authenticator": "basicauth/client"}},
        "otlp_http/setter": {**to_sink(sink), "auth": {"authenticator": "headers_setter"}},
        "otlp_http/bearer": {**to_sink(sink), "auth": {"authenticator": "bearertokenauth"}},
        "otlp_http/proxy": {"endpoint": "http://localhost:1/", "retry_on_failure": retry,
                            "proxy_url": f"http://user:{words.new('proxy_url')}@{dead}"},
        "otlp_http/userinfo": {"endpoint": f"https://{dead}", "retry_on_failure": retry,
                               "tls": {"cert_pem": client.cert.decode(), "key_pem": key("client key_pem", client)}},
        "otlp_grpc": {"endpoint": f"http://{dead}", "retry_on_failure": retry,
                      "headers": {"authorization": words.new("otlp_grpc.headers")}},
        "prometheus_remote_write": {"endpoint": f"http://{dead}/", "headers": {"X-Key": words.new("remote write headers")}},
    }
    config = configuration(exporters, extensions=extensions, level="debug", pipelines={
        "traces": {"receivers": ["otlp", "otlp/basic", "otlp/tls", "otlp/keys"],
                   "exporters": [name for name in exporters if name != "prometheus_remote_write"]},
        "metrics": {"receivers": ["otlp"], "exporters": ["prometheus_remote_write"]}})

    def receiver(**options):
        return {"protocols": {"http": {"endpoint": f"127.0.0.1:{free_port()}", **options}}}
    config["receivers"].update({
        "otlp/basic": receiver(auth={"authenticator": "basicauth/server"},
                               response_headers={"X-Answer": words.new("response_headers")}),
        "otlp/keys": receiver(auth={"authenticator": "api_keys"}),
        "otlp/tls": receiver(tls={"cert_pem": server.cert.decode(), "key_pem": key("server key_pem", server)},
                             auth={"authenticator": "bearertokenauth/many"}),
    })
    config["service"]["telemetry"]["admin"] = {"reload": True, "auth": {"authenticator": "bearertokenauth"}}
    return config


def validate(binary, directory, config, env=None):
    path = directory / "validated.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))
    done = subprocess.run([binary, "validate", "--config", path], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout + done.stderr


def places(config, words):
    """Paths of everything in a configuration that holds one of the words."""
    def walk(node, path):
        if isinstance(node, dict):
            for key, value in node.items():
                yield from walk(value, [*path, key])
        elif isinstance(node, list):
            for index, value in enumerate(node):
                yield from walk(value, [*path, index])
        elif isinstance(node, str) and any(word in node.replace("\n", "") for word in words.all):
            yield path
    return list(walk(config, []))


def test_what_is_wrong_beside_a_secret_is_said_without_it(binary, sink, tmp_path):
    words = Words()
    config = secretive(sink, words, tmp_path)
    code, text = validate(binary, tmp_path, config)
    assert code == 0, text
    words.check(text, "validate")
    found = places(config, words)
    assert len(found) >= 14
    for path in found:
        def put(make):
            new = copy.deepcopy(config)
            node = new
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = make(node[path[-1]])
            return new, node
        wrong = [put(lambda value: [value])[0], put(lambda value: {value[:200]: value})[0], put(lambda value: {"x": value})[0]]
        # The secret under a key that does not exist.
        other, node = put(lambda value: value)
        if isinstance(path[-1], str):
            node[path[-1] + "x"] = node.pop(path[-1])
            wrong.append(other)
        for one in wrong[:1] + wrong[2:]:
            code, text = validate(binary, tmp_path, one)
            words.check(text, f"the errors about {path}")
        # And as text that is no YAML any more.
        broken = yaml.safe_dump(config, sort_keys=False) + "\n  ]broken: ["
        code, text = validate(binary, tmp_path, broken)
        assert code == 2
        words.check(text, "the errors of a text that is no YAML")


@pytest.mark.parametrize("proxy", ["ftp://user:{}@host", "user:{}@host:1", "http://user:{}@:0:0", "http://{}@"])
def test_addresses_that_are_wrong_are_shown_without_their_passwords(binary, sink, tmp_path, proxy):
    words = Words()
    for key in ("proxy_url", "endpoint"):
        config = configuration({"otlp_http": {**to_sink(sink), key: proxy.format(words.new(key))}})
        _, text = validate(binary, tmp_path, config)
        words.check(text, f"the errors about {key}")
    config = configuration({"otlp_grpc": {"endpoint": proxy.format(words.new("otlp_grpc endpoint"))}})
    _, text = validate(binary, tmp_path, config)
    words.check(text, "the errors about an endpoint")


def test_nothing_that_runs_says_a_secret(launch, sink, tmp_path):
    words = Words()
    config = secretive(sink, words, tmp_path)
    token = config["extensions"]["bearertokenauth"]["token"]
    martlet = launch(config)
    heard = []

    def get(path, method="GET", header=None):
        reply = wire.ask(martlet.metrics_port, wire.head(method, path, header), timeout=60)
        heard.append(f"{reply.status} {reply.headers} {reply.body.decode(errors='replace')}")
        return reply

    # Failing destinations, and clients that fail: without credentials, with wrong ones, and with those of others.
    sink.behaviour = answer(503)
    for _ in range(3):
        assert martlet.post(traces(2)).status == 200
    for name in ("otlp/basic", "otlp/keys"):
        port = int(config["receivers"][name]["protocols"]["http"]["endpoint"].split(":")[1])
        for header in ({}, {"Authorization": "Basic " + base64.b64encode(f"alice:{words.new('a guess')}".encode()).decode()},
                       {"Authorization": f"Bearer {words.new('a guess')}", "X-Api-Key": words.new("a guess")}):
            reply = wire.post(port, traces(1), headers=header)
            assert reply.status == 401
            heard.append(f"{reply.headers} {reply.body!r}".replace(
                next(word for word, where in words.all.items() if where == "response_headers"), ""))
    sink.wait_for_deliveries(6, timeout=30)
    wait_for(lambda: martlet.log.count("will retry") >= 4, "failures in the log", 30)
    # The destination answers with what it was sent.
    sink.behaviour = lambda delivery: answer(400, json.dumps(delivery.headers).encode())(delivery)
    wait_for(lambda: martlet.log.count("dropping data") >= 1, "refusals in the log", 30)

    bearer = {"Authorization": f"Bearer {token}"}
    for path in ("/metrics", "/debug/sampling", "/debug/", "/", "/-/reload"):
        get(path), get(path, header=bearer)
    # Reloads: good, bad and refused ones.
    for change in (lambda c: c["exporters"]["otlp_http"]["headers"].update({"X-Key": words.new("headers, reloaded")}),
                   lambda c: c["exporters"]["otlp_http"].update(headers=words.new("headers that are none")),
                   lambda c: c["extensions"]["bearertokenauth/many"].update(tokens={"x": words.new("tokens that are none")}),
                   lambda c: c["service"]["telemetry"]["admin"].update(reload=False)):
        new = copy.deepcopy(config)
        change(new)
        martlet.path.write_text(yaml.safe_dump(new, sort_keys=False))
        get("/-/reload", "POST", bearer)
    before = martlet.log.count("SIGHUP")
    martlet.signal(signal.SIGHUP)
    wait_for(lambda: martlet.log.count("SIGHUP") > before, "a reload", 30)
    get("/metrics", header=bearer)
    martlet.stop(timeout=60)
    words.check(martlet.log, "the log")
    words.check(martlet.output, "standard output")
    words.check("\n".join(heard), "an answer")
