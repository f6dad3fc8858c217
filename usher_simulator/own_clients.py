"""Clients of servers on this machine: no profile, proxy or FIPS setting of its user comes between."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

# botocore sends loopback traffic to the proxy of HTTP_PROXY too, and takes no endpoint where FIPS is wanted.
DIRECT: Final = Config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)
_LOOPBACK: Final = "127.0.0.1"


def without_profile() -> Session:
    """A session that needs no profile: one that AWS_PROFILE names and nobody has made would be an error."""
    return Session(session_vars={"profile": (None, None, None, None)})


def own_client(service: str, url: str, region: str, config: Config | None = None, **keys: str) -> Any:  # noqa: ANN401 - the client of any service
    """A client of any service behind a URL of this machine."""
    merged = DIRECT.merge(config) if config else DIRECT
    return _session().client(service, endpoint_url=url, region_name=region, config=merged, **keys)


@cache
def _session() -> boto3.Session:
    """One for all, as boto3's default session is: it reads the models of the services once."""
    import boto3  # noqa: PLC0415 - a replay has botocore alone

    return boto3.Session(botocore_session=without_profile())


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by which programs on this machine reach it past the proxies that `environment` names.

    In both spellings: some programs read the one alone, and others prefer either.
    """
    before = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name for name in before.split(",") if name and name != _LOOPBACK]
    named = ",".join([*names, _LOOPBACK])
    return {"NO_PROXY": named, "no_proxy": named}
