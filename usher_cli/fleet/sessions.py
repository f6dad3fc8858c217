"""The sessions in which the sites are asked: a role is assumed once per account, and MFA asked once."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import boto3
import click
from botocore.credentials import (
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from usher_cli.account import Trouble, client_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from usher_cli.account import Place
    from usher_cli.fleet.file import Role
    from usher_cli.fleet.sites import FleetSite

_SESSION_NAME_MAX: Final = 64  # characters (STS, AssumeRole)
_ANY_REGION: Final = "us-east-1"  # where nobody named one
_READ_BY_MOST: Final = ("sts", "cloudformation", "dynamodb")  # a model takes longer to read than a call


class Sessions:
    """What is made here once serves all sites, and all threads that ask them."""

    def __init__(self, over: Place) -> None:
        """`over`: the profile, the Region and the endpoint of the command's options."""
        self._over = over
        self._own = Session(profile=over.profile)
        self._models = self._own.get_component("data_loader")
        self._region = over.region or self._own.get_config_variable("region") or _ANY_REGION
        self._credentials: dict[object, Any] = {}  # botocore's, of the caller and by account
        self._failed: dict[str, Exception] = {}  # by profile: the operator is not asked again
        self._locks: dict[object, Lock] = {}
        self._session_name = ""

    def prepare(self, sites: Sequence[FleetSite]) -> None:
        """What may ask the operator, or fails for all sites, comes before any is asked. Raises Trouble.

        What fails with one account's profile is told when its sites are asked.
        """
        for profile in sorted({site.place.profile for site in sites if site.place.profile}):
            try:
                session = Session(profile=profile)
                if "mfa_serial" in session.get_scoped_config():
                    self._credentials[profile] = _resolved(session)
            except EOFError:
                click.echo(err=True)  # ends the line of the question
                how = "run the command in a terminal, or with credentials that ask for none"
                self._failed[profile] = Trouble(f"The MFA code of profile {profile} had no answer: {how}.")
            except Exception as error:  # noqa: BLE001 - whatever it is, the other sites are asked
                self._failed[profile] = error
        if any(site.role or not site.place.profile for site in sites):
            self._callers()
        roles = [site.role for site in sites if site.role]
        if any(role.session_name is None for role in roles):
            caller = self._client("sts").get_caller_identity()["Arn"]
            self._session_name = re.sub(r"[^\w+=,.@-]", "-", caller.rpartition("/")[2])[-_SESSION_NAME_MAX:]
        for service in _READ_BY_MOST if sites else ():
            client_of(self._session(None, self._region), service, self._over)  # needs no credentials

    def organizations(self) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """The client of Organizations, with the caller's own credentials."""
        return self._client("organizations")

    def of(self, site: FleetSite) -> boto3.Session:
        """A session in that account and Region. Raises Trouble where the credentials are of another one."""
        key = (site.account, site.role, site.place.profile, site.place.endpoint_url)
        with self._locks.setdefault(key, Lock()):
            if key not in self._credentials:
                self._credentials[key] = self._credentials_of(site)
        return self._session(self._credentials[key], site.region)

    def _credentials_of(self, site: FleetSite) -> Any:  # noqa: ANN401 - botocore's have no common type
        if site.role is not None:
            return self._of_role(site, site.role)
        profile = site.place.profile
        if profile in self._failed:
            raise self._failed[profile]
        if profile is None:
            found = self._callers()
        else:
            found = self._credentials.get(profile) or _resolved(Session(profile=profile))
        told = client_of(self._session(found, site.region), "sts", site.place).get_caller_identity()[
            "Account"
        ]
        if told != site.account:
            whose = f"The credentials of profile {profile}" if profile else "Your credentials"
            raise Trouble(f"{whose} are of account {told}: give this account a role, or another profile.")
        return found

    def _of_role(self, site: FleetSite, role: Role) -> DeferredRefreshableCredentials:
        """Assumed at the first call, and anew before they expire. Its partition is that of the Region."""
        partition = self._own.get_partition_for_region(site.region)
        asked = {
            "RoleArn": f"arn:{partition}:iam::{site.account}:role/{role.name}",
            "RoleSessionName": role.session_name or self._session_name,
            **({"ExternalId": role.external_id} if role.external_id else {}),
        }
        sts = client_of(self._session(self._callers(), site.region), "sts", site.place)

        def assumed() -> dict[str, str]:
            told = sts.assume_role(**asked)["Credentials"]
            return {
                "access_key": told["AccessKeyId"],
                "secret_key": told["SecretAccessKey"],
                "token": told["SessionToken"],
                "expiry_time": told["Expiration"].isoformat(),
            }

        return DeferredRefreshableCredentials(assumed, "assume-role")

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """With the caller's own credentials."""
        return client_of(self._session(self._callers(), self._region), service, self._over)

    def _callers(self) -> Any:  # noqa: ANN401 - botocore's have no common type
        """The caller's own; with MFA, where the profile has an `mfa_serial`, and no role that asks for it."""
        if None not in self._credentials:
            found = _resolved(self._own)
            config = self._own.get_scoped_config()
            serial = None if "role_arn" in config else config.get("mfa_serial")
            self._credentials[None] = self._with_mfa(found, serial) if serial else found
        return self._credentials[None]

    def _with_mfa(self, found: Any, serial: str) -> Credentials:  # noqa: ANN401 - botocore's
        code = click.prompt(f"MFA code of {serial}", err=True, hide_input=True)
        sts = client_of(self._session(found, self._region), "sts", self._over)
        told = sts.get_session_token(SerialNumber=serial, TokenCode=code)["Credentials"]
        return Credentials(told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"])

    def _session(self, credentials: Any, region: str) -> boto3.Session:  # noqa: ANN401 - botocore's
        """Of one thread. It shares the models, which take longest to read."""
        session = Session()
        session.register_component("data_loader", self._models)
        session.register_component("credential_provider", CredentialResolver([_Given(credentials)]))
        return boto3.Session(botocore_session=session, region_name=region)


class _Given:
    """A credential provider, as botocore asks for one: it gives what is there already."""

    METHOD = "given"

    def __init__(self, credentials: Any) -> None:  # noqa: ANN401 - botocore's
        self._credentials = credentials

    def load(self) -> Any:  # noqa: ANN401 - botocore's
        return self._credentials


def _resolved(session: Session) -> Any:  # noqa: ANN401 - botocore's
    """By the SDK's chain. Where its profile asks for an MFA code, the operator is asked now."""
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError
    found.get_frozen_credentials()
    return found
