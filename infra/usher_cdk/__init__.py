"""The CDK app's constructs, one for each capability. Nothing in here makes an AWS call."""
