terraform {
  required_version = ">= 1.9"
  # The bucket is named at `terraform init -backend-config=bucket=...`: it is not in this repository.
  backend "gcs" {
    prefix = "sms-foundation/prod"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

module "service" {
  source = "../modules/service"

  environment           = "prod"
  project               = var.project
  region                = var.region
  image                 = var.image
  registry              = var.registry
  public_base_url       = var.public_base_url
  settings              = merge(local.settings, var.settings)
  secrets               = var.secrets
  instances             = { least = 2, most = 10 }
  network               = var.network
  load_balancer         = var.load_balancer
  collector_image       = var.collector_image
  notification_channels = var.notification_channels
  deployer_principals   = [for name in ["prod", "prod-rollback"] : "principalSet://iam.googleapis.com/${var.workload_identity_pool}/attribute.environment/${name}"]
}

locals {
  # What differs from the defaults here.
  settings = {}
}
