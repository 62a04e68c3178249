{{/* Settings that are derived from the values, and checks that reject invalid values. */}}

{{- /* A duration such as 1h30m, in seconds. */}}
{{- define "coingecko-exporter.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9]+[hms]" . -1 }}
{{- $n := regexFind "[0-9]+" . | int }}
{{- $seconds = add $seconds (mul $n (get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .))) }}
{{- end }}
{{- $seconds }}
{{- end }}

{{- /* The poller's interval in seconds. The defaults by plan are the exporter's. */}}
{{- define "coingecko-exporter.interval" -}}
{{- if .Values.coingecko.interval }}
{{- include "coingecko-exporter.seconds" .Values.coingecko.interval }}
{{- else if .Values.simulate }}2
{{- else }}
{{- get (dict "keyless" 60 "demo" 300 "pro" 60) .Values.coingecko.plan }}
{{- end }}
{{- end }}

{{- /* Set on poller and relays alike, because relays cannot derive it from the poller's interval. */}}
{{- define "coingecko-exporter.maxAge" -}}
{{- if .Values.rates.maxAge }}
{{- include "coingecko-exporter.seconds" .Values.rates.maxAge }}
{{- else }}
{{- max 600 (mul 3 (include "coingecko-exporter.interval" . | int)) }}
{{- end }}
{{- end }}

{{- /* The value of --screen.thresholds: the store's warning thresholds. */}}
{{- define "coingecko-exporter.screenThresholds" -}}
{{- $list := list }}
{{- range $thresholds := list (omit .Values.store.thresholds.kinds "market" "quote") .Values.store.thresholds.currencies }}
{{- range $of, $windows := $thresholds }}
{{- range $window, $severities := $windows }}
{{- if ne $window "7d" }}{{- /* the screen has no such window */}}
{{- with $severities }}
{{- with .warning }}
{{- $list = append $list (printf "%s.%s=%v" $of $window (float64 .)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- join "," $list }}
{{- end }}

{{- /* The prefix of all endpoints, or empty. */}}
{{- define "coingecko-exporter.prefix" -}}
{{- with .Values.web.routePrefix | default (get (urlParse .Values.web.externalURL) "path") | trimAll "/" }}/{{ . }}{{ end }}
{{- end }}

{{- /* Not empty if polls use CoinGecko's quota. */}}
{{- define "coingecko-exporter.spendsQuota" -}}
{{- if not .Values.simulate }}
{{- if not .Values.coingecko.urls }}yes{{ end }}
{{- range .Values.coingecko.urls }}
{{- if regexMatch "(^|\\.)coingecko\\.com(:[0-9]+)?$" (urlParse .).host }}yes{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The name of the Secret with the API key, or empty. */}}
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

{{- /* Not empty if TLS or basic auth is enabled. */}}
{{- define "coingecko-exporter.webConfig" -}}
{{- if or .Values.web.tls.enabled .Values.web.basicAuth.enabled }}yes{{ end }}
{{- end }}

{{- /* The TLS section of exporter-toolkit's web configuration. */}}
{{- define "coingecko-exporter.webTLS" -}}
{{- if .Values.web.tls.enabled -}}
tls_server_config:
  cert_file: /etc/tls/tls.crt
  key_file: /etc/tls/tls.key
{{- end }}
{{- end }}

{{- /* GOMEMLIMIT in bytes for a memory limit: half of it, because readers' sockets count towards the limit too. Empty if the unit is not supported here. */}}
{{- define "coingecko-exporter.goMemLimit" -}}
{{- $number := regexFind "^[0-9]+" (toString .) }}
{{- $factor := get (dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "k" 1000 "M" 1000000 "G" 1000000000 "" 1) (trimPrefix $number (toString .)) }}
{{- if and $number $factor }}{{ div (mul (int64 $number) $factor) 2 }}{{ end }}
{{- end }}

{{- /* Rejects invalid combinations of values. Each message says what to set instead. */}}
{{- define "coingecko-exporter.checks" -}}
{{- $c := .Values.coingecko }}
{{- $key := $c.apiKey }}
{{- $sources := len (compact (list $key.value $key.existingSecret.name (ternary "yes" "" $key.externalSecret.enabled))) }}
{{- $interval := include "coingecko-exporter.interval" . | int }}
{{- $maxAge := include "coingecko-exporter.maxAge" . | int }}
{{- $scaling := .Values.relay.autoscaling }}
{{- $tls := .Values.web.tls }}
{{- $auth := .Values.web.basicAuth }}
{{- $monitor := .Values.serviceMonitor }}
{{- $namespace := include "coingecko-exporter.namespace" . }}
{{- /* Prometheus' lookback is five minutes: with more than two, one failed scrape leaves a gap, and alerts start over. */}}
{{- $scrapeInterval := include "coingecko-exporter.seconds" $monitor.interval | int }}
{{- range list
  (list (and .Values.simulate (or $c.urls $sources (ne $c.plan "keyless") $c.httpConfig.existingSecret))
    "simulate=true cannot be combined with coingecko.plan, coingecko.apiKey, coingecko.urls or coingecko.httpConfig: remove them or set simulate=false")
  (list (gt $sources 1)
    "coingecko.apiKey has more than one source: set only one of value, existingSecret.name and externalSecret")
  (list (and (eq $c.plan "keyless") $sources)
    "coingecko.plan=keyless does not use an API key: set coingecko.plan to demo or pro, or remove coingecko.apiKey")
  (list (and (ne $c.plan "keyless") (not $sources))
    (printf "coingecko.plan=%s requires an API key: set coingecko.apiKey.existingSecret.name (or externalSecret, or value for a trial)" $c.plan))
  (list (and $key.externalSecret.enabled (not (and $key.externalSecret.secretStoreRef.name $key.externalSecret.remoteRef.key)))
    "coingecko.apiKey.externalSecret.enabled=true requires secretStoreRef.name and remoteRef.key: set both")
  (list (and (not .Values.simulate) (lt $interval 10))
    (printf "coingecko.interval=%s is below the minimum of 10s" $c.interval))
  (list (and (not .Values.simulate) (gt (include "coingecko-exporter.seconds" $c.timeout | int) $maxAge))
    (printf "coingecko.timeout=%s is longer than the maximum age of %ds, so rates would expire during a poll: set coingecko.timeout to %ds or less" $c.timeout $maxAge $maxAge))
  (list (lt $maxAge $interval)
    (printf "rates.maxAge=%s is shorter than the polling interval of %ds, so rates would expire before the next poll: set rates.maxAge to %ds or more" .Values.rates.maxAge $interval $interval))
  (list (and .Values.rates.maxJump (le (float64 .Values.rates.maxJump) 1.0))
    (printf "rates.maxJump=%v is not above 1: set a factor such as 1.5, or 0 to withhold no rate" .Values.rates.maxJump))
  (list (and $scaling.enabled (not .Values.relay.enabled))
    "relay.autoscaling.enabled=true requires relay.enabled=true: the poller is never scaled, because each poller uses the quota")
  (list (gt (int $scaling.minReplicas) (int $scaling.maxReplicas))
    (printf "relay.autoscaling.minReplicas=%d is above relay.autoscaling.maxReplicas=%d" (int $scaling.minReplicas) (int $scaling.maxReplicas)))
  (list (and $tls.enabled (eq (empty $tls.existingSecret) (not $tls.certManager.enabled)))
    "web.tls.enabled=true requires one certificate: set either web.tls.existingSecret or web.tls.certManager.enabled")
  (list (and $tls.enabled $tls.certManager.enabled (not $tls.certManager.issuerRef.name))
    "web.tls.certManager.enabled=true requires an issuer: set web.tls.certManager.issuerRef.name")
  (list (and $auth.enabled (eq (empty $auth.existingSecret) (empty $auth.password)))
    "web.basicAuth.enabled=true requires one password: set either web.basicAuth.existingSecret or, for a trial, web.basicAuth.password")
  (list (and $monitor.namespace (ne $monitor.namespace $namespace) (include "coingecko-exporter.webConfig" .))
    (printf "serviceMonitor.namespace=%s cannot be combined with web.tls or web.basicAuth: the ServiceMonitor must be in the namespace of its Secrets, %s. Remove serviceMonitor.namespace, or web.tls and web.basicAuth" $monitor.namespace $namespace))
  (list (not (dig "enabled" true (omit .Values "global")))
    "enabled=false works only in a parent chart: set condition: coingecko-exporter.enabled on the dependency")
  (list (gt (include "coingecko-exporter.seconds" $monitor.scrapeTimeout | int) $scrapeInterval)
    (printf "serviceMonitor.scrapeTimeout=%s is longer than serviceMonitor.interval=%s, which Prometheus rejects: shorten the timeout" $monitor.scrapeTimeout $monitor.interval))
  (list (gt $scrapeInterval 120)
    (printf "serviceMonitor.interval=%s is longer than 2m, so that one failed scrape could interrupt alerts: shorten the interval" $monitor.interval))
  (list (and .Values.wall.enabled (not .Values.wall.prometheusURL))
    "wall.enabled=true requires wall.prometheusURL: set the URL of the Prometheus that scrapes this exporter and evaluates its rules, such as http://kube-prometheus-stack-prometheus.monitoring:9090")
  (list (and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs))
    "httpRoute.enabled=true requires httpRoute.parentRefs: set at least one Gateway") }}
  {{- if first . }}
    {{- fail (last .) }}
  {{- end }}
{{- end }}
{{- if include "coingecko-exporter.spendsQuota" . }}
  {{- $perMonth := $c.quotaPerMonth | default (get (dict "keyless" 0 "demo" 10000 "pro" 100000) $c.plan) | int }}
  {{- $polls := div (sub (add 2678400 $interval) 1) $interval | int }}
  {{- if and $perMonth (gt $polls $perMonth) }}
    {{- $least := add 1 (div 2678399 $perMonth) }}
    {{- fail (printf "coingecko.interval=%ds exceeds the quota: 2,678,400 s / %d s = %d polls in a month of 31 days, but the %s plan allows %d. Set coingecko.interval to %ds or more, or coingecko.quotaPerMonth to the quota of your plan" $interval $interval $polls $c.plan $perMonth $least) }}
  {{- end }}
  {{- if and (eq $c.plan "keyless") (lt $interval 12) }}
    {{- fail (printf "coingecko.interval=%ds makes %d polls a minute, but keyless access allows 5 to 15, shared by all clients behind one IP address: set coingecko.interval to 12s or more" $interval (div (add 59 $interval) $interval)) }}
  {{- end }}
{{- end }}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "poller.podLabels" .Values.poller.podLabels "relay.podLabels" .Values.relay.podLabels "wall.podLabels" .Values.wall.podLabels "service.labels" .Values.service.labels }}
  {{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" }}
    {{- if hasKey ($labels | default dict) $label }}
      {{- fail (printf "%s must not contain %s, which the chart uses in selectors: remove it. To change name and instance, set nameOverride and the release name" $path $label) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- range $by, $thresholds := dict "kinds" .Values.store.thresholds.kinds "currencies" .Values.store.thresholds.currencies }}
  {{- range $of, $windows := $thresholds }}
    {{- range $window, $severities := $windows }}
      {{- range $severity, $share := $severities }}
        {{- if gt (float64 ($share | default 0)) 1.0 }}
          {{- fail (printf "store.thresholds.%s.%s.%s.%s=%v is %v %%: set a share, such as 0.05 for 5 %%" $by $of $window $severity $share (mulf 100 $share)) }}
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
{{- range $path, $image := dict "image" .Values.image "wall.image" .Values.wall.image }}
  {{- if eq (toString $image.tag) "latest" }}
    {{- fail (printf "%s.tag=latest is not a fixed version: set a version or a digest" $path) }}
  {{- end }}
{{- end }}
{{- end }}
