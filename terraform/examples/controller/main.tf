provider "aws" {}

module "usher" {
  source   = "../.."
  bucket   = "our-releases"
  code     = "dist/usher-functions-0.1.0.zip"
  template = "dist/usher-0.1.0.template.json"
  parameters = {
    TagValue   = "managed"
    AlarmEmail = "on-call@example.com"
  }
}
