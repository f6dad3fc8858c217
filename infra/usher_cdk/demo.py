"""A tiny group to see Usher at work in an account, for cents: `make cdk ARGS="deploy --all -c demo=true"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from usher_cdk.configuration import DEMO_GROUP
from usher_cdk.own_group import UsherHooks

if TYPE_CHECKING:
    from constructs import Construct

    from usher_cdk.configuration import Deployment
    from usher_cdk.controller import Controller


class Demo(cdk.Stack):
    """One t4g.nano in a VPC without NAT and without a way in; two hooks hold it."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, controller: Controller
    ) -> None:
        super().__init__(scope, construct_id, description="Usher: a tiny group to try it with")
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            ],
        )
        template = ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType("t4g.nano"),
            machine_image=ec2.MachineImage.latest_amazon_linux2023(cpu_type=ec2.AmazonLinuxCpuType.ARM_64),
            role=iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
            security_group=ec2.SecurityGroup(self, "Closed", vpc=vpc, allow_all_outbound=False),
            require_imdsv2=True,
            block_devices=[
                ec2.BlockDevice(device_name="/dev/xvda", volume=ec2.BlockDeviceVolume.ebs(8, encrypted=True))
            ],
        )
        group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=DEMO_GROUP,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            launch_template=template,
            min_capacity=0,
            max_capacity=3,
        )
        UsherHooks(
            self,
            "Hooks",
            group=group,
            group_name=DEMO_GROUP,
            configuration=deployment.configuration,
            inbox_arn=controller.inbox.queue.queue_arn,
            hook_role_arn=controller.hook_role.role.role_arn,
        )
        self.add_stack_dependency(controller)
