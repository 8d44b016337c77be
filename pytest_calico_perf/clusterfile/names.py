"""Names as Kubernetes and SSH spell them: types of fields that refuse whatever an API server would refuse.

Nothing that passes here can be an option of a command, leave a folder, or break a line.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, StrictStr

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:(?P<prefix>{_SUBDOMAIN})/)?{_WORD}"
_VALUE = rf"(?:{_WORD})?"
_ITEM = rf"(?:{_WORD}\s*)?"  # the blanks belong to the word: else there were many ways to share them out
_LONGEST_SUBDOMAIN = 253
_LONGEST_SELECTOR = 1000  # it travels in a URL

# One requirement of a label selector (kubernetes docs, concepts/overview/working-with-objects/labels).
_REQUIREMENT = re.compile(
    rf"\s*(?:!\s*{_KEY}"
    rf"|{_KEY.replace('prefix', 'prefix2')}"
    rf"(?:\s*(?:=|==|!=)\s*{_VALUE}|\s+(?:in|notin)\s*\(\s*{_ITEM}(?:,\s*{_ITEM})*\))?)\s*"
)
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")

# Both end up in tokens of ssh_config, which a ProxyCommand hands to a shell (CVE-2023-51385). An alias may
# have underscores; a user of a Windows domain, a backslash.
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@\\-]{0,254}")
_HOP = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>[^@:]+)(?::(?P<port>[0-9]{1,5}))?")

LAST_PORT = 65535


def is_subdomain(text: str) -> bool:
    """Whether it is a DNS subdomain of RFC 1123, in small letters: the name of nearly everything."""
    return len(text) <= _LONGEST_SUBDOMAIN and re.fullmatch(_SUBDOMAIN, text) is not None


def is_label_key(text: str) -> bool:
    """Whether it can be the key of a label or taint: `example.com/role`, `role`."""
    match = re.fullmatch(_KEY, text)
    return match is not None and len(match["prefix"] or "") <= _LONGEST_SUBDOMAIN


def is_label_value(text: str) -> bool:
    """Whether it can be the value of a label or taint; empty is one."""
    return re.fullmatch(_VALUE, text) is not None


def is_host(text: str) -> bool:
    """Whether ssh can be asked for it: a host's name, an alias of ssh_config, or an address."""
    try:
        ip_address(text)
    except ValueError:
        # Numbers and dots alone are meant as an address.
        return _HOST.fullmatch(text) is not None and re.fullmatch(r"[0-9.]+", text) is None
    return "%" not in text


def is_user(text: str) -> bool:
    """Whether a host may know a user by it; those of a Windows domain (`ann@corp`) are users, too."""
    return _USER.fullmatch(text) is not None


class Hop(NamedTuple):
    """A host to go through.

    Attributes:
        host: Its name, an alias of ssh_config, or an IPv4 address.
        user: Who logs in; None: as ssh_config has it.
        port: TCP port; None: as ssh_config has it.
    """

    host: str
    user: str | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `[user@]host[:port]`; None if it is none. The port may be of any size."""
        match = _HOP.fullmatch(text)
        if match is None or not is_host(match["host"]):
            return None
        if match["user"] is not None and not is_user(match["user"]):
            return None
        return cls(match["host"], match["user"], int(match["port"]) if match["port"] else None)


def is_port(number: int) -> bool:
    """Whether TCP has such a port that somebody can listen at."""
    return 0 < number <= LAST_PORT


def _subdomain(text: str) -> str:
    if not is_subdomain(text):
        raise ValueError("should be small letters, digits, dashes and dots, as Kubernetes names are")
    return text


def _label(text: str) -> str:
    if re.fullmatch(_LABEL, text) is None:
        raise ValueError("should be at most 63 small letters, digits and dashes, as a namespace's name is")
    return text


def _selector(text: str) -> str:
    if len(text) > _LONGEST_SELECTOR:
        raise ValueError(f"should be at most {_LONGEST_SELECTOR} characters long")
    for requirement in _COMMA_OUTSIDE_PARENTHESES.split(text) if text.strip() else ():
        if _REQUIREMENT.fullmatch(requirement) is None:
            raise ValueError("should be a label selector such as `zone=a,disk in (ssd, nvme),!spot`")
    return text.strip()


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("should be a host's name or address")
    return text


def _user(text: str) -> str:
    if not is_user(text):
        raise ValueError("should be a user's name")
    return text


ObjectName = Annotated[StrictStr, AfterValidator(_subdomain)]
NamespaceName = Annotated[StrictStr, AfterValidator(_label)]
Selector = Annotated[StrictStr, AfterValidator(_selector)]
HostName = Annotated[StrictStr, AfterValidator(_host)]
UserName = Annotated[StrictStr, AfterValidator(_user)]
