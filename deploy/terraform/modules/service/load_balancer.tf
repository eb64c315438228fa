# Only with `load_balancer`: HTTPS for the domain, with Cloud Armor before the webhooks.

locals {
  load_balancer = var.load_balancer[*]
  # An expression of Cloud Armor may hold a few addresses only.
  allowed = local.behind_load_balancer ? chunklist(var.load_balancer.webhook_allowlist, 4) : []
}

resource "google_compute_security_policy" "webhooks" {
  # checkov:skip=CKV_GCP_73: there is no Java here, and no Log4j
  count = length(local.load_balancer)

  project     = var.project
  name        = var.name
  description = "Webhooks come from Twilio's addresses only."

  dynamic "rule" {
    for_each = local.allowed
    content {
      action      = "allow"
      priority    = 1000 + rule.key
      description = "Twilio"
      match {
        expr {
          expression = join(" || ", [for range in rule.value : "inIpRange(origin.ip, '${range}')"])
        }
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 2000
    description = "Nobody else calls a webhook."
    match {
      expr {
        expression = "request.path.contains('/webhook/')"
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Everything else asks for an API key itself."
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_region_network_endpoint_group" "service" {
  count = length(local.load_balancer)

  project               = var.project
  name                  = var.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.sms.name
  }
}

resource "google_compute_backend_service" "service" {
  count = length(local.load_balancer)

  project               = var.project
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.webhooks[0].id

  backend {
    group = google_compute_region_network_endpoint_group.service[0].id
  }

  # It would log paths, and paths hold telephone numbers.
  log_config {
    enable = false
  }
}

resource "google_compute_url_map" "service" {
  count = length(local.load_balancer)

  project         = var.project
  name            = var.name
  default_service = google_compute_backend_service.service[0].id
}

resource "google_compute_managed_ssl_certificate" "service" {
  count = length(local.load_balancer)

  project = var.project
  name    = var.name

  managed {
    domains = [var.load_balancer.domain]
  }
}

resource "google_compute_ssl_policy" "service" {
  count = length(local.load_balancer)

  project         = var.project
  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "service" {
  count = length(local.load_balancer)

  project          = var.project
  name             = var.name
  url_map          = google_compute_url_map.service[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.service[0].id]
  ssl_policy       = google_compute_ssl_policy.service[0].id
}

resource "google_compute_global_address" "service" {
  count = length(local.load_balancer)

  project = var.project
  name    = var.name
}

resource "google_compute_global_forwarding_rule" "service" {
  count = length(local.load_balancer)

  project               = var.project
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.service[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.service[0].id
}
