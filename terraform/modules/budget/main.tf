# Monthly budgets: one of the resources with the tag, and one of the whole account, because resources that controllers in the cluster
# create (Auto Mode's nodes, volumes, load balancers) lack the tag.

locals {
  budgets = merge({ (var.name) = var.limit }, { for limit in [var.account_limit] : "${var.name}-account" => limit if limit != null })
}

resource "aws_budgets_budget" "this" {
  for_each = local.budgets

  name         = each.key
  budget_type  = "COST"
  limit_amount = format("%.1f", each.value) # AWS's own format. Other formats show a change in each plan.
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "cost_filter" {
    for_each = each.key == var.name ? [var.tag] : []

    content {
      name   = "TagKeyValue"
      values = [format("user:%s$%s", cost_filter.value.key, cost_filter.value.value)]
    }
  }

  notification {
    notification_type          = "ACTUAL"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = var.emails
  }

  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = var.emails
  }
}
