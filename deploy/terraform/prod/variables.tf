# What these mean: ../modules/service/variables.tf. The values of an environment are in its
# terraform.tfvars, which is kept beside the state and not here.

variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "image" {
  type = string
}

variable "public_base_url" {
  type = string
}

variable "secrets" {
  type = map(string)
}

variable "settings" {
  type    = map(string)
  default = {}
}

variable "network" {
  type    = object({ network = string, subnetwork = string })
  default = null
}

variable "load_balancer" {
  type    = object({ domain = string, webhook_allowlist = list(string) })
  default = null
}

# Without a default, so that nobody leaves it out unawares.
variable "collector_image" {
  description = "The collector, by digest. Null: there is no watch of a release, and the pipeline takes each back, as nobody may say that all is well who cannot see."
  type        = string
}

variable "notification_channels" {
  type    = object({ page = list(string), ticket = list(string) })
  default = { page = [], ticket = [] }
}

variable "workload_identity_pool" {
  description = "The output of ../registry."
  type        = string
}

variable "registry" {
  type = object({ project = string, location = string, repository = string })
}
