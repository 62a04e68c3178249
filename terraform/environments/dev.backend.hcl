bucket = "heycard-coingecko-exporter-tfstate-dev"
region = "eu-central-1"
