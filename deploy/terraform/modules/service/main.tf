# The service on Cloud Run.

locals {
  behind_load_balancer = var.load_balancer != null

  settings = merge(
    {
      APP_ENV         = var.environment
      PUBLIC_BASE_URL = var.public_base_url
      # Cloud Run's own front end is one; a load balancer before it another.
      TRUSTED_PROXY_HOPS = local.behind_load_balancer ? "2" : "1"
    },
    var.collector_image == null ? {} : {
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://localhost:4318"
      OTEL_SERVICE_NAME           = var.name
    },
    var.settings,
  )
}

resource "google_cloud_run_v2_service" "sms" {
  name                = var.name
  project             = var.project
  location            = var.region
  ingress             = local.behind_load_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  deletion_protection = true

  # Of the service, not of each revision: a revision that is only being tried out keeps no instance.
  scaling {
    min_instance_count = var.instances.least
  }

  template {
    service_account                  = google_service_account.runtime.email
    timeout                          = "60s"
    max_instance_request_concurrency = 200
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"

    scaling {
      max_instance_count = var.instances.most
    }

    dynamic "vpc_access" {
      for_each = var.network[*]
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }

    containers {
      name  = "sms-foundation"
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1"
          memory = var.memory
        }
        # Jobs run between requests too.
        cpu_idle          = false
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.settings
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.setting[env.key].secret_id
              version = env.value
            }
          }
        }
      }

      # Migrated, and the database answers. A revision that does not get there gets no request.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 60
        http_get {
          path = "/health/ready"
        }
      }

      # A database that is away is no reason to restart.
      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 3
        failure_threshold = 3
        http_get {
          path = "/health/live"
        }
      }
    }

    dynamic "containers" {
      for_each = var.collector_image[*]
      content {
        name  = "collector"
        image = containers.value
        args  = ["--config=env:COLLECTOR_CONFIG"]
        env {
          name  = "COLLECTOR_CONFIG"
          value = file("${path.module}/collector.yaml")
        }
        resources {
          limits = {
            cpu    = "0.5"
            memory = "256Mi"
          }
          cpu_idle = false
        }
      }
    }
  }

  lifecycle {
    # Which image runs, and how much of the traffic it gets, is the pipeline's business: a rollback must
    # not be undone by the next `terraform apply`. Not ignored is the revision's name, which gcloud writes
    # into the template: kept there, Cloud Run would refuse another revision of that name (409).
    ignore_changes = [template[0].containers[0].image, traffic, client, client_version]
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.readers,
    google_secret_manager_secret_iam_member.runtime,
  ]
}

# Twilio has no Google account. Webhooks are let in by their signature, callers by their API key.
resource "google_cloud_run_v2_service_iam_member" "everybody" {
  # checkov:skip=CKV_GCP_102: Twilio must reach it; the service itself asks everybody for a signature or a key
  project  = google_cloud_run_v2_service.sms.project
  location = google_cloud_run_v2_service.sms.location
  name     = google_cloud_run_v2_service.sms.name
  role     = "roles/run.invoker"
  member   = "allUsers"
}
