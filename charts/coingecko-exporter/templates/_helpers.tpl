{{/* Names and labels, as helm create makes them. */}}

{{- define "coingecko-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Leaves room for the longest suffix, -analysis-dashboard. */}}
{{- define "coingecko-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 44 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "coingecko-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "coingecko-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "coingecko-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "coingecko-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "coingecko-exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "coingecko-exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: coingecko-exporter
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The metadata of an object: dict root, name; and optionally component, namespace, labels, annotations. */}}
{{- define "coingecko-exporter.metadata" -}}
{{- $root := .root -}}
name: {{ .name }}
namespace: {{ .namespace | default $root.Release.Namespace }}
labels:
  {{- $labels := include "coingecko-exporter.labels" $root | fromYaml }}
  {{- with .component }}
  {{- $labels = merge (dict "app.kubernetes.io/component" .) $labels }}
  {{- end }}
  {{- toYaml (merge (dict) (.labels | default dict) $labels) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* An image reference, from repository, tag, digest. */}}
{{- define "coingecko-exporter.image" -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "coingecko-exporter.ownImage" -}}
{{- $image := .Values.image -}}
{{- $tag := $image.tag | default (ternary "" .Chart.AppVersion (ne $image.digest "")) -}}
{{ include "coingecko-exporter.image" (dict "repository" $image.repository "tag" $tag "digest" $image.digest) }}
{{- end }}

{{- /* The component that readers reach. */}}
{{- define "coingecko-exporter.frontend" -}}
{{ ternary "relay" "poller" .Values.relay.enabled }}
{{- end }}

{{- /* http or https. */}}
{{- define "coingecko-exporter.scheme" -}}
{{ ternary "https" "http" .Values.web.tls.enabled }}
{{- end }}

{{- /* The name in the certificate, for which whoever asks by IP or by another name has to ask. */}}
{{- define "coingecko-exporter.serverName" -}}
{{ include "coingecko-exporter.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* Not empty where an API is to be used: dict root, enabled (true, false, auto), api. */}}
{{- define "coingecko-exporter.wanted" -}}
{{- if eq (toString .enabled) "auto" }}
{{- if .root.Capabilities.APIVersions.Has .api }}yes{{ end }}
{{- else if .enabled }}yes{{ end }}
{{- end }}

{{- /* What the restricted Pod Security Standard asks of a pod, given its user, and of a container. */}}
{{- define "coingecko-exporter.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "coingecko-exporter.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{- /* How a Service is published, from its values. */}}
{{- define "coingecko-exporter.publish" -}}
type: {{ .type }}
{{- if eq .type "LoadBalancer" }}
{{- with .loadBalancerClass }}
loadBalancerClass: {{ . }}
{{- end }}
{{- with .loadBalancerSourceRanges }}
loadBalancerSourceRanges:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
