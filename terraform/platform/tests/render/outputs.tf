output "walls" {
  description = "The wall's Service with each golden file, in the form of the chart's values."
  value = { for golden, documents in local.documents : golden => one([
    for d in documents : merge(d.spec, { port = d.spec.ports[0].port, annotations = try(d.metadata.annotations, {}) })
    if d.kind == "Service" && d.metadata.name == "coingecko-exporter-wall"
  ]) }
}
