"""Switches off the CDK's own check of templates: it takes seconds, and test_lint and test_nag check more."""

from __future__ import annotations

import os

os.environ.setdefault("CDK_VALIDATION", "false")  # read by the CDK when its kernel starts
