"""What the tests leave of the shell: nothing that an AWS client reads, and no proxy before loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from usher_simulator.own_clients import past_proxies

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def make_own(environment: MutableMapping[str, str]) -> None:
    """Take an endpoint, profile, Region and the like out of it, also those of the files in ~/.aws."""
    for name in [name for name in environment if name.startswith("AWS_")]:
        del environment[name]
    environment.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        BOTO_CONFIG=os.devnull,  # else ~/.boto and /etc/boto.cfg are read for credentials
        AWS_EC2_METADATA_DISABLED="true",  # who has no credentials would ask the network for some
        **past_proxies(environment),
    )
