"""Shell: tools are functions that a model may call; this package makes, finds, runs and stops them."""

from callboard.tools.cap import Capped, cap
from callboard.tools.command import CommandResult, run_command
from callboard.tools.context import ToolContext
from callboard.tools.execute import ToolResult, execute, verify
from callboard.tools.files import file_tools
from callboard.tools.registry import Registry
from callboard.tools.threads import Running, still_running
from callboard.tools.tool import RESULT_LIMIT, AnyTool, Resolution, Tool, tool

__all__ = (
    "RESULT_LIMIT",
    "AnyTool",
    "Capped",
    "CommandResult",
    "Registry",
    "Resolution",
    "Running",
    "Tool",
    "ToolContext",
    "ToolResult",
    "cap",
    "execute",
    "file_tools",
    "run_command",
    "still_running",
    "tool",
    "verify",
)
