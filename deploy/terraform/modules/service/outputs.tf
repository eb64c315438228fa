output "url" {
  description = "Where Cloud Run answers; with a load balancer its domain is the way in."
  value       = google_cloud_run_v2_service.sms.uri
}

output "webhook_urls" {
  description = "What belongs into Twilio's console, for POST. The part behind # tells Twilio to try again (docs/operations.md)."
  value = {
    incoming_message = "${var.public_base_url}/webhook/twilio/sms#rc=3&rp=all"
    status_callback  = "${var.public_base_url}/webhook/twilio/status#rc=3&rp=all"
  }
}

output "load_balancer_address" {
  description = "What the domain's A record names; null without a load balancer."
  value       = one(google_compute_global_address.service[*].address)
}

output "deployer" {
  description = "The service account of the pipeline: the variable DEPLOYER of GitHub's environment."
  value       = google_service_account.deployer.email
}
