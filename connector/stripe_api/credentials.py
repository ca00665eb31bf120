"""The environment, or the files it names → the key and the webhook secrets."""

import re
from collections.abc import Mapping
from pathlib import Path

from connector.core.errors import ConfigError, masked, why_unread

WITHOUT_KEY = (
    "no Stripe key: set STRIPE_API_KEY to a restricted key that may only read, or "
    "STRIPE_API_KEY_FILE to a file that holds it"
)
UNSIGNED = (
    "no webhook secret: without it anybody could send events. Set "
    "STRIPE_WEBHOOK_SECRET, or STRIPE_WEBHOOK_SECRET_FILE to a file's path"
)
COPY_IT = (
    "copy the endpoint's signing secret (whsec_…) from Stripe's Dashboard; "
    "`stripe-nrr webhook-setup URL` says how to make an endpoint"
)
UNLIKE_ONE = (
    "a webhook secret does not look like one: it begins with whsec_ and has no spaces; "
    "several have commas in between"
)
MAKE_A_KEY = (
    "make a restricted key in Stripe's Dashboard, under Developers, API keys, and "
    "export it; `stripe-nrr demo` needs none"
)


def stripe_key(environ: Mapping[str, str], file: Path | None = None) -> str:
    """The API key, from an account's own ``file``.

    Without one from STRIPE_API_KEY or the file that STRIPE_API_KEY_FILE names.
    """
    key = _secret(environ, "STRIPE_API_KEY", file, "key_file")
    if not key and file is not None:
        fault = f"no Stripe key: {file}, an account's key_file, is empty"
        fix = "write a restricted key that may only read into it"
        raise ConfigError([fault], fix=fix)
    if not key:
        raise ConfigError([WITHOUT_KEY], fix=MAKE_A_KEY)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        fault = "the Stripe key has spaces or characters no key has: copy it again"
        raise ConfigError([fault], source=str(file or "STRIPE_API_KEY"))
    return key


def has_key(environ: Mapping[str, str]) -> bool:
    """Whether one is named at all; it may still be none that Stripe knows."""
    return any(environ.get(f"STRIPE_API_KEY{end}", "").strip() for end in ("", "_FILE"))


def key_livemode(key: str) -> bool | None:
    """The mode that a key is for; None where it does not say."""
    mode = re.match(r"(?:sk|rk|pk)_(?:org_)?(live|test)_", key)
    return None if mode is None else mode[1] == "live"


def webhook_secrets(
    environ: Mapping[str, str], file: Path | None = None
) -> tuple[str, ...]:
    """The signing secrets from STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE.

    Or from an account's own ``file``. Several, with commas in between, while one takes
    over from another.
    """
    given = _secret(environ, "STRIPE_WEBHOOK_SECRET", file, "webhook_secret_file")
    secrets = tuple(each for part in given.split(",") if (each := part.strip()))
    if not secrets:
        raise ConfigError([UNSIGNED], fix=COPY_IT)
    if not all(re.fullmatch(r"whsec_[\x21-\x7e]+", each) for each in secrets):
        raise ConfigError([UNLIKE_ONE], source=str(file or "STRIPE_WEBHOOK_SECRET"))
    return secrets


def _secret(environ: Mapping[str, str], name: str, file: Path | None, key: str) -> str:
    """What the account's ``file`` holds, which ``key`` names, and nothing else.

    Without one the variable, else the file that ``name``_FILE names; else nothing.
    """
    if file is not None:
        return _content(file, key)
    given = environ.get(name, "").strip()
    path = environ.get(f"{name}_FILE")
    return _content(path, f"{name}_FILE") if path and not given else given


def _content(path: Path | str, named_by: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        shown = masked(repr(str(path)))
        fault = f"{named_by} {shown} cannot be read: {why_unread(error)}"
        raise ConfigError([fault], source=named_by) from error


ORGANIZATION = "sk_org_"


def account_headers(key: str, stripe_account: str | None) -> dict[str, str]:
    """What tells Stripe whose a request is, where the key is of several accounts.

    A platform's key (Connect) names the connected account; an organization's key, and a
    way through several accounts, need the newer header. ``ConfigError`` where an
    organization's key names none: Stripe would refuse it.
    """
    if stripe_account is None:
        if key.startswith(ORGANIZATION):
            fault = "the key is an organization's, and says no account"
            fix = 'write an [[account]] for each, with stripe_account = "acct_…"'
            raise ConfigError([fault], fix=fix)
        return {}
    is_within = key.startswith(ORGANIZATION) or "/" in stripe_account
    return {"Stripe-Context" if is_within else "Stripe-Account": stripe_account}


def shown(key: str) -> str:
    """A key as it may appear in a message: its kind and its last four characters."""
    kind = re.match(r"(?:[a-z]+_(?:org_)?(?:live_|test_)|[a-z]+_org_)?", key)
    known = kind[0] if kind is not None else ""
    return f"{known}…{key[-4:]}" if len(key) > len(known) + 8 else f"{known}…"
