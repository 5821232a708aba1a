"""The instrumentations under test: which program, where, which scenarios, and what they leave out."""
from dataclasses import dataclass, field, replace

from .scenarios import (
    ANTHROPIC, CACHED, HAIKU, HAIKU_AFTER_TOOL, HAIKU_CACHED, HAIKU_TOOL, OPENAI, OPUS, REASONING, WRITTEN)


@dataclass(frozen=True)
class Library:
    name: str
    environment: str
    #: Names of scenarios.
    scenarios: tuple
    program: str = ""
    #: By scenario: what its spans say, where the library leaves something out or gets it wrong. A collector cannot know
    #: better; the cost is that of what they say.
    says: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict)
    #: `gen_ai.cost.source` of what it prices itself.
    cost_source: str = "collector"

    def replies(self, scenario):
        """What the trace's spans should add up to."""
        return self.says.get(scenario.name, scenario.replies if scenario.is_priced else ())


def names(scenarios, without=()):
    return tuple(scenario.name for scenario in scenarios if scenario.name not in without)


ALL_OPENAI, ALL_ANTHROPIC = names(OPENAI), names(ANTHROPIC)
NO_SDK_SPANS = {"ANTHROPIC_OPEN_TELEMETRY": "false"}

# Without the tokens written to the cache: 20000 × 2 + 30000 × 0.2 + 1000 × 10.
NOT_WRITTEN = replace(WRITTEN, cache_write=0, cost="0.056")
# Without any of the cache: 50000 × 2 + 1000 × 10; 12000 × 2.5 + 800 × 10; 20000 × 1.25 + 3000 × 10.
WRITTEN_UNCACHED = replace(WRITTEN, cache_read=0, cache_write=0, cost="0.11")
CACHED_UNCACHED = replace(CACHED, cache_read=0, cost="0.038")
REASONING_UNCACHED = replace(REASONING, cache_read=0, reasoning=0, cost="0.055")
# All writes taken for those of five minutes: 5000 × 4 + 30000 × 0.2 + 5000 × 5 + 2000 × 20.
NO_HOUR = replace(OPUS, cache_write_1h=0, cost="0.091")


def one_more(reply, cost):
    """OpenLLMetry adds the output tokens of a stream's first event, 1 here, to the final count, which includes them."""
    return replace(reply, output=reply.output + 1, cost=cost)


OPENLLMETRY_OPENAI = {
    "chat-written": (NOT_WRITTEN,), "responses-written": (NOT_WRITTEN,),
    "chat-reasoning-stream": (replace(REASONING, reasoning=0),)}
AGENT_SCENARIOS = (
    "chat", "chat-stream", "chat-cached", "chat-cached-stream", "chat-reasoning", "chat-reasoning-stream", "chat-tools",
    "chat-tools-stream", "chat-401", "chat-500", "chat-stream-429", "responses", "responses-stream", "responses-tools",
    "responses-429")
ANTHROPIC_AGENT_SCENARIOS = (
    "messages", "messages-stream", "messages-cached", "messages-cached-stream", "messages-hour", "messages-thinking",
    "messages-tools", "messages-tools-stream", "messages-401", "messages-429", "messages-500")

LIBRARIES = (
    # Two spans for each call of Anthropic: the library's and the SDK's own, which says more and counts.
    Library("openllmetry", "openllmetry", ALL_OPENAI + ALL_ANTHROPIC, says=OPENLLMETRY_OPENAI),
    Library("openinference", "openinference", ALL_OPENAI + ALL_ANTHROPIC),
    Library("otel", "otel", ALL_OPENAI + ALL_ANTHROPIC),
    # It knows no Responses API.
    Library("otel_v2", "otel_v2", tuple(name for name in ALL_OPENAI if not name.startswith("responses")), says={
        "chat-cached": (CACHED_UNCACHED,), "chat-cached-stream": (CACHED_UNCACHED,),
        "chat-reasoning": (REASONING_UNCACHED,), "chat-reasoning-stream": (REASONING_UNCACHED,),
        "chat-written": (WRITTEN_UNCACHED,)}),
    Library("sdk", "otel", ALL_ANTHROPIC),
    # As with older SDKs, which have no spans of their own.
    Library("openllmetry-alone", "openllmetry", ALL_ANTHROPIC, program="openllmetry", variables=NO_SDK_SPANS, says={
        "messages-hour": (NO_HOUR,),
        "messages-thinking": (replace(HAIKU, input=700, output=5120, cost="0.0263"),),
        "messages-stream": (one_more(HAIKU, "0.004155"),),
        "messages-stream-async": (one_more(HAIKU, "0.004155"),),
        "messages-stream-helper": (one_more(HAIKU, "0.004155"),),
        "messages-cached-stream": (one_more(HAIKU_CACHED, "0.031005"),),
        "messages-cached-stream-helper": (one_more(HAIKU_CACHED, "0.031005"),),
        "messages-hour-stream": (one_more(NO_HOUR, "0.09102"),),
        "messages-tools-stream": (one_more(HAIKU_TOOL, "0.00092"), one_more(HAIKU_AFTER_TOOL, "0.000915"))}),
    Library("openinference-alone", "openinference", ALL_ANTHROPIC, program="openinference", variables=NO_SDK_SPANS),
    Library("otel-alone", "otel", ALL_ANTHROPIC, program="otel", variables=NO_SDK_SPANS, says={
        "messages-hour": (NO_HOUR,), "messages-hour-stream": (NO_HOUR,)}),
    Library("agents", "agents", AGENT_SCENARIOS),
    Library("pydantic", "pydantic", AGENT_SCENARIOS + ANTHROPIC_AGENT_SCENARIOS, says={
        "chat-reasoning-stream": (replace(REASONING, reasoning=0),)}),
    # What Pydantic AI computed itself is kept.
    Library("pydantic-alone", "pydantic", AGENT_SCENARIOS + ANTHROPIC_AGENT_SCENARIOS, program="pydantic",
            variables={**NO_SDK_SPANS, "WITHOUT_OPENLLMETRY": "true"}, cost_source="instrumentation", says={
                "messages-thinking": (replace(HAIKU, input=700, output=5120, cost="0.0263"),)}),
    Library("langchain", "langchain", AGENT_SCENARIOS + ANTHROPIC_AGENT_SCENARIOS + ("embeddings",)),
)
