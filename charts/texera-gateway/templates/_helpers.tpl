{{- define "tg.gateway" -}}
{{- default .Release.Name .Values.gateway.name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "tg.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: texera
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "tg.lookupDomain" -}}
{{- $pool := .Values.units.pool }}
{{- default (printf "%s.%s.svc.cluster.local" $pool.service .Values.units.namespace.name) $pool.lookupDomain }}
{{- end }}

{{- /* The routes of units and of entries, as the operator labels them. */}}
{{- define "tg.unitRoutes" -}}
- group: gateway.networking.k8s.io
  kind: HTTPRoute
  matchLabels:
    app.kubernetes.io/managed-by: computing-unit-operator
{{- end }}

{{- /* The rows in use, by name, the object store's as one of them. */}}
{{- define "tg.rows" -}}
{{- $rows := dict }}
{{- range $name, $row := .Values.routes }}
{{- if and $row (not (eq (toString (get $row "enabled")) "false")) }}
{{- $_ := set $rows $name $row }}
{{- end }}
{{- end }}
{{- with .Values.objectStore }}
{{- if .enabled }}
{{- $hostname := required "objectStore.hostname is needed where objectStore.enabled is true: clients sign requests for it" .hostname }}
{{- $row := dict "paths" (list (dict "value" "/")) "service" .service "timeout" "0s" "hostnames" (list $hostname) "cors" .cors "objectStore" true }}
{{- $_ := set $rows "object-store" $row }}
{{- end }}
{{- end }}
{{- toJson $rows }}
{{- end }}

{{- /* The namespaces that a listener admits. */}}
{{- define "tg.allowedRoutes" -}}
namespaces:
  from: Selector
  selector:
    {{- with .Values.gateway.namespaceSelector }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- concat (list .Release.Namespace .Values.units.namespace.name) .Values.units.moreNamespaces | uniq | toYaml | nindent 10 }}
    {{- end }}
{{- end }}

{{- /* The listeners of static routes. */}}
{{- define "tg.staticParents" -}}
{{- $gateway := .Values.gateway }}
{{- if and $gateway.http.enabled (not $gateway.http.redirectToHttps) }}
- name: {{ include "tg.gateway" . }}
  sectionName: http
{{- end }}
{{- if $gateway.https.enabled }}
- name: {{ include "tg.gateway" . }}
  sectionName: https
{{- end }}
{{- end }}

{{- /* Those of the object store. Listeners that take any host name take its own too: one for it alone would overlap them, and
       Envoy Gateway turns HTTP/2 off for TLS listeners that overlap. */}}
{{- define "tg.storeParents" -}}
{{- if not (include "tg.listenerHostname" .) }}
{{- include "tg.staticParents" . }}
{{- else }}
{{- if .Values.gateway.http.enabled }}
- name: {{ include "tg.gateway" . }}
  sectionName: object-store
{{- end }}
{{- if .Values.gateway.https.enabled }}
- name: {{ include "tg.gateway" . }}
  sectionName: object-store-tls
{{- end }}
{{- end }}
{{- end }}

{{- /* The host name of the listeners; none where units are looked up by host names of their own. */}}
{{- define "tg.listenerHostname" -}}
{{- if ne .Values.units.pool.lookup "Host" }}
{{- .Values.gateway.hostname }}
{{- end }}
{{- end }}

{{- /* Finds out that a peer is gone. */}}
{{- define "tg.tcpKeepalive" -}}
tcpKeepalive:
  {{- toYaml .Values.limits.tcpKeepalive | nindent 2 }}
{{- end }}
