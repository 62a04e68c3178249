{{/* An Ingress: dict root, ingress (values), name, service, port, component. */}}

{{- define "coingecko-exporter.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "coingecko-exporter.metadata" (dict "root" .root "name" .name "component" .component "of" .ingress) | nindent 2 }}
spec:
  {{- with include "coingecko-exporter.fields" (list (list "ingressClassName" .ingress.className) (list "tls" .ingress.tls)) }}
  {{- . | nindent 2 }}
  {{- end }}
  rules:
    {{- range .ingress.hosts }}
    - host: {{ .host | quote }}
      http:
        paths:
          {{- range .paths }}
          - path: {{ .path }}
            pathType: {{ .pathType }}
            backend: {service: {name: {{ $.name }}, port: {name: http}}}
          {{- end }}
    {{- end }}
{{- end }}
