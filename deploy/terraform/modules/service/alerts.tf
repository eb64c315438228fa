# The rules of deploy/prometheus/alerts.yaml, as Cloud Monitoring has them. They ask metrics that the
# collector brings, so without one there are none.

locals {
  # No `? :` here: its two sides would have to be of one type.
  rule_groups = [
    for group in yamldecode(file("${path.module}/../../../prometheus/alerts.yaml")).groups : group
    if var.collector_image != null
  ]
  rules = merge([
    for group in local.rule_groups : { for rule in group.rules : rule.alert => merge(rule, { group = group.name }) }
  ]...)
}

resource "google_monitoring_alert_policy" "rule" {
  for_each = local.rules

  project               = var.project
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  severity              = each.value.labels.severity == "page" ? "CRITICAL" : "WARNING"
  notification_channels = var.notification_channels[each.value.labels.severity]

  conditions {
    display_name = each.key
    condition_prometheus_query_language {
      query               = each.value.expr
      duration            = format("%ds", 60 * tonumber(trimsuffix(lookup(each.value, "for", "0m"), "m")))
      evaluation_interval = "60s"
      rule_group          = each.value.group
      alert_rule          = each.key
    }
  }

  documentation {
    content = "${each.value.annotations.description}\n\n${each.value.annotations.runbook}"
  }
}
