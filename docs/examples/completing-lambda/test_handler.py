import json

from handler import look

QUEUE = "arn:aws:sqs:us-east-1:111122223333:drains"
DRAIN = {
    "LifecycleHookName": "drain",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
    "HeartbeatTimeout": 300,
    "NotificationTargetARN": QUEUE,
    "RoleARN": "arn:aws:iam::111122223333:role/notifier",
}


def test_an_instance_is_held_until_its_jobs_are_done(auto_scaling):
    messages = []
    auto_scaling.target(QUEUE, lambda text: messages.append(json.loads(text)))
    auto_scaling.create_group("workers", hooks=[DRAIN], desired=1)
    auto_scaling.clock.advance("1m")
    auto_scaling.client.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=0)
    auto_scaling.clock.advance("1m")
    message = messages[-1]  # the one before is the test message

    for _ in range(10):  # twenty minutes, which is four heartbeat timeouts
        assert not look(message, jobs_left=lambda _: 3)
        auto_scaling.clock.advance("2m")
    assert auto_scaling.states("workers") == ["Terminating:Wait"]

    assert look(message, jobs_left=lambda _: 0)
    auto_scaling.clock.advance("1m")
    assert auto_scaling.states("workers") == []
    assert auto_scaling.actions("workers")[0].ended_by == "CompleteLifecycleAction"
