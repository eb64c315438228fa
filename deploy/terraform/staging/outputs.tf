output "url" {
  value = module.service.url
}

output "webhook_urls" {
  value = module.service.webhook_urls
}

output "load_balancer_address" {
  value = module.service.load_balancer_address
}

output "deployer" {
  value = module.service.deployer
}
