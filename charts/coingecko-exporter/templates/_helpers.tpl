{{/* Names and labels, in the style of helm create. */}}

{{- define "coingecko-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Truncated to leave room for the longest suffix, -analysis-dashboard. */}}
{{- define "coingecko-exporter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $fullname := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $fullname .Values.fullnameOverride | trunc 44 | trimSuffix "-" }}
{{- end }}

{{- /* The namespace of all resources without a namespace setting. */}}
{{- define "coingecko-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "coingecko-exporter.serviceAccountName" -}}
{{- default (ternary (include "coingecko-exporter.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "coingecko-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "coingecko-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The labels that select the pods of a component: dict root, component. */}}
{{- define "coingecko-exporter.componentLabels" -}}
{{ include "coingecko-exporter.selectorLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* A map with its values as strings, because --set turns some values into numbers. */}}
{{- define "coingecko-exporter.strings" -}}
{{- $strings := dict }}
{{- range $key, $value := . }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
{{- $value = int64 $value }}
{{- end }}
{{- $_ := set $strings $key (toString $value) }}
{{- end }}
{{- toYaml $strings }}
{{- end }}

{{- define "coingecko-exporter.labels" -}}
{{- $labels := include "coingecko-exporter.selectorLabels" . | fromYaml }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $labels "app.kubernetes.io/part-of" "coingecko-exporter" }}
{{- toYaml (merge (include "coingecko-exporter.strings" .Values.commonLabels | fromYaml) $labels) }}
{{- end }}

{{- /* The metadata of a resource: dict root, name; optional: component, namespace, of (values with labels and annotations), annotations. */}}
{{- define "coingecko-exporter.metadata" -}}
{{- $root := .root -}}
{{- $of := .of | default dict -}}
name: {{ .name }}
namespace: {{ .namespace | default (include "coingecko-exporter.namespace" $root) }}
labels:
  {{- $labels := include "coingecko-exporter.labels" $root | fromYaml }}
  {{- with .component }}
  {{- $labels = merge (dict "app.kubernetes.io/component" .) $labels }}
  {{- end }}
  {{- toYaml (merge (include "coingecko-exporter.strings" $of.labels | fromYaml) $labels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (include "coingecko-exporter.strings" $of.annotations | fromYaml) (include "coingecko-exporter.strings" $root.Values.commonAnnotations | fromYaml) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* An image reference: dict root, image (registry, repository, tag, digest). */}}
{{- define "coingecko-exporter.image" -}}
{{- $global := .root.Values.global | default dict }}
{{- with $global.imageRegistry | default .image.registry }}{{ . }}/{{ end }}
{{- .image.repository }}{{ with .image.tag }}:{{ . }}{{ end }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "coingecko-exporter.ownImage" -}}
{{- $tag := .Values.image.tag | default (ternary "" .Chart.AppVersion (ne .Values.image.digest "")) -}}
{{ include "coingecko-exporter.image" (dict "root" . "image" (merge (dict "tag" $tag) .Values.image)) }}
{{- end }}

{{- /* The component behind the Service. */}}
{{- define "coingecko-exporter.frontend" -}}
{{ ternary "relay" "poller" .Values.relay.enabled }}
{{- end }}

{{- /* http or https. */}}
{{- define "coingecko-exporter.scheme" -}}
{{ ternary "https" "http" .Values.web.tls.enabled }}
{{- end }}

{{- /* The server name in the certificate. Clients that connect by IP or by another name verify this one. */}}
{{- define "coingecko-exporter.serverName" -}}
{{ include "coingecko-exporter.fullname" . }}.{{ include "coingecko-exporter.namespace" . }}.svc
{{- end }}

{{- /* Not empty if resources of the Prometheus Operator are to be created: dict root, enabled (true, false, auto). */}}
{{- define "coingecko-exporter.monitored" -}}
{{- if eq (toString .enabled) "auto" }}
{{- if .root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}yes{{ end }}
{{- else if .enabled }}yes{{ end }}
{{- end }}

{{- /* Fields of an object, in order, without those that are empty: a list of names and values. */}}
{{- define "coingecko-exporter.fields" -}}
{{- $fields := list }}
{{- range $field := . }}
{{- with last $field }}
{{- $nested := or (kindIs "map" .) (kindIs "slice" .) }}
{{- $fields = append $fields (printf "%s:%s" (first $field) (ternary (toYaml . | nindent 2) (printf " %v" .) $nested)) }}
{{- end }}
{{- end }}
{{- join "\n" $fields }}
{{- end }}

{{- /* The spec of a Service without its selector: dict service (values), appProtocol. */}}
{{- define "coingecko-exporter.service" -}}
{{- $service := .service -}}
{{- $public := ne $service.type "ClusterIP" -}}
{{- $balanced := eq $service.type "LoadBalancer" -}}
{{ include "coingecko-exporter.fields" (list
  (list "type" $service.type)
  (list "ipFamilyPolicy" $service.ipFamilyPolicy)
  (list "ipFamilies" $service.ipFamilies)
  (list "externalTrafficPolicy" (and $public $service.externalTrafficPolicy))
  (list "loadBalancerClass" (and $balanced $service.loadBalancerClass))
  (list "loadBalancerSourceRanges" (and $balanced $service.loadBalancerSourceRanges))) }}
ports:
  - name: http
    port: {{ $service.port }}
    targetPort: http
    appProtocol: {{ .appProtocol }}
    {{- with and $public $service.nodePort }}
    nodePort: {{ . }}
    {{- end }}
{{- end }}
