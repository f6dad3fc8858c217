provider "aws" {}

variable "launch_template" { type = string }
variable "subnets" { type = list(string) }

# The hooks exist before the first instance, and as long as the group.
resource "aws_autoscaling_group" "web" {
  name                      = "web-blue"
  min_size                  = 0
  max_size                  = 4
  vpc_zone_identifier       = var.subnets
  wait_for_capacity_timeout = "0" # launching instances are held

  launch_template {
    id = var.launch_template
  }

  initial_lifecycle_hook {
    name                 = "web-ready"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = 600
    default_result       = "ABANDON"
  }

  initial_lifecycle_hook {
    name                 = "web-drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 900
    default_result       = "CONTINUE"
  }

  tag {
    key                 = "usher"
    value               = "managed"
    propagate_at_launch = false
  }

  lifecycle {
    ignore_changes = [desired_capacity, initial_lifecycle_hook]
  }
}
