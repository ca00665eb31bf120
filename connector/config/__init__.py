"""config.toml and the environment → ``Config``, or every fault at once.

Each field of ``Config`` that can be set says its key, and has a default: no file at all
is a configuration. A key that nobody knows is a fault: a typo must not become a default.
Read ``settings`` first, then ``file``.
"""

from connector.config.accounts import accounts_of, file_of
from connector.config.file import load, parse
from connector.config.settings import KEYS, Config, rules_of
from connector.config.values import DEFAULT_LOCALE, ListenAddress, listen_address

__all__ = [
    "DEFAULT_LOCALE",
    "KEYS",
    "Config",
    "ListenAddress",
    "accounts_of",
    "file_of",
    "listen_address",
    "load",
    "parse",
    "rules_of",
]
