# Usher's controller in one account and Region: a stack of CloudFormation, from two files of a release.
# It contains no hook: `usher apply` says later which hooks to put and when to release. See docs/terraform.md.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

variable "bucket" {
  description = "A bucket of yours, in the Region of the stack, for the two files."
  type        = string
}

variable "code" {
  description = "The file usher-functions-VERSION.zip of a release."
  type        = string
}

variable "template" {
  description = "The file usher-VERSION.template.json of the same release."
  type        = string
}

variable "parameters" {
  description = "Parameters of the template, besides CodeBucket and CodeKey."
  type        = map(string)
  default     = {}
}

variable "stack" {
  description = "The name of the stack."
  type        = string
  default     = "Usher"
}

data "aws_partition" "here" {}
data "aws_region" "here" {}

# A key has the hash of its file. An old file is deleted after the update only: a rollback needs it. It has
# the stack, too, so that none deletes what another stack with the same bucket needs.
resource "aws_s3_object" "code" {
  bucket = var.bucket
  key    = "usher/${var.stack}/${filesha256(var.code)}.zip"
  source = var.code
  lifecycle { create_before_destroy = true }
}

resource "aws_s3_object" "template" {
  bucket = var.bucket
  key    = "usher/${var.stack}/${filesha256(var.template)}.template.json"
  source = var.template
  lifecycle { create_before_destroy = true }
}

resource "aws_cloudformation_stack" "usher" {
  name         = var.stack
  template_url = "https://s3.${data.aws_region.here.id}.${data.aws_partition.here.dns_suffix}/${var.bucket}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  on_failure   = "DELETE" # a failed creation leaves nothing behind
  parameters   = merge(var.parameters, { CodeBucket = var.bucket, CodeKey = aws_s3_object.code.key })
  timeouts { delete = "60m" } # first, everything that waits is released
}

output "outputs" {
  description = "The outputs of the stack, by name."
  value       = aws_cloudformation_stack.usher.outputs
}
