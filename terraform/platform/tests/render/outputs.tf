output "objects" {
  description = "KIND NAME of each object."
  value       = toset([for d in local.documents : "${d.kind} ${d.metadata.name}"])
}

output "services" {
  description = "Spec and annotations of each Service, by name."
  value       = { for d in local.documents : d.metadata.name => { spec = jsonencode(d.spec), annotations = try(d.metadata.annotations, {}) } if d.kind == "Service" }
}

output "wall_service" {
  description = "The wall's Service in the golden file."
  value       = yamldecode(file("${path.module}/../golden/${var.environment}.exporter.yaml")).wall.service
}
