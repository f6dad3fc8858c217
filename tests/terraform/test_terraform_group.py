"""A group with hooks, by the real provider: made, changed, read without a difference, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from usher_local.account import Account

CONFIGURATION: Final = """
variable "tag" { default = "one" }
variable "metrics" { default = "[]" }
variable "attached" { default = "false" }
variable "warm" { default = "false" }
resource "aws_vpc" "own" { cidr_block = "10.0.0.0/16" }
resource "aws_subnet" "own" {
  vpc_id            = aws_vpc.own.id
  cidr_block        = "10.0.1.0/24"
  availability_zone = "us-east-1a"
}
resource "aws_launch_template" "own" {
  name          = "own"
  image_id      = "ami-00000000000000001"
  instance_type = "t3.micro"
}
resource "aws_lb_target_group" "own" {
  name     = "own"
  port     = 80
  protocol = "HTTP"
  vpc_id   = aws_vpc.own.id
}
resource "aws_autoscaling_group" "own" {
  name                = "by-terraform"
  min_size            = 0
  max_size            = 2
  desired_capacity    = 0
  vpc_zone_identifier = [aws_subnet.own.id]
  enabled_metrics     = jsondecode(var.metrics)
  target_group_arns   = var.attached == "true" ? [aws_lb_target_group.own.arn] : []
  launch_template {
    id      = aws_launch_template.own.id
    version = "1"
  }
  tag {
    key                 = "team"
    value               = var.tag
    propagate_at_launch = true
  }
  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 60
    default_result       = "CONTINUE"
  }
  dynamic "warm_pool" {
    for_each = var.warm == "true" ? [1] : []
    content {
      min_size                    = 0
      max_group_prepared_capacity = 0
    }
  }
}
resource "aws_autoscaling_group" "other" {
  name               = "other"
  min_size           = 0
  max_size           = 0
  availability_zones = ["us-east-1a"]
  launch_template { id = aws_launch_template.own.id }
  lifecycle { ignore_changes = [tag] }
}
resource "aws_autoscaling_group_tag" "usher" {
  autoscaling_group_name = aws_autoscaling_group.other.name
  tag {
    key                 = "usher"
    value               = var.tag
    propagate_at_launch = false
  }
}
"""


def test_a_group_with_a_hook_goes_through_its_life(account: Account, terraform: Any, tmp_path: Path) -> None:
    """After each apply the plan is empty: `apply` sees to that."""
    folder = tmp_path / "terraform" / "examples" / "group"
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(CONFIGURATION, encoding="utf-8")
    groups, of_it = account.client("autoscaling"), terraform("group")

    def described(name: str = "by-terraform") -> Any:
        found = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return next(iter(found["AutoScalingGroups"]), None)

    of_it.init()
    of_it.apply()
    of_it.apply(tag="two")
    assert [tag["Value"] for tag in described()["Tags"]] == ["two"]
    assert [tag["Value"] for tag in described("other")["Tags"]] == ["two"], "by a resource of its own"
    of_it.apply(tag="two", metrics='["GroupDesiredCapacity"]')
    assert [one["Metric"] for one in described()["EnabledMetrics"]] == ["GroupDesiredCapacity"]
    of_it.apply(tag="two", attached="true")
    assert len(described()["TargetGroupARNs"]) == 1
    of_it.apply(tag="two")
    assert (described()["TargetGroupARNs"], described()["EnabledMetrics"]) == ([], [])
    of_it.apply(tag="two", warm="true")
    assert described()["WarmPoolConfiguration"]["MaxGroupPreparedCapacity"] == 0
    of_it.apply(tag="two")
    assert "WarmPoolConfiguration" not in described()
    of_it.run("destroy", "-input=false", "-auto-approve")
    assert described() is None
