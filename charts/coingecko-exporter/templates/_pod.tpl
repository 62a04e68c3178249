{{/* The pod of poller and relays: dict root, component (poller or relay). */}}

{{- define "coingecko-exporter.pod" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $poller := eq $component "poller" -}}
{{- $values := index $root.Values $component -}}
{{- $fullname := include "coingecko-exporter.fullname" $root -}}
{{- $web := include "coingecko-exporter.webConfig" $root -}}
{{- $auth := $root.Values.web.basicAuth.enabled -}}
{{- $tls := $root.Values.web.tls.enabled -}}
{{- $keySecret := and $poller (include "coingecko-exporter.apiKeySecret" $root) -}}
{{- $httpSecret := and $poller $root.Values.coingecko.httpConfig.existingSecret -}}
{{- $client := and (not $poller) $web -}}
metadata:
  labels:
    {{- toYaml (merge (dict "app.kubernetes.io/component" $component) (include "coingecko-exporter.labels" $root | fromYaml) $values.podLabels) | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: exporter
    {{- /* A new key among the values counts at once. Without it, too, files are read again: the key at each poll, web.yaml and passwords at each request. */}}
    {{- if and $keySecret $root.Values.coingecko.apiKey.value }}
    checksum/api-key: {{ $root.Values.coingecko.apiKey.value | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "coingecko-exporter.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false # their variables look like those that set flags
  # Delay and timeout of the shutdown, and some seconds to spare.
  terminationGracePeriodSeconds: {{ add 5 (include "coingecko-exporter.seconds" $root.Values.shutdown.delay | int) (include "coingecko-exporter.seconds" $root.Values.shutdown.timeout | int) }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- include "coingecko-exporter.podSecurity" 65532 | nindent 4 }}
  containers:
    - name: exporter
      image: {{ include "coingecko-exporter.ownImage" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        {{- if $web }}
        - --web.config.file=/etc/web/web.yaml
        - --web.health-listen-address=:9881
        {{- end }}
        - --web.shutdown-delay={{ $root.Values.shutdown.delay }}
        - --web.shutdown-timeout={{ $root.Values.shutdown.timeout }}
        {{- if not $poller }}
        - --coingecko.url={{ include "coingecko-exporter.scheme" $root }}://{{ $fullname }}-poller.{{ $root.Release.Namespace }}.svc:{{ $root.Values.service.port }}/api/v3
        {{- if $client }}
        - --coingecko.http-config-file=/etc/client/http-config.yaml
        {{- end }}
        {{- else if $root.Values.simulate }}
        - --simulate
        {{- with $root.Values.coingecko.interval }}
        - --coingecko.interval={{ . }}
        {{- end }}
        {{- else }}
        - --coingecko.plan={{ $root.Values.coingecko.plan }}
        {{- with $root.Values.coingecko.interval }}
        - --coingecko.interval={{ . }}
        {{- end }}
        - --coingecko.timeout={{ $root.Values.coingecko.timeout }}
        {{- range $root.Values.coingecko.urls }}
        - --coingecko.url={{ . }}
        {{- end }}
        {{- if $keySecret }}
        - --coingecko.api-key-file=/etc/api-key/api-key
        {{- end }}
        {{- if $httpSecret }}
        - --coingecko.http-config-file=/etc/client/http-config.yaml
        {{- end }}
        {{- end }}
        - --rates.max-age={{ include "coingecko-exporter.maxAge" $root }}s
        - --screen.quote={{ first $root.Values.store.quotes }}
        - --screen.coins={{ join "," $root.Values.store.coins }}
        - --log.level={{ $root.Values.log.level }}
        - --log.format={{ $root.Values.log.format }}
        {{- range $values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      {{- $limits := $values.resources.limits | default dict }}
      {{- $memory := $limits.memory | default "" | include "coingecko-exporter.goMemLimit" }}
      {{- if or $limits.cpu $memory }}
      env:
        {{- if $limits.cpu }}
        - name: GOMAXPROCS
          valueFrom: {resourceFieldRef: {resource: limits.cpu}}
        {{- end }}
        {{- with $memory }}
        - name: GOMEMLIMIT # bytes: four fifths of the limit
          value: {{ . | quote }}
        {{- end }}
      {{- end }}
      ports:
        - {name: http, containerPort: 9880}
        {{- if $web }}
        - {name: health, containerPort: 9881}
        {{- end }}
      {{- $port := ternary "health" "http" (ne $web "") }}
      startupProbe:
        httpGet: {path: /-/healthy, port: {{ $port }}}
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /-/healthy, port: {{ $port }}}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /-/ready, port: {{ $port }}}
        periodSeconds: 2
        timeoutSeconds: 2
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "coingecko-exporter.containerSecurity" . | nindent 8 }}
      {{- if or $web $keySecret $httpSecret }}
      volumeMounts:
        {{- if $keySecret }}
        - {name: api-key, mountPath: /etc/api-key, readOnly: true}
        {{- end }}
        {{- if or $httpSecret $client }}
        - {name: client, mountPath: /etc/client, readOnly: true}
        {{- end }}
        {{- if $web }}
        - {name: web, mountPath: /etc/web, readOnly: true}
        {{- end }}
        {{- if $tls }}
        - {name: tls, mountPath: /etc/tls, readOnly: true}
        {{- end }}
      {{- end }}
  {{- if or $web $keySecret $httpSecret }}
  volumes:
    {{- if $keySecret }}
    - name: api-key
      secret:
        secretName: {{ $keySecret }}
        defaultMode: 0440
        items: [{key: {{ $root.Values.coingecko.apiKey.existingSecret.key }}, path: api-key}]
    {{- end }}
    {{- if $httpSecret }}
    - name: client
      secret:
        secretName: {{ $httpSecret }}
        defaultMode: 0440
        items: [{key: {{ $root.Values.coingecko.httpConfig.key }}, path: http-config.yaml}]
    {{- else if $client }}
    - name: client
      configMap: {name: {{ $fullname }}-client}
    {{- end }}
    {{- if $auth }}
    - name: web
      secret:
        secretName: {{ include "coingecko-exporter.authSecret" $root }}
        defaultMode: 0440
        {{- if $poller }}
        items: [{key: web.yaml, path: web.yaml}] # it knows the password's hash only
        {{- end }}
    {{- else if $web }}
    - name: web
      configMap: {name: {{ $fullname }}-web}
    {{- end }}
    {{- if $tls }}
    - name: tls
      secret: {secretName: {{ include "coingecko-exporter.tlsSecret" $root }}, defaultMode: 0440}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $values.affinity }}
  affinity:
    {{- toYaml $values.affinity | nindent 4 }}
  {{- else if not $poller }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "coingecko-exporter.selectorLabels" $root | nindent 16 }}
                app.kubernetes.io/component: relay
  {{- end }}
  {{- if not $poller }}
  topologySpreadConstraints:
    {{- if $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "coingecko-exporter.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: relay
    {{- end }}
  {{- end }}
{{- end }}
