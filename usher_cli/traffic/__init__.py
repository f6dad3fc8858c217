"""Captured traffic in files, folders, streams and AWS, taken apart into single messages.

`values` finds the JSON values in bytes, whatever stands between them; `shapes` knows in what messages
come wrapped; `times` says when a message was sent that does not tell it; `trail` reads CloudTrail;
`places` are files and folders, `remote` S3 and CloudWatch Logs.
"""

from __future__ import annotations

from usher_cli.traffic.found import Found, Unreadable
from usher_cli.traffic.places import files, read, read_content

__all__ = ["Found", "Unreadable", "files", "read", "read_content"]
