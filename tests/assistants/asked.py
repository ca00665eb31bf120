"""A session of the SDK's own client with the server, over stdin and stdout."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.support.commands import Workdir

Question = tuple[str, Mapping[str, Any]]


def ask(
    workdir: Workdir, questions: Sequence[Question], *options: str
) -> tuple[list[Any], list[Any]]:
    """The tools declared, and the result of each call, all in one process."""
    return asyncio.run(_ask(workdir, questions, options))


async def _ask(
    workdir: Workdir, questions: Sequence[Question], options: Sequence[str]
) -> tuple[list[Any], list[Any]]:
    command, *arguments = workdir.command("mcp", *options)
    started = StdioServerParameters(
        command=command,
        args=arguments,
        env=workdir.environment(),
        cwd=workdir.folder,
    )
    async with Client(stdio_client(started)) as client:
        tools = (await client.list_tools()).tools
        results = [
            await client.call_tool(name, dict(given)) for name, given in questions
        ]
    return list(tools), results
