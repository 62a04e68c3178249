mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name            = "shop-test"
  cidr            = "10.20.0.0/16"
  azs             = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
  private_subnets = ["10.20.0.0/20", "10.20.16.0/20", "10.20.32.0/20"]
  public_subnets  = ["10.20.240.0/24", "10.20.241.0/24", "10.20.242.0/24"]
}

run "a_nat_gateway_in_each_zone" {
  command = plan

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_eip.nat) == 3 && length(aws_route_table.private) == 3
    error_message = "Three zones need three NAT gateways, addresses and private route tables."
  }
  assert {
    condition     = alltrue([for s in aws_subnet.private : s.map_public_ip_on_launch != true && s.tags["kubernetes.io/role/internal-elb"] == "1"])
    error_message = "Nothing in a private subnet may get a public address. Internal load balancers find their subnets by this tag."
  }
  assert {
    condition     = alltrue([for s in aws_subnet.public : s.map_public_ip_on_launch != true && s.tags["kubernetes.io/role/elb"] == "1"])
    error_message = "Public subnets are for load balancers, and give nobody an address unasked."
  }
  assert {
    condition     = aws_subnet.private["eu-central-1b"].cidr_block == "10.20.16.0/20"
    error_message = "Ranges belong to zones in the order in which they are given."
  }
  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3" && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "S3 is reached by a gateway endpoint."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0
    error_message = "Interface endpoints cost money and are made on request alone."
  }
  assert {
    condition     = aws_cloudwatch_log_group.flow[0].retention_in_days == 30 && aws_flow_log.this[0].traffic_type == "ALL"
    error_message = "Flow logs are on, and kept for a bounded time."
  }
}

run "one_nat_gateway_for_all" {
  command = apply

  variables {
    single_nat_gateway = true
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && length(output.nat_public_ips) == 1
    error_message = "One NAT gateway in the first zone was asked for."
  }
  assert {
    condition     = { for zone, r in aws_route.nat : zone => r.nat_gateway_id } == { for zone in var.azs : zone => aws_nat_gateway.this["eu-central-1a"].id }
    error_message = "Every private subnet goes out through the one NAT gateway."
  }
}

run "interface_endpoints" {
  command = plan

  variables {
    interface_endpoints        = ["ecr.api", "sts"]
    flow_log_retention_in_days = 0
  }

  assert {
    condition     = toset([for e in aws_vpc_endpoint.interface : e.service_name]) == toset(["com.amazonaws.eu-central-1.ecr.api", "com.amazonaws.eu-central-1.sts"])
    error_message = "Two endpoints were asked for."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443
    error_message = "Endpoints take HTTPS from the VPC, and nothing else."
  }
  assert {
    condition     = length(aws_flow_log.this) == 0 && length(aws_iam_role.flow) == 0
    error_message = "0 turns flow logs off, and needs no role."
  }
}

# Settings that are rejected, several in a run: each variable in expect_failures must be.

run "refused_1" {
  command = plan
  variables {
    cidr                       = "10.20.0.0"
    azs                        = ["eu-central-1a"]
    flow_log_retention_in_days = 31
  }
  expect_failures = [var.cidr, var.azs, var.flow_log_retention_in_days]
}

run "refused_2" {
  command = plan
  variables {
    cidr = "10.20.0.1/16" # host bits
    azs  = ["eu-central-1a", "eu-central-1a", "eu-central-1b"]
  }
  expect_failures = [var.cidr, var.azs]
}

run "refused_3" {
  command = plan
  variables {
    cidr            = "10.0.0.0/8" # too large
    private_subnets = ["10.20.0.0/20", "10.20.16.0/20"]
    public_subnets  = ["10.20.240.0/24"]
  }
  expect_failures = [var.cidr, var.private_subnets, var.public_subnets]
}

run "refused_4" {
  command = plan
  variables {
    private_subnets = ["10.20.0.0/20", "10.20.16.0/20", "10.20.32.7/20"]
    public_subnets  = ["10.20.240.0/24", "10.20.241.0/24", "everywhere"]
  }
  expect_failures = [var.private_subnets, var.public_subnets]
}

run "outside_of_the_vpc" {
  command = plan
  variables {
    public_subnets = ["10.20.240.0/24", "10.20.241.0/24", "10.21.242.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "overlap_of_private_and_public" {
  command = plan
  variables {
    public_subnets = ["10.20.240.0/24", "10.20.241.0/24", "10.20.33.0/24"]
  }
  expect_failures = [aws_vpc.this]
}

run "overlap_of_private_ones" {
  command = plan
  variables {
    private_subnets = ["10.20.0.0/20", "10.20.16.0/20", "10.20.8.0/21"]
  }
  expect_failures = [aws_vpc.this]
}
