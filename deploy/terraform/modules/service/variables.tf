variable "environment" {
  description = "What APP_ENV is set to: dev, staging or prod."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "Must be dev, staging or prod."
  }
}

variable "project" {
  description = "The project that the service runs in, of its own for each environment."
  type        = string
}

variable "region" {
  description = "Where it runs: where its database is."
  type        = string
}

variable "name" {
  description = "The name of the Cloud Run service, and the beginning of every other name."
  type        = string
  default     = "sms-foundation"
}

variable "image" {
  description = "The image of the first revision, by digest. Later ones are the pipeline's business (.github/workflows/deploy.yaml)."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Must name the image by digest: a tag can be moved."
  }
}

variable "public_base_url" {
  description = "PUBLIC_BASE_URL: what Twilio calls. Signatures cover it, so it must be what stands in Twilio's console."
  type        = string

  validation {
    condition     = can(regex("^https://[^/]+(/.*[^/])?$", var.public_base_url))
    error_message = "Must be https and must not end in a slash."
  }
}

variable "settings" {
  description = "Further settings (crates/server/config/defaults.toml) that are no secrets."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setintersection(keys(var.settings), [
      "DATABASE_URL", "DATABASE_MIGRATION_URL", "TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY",
      "API_KEYS", "MONITOR_API_KEY", "TENANT_PROFILE_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS",
    ])) == 0
    error_message = "That is a secret: name its version in `secrets`."
  }
}

variable "secrets" {
  description = "Which version of each secret the service gets, by the name of its setting: {TWILIO_AUTH_TOKEN = \"3\"}. A fixed version, so that a rotation is a change that can be read and undone."
  type        = map(string)

  validation {
    condition     = alltrue([for name in ["DATABASE_URL", "TWILIO_AUTH_TOKEN", "API_KEYS"] : contains(keys(var.secrets), name)])
    error_message = "DATABASE_URL, TWILIO_AUTH_TOKEN and API_KEYS must be among them."
  }

  validation {
    condition     = alltrue([for version in values(var.secrets) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "Versions are numbers."
  }
}

variable "instances" {
  description = "How many instances there are, at least and at most. At least 1: jobs run in them."
  type        = object({ least = number, most = number })
  default     = { least = 1, most = 4 }

  validation {
    condition     = var.instances.least >= 1 && var.instances.most >= var.instances.least
    error_message = "There must be at least one, and at most no fewer."
  }
}

variable "memory" {
  description = "The memory of an instance."
  type        = string
  default     = "512Mi"
}

variable "network" {
  description = "The network that private addresses (a database's) are reached through; null where it has a public one."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "load_balancer" {
  description = "A load balancer with Cloud Armor in front, which lets webhooks come from these addresses only. Null: none. Twilio calls from changing addresses unless the account has fixed ones, so leave it out otherwise: the signature is what keeps others out."
  type        = object({ domain = string, webhook_allowlist = list(string) })
  default     = null

  validation {
    condition     = var.load_balancer == null ? true : length(var.load_balancer.webhook_allowlist) > 0
    error_message = "Without an address nothing would reach the webhooks."
  }
}

variable "collector_image" {
  description = "An OpenTelemetry collector with Google's exporters, by digest, that runs beside the service. Null: nothing is exported, no alert rings, and deploy/watch.py has nothing to watch."
  type        = string
  default     = null
}

variable "notification_channels" {
  description = "Who is told of alerts, by severity: Cloud Monitoring's notification channels."
  type        = object({ page = list(string), ticket = list(string) })
  default     = { page = [], ticket = [] }
}

variable "deployer_principals" {
  description = "Who may act as the deployer of this environment: the pipeline's jobs that GitHub let into it (see ../../registry)."
  type        = set(string)
}

variable "registry" {
  description = "Where images are: the output `repository` of ../../registry."
  type        = object({ project = string, location = string, repository = string })
}
