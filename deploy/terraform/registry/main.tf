# What all environments share, in a project of its own: the images, and how GitHub's jobs are known.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.20, < 8.0"
    }
  }

  # The bucket is named at `terraform init -backend-config=bucket=...`: it is not in this repository.
  backend "gcs" {
    prefix = "sms-foundation/registry"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_artifact_registry_repository" "images" {
  # checkov:skip=CKV_GCP_84: Google encrypts them; there is no secret in an image
  location      = var.region
  repository_id = "sms-foundation"
  format        = "DOCKER"
  description   = "Images of SMS Foundation"

  # As many as can be gone back to, and for a month whatever there is.
  cleanup_policies {
    id     = "keep-the-latest"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.images_kept
    }
  }

  cleanup_policies {
    id     = "delete-the-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }
}

resource "google_service_account" "builder" {
  account_id   = "sms-foundation-builder"
  display_name = "SMS Foundation's pipeline, building images"
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

# It has images scanned.
resource "google_project_iam_member" "builder_scans" {
  project = var.project
  role    = "roles/ondemandscanning.admin"
  member  = google_service_account.builder.member
}

# Jobs of our repository's main branch are known by the token that GitHub gives them; no key exists that
# could leak. Which environment GitHub let a job into decides whom it may act as.
resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "github"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125: it looks for the repository's name; ours is named by its number, which stays with it
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_condition                = "assertion.repository_id == '${var.github_repository_id}' && assertion.ref == 'refs/heads/main'"
  attribute_mapping = {
    "google.subject"        = "assertion.sub"
    "attribute.environment" = "assertion.environment"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "pipeline_is_builder" {
  service_account_id = google_service_account.builder.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.environment/build"
}
