"""One message of the Model Context Protocol → what is answered to it, in the SDK's types.

The SDK's own server comes with a web server, which takes as long to import as all the rest
twice over; its types alone say what is right. Both ways of the protocol are spoken: the
one that begins with ``initialize``, and the newer one where every request names its
version.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import mcp_types as types
from mcp_types.version import (
    HANDSHAKE_PROTOCOL_VERSIONS,
    LATEST_HANDSHAKE_VERSION,
    MODERN_PROTOCOL_VERSIONS,
)
from pydantic import BaseModel, TypeAdapter, ValidationError

NEWER_FIELDS = {"result_type", "ttl_ms", "cache_scope"}  # older peers know none of them
CAPABILITIES = types.ServerCapabilities(tools=types.ToolsCapability(list_changed=False))


class Service(NamedTuple):
    """``call`` gives a tool's result by its name and arguments, whatever these are."""

    name: str
    version: str
    instructions: str
    tools: Sequence[types.Tool]
    call: Callable[[str, dict[str, Any]], types.CallToolResult]

    @property
    def info(self) -> types.Implementation:
        return types.Implementation(name=self.name, version=self.version)


class _Refused(Exception):
    """No error of this program, but its answer."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        self.error = types.ErrorData(code=code, message=message, data=data)


def answered(line: bytes, service: Service) -> bytes | None:
    """A line of JSON for a request; None for what wants no answer."""
    try:
        message = types.jsonrpc_message_adapter.validate_python(
            json.loads(line), by_name=False
        )
    except ValidationError:
        return _unread(types.INVALID_REQUEST, "this is no message")
    except (ValueError, RecursionError):
        return _unread(types.PARSE_ERROR, "this is no JSON")
    if not isinstance(message, types.JSONRPCRequest):
        return None
    try:
        told = _result(message.method, message.params or {}, service)
    except _Refused as refused:
        return _refusal(message.id, refused.error)
    except Exception:  # noqa: BLE001 (one wrong answer must not end the session)
        traceback.print_exc(file=sys.stderr)
        failed = types.ErrorData(code=types.INTERNAL_ERROR, message="this failed")
        return _refusal(message.id, failed)
    return _line({"jsonrpc": "2.0", "id": message.id, "result": told})


def _unread(code: int, message: str) -> bytes:
    return _refusal(None, types.ErrorData(code=code, message=message))


def _result(method: str, params: Mapping[str, Any], service: Service) -> dict[str, Any]:
    newer = _newer_version(params)
    if newer is not None and newer not in MODERN_PROTOCOL_VERSIONS:
        known = list(MODERN_PROTOCOL_VERSIONS)
        raise _Refused(
            types.UNSUPPORTED_PROTOCOL_VERSION,
            "this version of the protocol is not spoken",
            {"supported": known, "requested": newer},
        )
    made = _made(method, params, service, is_newer=newer is not None)
    left_out = set() if newer is not None else NEWER_FIELDS
    told = made.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude=left_out
    )
    if newer is not None:
        info = service.info.model_dump(mode="json", by_alias=True, exclude_none=True)
        told["_meta"] = {types.SERVER_INFO_META_KEY: info}
    return told


def _newer_version(params: Mapping[str, Any]) -> str | None:
    """The version that the request itself names; None in the older way."""
    meta = params.get("_meta")
    named = (
        meta.get(types.PROTOCOL_VERSION_META_KEY) if isinstance(meta, dict) else None
    )
    return named if isinstance(named, str) else None


def _made(
    method: str, params: Mapping[str, Any], service: Service, *, is_newer: bool
) -> BaseModel:
    match method:
        case "server/discover" if is_newer:
            return types.DiscoverResult(
                supported_versions=list(MODERN_PROTOCOL_VERSIONS),
                capabilities=CAPABILITIES,
                instructions=service.instructions,
            )
        case "initialize" if not is_newer:
            asked = _read(types.InitializeRequestParams, params).protocol_version
            is_known = asked in HANDSHAKE_PROTOCOL_VERSIONS
            return types.InitializeResult(
                protocol_version=asked if is_known else LATEST_HANDSHAKE_VERSION,
                capabilities=CAPABILITIES,
                server_info=service.info,
                instructions=service.instructions,
            )
        case "ping":
            return types.EmptyResult(result_type="complete" if is_newer else None)
        case "tools/list":
            return types.ListToolsResult(tools=list(service.tools))
        case "tools/call":
            call = _read(types.CallToolRequestParams, params)
            return service.call(call.name, call.arguments or {})
    raise _Refused(types.METHOD_NOT_FOUND, "there is no such method", method[:100])


def _read(kind: type[Any], params: Mapping[str, Any]) -> Any:
    try:
        return TypeAdapter(kind).validate_python(params, by_name=False)
    except ValidationError:
        raise _Refused(types.INVALID_PARAMS, "these are no such parameters") from None


def _refusal(number: int | str | None, error: types.ErrorData) -> bytes:
    told = error.model_dump(mode="json", exclude_none=True)
    return _line({"jsonrpc": "2.0", "id": number, "error": told})


def _line(message: Mapping[str, Any]) -> bytes:
    """ASCII: no character in it ends a line for anybody."""
    return json.dumps(message).encode("ascii") + b"\n"
