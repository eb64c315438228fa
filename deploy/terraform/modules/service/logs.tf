# A path can hold a telephone number (/conversations/+1...), and the platform writes paths into its own
# request log. Ours has the template of the route instead, so theirs is not kept.
resource "google_logging_project_exclusion" "request_paths" {
  project     = var.project
  name        = "${var.name}-request-paths"
  description = "Request logs hold paths, and paths hold telephone numbers."
  filter      = <<-EOT
    (resource.type="cloud_run_revision" AND resource.labels.service_name="${var.name}"
      AND log_id("run.googleapis.com/requests"))
    OR (resource.type="http_load_balancer" AND resource.labels.backend_service_name="${var.name}")
  EOT
}
