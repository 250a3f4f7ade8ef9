"""The smallest callboard: an agent, a question, an answer. Everything it needs is started, and ended, for you."""

from pathlib import Path

from callboard import Agent

with Agent(Path(__file__).with_name("agents.yaml"), "hello") as hello:
    print(hello.chat("Ada"))
