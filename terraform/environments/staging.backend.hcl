bucket = "heycard-coingecko-exporter-tfstate-staging"
region = "eu-central-1"
