"""`usher install`, `upgrade`, `uninstall`, `status` and `policy`: Usher in an account, without the CDK."""
