"""What is answered to each message, and that answering touches nothing but the ledger."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION

from connector.assistants.protocol import Service, answered
from tests.support.commands import Workdir
from tests.support.folders import ROOT
from tests.support.small_ledger import GROWS, lay_out

META = {"_meta": {types.PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION}}
INFO = {"name": "someone", "version": "1"}
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": INFO}


def call(name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    if name == "broken":
        raise ValueError(name)
    text = types.TextContent(type="text", text=json.dumps(arguments))
    return types.CallToolResult(content=[text])


SERVICE = Service("test", "1.0", "Ask.", [], call)


def asked(method: str, params: Any = None, number: Any = 1) -> Any:
    message = {"jsonrpc": "2.0", "id": number, "method": method}
    return told({**message, **({} if params is None else {"params": params})})


def told(message: Any) -> Any:
    line = message if isinstance(message, bytes) else json.dumps(message).encode()
    found = answered(line, SERVICE)
    return None if found is None else json.loads(found)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/delete", None, types.METHOD_NOT_FOUND),
        ("resources/list", {}, types.METHOD_NOT_FOUND),
        ("server/discover", {}, types.METHOD_NOT_FOUND),
        ("initialize", META, types.METHOD_NOT_FOUND),
        ("initialize", {}, types.INVALID_PARAMS),
        ("initialize", {**HELLO, "protocolVersion": 3}, types.INVALID_PARAMS),
        ("tools/call", None, types.INVALID_PARAMS),
        ("tools/call", {"name": 7}, types.INVALID_PARAMS),
        ("tools/call", {"name": "x", "arguments": [1]}, types.INVALID_PARAMS),
        ("tools/call", {"name": "broken"}, types.INTERNAL_ERROR),
        (
            "tools/list",
            {"_meta": {types.PROTOCOL_VERSION_META_KEY: "2199-01-01"}},
            types.UNSUPPORTED_PROTOCOL_VERSION,
        ),
    ],
)
def test_a_wrong_request_is_refused(method: str, params: Any, code: int) -> None:
    found = asked(method, params, "a")
    assert (found["id"], found["error"]["code"]) == ("a", code)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", types.PARSE_ERROR),
        (b"\xff\xfe", types.PARSE_ERROR),
        (b"[]", types.INVALID_REQUEST),
        (b"7", types.INVALID_REQUEST),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', types.INVALID_REQUEST),
    ],
)
def test_what_is_no_message_is_refused(line: bytes, code: int) -> None:
    found = told(line)
    assert (found["id"], found["error"]["code"]) == (None, code)


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"a": 1}},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
    ],
)
def test_what_asks_nothing_is_not_answered(message: Any) -> None:
    assert told(message) is None


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_each_older_version_is_spoken_as_asked(version: str) -> None:
    found = asked("initialize", {**HELLO, "protocolVersion": version})["result"]
    assert found["protocolVersion"] == version
    assert found["instructions"] == "Ask."
    assert not {"resultType", "ttlMs", "_meta"} & {
        *found,
        *asked("tools/list")["result"],
    }
    assert asked("ping")["result"] == {}


def test_an_unknown_older_version_is_answered_by_the_newest_of_them() -> None:
    found = asked("initialize", {**HELLO, "protocolVersion": "2199-01-01"})["result"]
    assert found["protocolVersion"] == HANDSHAKE_PROTOCOL_VERSIONS[-1]


def test_the_newer_way_says_what_it_must() -> None:
    for method in ("server/discover", "tools/list", "ping", "tools/call"):
        found = asked(method, {"name": "x", **META})["result"]
        assert found["resultType"] == "complete"
        assert found["_meta"][types.SERVER_INFO_META_KEY]["name"] == "test"


# The server itself


async def _session(workdir: Workdir, mode: str) -> Any:
    command, *arguments = workdir.command("mcp")
    started = StdioServerParameters(
        command=command,
        args=arguments,
        env=workdir.environment(),
        cwd=workdir.folder,
    )
    async with Client(stdio_client(started), mode=mode) as client:
        await client.list_tools()
        return await client.call_tool("explain_customer", {"customer": GROWS})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_sdk_s_client_understands_both_ways(mode: str, tmp_path: Path) -> None:
    workdir = Workdir(tmp_path, key=None)
    lay_out(tmp_path, "Ada")
    found = asyncio.run(_session(workdir, mode))
    assert found.structured_content["result"]["label"] == "Ada"


WATCHED = """
import os, sys

class Environment(dict):
    def seen(self, name):
        if "KEY" in name or "SECRET" in name:
            print("READ", name, file=sys.stderr)
    def __getitem__(self, name):
        self.seen(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self.seen(name)
        return super().get(name, default)

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
def watch(event, given):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.remove",
                         "os.rename", "os.mkdir", "os.posix_spawn", "os.system")):
        print("DID", event, given, file=sys.stderr)
    if event == "open" and (given[2] or 0) & WRITING:
        print("WROTE", given, file=sys.stderr)

os.environ = Environment(os.environ)
sys.dont_write_bytecode = True
sys.argv = ["stripe-nrr", "mcp"]
from connector.cli.app import main
sys.addaudithook(watch)
try:
    main()
finally:
    print("CPU", sum(os.times()[:2]), file=sys.stderr)
    print("MODULES", *sys.modules, file=sys.stderr)
"""
CALLS = [
    ("overview", {}),
    ("retention", {"by": "plan", "causes": True}),
    ("explain_window", {"window": "2024-03"}),
    ("explain_customer", {"customer": GROWS}),
    ("movements", {}),
    ("at_risk", {}),
    ("cohorts", {}),
    ("coverage", {}),
]


def watched(folder: Path, *messages: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    """What is answered, and what the process was seen to do."""
    lines = [json.dumps({"jsonrpc": "2.0", **each}) for each in messages]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=folder,
        env={
            **{name: os.environ[name] for name in ("PATH",)},
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "STRIPE_API_KEY": "rk_test_never_read",
            "STRIPE_WEBHOOK_SECRET": "whsec_never_read",
        },
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(map(json.loads, done.stdout.splitlines())), done.stderr.splitlines()


def test_no_key_is_read_no_network_opened_and_nothing_written(tmp_path: Path) -> None:
    lay_out(tmp_path, "Ada")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    answers, seen = watched(
        tmp_path,
        {"id": 0, "method": "initialize", "params": HELLO},
        {"method": "notifications/initialized"},
        *(
            {
                "id": number,
                "method": "tools/call",
                "params": {"name": name, "arguments": given},
            }
            for number, (name, given) in enumerate(CALLS, 1)
        ),
    )
    assert [each["id"] for each in answers] == list(range(len(CALLS) + 1))
    assert not any(each["result"].get("isError") for each in answers)
    assert [line for line in seen if not line.startswith(("CPU", "MODULES"))] == []
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


HEAVY = (
    *("asyncio", "anyio", "starlette", "uvicorn", "httpx", "httpx2", "stripe", "mcp"),
    *("rich", "babel", "jinja2", "xlsxwriter", "pyarrow", "duckdb", "pandas"),
)


def test_it_starts_at_once(tmp_path: Path) -> None:
    """The least of some runs: this machine may do other things. With Python's own."""
    lay_out(tmp_path, "Ada")
    runs = [
        watched(
            tmp_path,
            {"id": 0, "method": "initialize", "params": HELLO},
            {"id": 1, "method": "tools/list"},
        )[1]
        for _ in range(3)
    ]
    [*_, cpu, modules] = runs[0]
    assert not {*modules.split()} & {*HEAVY}
    spent_s = min(float(line.split()[1]) for run in runs for line in [run[-2]])
    assert cpu.startswith("CPU")
    assert spent_s < 0.4
