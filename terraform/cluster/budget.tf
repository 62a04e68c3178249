# What the environment may cost.

# One budget of the resources with the environment's tag, and one of the whole account, because resources that controllers in the
# cluster create (Auto Mode's nodes, volumes, load balancers) lack the tag.
resource "aws_budgets_budget" "this" {
  for_each = merge({ (local.name) = var.budget.limit }, { for limit in [var.budget.account_limit] : "${local.name}-account" => limit if limit != null })

  name         = each.key
  budget_type  = "COST"
  limit_amount = format("%.1f", each.value) # AWS's own format. Other formats show a change in each plan.
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "cost_filter" {
    for_each = each.key == local.name ? [format("user:Environment$%s", var.environment)] : []

    content {
      name   = "TagKeyValue"
      values = [cost_filter.value]
    }
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.budget.emails
    }
  }
}
