{{/* What follows from the values: durations, names of Secrets, and what is refused. */}}

{{- /* Seconds of a duration such as 1h30m. */}}
{{- define "coingecko-exporter.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+[hms]" . -1 }}
{{- $n := regexFind "[0-9]+" . | int }}
{{- $seconds = add $seconds (mul $n (get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .))) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- /* The poller's interval in seconds. Defaults: CoinGecko's plans, as the exporter has them. */}}
{{- define "coingecko-exporter.interval" -}}
{{- if .Values.coingecko.interval }}
{{- include "coingecko-exporter.seconds" .Values.coingecko.interval }}
{{- else if .Values.simulate }}2
{{- else }}
{{- get (dict "keyless" 60 "demo" 300 "pro" 60) .Values.coingecko.plan }}
{{- end }}
{{- end }}

{{- /* Relays cannot know the poller's interval, so both are told the same age. */}}
{{- define "coingecko-exporter.maxAge" -}}
{{- if .Values.rates.maxAge }}
{{- include "coingecko-exporter.seconds" .Values.rates.maxAge }}
{{- else }}
{{- max 600 (mul 3 (include "coingecko-exporter.interval" . | int)) }}
{{- end }}
{{- end }}

{{- /* How far a price may move before the screen marks it, as its flag wants it: the warnings of the store. */}}
{{- define "coingecko-exporter.screenThresholds" -}}
{{- $list := list }}
{{- range $thresholds := list (omit .Values.store.thresholds.kinds "market" "quote") .Values.store.thresholds.currencies }}
{{- range $of, $windows := $thresholds }}
{{- range $window, $severities := $windows }}
{{- with $severities }}
{{- with .warning }}
{{- $list = append $list (printf "%s.%s=%v" $of $window (float64 .)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- join "," $list }}
{{- end }}

{{- /* What stands before every path; empty for nothing. */}}
{{- define "coingecko-exporter.prefix" -}}
{{- with .Values.web.routePrefix | default (get (urlParse .Values.web.externalURL) "path") | trimAll "/" }}/{{ . }}{{ end }}
{{- end }}

{{- /* Whether polls spend CoinGecko's quota. */}}
{{- define "coingecko-exporter.spendsQuota" -}}
{{- if not .Values.simulate }}
{{- if not .Values.coingecko.urls }}yes{{ end }}
{{- range .Values.coingecko.urls }}
{{- if regexMatch "(^|\\.)coingecko\\.com(:[0-9]+)?$" (urlParse .).host }}yes{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The Secret with the API key; empty without one. */}}
{{- define "coingecko-exporter.apiKeySecret" -}}
{{- with .Values.coingecko.apiKey }}
{{- if .existingSecret.name }}{{ .existingSecret.name }}
{{- else if or .value .externalSecret.enabled }}{{ include "coingecko-exporter.fullname" $ }}-api-key
{{- end }}
{{- end }}
{{- end }}

{{- define "coingecko-exporter.tlsSecret" -}}
{{ .Values.web.tls.existingSecret | default (printf "%s-tls" (include "coingecko-exporter.fullname" .)) }}
{{- end }}

{{- define "coingecko-exporter.authSecret" -}}
{{ .Values.web.basicAuth.existingSecret | default (printf "%s-web" (include "coingecko-exporter.fullname" .)) }}
{{- end }}

{{- /* Not empty with TLS or basic auth. */}}
{{- define "coingecko-exporter.webConfig" -}}
{{- if or .Values.web.tls.enabled .Values.web.basicAuth.enabled }}yes{{ end }}
{{- end }}

{{- /* exporter-toolkit's part about TLS. */}}
{{- define "coingecko-exporter.webTLS" -}}
{{- if .Values.web.tls.enabled -}}
tls_server_config:
  cert_file: /etc/tls/tls.crt
  key_file: /etc/tls/tls.key
{{- end }}
{{- end }}

{{- /* What GOMEMLIMIT is for a memory limit: half of it, for the sockets of readers count, too. Empty for a form that is not known here. */}}
{{- define "coingecko-exporter.goMemLimit" -}}
{{- $number := regexFind "^[0-9]+" (toString .) }}
{{- $factor := get (dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "k" 1000 "M" 1000000 "G" 1000000000 "" 1) (trimPrefix $number (toString .)) }}
{{- if and $number $factor }}{{ div (mul (int64 $number) $factor) 2 }}{{ end }}
{{- end }}

{{- /* Settings that cannot be right, each with what to do about it. */}}
{{- define "coingecko-exporter.checks" -}}
{{- $c := .Values.coingecko }}
{{- $key := $c.apiKey }}
{{- $sources := len (compact (list $key.value $key.existingSecret.name (ternary "yes" "" $key.externalSecret.enabled))) }}
{{- $interval := include "coingecko-exporter.interval" . | int }}
{{- $maxAge := include "coingecko-exporter.maxAge" . | int }}
{{- if .Values.simulate }}
  {{- if or $c.urls $sources (ne $c.plan "keyless") $c.httpConfig.existingSecret }}
    {{- fail "simulate=true brings an upstream of its own: leave out coingecko.plan, coingecko.apiKey, coingecko.urls and coingecko.httpConfig, or set simulate=false" }}
  {{- end }}
{{- else }}
  {{- if gt $sources 1 }}
    {{- fail "coingecko.apiKey: give one of value, existingSecret.name and externalSecret, not several" }}
  {{- else if and (eq $c.plan "keyless") $sources }}
    {{- fail "coingecko.plan=keyless takes no API key: set coingecko.plan to demo or pro, or leave out coingecko.apiKey" }}
  {{- else if and (ne $c.plan "keyless") (not $sources) }}
    {{- fail (printf "coingecko.plan=%s needs an API key: set coingecko.apiKey.existingSecret.name (or externalSecret; for a trial, value)" $c.plan) }}
  {{- end }}
  {{- if and $key.externalSecret.enabled (not (and $key.externalSecret.secretStoreRef.name $key.externalSecret.remoteRef.key)) }}
    {{- fail "coingecko.apiKey.externalSecret needs secretStoreRef.name and remoteRef.key" }}
  {{- end }}
  {{- if lt $interval 10 }}
    {{- fail (printf "coingecko.interval=%s is below 10s" $c.interval) }}
  {{- end }}
  {{- if include "coingecko-exporter.spendsQuota" . }}
    {{- $perMonth := $c.quotaPerMonth | default (get (dict "keyless" 0 "demo" 10000 "pro" 100000) $c.plan) | int }}
    {{- $polls := div (sub (add 2678400 $interval) 1) $interval | int }}
    {{- if and $perMonth (gt $polls $perMonth) }}
      {{- $least := add 1 (div 2678399 $perMonth) }}
      {{- fail (printf "coingecko.interval=%ds makes 2,678,400 s / %d s = %d polls in a month of 31 days, and the %s plan allows %d: set coingecko.interval to %ds or more, or coingecko.quotaPerMonth to what your plan allows" $interval $interval $polls $c.plan $perMonth $least) }}
    {{- end }}
    {{- if and (eq $c.plan "keyless") (lt $interval 12) }}
      {{- fail (printf "coingecko.interval=%ds makes %d polls a minute, and keyless access allows 5 to 15, shared by all behind one address: set coingecko.interval to 12s or more" $interval (div (add 59 $interval) $interval)) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- if lt $maxAge $interval }}
  {{- fail (printf "rates.maxAge=%s is below the interval of %ds: rates would be gone before the next poll" .Values.rates.maxAge $interval) }}
{{- end }}
{{- with .Values.rates.maxJump }}
  {{- if le (float64 .) 1.0 }}
    {{- fail (printf "rates.maxJump=%v is no factor above 1, such as 1.5; 0 shows every rate at once" .) }}
  {{- end }}
{{- end }}
{{- with .Values.relay }}
  {{- if and .autoscaling.enabled (not .enabled) }}
    {{- fail "relay.autoscaling.enabled=true needs relay.enabled=true: the poller is never scaled, a second one would spend the quota twice" }}
  {{- end }}
  {{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) }}
    {{- fail (printf "relay.autoscaling.minReplicas=%d is above maxReplicas=%d" (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas)) }}
  {{- end }}
{{- end }}
{{- with .Values.web }}
  {{- if and .tls.enabled (eq (empty .tls.existingSecret) (not .tls.certManager.enabled)) }}
    {{- fail "web.tls.enabled=true needs a certificate: set one of web.tls.existingSecret and web.tls.certManager.enabled" }}
  {{- end }}
  {{- if and .tls.enabled .tls.certManager.enabled (not .tls.certManager.issuerRef.name) }}
    {{- fail "web.tls.certManager.enabled=true needs web.tls.certManager.issuerRef.name" }}
  {{- end }}
  {{- if and .basicAuth.enabled (eq (empty .basicAuth.existingSecret) (empty .basicAuth.password)) }}
    {{- fail "web.basicAuth.enabled=true needs a password: set one of web.basicAuth.existingSecret and, for a trial, web.basicAuth.password" }}
  {{- end }}
{{- end }}
{{- with .Values.serviceMonitor.namespace }}
  {{- if and (ne . (include "coingecko-exporter.namespace" $)) (include "coingecko-exporter.webConfig" $) }}
    {{- fail (printf "serviceMonitor.namespace=%s: Prometheus looks for the CA and the password in the namespace of the ServiceMonitor, and they are in %s. Leave serviceMonitor.namespace out, or web.tls and web.basicAuth" . (include "coingecko-exporter.namespace" $)) }}
  {{- end }}
{{- end }}
{{- if not (dig "enabled" true (omit .Values "global")) }}
  {{- fail "enabled=false is for a parent chart: give the dependency a condition, coingecko-exporter.enabled" }}
{{- end }}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "poller.podLabels" .Values.poller.podLabels "relay.podLabels" .Values.relay.podLabels "wall.podLabels" .Values.wall.podLabels }}
  {{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" }}
    {{- if hasKey ($labels | default dict) $label }}
      {{- fail (printf "%s has %s, by which the chart's own objects find each other: leave it out. nameOverride and the release's name set name and instance" $path $label) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- range $by, $thresholds := dict "kinds" .Values.store.thresholds.kinds "currencies" .Values.store.thresholds.currencies }}
  {{- range $of, $windows := $thresholds }}
    {{- range $window, $severities := $windows }}
      {{- range $severity, $share := $severities }}
        {{- if gt (float64 ($share | default 0)) 1.0 }}
          {{- fail (printf "store.thresholds.%s.%s.%s.%s=%v is %v %%: give a share, such as 0.05 for 5 %%" $by $of $window $severity $share (mulf 100 $share)) }}
        {{- end }}
      {{- end }}
      {{- with $severities }}
        {{- if and .warning .critical (ge (float64 .warning) (float64 .critical)) }}
          {{- fail (printf "store.thresholds.%s.%s.%s: warning=%v is not below critical=%v" $by $of $window .warning .critical) }}
        {{- end }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.serviceMonitor }}
  {{- if gt (include "coingecko-exporter.seconds" .scrapeTimeout | int) (include "coingecko-exporter.seconds" .interval | int) }}
    {{- fail (printf "serviceMonitor.scrapeTimeout=%s is above serviceMonitor.interval=%s, which Prometheus refuses" .scrapeTimeout .interval) }}
  {{- end }}
{{- end }}
{{- range $path, $image := dict "image" .Values.image "wall.image" .Values.wall.image }}
  {{- if eq (toString $image.tag) "latest" }}
    {{- fail (printf "%s.tag=latest is another image tomorrow: name a version" $path) }}
  {{- end }}
{{- end }}
{{- if and .Values.wall.enabled (not .Values.wall.prometheusURL) }}
  {{- fail "wall.enabled=true needs wall.prometheusURL: the Prometheus that scrapes this exporter and evaluates its rules, such as http://kube-prometheus-stack-prometheus.monitoring:9090" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
  {{- fail "httpRoute.enabled=true needs httpRoute.parentRefs: the Gateways to be reached by" }}
{{- end }}
{{- end }}
