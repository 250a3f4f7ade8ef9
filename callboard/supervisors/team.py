"""Pure: the supervisor agent. An agent with a team gets the ``delegate`` tool; its calls become child runs."""

from __future__ import annotations

from collections.abc import Mapping

from callboard.config.spec import AgentSpec, ToolSpec

DELEGATE = "delegate"


def equip(spec: AgentSpec, descriptions: Mapping[str, str]) -> AgentSpec:
    """``spec`` with the ``delegate`` tool if it has a team. ``descriptions`` says of each agent what it is for."""
    if not spec.team:
        return spec
    members = "\n".join(f"- {name}: {descriptions.get(name) or 'no description'}" for name in spec.team)
    delegate = ToolSpec(
        name=DELEGATE,
        kind="spawn",
        effect="idempotent",
        description=(
            "Give a task to a member of your team and get their result. Delegations made in one turn run at the same "
            f"time. The members are:\n{members}"
        ),
        parameters={
            "type": "object",
            "properties": {
                "agent": {"type": "string", "enum": list(spec.team), "description": "Who does it."},
                "task": {"type": "string", "description": "All that they need to know: they see nothing else."},
            },
            "required": ["agent", "task"],
            "additionalProperties": False,
        },
    )
    return spec.model_copy(update={"tools": (*spec.tools, delegate)})
