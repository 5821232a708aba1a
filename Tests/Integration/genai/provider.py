"""A stand-in for the HTTP APIs of OpenAI and Anthropic, on a free loopback port.

The first part of the path names the scenario: `http://127.0.0.1:PORT/chat-cached/v1/chat/completions`. Which of its
replies is due is the number of tool results in the request, so that it keeps no state. A request that a provider would
refuse is refused, and remembered in `faults`."""
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import replies
from .scenarios import BY_NAME

APIS = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/embeddings": "embeddings",
        "/v1/messages": "messages"}
MAXIMUM_BODY = 1 << 20


class Refused(Exception):
    pass


class Provider:
    def __init__(self):
        self.numbers = itertools.count(1)
        #: (scenario, reply) of what was answered, in order.
        self.served = []
        self.faults = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.provider = self
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):  # noqa: N802, the name is http.server's
        provider = self.server.provider
        length = int(self.headers.get("Content-Length", 0))
        name, _, path = self.path.split("?")[0][1:].partition("/")
        api = APIS.get("/" + path)
        try:
            if not 0 < length <= MAXIMUM_BODY:
                raise Refused(f"a body of {length} bytes")
            request = json.loads(self.rfile.read(length))
            scenario = BY_NAME.get(name)
            if scenario is None or api != scenario.api:
                raise Refused(f"no such scenario: {self.path}")
            reply = self.reply_due(scenario, request)
        except (ValueError, Refused) as fault:
            provider.faults.append(f"{self.path}: {fault}")
            self.answer(400, replies.error(api or "chat", 400, str(fault)))
            return
        number = next(provider.numbers)
        provider.served.append((scenario, reply))
        if reply.status != 200:
            self.answer(reply.status, replies.error(api, reply.status))
        elif request.get("stream"):
            self.stream(self.events(api, reply, number, request))
        else:
            make = {"chat": replies.chat, "responses": replies.response, "embeddings": replies.embedding,
                    "messages": replies.message}[api]
            self.answer(200, make(reply, number))

    def reply_due(self, scenario, request):
        is_messages = scenario.api == "messages"
        has_key = self.headers.get("Authorization", "").startswith("Bearer ")
        if not has_key and not (is_messages and self.headers.get("x-api-key")):
            raise Refused("no key")
        if is_messages and not self.headers.get("anthropic-version"):
            raise Refused("no anthropic-version")
        if is_messages and not request.get("max_tokens"):
            raise Refused("no max_tokens")
        if request.get("stream_options") and not request.get("stream"):
            raise Refused("stream_options without stream")
        done = sum(map(_is_tool_result, _items(request)))
        if done >= len(scenario.replies):
            raise Refused(f"{done} tool results, but {scenario.name} has {len(scenario.replies)} replies")
        reply = scenario.replies[done]
        if request.get("model") != reply.model:
            raise Refused(f"asks for {request.get('model')}, not {reply.model}")
        if reply.tier and request.get("service_tier") != reply.tier:
            raise Refused(f"asks for the tier {request.get('service_tier')}, not {reply.tier}")
        return reply

    @staticmethod
    def events(api, reply, number, request):
        if api == "chat":
            return replies.chat_stream(reply, number, bool((request.get("stream_options") or {}).get("include_usage")))
        return (replies.response_stream if api == "responses" else replies.message_stream)(reply, number)

    def head(self, status, content_type, extra):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("request-id", "req_0")
        self.send_header("x-request-id", "req_0")
        self.send_header(*extra)
        self.end_headers()

    def answer(self, status, body):
        payload = json.dumps(body).encode()
        self.head(status, "application/json", ("Content-Length", str(len(payload))))
        self.wfile.write(payload)

    def stream(self, events):
        """Server-sent events, each in a chunk of its own. A client that leaves early is no fault."""
        try:
            self.head(200, "text/event-stream; charset=utf-8", ("Transfer-Encoding", "chunked"))
            for event in events:
                payload = event.encode()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload))
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


def _items(request):
    """The messages of a request and, of those with blocks, the blocks."""
    given = request.get("messages") or request.get("input") or []
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict):
            yield item
            if isinstance(item.get("content"), list):
                yield from (block for block in item["content"] if isinstance(block, dict))


def _is_tool_result(item):
    return item.get("role") == "tool" or item.get("type") in ("function_call_output", "tool_result")
