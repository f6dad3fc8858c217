"""Holds an instance that terminates until its jobs are done. Invoked each two minutes, until it says True."""

import boto3


def look(message, jobs_left):
    """Heartbeat while there are jobs, complete when there are none."""
    auto_scaling = boto3.client("autoscaling")
    action = {
        key: message[key] for key in ("AutoScalingGroupName", "LifecycleHookName", "LifecycleActionToken")
    }
    if jobs_left(message["EC2InstanceId"]):
        auto_scaling.record_lifecycle_action_heartbeat(**action)
        return False
    auto_scaling.complete_lifecycle_action(**action, LifecycleActionResult="CONTINUE")
    return True
