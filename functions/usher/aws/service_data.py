"""What botocore reads of AWS's services at a cold start, reduced to what the functions use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.loaders import Loader

if TYPE_CHECKING:
    from pathlib import Path


class ReducedLoader(Loader):  # type: ignore[misc]  # botocore has no types
    """Reads models and endpoints from a folder first, and everything else from botocore's own."""

    def is_builtin_path(self, path: str) -> bool:
        """Whether endpoints are botocore's own, as ours are. Others would replace rules of services."""
        del path
        return True


def read_from(folder: Path) -> None:
    """Have `boto3.client` read what `usher_cdk.models` has written into a folder."""
    session = botocore.session.get_session()
    session.register_component("data_loader", ReducedLoader([str(folder)]))
    boto3.setup_default_session(botocore_session=session)
