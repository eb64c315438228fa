# The places of secrets. Their values are put there by hand and are in no state file:
# printf %s "$value" | gcloud secrets versions add sms-foundation-twilio-auth-token --data-file=-

resource "google_secret_manager_secret" "setting" {
  # checkov:skip=CKV_GCP_150: Google encrypts them; a key of our own would be one more thing that can be lost
  for_each = var.secrets

  project   = var.project
  secret_id = "${var.name}-${lower(replace(each.key, "_", "-"))}"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "runtime" {
  for_each = google_secret_manager_secret.setting

  project   = each.value.project
  secret_id = each.value.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member
}
