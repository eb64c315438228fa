# Who the service is, and who brings it here.

resource "google_service_account" "runtime" {
  project      = var.project
  account_id   = var.name
  display_name = "SMS Foundation, while it runs"
}

# Only where a collector runs beside it: it writes metrics and traces, and nothing else.
resource "google_project_iam_member" "telemetry" {
  for_each = var.collector_image == null ? [] : toset(["roles/monitoring.metricWriter", "roles/cloudtrace.agent"])

  project = var.project
  role    = each.value
  member  = google_service_account.runtime.member
}

resource "google_service_account" "deployer" {
  project      = var.project
  account_id   = "${var.name}-deployer"
  display_name = "SMS Foundation's pipeline in ${var.environment}"
}

resource "google_service_account_iam_member" "pipeline_is_deployer" {
  for_each = var.deployer_principals

  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = each.value
}

# It changes this one service, and lets it run as what it runs as.
resource "google_cloud_run_v2_service_iam_member" "deployer" {
  project  = google_cloud_run_v2_service.sms.project
  location = google_cloud_run_v2_service.sms.location
  name     = google_cloud_run_v2_service.sms.name
  role     = "roles/run.developer"
  member   = google_service_account.deployer.member
}

resource "google_service_account_iam_member" "deployer_uses_runtime" {
  service_account_id = google_service_account.runtime.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deployer.member
}

# It asks the alert rules whether a release is a bad one.
resource "google_project_iam_member" "deployer_reads_metrics" {
  project = var.project
  role    = "roles/monitoring.viewer"
  member  = google_service_account.deployer.member
}

# Images come from another project: Cloud Run fetches them, and the pipeline must be allowed to name one.
data "google_project" "this" {
  project_id = var.project
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = {
    cloud_run = "serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
    deployer  = google_service_account.deployer.member
  }

  project    = var.registry.project
  location   = var.registry.location
  repository = var.registry.repository
  role       = "roles/artifactregistry.reader"
  member     = each.value
}
