provider "aws" {}

# A group that exists already, in this configuration or in another one.
resource "aws_autoscaling_lifecycle_hook" "drain" {
  name                   = "jobs-drain"
  autoscaling_group_name = "jobs-green"
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_TERMINATING"
  heartbeat_timeout      = 600
  default_result         = "CONTINUE"
}
