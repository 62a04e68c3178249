{{/* The parts that all pods share, and the pods of poller and relays. */}}

{{- /* Labels and annotations of a pod: dict root, component, values (of the component). */}}
{{- define "coingecko-exporter.podMetadata" -}}
{{- $labels := include "coingecko-exporter.strings" (merge (dict) (.values.podLabels | default dict) (.root.Values.podLabels | default dict)) | fromYaml }}
labels:
  {{- toYaml (merge (dict "app.kubernetes.io/component" .component) $labels (include "coingecko-exporter.labels" .root | fromYaml)) | nindent 2 }}
{{- with include "coingecko-exporter.strings" (merge (dict) (.values.podAnnotations | default dict) (.root.Values.podAnnotations | default dict)) | fromYaml }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "coingecko-exporter.podSpec" -}}
{{- $common := .root.Values -}}
{{- $values := .values -}}
{{- $pullSecrets := list }}
{{- range concat ($common.imagePullSecrets | default list) (get ($common.global | default dict) "imagePullSecrets" | default list) }}
{{- $pullSecrets = append $pullSecrets (kindIs "string" . | ternary (dict "name" .) .).name }}
{{- end -}}
automountServiceAccountToken: false
enableServiceLinks: false # a Service's variables could be mistaken for the exporter's settings
{{- with $pullSecrets | uniq | sortAlpha }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with include "coingecko-exporter.fields" (list
  (list "priorityClassName" ($values.priorityClassName | default $common.priorityClassName))
  (list "runtimeClassName" $common.runtimeClassName)
  (list "dnsPolicy" $common.dnsPolicy)
  (list "dnsConfig" $common.dnsConfig)
  (list "hostAliases" $common.hostAliases)
  (list "nodeSelector" (include "coingecko-exporter.strings" ($values.nodeSelector | default $common.nodeSelector) | fromYaml))
  (list "tolerations" (concat ($values.tolerations | default list) ($common.tolerations | default list)))
  (list "affinity" ($values.affinity | default $common.affinity | default .affinity))) }}
{{ . }}
{{- end }}
{{- $own := include "coingecko-exporter.componentLabels" . | fromYaml }}
{{- with $values.topologySpreadConstraints | default $common.topologySpreadConstraints | default .topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml (hasKey . "labelSelector" | ternary . (set (deepCopy .) "labelSelector" (dict "matchLabels" $own))) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The mode of Secret files: readable by the pod's group, or by all where the cluster assigns user IDs. */}}
{{- define "coingecko-exporter.secretMode" -}}
{{ ternary "0440" "0444" (hasKey (.Values.podSecurityContext | default dict) "fsGroup") }}
{{- end }}

{{- /* The Deployment of poller or relays: dict root, component (poller or relay), replicas (absent if an autoscaler sets them). */}}
{{- define "coingecko-exporter.deployment" -}}
{{- $name := printf "%s-%s" (include "coingecko-exporter.fullname" .root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "coingecko-exporter.metadata" (dict "root" .root "name" $name "component" .component "of" (index .root.Values .component)) | nindent 2 }}
spec:
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit }}
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  # The old pod serves until the new pod has rates. For the poller, this costs one more poll.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "coingecko-exporter.componentLabels" . | nindent 6 }}
  template:
    {{- include "coingecko-exporter.pod" . | nindent 4 }}
{{- end }}

{{- /* The pod of poller and relays: dict root, component. */}}
{{- define "coingecko-exporter.pod" -}}
{{- $root := .root -}}
{{- $common := $root.Values -}}
{{- $component := .component -}}
{{- $poller := eq $component "poller" -}}
{{- $values := index $common $component -}}
{{- $fullname := include "coingecko-exporter.fullname" $root -}}
{{- $namespace := include "coingecko-exporter.namespace" $root -}}
{{- $web := include "coingecko-exporter.webConfig" $root -}}
{{- $auth := $common.web.basicAuth.enabled -}}
{{- $tls := $common.web.tls.enabled -}}
{{- $keySecret := and $poller (include "coingecko-exporter.apiKeySecret" $root) -}}
{{- $httpSecret := and $poller $common.coingecko.httpConfig.existingSecret -}}
{{- $client := and (not $poller) $web -}}
{{- $mode := include "coingecko-exporter.secretMode" $root -}}
metadata:
  {{- $pod := include "coingecko-exporter.podMetadata" (dict "root" $root "component" $component "values" $values) | fromYaml }}
  {{- $annotations := dict "kubectl.kubernetes.io/default-container" "exporter" }}
  {{- /* The checksum restarts the pod when coingecko.apiKey.value changes. Other files need no restart, except coingecko.httpConfig: the exporter reads the key at each poll, web.yaml and passwords at each request. */}}
  {{- if and $keySecret $common.coingecko.apiKey.value }}
  {{- $_ := set $annotations "checksum/api-key" ($common.coingecko.apiKey.value | toString | sha256sum) }}
  {{- end }}
  {{- toYaml (merge $pod (dict "annotations" $annotations)) | nindent 2 }}
spec:
  serviceAccountName: {{ include "coingecko-exporter.serviceAccountName" $root }}
  {{- $affinity := dict }}
  {{- $spread := list }}
  {{- if not $poller }}
  {{- $selector := dict "matchLabels" (include "coingecko-exporter.componentLabels" . | fromYaml) }}
  {{- $term := dict "weight" 100 "podAffinityTerm" (dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector) }}
  {{- $affinity = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list $term)) }}
  {{- $spread = list (dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway") }}
  {{- end }}
  {{- include "coingecko-exporter.podSpec" (dict "root" $root "component" $component "values" $values "affinity" $affinity "topologySpreadConstraints" $spread) | nindent 2 }}
  # Shutdown delay and timeout, plus 5 s.
  terminationGracePeriodSeconds: {{ add 5 (include "coingecko-exporter.seconds" $common.shutdown.delay | int) (include "coingecko-exporter.seconds" $common.shutdown.timeout | int) }}
  {{- with include "coingecko-exporter.fields" (list
    (list "securityContext" $common.podSecurityContext)
    (list "initContainers" $common.extraInitContainers)) }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: exporter
      image: {{ include "coingecko-exporter.ownImage" $root | quote }}
      imagePullPolicy: {{ $common.image.pullPolicy }}
      args:
        {{- if $web }}
        - --web.config.file=/etc/web/web.yaml
        {{- end }}
        - --web.health-listen-address=:9881
        - --web.max-connections={{ int $common.web.maxConnections }}
        {{- with $common.web.externalURL }}
        - {{ printf "--web.external-url=%s" . | quote }}
        {{- end }}
        {{- with $common.web.routePrefix }}
        - {{ printf "--web.route-prefix=%s" . | quote }}
        {{- end }}
        {{- with $common.web.corsOrigin }}
        - {{ printf "--web.cors.origin=%s" . | quote }}
        {{- end }}
        - --web.shutdown-delay={{ $common.shutdown.delay }}
        - --web.shutdown-timeout={{ $common.shutdown.timeout }}
        {{- if not $poller }}
        - --coingecko.url={{ include "coingecko-exporter.scheme" $root }}://{{ $fullname }}-poller.{{ $namespace }}.svc:{{ $common.service.port }}{{ include "coingecko-exporter.prefix" $root }}/api/v3
        {{- else }}
        - {{ $common.simulate | ternary "--simulate" (printf "--coingecko.plan=%s" $common.coingecko.plan) }}
        {{- with $common.coingecko.interval }}
        - --coingecko.interval={{ . }}
        {{- end }}
        {{- if not $common.simulate }}
        - --coingecko.timeout={{ $common.coingecko.timeout }}
        {{- end }}
        {{- range $common.coingecko.urls }}
        - --coingecko.url={{ . }}
        {{- end }}
        {{- if $keySecret }}
        - --coingecko.api-key-file=/etc/api-key/api-key
        {{- end }}
        {{- end }}
        {{- if or $httpSecret $client }}
        - --coingecko.http-config-file=/etc/client/http-config.yaml
        {{- end }}
        - --rates.max-age={{ include "coingecko-exporter.maxAge" $root }}s
        {{- if not (kindIs "invalid" $common.rates.maxJump) }}
        - --rates.max-jump={{ $common.rates.maxJump }}
        {{- end }}
        - --screen.quote={{ first $common.store.quotes }}
        - --screen.coins={{ join "," $common.store.coins }}
        - --screen.thresholds={{ include "coingecko-exporter.screenThresholds" $root }}
        {{- with $common.store.basket }}
        - --screen.basket={{ . }}
        {{- end }}
        {{- with $common.screen.timezone }}
        - --screen.timezone={{ . }}
        {{- end }}
        {{- if and $common.history.prometheusURL (not (and $poller $common.simulate)) }}
        - {{ printf "--history.prometheus-url=%s" $common.history.prometheusURL | quote }}
        - {{ printf "--history.selector=%s" ($common.history.selector | default (printf "job=\"coingecko-exporter\",namespace=%q" $namespace)) | quote }}
        {{- end }}
        - --log.level={{ $common.log.level }}
        - --log.format={{ $common.log.format }}
        {{- range concat ($common.extraArgs | default list) ($values.extraArgs | default list) }}
        - {{ . | quote }}
        {{- end }}
      {{- $resources := $values.resources | default dict }}
      {{- $limits := $resources.limits | default dict }}
      {{- $memory := $limits.memory | default "" | include "coingecko-exporter.goMemLimit" }}
      {{- if or $limits.cpu $memory $common.extraEnv }}
      env:
        {{- if $limits.cpu }}
        - name: GOMAXPROCS
          valueFrom: {resourceFieldRef: {resource: limits.cpu}}
        {{- end }}
        {{- with $memory }}
        - name: GOMEMLIMIT # bytes: half of the limit
          value: {{ . | quote }}
        {{- end }}
        {{- with $common.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with $common.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - {name: http, containerPort: 9880}
        - {name: health, containerPort: 9881} # probes work without TLS and password, and do not compete with readers
      {{- range list (list "startupProbe" "/-/healthy") (list "livenessProbe" "/-/healthy") (list "readinessProbe" "/-/ready") }}
      {{ first . }}:
        {{- $settings := omit (index $common (first .) | default dict) "httpGet" }}
        {{- toYaml (merge (dict "httpGet" (dict "path" (last .) "port" "health")) $settings) | nindent 8 }}
      {{- end }}
      {{- with include "coingecko-exporter.fields" (list (list "resources" $resources) (list "securityContext" $common.securityContext)) }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- if or $web $keySecret $httpSecret $common.extraVolumeMounts }}
      volumeMounts:
        {{- range list (list "api-key" $keySecret) (list "client" (or $httpSecret $client)) (list "web" $web) (list "tls" $tls) }}
        {{- if last . }}
        - {name: {{ first . }}, mountPath: /etc/{{ first . }}, readOnly: true}
        {{- end }}
        {{- end }}
        {{- with $common.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with $common.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $web $keySecret $httpSecret $common.extraVolumes }}
  volumes:
    {{- if $keySecret }}
    - name: api-key
      secret:
        secretName: {{ $keySecret }}
        defaultMode: {{ $mode }}
        {{- if $common.coingecko.apiKey.existingSecret.name }}
        optional: true # if the Secret is missing, the exporter exits with an error that names the file, instead of a pod that stays pending
        {{- end }}
        items: [{key: {{ $common.coingecko.apiKey.existingSecret.key }}, path: api-key}]
    {{- end }}
    {{- if $httpSecret }}
    - name: client
      secret:
        secretName: {{ $httpSecret }}
        defaultMode: {{ $mode }}
        items: [{key: {{ $common.coingecko.httpConfig.key }}, path: http-config.yaml}]
    {{- else if $client }}
    - name: client
      configMap: {name: {{ $fullname }}-client}
    {{- end }}
    {{- if $auth }}
    - name: web
      secret:
        secretName: {{ include "coingecko-exporter.authSecret" $root }}
        defaultMode: {{ $mode }}
        {{- if $poller }}
        items: [{key: web.yaml, path: web.yaml}] # the poller needs only the password's hash
        {{- end }}
    {{- else if $web }}
    - name: web
      configMap: {name: {{ $fullname }}-web}
    {{- end }}
    {{- if $tls }}
    - name: tls
      secret: {secretName: {{ include "coingecko-exporter.tlsSecret" $root }}, defaultMode: {{ $mode }}}
    {{- end }}
    {{- with $common.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
