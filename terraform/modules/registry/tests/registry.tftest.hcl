mock_provider "aws" {
  source = "../../mocks"
}

variables {
  repositories = ["dev/coingecko-exporter"]
}

run "safe_by_default" {
  command = plan

  assert {
    condition     = aws_ecr_repository.this["dev/coingecko-exporter"].image_tag_mutability == "IMMUTABLE"
    error_message = "A tag that was pushed must never mean another image."
  }
  assert {
    condition     = aws_ecr_repository.this["dev/coingecko-exporter"].image_scanning_configuration[0].scan_on_push
    error_message = "Each push is scanned."
  }
  assert {
    condition     = !aws_ecr_repository.this["dev/coingecko-exporter"].force_delete
    error_message = "Images are not deleted unless it was asked for."
  }
  assert {
    condition     = [for r in jsondecode(aws_ecr_lifecycle_policy.this["dev/coingecko-exporter"].policy).rules : r.selection.countNumber] == [7, 30]
    error_message = "Untagged images go after 7 days, tagged ones beyond 30."
  }
}

run "name_with_capitals" {
  command = plan
  variables {
    repositories = ["Dev/CoinGecko"]
  }
  expect_failures = [var.repositories]
}
