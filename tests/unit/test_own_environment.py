"""The suite gives the same result whatever AWS settings and proxies the developer's shell has."""

from __future__ import annotations

import os

from tests.own_environment import make_own

OWN = {
    "BOTO_CONFIG": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


def test_no_setting_of_an_aws_client_and_no_proxy_before_loopback_is_left() -> None:
    theirs = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": "mine",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    others = {"HTTP_PROXY": "http://127.0.0.1:1", "TERRAFORM_PROVIDERS": "/providers"}

    environment = theirs | others
    make_own(environment)

    assert environment == others | OWN


def test_the_tests_run_so() -> None:
    assert OWN.items() <= dict(os.environ, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1").items()
    assert "127.0.0.1" in os.environ["NO_PROXY"].split(",")
