"""What is called and what it costs. Standard library only: the programs in `apps` import it too.

The costs are by hand, in dollars; the sums beside them are tokens × dollars per million tokens. Prices per million:

    model                    input  cached  written  written 1h  output
    gpt-4o-mini               0.15   0.075        -           -     0.6
    gpt-4o                    2.5    1.25         -           -    10
    gpt-5                     1.25   0.125        -           -    10
    gpt-5-mini, flex          0.125  0.0125       -           -     1
    gpt-6-sol                 2      0.2        2.5           -    10
    text-embedding-3-small    0.02      -         -           -     -
    claude-haiku-4-5          1      0.1       1.25           2     5
    claude-opus-5-5           4      0.2       5              8    20
"""
from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True)
class Reply:
    """An answer of the provider. Counts are what the conventions call them: `input` includes what was read from and
    written to a cache, `cache_write` includes what is written for an hour, `output` includes reasoning."""
    api: str
    model: str
    cost: str
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    #: The model's name in the answer, when it is not the one asked for.
    answers_as: str = ""
    tier: str = ""
    #: The answer is a call of the tool `weather`.
    calls_tool: bool = False
    #: HTTP status; others than 200 carry an error of the provider's form.
    status: int = 200

    @property
    def provider(self):
        return "anthropic" if self.api == "messages" else "openai"

    @property
    def dollars(self):
        return Decimal(self.cost or 0)


@dataclass(frozen=True)
class Scenario:
    """Calls in one trace. The number of tool results in a request says which reply is due."""
    name: str
    replies: tuple
    #: How the program calls: `plain`, `async`, `stream`, `stream-async`, `stream-helper`; `blind`, a stream that
    #: does not ask for usage; `abort`, a stream that is left after its first event.
    how: str = "plain"

    @property
    def api(self):
        return self.replies[0].api

    @property
    def streams(self):
        return self.how.startswith(("stream", "blind", "abort"))

    @property
    def is_priced(self):
        """Whether the client learns what was used."""
        return self.how not in ("blind", "abort") and all(reply.status == 200 for reply in self.replies)


MINI = Reply("chat", "gpt-4o-mini", answers_as="gpt-4o-mini-2024-07-18", input=1200, output=340,
             cost="0.000384")  # 1200 × 0.15 + 340 × 0.6
CACHED = Reply("chat", "gpt-4o", answers_as="gpt-4o-2024-08-06", input=12_000, cache_read=10_240, output=800,
               cost="0.0252")  # 1760 × 2.5 + 10240 × 1.25 + 800 × 10
REASONING = Reply("chat", "gpt-5", answers_as="gpt-5-2025-08-07", input=20_000, cache_read=15_000, output=3000,
                  reasoning=2000, cost="0.038125")  # 5000 × 1.25 + 15000 × 0.125 + 3000 × 10
FLEX = Reply("chat", "gpt-5-mini", answers_as="gpt-5-mini-2025-08-07", input=100_000, output=5000, tier="flex",
             cost="0.0175")  # 100000 × 0.125 + 5000 × 1
WRITTEN = Reply("chat", "gpt-6-sol", input=50_000, cache_read=30_000, cache_write=10_000, output=1000,
                cost="0.061")  # 10000 × 2 + 30000 × 0.2 + 10000 × 2.5 + 1000 × 10
TOOL = replace(MINI, input=150, output=18, calls_tool=True, cost="0.0000333")  # 150 × 0.15 + 18 × 0.6
AFTER_TOOL = replace(MINI, input=190, output=25, cost="0.0000435")  # 190 × 0.15 + 25 × 0.6

RESPONSE = replace(REASONING, api="responses", input=9000, cache_read=4096, output=1500, reasoning=1024,
                   cost="0.021642")  # 4904 × 1.25 + 4096 × 0.125 + 1500 × 10
RESPONSE_WRITTEN = replace(WRITTEN, api="responses")
RESPONSE_TOOL = replace(TOOL, api="responses")
RESPONSE_AFTER_TOOL = replace(AFTER_TOOL, api="responses")
EMBEDDING = Reply("embeddings", "text-embedding-3-small", input=8191, cost="0.00016382")  # 8191 × 0.02

HAIKU = Reply("messages", "claude-haiku-4-5", answers_as="claude-haiku-4-5-20251001", input=2100, output=410,
              cost="0.00415")  # 2100 × 1 + 410 × 5
HAIKU_CACHED = replace(HAIKU, input=60_000, cache_read=50_000, cache_write=4000, output=3000,
                       cost="0.031")  # 6000 × 1 + 50000 × 0.1 + 4000 × 1.25 + 3000 × 5
OPUS = Reply("messages", "claude-opus-5-5", input=40_000, cache_read=30_000, cache_write=5000, cache_write_1h=2000,
             output=2000, cost="0.097")  # 5000 × 4 + 30000 × 0.2 + 3000 × 5 + 2000 × 8 + 2000 × 20
THINKING = replace(HAIKU, input=700, output=5120, reasoning=4000, cost="0.0263")  # 700 × 1 + 5120 × 5
HAIKU_TOOL = replace(HAIKU, input=640, output=55, calls_tool=True, cost="0.000915")  # 640 × 1 + 55 × 5
HAIKU_AFTER_TOOL = replace(HAIKU, input=720, output=38, cost="0.00091")  # 720 × 1 + 38 × 5


def failing(reply, status):
    return Reply(reply.api, reply.model, cost="", status=status)


OPENAI = (
    Scenario("chat", (MINI,)),
    Scenario("chat-async", (MINI,), how="async"),
    Scenario("chat-stream", (MINI,), how="stream"),
    Scenario("chat-stream-async", (MINI,), how="stream-async"),
    Scenario("chat-cached", (CACHED,)),
    Scenario("chat-cached-stream", (CACHED,), how="stream"),
    Scenario("chat-reasoning", (REASONING,)),
    Scenario("chat-reasoning-stream", (REASONING,), how="stream"),
    Scenario("chat-flex", (FLEX,)),
    Scenario("chat-written", (WRITTEN,)),
    Scenario("chat-tools", (TOOL, AFTER_TOOL)),
    Scenario("chat-tools-stream", (TOOL, AFTER_TOOL), how="stream"),
    Scenario("chat-blind", (MINI,), how="blind"),
    Scenario("chat-abort", (MINI,), how="abort"),
    Scenario("chat-401", (failing(MINI, 401),)),
    Scenario("chat-429", (failing(MINI, 429),)),
    Scenario("chat-500", (failing(MINI, 500),)),
    Scenario("chat-stream-429", (failing(MINI, 429),), how="stream"),
    Scenario("responses", (RESPONSE,)),
    Scenario("responses-async", (RESPONSE,), how="async"),
    Scenario("responses-stream", (RESPONSE,), how="stream"),
    Scenario("responses-written", (RESPONSE_WRITTEN,)),
    Scenario("responses-tools", (RESPONSE_TOOL, RESPONSE_AFTER_TOOL)),
    Scenario("responses-429", (failing(RESPONSE, 429),)),
    Scenario("embeddings", (EMBEDDING,)),
    Scenario("embeddings-async", (EMBEDDING,), how="async"),
    Scenario("embeddings-500", (failing(EMBEDDING, 500),)),
)
ANTHROPIC = (
    Scenario("messages", (HAIKU,)),
    Scenario("messages-async", (HAIKU,), how="async"),
    Scenario("messages-stream", (HAIKU,), how="stream"),
    Scenario("messages-stream-async", (HAIKU,), how="stream-async"),
    Scenario("messages-stream-helper", (HAIKU,), how="stream-helper"),
    Scenario("messages-cached", (HAIKU_CACHED,)),
    Scenario("messages-cached-stream", (HAIKU_CACHED,), how="stream"),
    Scenario("messages-cached-stream-helper", (HAIKU_CACHED,), how="stream-helper"),
    Scenario("messages-hour", (OPUS,)),
    Scenario("messages-hour-stream", (OPUS,), how="stream"),
    Scenario("messages-thinking", (THINKING,)),
    Scenario("messages-tools", (HAIKU_TOOL, HAIKU_AFTER_TOOL)),
    Scenario("messages-tools-stream", (HAIKU_TOOL, HAIKU_AFTER_TOOL), how="stream"),
    Scenario("messages-401", (failing(HAIKU, 401),)),
    Scenario("messages-429", (failing(HAIKU, 429),)),
    Scenario("messages-500", (failing(HAIKU, 500),)),
    Scenario("messages-stream-429", (failing(HAIKU, 429),), how="stream"),
)
BY_NAME = {scenario.name: scenario for scenario in OPENAI + ANTHROPIC}
