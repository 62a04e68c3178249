bucket = "heycard-coingecko-exporter-tfstate-production"
region = "eu-central-1"
