"""Database URLs in messages: everything but the secrets."""

from __future__ import annotations

import re

_USER_PART = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^:@/?#]*):(.*)@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&](?:password|sslpassword|oauth_client_secret)=)([^&#]*)", re.IGNORECASE)


def redact_url(url: str) -> str:
    """The URL with ``***`` for every password in it, fit for logs and errors.

    A password may hold unescaped ``@`` or ``/`` by mistake, so all up to the last ``@`` is taken for it:
    rather a word too few than a secret too many.
    """
    return _SECRET_PARAMETER.sub(r"\1***", _USER_PART.sub(r"\1:***@", url))


def has_secret(url: str) -> bool:
    """Whether the URL carries a password, so that a parser's message about it must not be shown."""
    return bool(_USER_PART.search(url) or _SECRET_PARAMETER.search(url))
