output "images" {
  description = "Where images are pushed: the variable IMAGES of the repository."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "builder" {
  description = "The variable BUILDER of GitHub's environment `build`."
  value       = google_service_account.builder.email
}

output "workload_identity_provider" {
  description = "The variable WORKLOAD_IDENTITY_PROVIDER of the repository."
  value       = google_iam_workload_identity_pool_provider.github.name
}

output "workload_identity_pool" {
  description = "What each environment's variable of that name is."
  value       = google_iam_workload_identity_pool.github.name
}

output "repository" {
  description = "What each environment's variable `registry` is."
  value = {
    project    = var.project
    location   = var.region
    repository = google_artifact_registry_repository.images.repository_id
  }
}
