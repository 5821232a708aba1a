"""Nothing but the SDKs: Anthropic's writes spans by itself, OpenAI's does not."""
from . import calls, session


def instrument(_):
    pass


session.run("sdk", instrument, calls.run)
