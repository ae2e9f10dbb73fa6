{{- /* The limit of requests of one client address. Each rule counts each address within its range by itself. */}}
{{- define "tg.requestsPerSecond" -}}
{{- if .Values.limits.requestsPerSecond }}
rateLimit:
  local:
    rules:
      {{- range $range := list "0.0.0.0/0" "::/0" }}
      - clientSelectors:
          - sourceCIDR: {type: Distinct, value: {{ $range | quote }}}
        limit: {requests: {{ int64 $.Values.limits.requestsPerSecond }}, unit: Second}
      {{- end }}
{{- end }}
{{- end }}
