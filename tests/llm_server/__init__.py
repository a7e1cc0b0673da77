"""A loopback server that speaks OpenAI's chat completions, to test against over real HTTP.

In a test:

    with LoopbackServer(brain, faults={"429": 0.1}) as server:
        server.script("500", Reply("{}"), Failure(401, "no such key"))
        ...  # point a client at server.base_url
        assert server.peak == 4

A brain is a function from a request's body to the content of the assistant's message. It must
answer equal bodies alike: each answer is remembered and given again without asking the brain.
For other processes, `python -m tests.llm_server` serves the scripted scientist.
"""

from __future__ import annotations

from tests.llm_server.faults import ABSURD_TEXTS, ALL_FAULTS
from tests.llm_server.loopback import LoopbackServer
from tests.llm_server.records import Record
from tests.llm_server.replies import Failure, Reply

__all__ = ["ABSURD_TEXTS", "ALL_FAULTS", "Failure", "LoopbackServer", "Record", "Reply"]
