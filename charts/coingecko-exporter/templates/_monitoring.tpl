{{/* Rules and dashboards, limited to the release's namespace, so that several shops can share a Prometheus and a Grafana. */}}

{{- /* The files that match a pattern, as a YAML map of path to text: dict root, pattern. Fails if there are none. */}}
{{- define "coingecko-exporter.files" -}}
{{- $files := dict }}
{{- range $path, $_ := .root.Files.Glob .pattern }}
{{- $_ := set $files $path ($.root.Files.Get $path) }}
{{- end }}
{{- if not $files }}
{{- fail (printf "the chart is incomplete: %s is missing. Use the packaged chart, or a complete copy of the folder" .pattern) }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{- /* A rule file: dict root, path, text. Every selector gets the release's namespace, so that no two releases evaluate the same series or alerts. */}}
{{- define "coingecko-exporter.rules" -}}
{{- $spec := fromYaml .text }}
{{- if not $spec.groups }}
{{- fail (printf "the chart is incomplete: %s contains no rules. Use the packaged chart, or a complete copy of the folder" .path) }}
{{- end }}
{{- $selected := printf "${1}${2}{namespace=%q}" (include "coingecko-exporter.namespace" .root) }}
{{- $dashboard := printf "/d/coingecko-${1}-%s" (include "coingecko-exporter.uidSuffix" .root) }}
{{- $values := .root.Values.prometheusRule }}
{{- $groups := list }}
{{- range $group := $spec.groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- $_ := set $rule "expr" (regexReplaceAll `(^|[^a-zA-Z0-9_:"])([a-z_]*:?coingecko[a-zA-Z0-9_:]*|up|ALERTS)\b` $rule.expr $selected | replace "}{" ",") }}
{{- $change := dict }}
{{- if $rule.alert }}
{{- $change = get ($values.alerts | default dict) $rule.alert | default dict }}
{{- /* The exporter knows the quota of the smallest plan only. */}}
{{- if and $.root.Values.coingecko.quotaPerMonth (eq $rule.alert "CoinGeckoQuotaRunningOut") }}
{{- $change = dict "enabled" false }}
{{- end }}
{{- with get $rule.annotations "dashboard_url" }}
{{- $_ := set $rule.annotations "dashboard_url" (regexReplaceAll "/d/coingecko-([a-z]+)" . $dashboard) }}
{{- end }}
{{- range $field, $all := dict "labels" $values.alertLabels "annotations" $values.alertAnnotations }}
{{- $added := merge (dict) (get $change $field | default dict) ($all | default dict) }}
{{- $_ := set $rule $field (merge (include "coingecko-exporter.strings" $added | fromYaml) (get $rule $field)) }}
{{- end }}
{{- $rule = merge (pick $change "for" "keep_firing_for") $rule }}
{{- end }}
{{- if ne (toString $change.enabled) "false" }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- with $rules }}
{{- $groups = append $groups (merge (dict "rules" .) $group) }}
{{- end }}
{{- end }}
{{- toYaml (dict "groups" $groups) }}
{{- end }}

{{- /* The suffix that makes dashboard UIDs unique to the namespace. It keeps the longest UID within Grafana's 40 characters. */}}
{{- define "coingecko-exporter.uidSuffix" -}}
{{- $namespace := include "coingecko-exporter.namespace" . }}
{{- if le (len $namespace) 21 }}{{ $namespace }}{{ else }}{{ printf "%s-%s" (trunc 12 $namespace | trimSuffix "-") (sha256sum $namespace | trunc 8) }}{{ end }}
{{- end }}

{{- /* A dashboard: dict root, path, text. It gets its own UID and title, and the release's namespace as the selected one. */}}
{{- define "coingecko-exporter.dashboard" -}}
{{- $namespace := include "coingecko-exporter.namespace" .root }}
{{- $suffix := include "coingecko-exporter.uidSuffix" .root }}
{{- $board := fromJson .text }}
{{- if not $board.uid }}
{{- fail (printf "the chart is incomplete: %s contains no dashboard. Use the packaged chart, or a complete copy of the folder" .path) }}
{{- end }}
{{- $_ := set $board "uid" (printf "%s-%s" $board.uid $suffix) }}
{{- $_ := set $board "title" (printf "%s (%s)" $board.title $namespace) }}
{{- $coins := len .root.Values.store.coins }}
{{- $shape := ternary (list 3 21) (ternary (list 2 10) (ternary (list 3 10) (ternary (list 3 7) (ternary (list 4 7) (list 4 5) (le $coins 12)) (le $coins 9)) (le $coins 6)) (le $coins 4)) (le $coins 3) }}
{{- range $board.panels }}
{{- if eq (.repeat | default "") "coin" }}
{{- /* The same layout as in the dashboard generator: the fewer coins, the larger the tiles. */}}
{{- $_ := set . "maxPerRow" (index $shape 0) }}
{{- $_ := set .gridPos "h" (index $shape 1) }}
{{- end }}
{{- end }}
{{- $chosen := dict "text" $namespace "value" $namespace "selected" true }}
{{- $variables := list }}
{{- range $board.templating.list }}
{{- if eq .name "namespace" }}
{{- $all := dict "text" "All" "value" "$__all" "selected" false }}
{{- $variables = append $variables (dict "name" .name "label" .label "type" "custom" "query" $namespace "options" (list $all $chosen) "current" (omit $chosen "selected") "includeAll" true "allValue" ".*" "hide" (.hide | default 0)) }}
{{- else }}
{{- $variables = append $variables . }}
{{- end }}
{{- end }}
{{- $_ := set $board.templating "list" $variables }}
{{- regexReplaceAll "/d/coingecko-([a-z]+)" ($board | toRawJson) (printf "/d/coingecko-${1}-%s" $suffix) }}
{{- end }}

{{- /* The wall's path in Grafana. */}}
{{- define "coingecko-exporter.kioskPath" -}}
{{- .Values.dashboards.kioskPath | default (printf "/d/coingecko-wall-%s?kiosk&refresh=30s&_dash.hideTimePicker=true&_dash.hideVariables=true&_dash.hideLinks=true" (include "coingecko-exporter.uidSuffix" .)) }}
{{- end }}
