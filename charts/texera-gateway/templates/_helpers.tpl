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

{{- /* Selector of the HTTPRoutes of units and of activators, by the label that the operator sets. */}}
{{- define "tg.unitRoutes" -}}
- group: gateway.networking.k8s.io
  kind: HTTPRoute
  matchLabels:
    app.kubernetes.io/managed-by: computing-unit-operator
{{- end }}

{{- /* The enabled static routes by name, including the object store's. */}}
{{- define "tg.routes" -}}
{{- $routes := dict }}
{{- range $name, $route := .Values.routes }}
{{- if and $route (not (eq (toString (get $route "enabled")) "false")) }}
{{- $_ := set $routes $name $route }}
{{- end }}
{{- end }}
{{- with .Values.objectStore }}
{{- if .enabled }}
{{- $hostname := required "objectStore.hostname is required if objectStore.enabled is true" .hostname }}
{{- $service := set (deepCopy .service) "name" (default (printf "%s-rustfs-svc" $.Release.Name) .service.name) }}
{{- $route := dict "paths" (list (dict "value" "/")) "service" $service "timeout" "0s" "hostnames" (list $hostname) "cors" .cors "objectStore" true }}
{{- $_ := set $routes "object-store" $route }}
{{- end }}
{{- end }}
{{- toJson $routes }}
{{- end }}

{{- /* The namespaces that may attach routes to a listener. */}}
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

{{- /* The parentRefs of static routes. */}}
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

{{- /* The parentRefs of the object store's route. Listeners without a host name also serve the object store: a separate listener
       would overlap them, and Envoy Gateway disables HTTP/2 for overlapping TLS listeners. */}}
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

{{- /* The host name of the listeners. Empty if units are looked up by their own host names. */}}
{{- define "tg.listenerHostname" -}}
{{- if ne .Values.units.pool.lookup "Host" }}
{{- .Values.gateway.hostname }}
{{- end }}
{{- end }}

{{- /* The name of the Service of the proxies, which is unique in their namespace. */}}
{{- define "tg.proxyService" -}}
{{- $gateway := include "tg.gateway" . }}
{{- $hash := printf "%s/%s" .Release.Namespace $gateway | sha256sum | trunc 8 }}
{{- printf "%s-%s" (printf "gateway-%s-%s" .Release.Namespace $gateway | trunc 54 | trimSuffix "-") $hash }}
{{- end }}

{{- /* Not empty if requests from inside the cluster need listeners of their own: the HTTP listener is disabled, redirects, or has a
       host name. */}}
{{- define "tg.inClusterListener" -}}
{{- $http := .Values.gateway.http }}
{{- $serves := and $http.enabled (not $http.redirectToHttps) (not (include "tg.listenerHostname" .)) }}
{{- if and .Values.gateway.inCluster.enabled (not $serves) }}
{{- true }}
{{- end }}
{{- end }}

{{- /* The host names of requests from inside the cluster, as JSON: those of the Service, and those of units. */}}
{{- define "tg.inClusterHostnames" -}}
{{- $own := printf "%s.%s.svc" .Values.gateway.inCluster.name .Release.Namespace }}
{{- $units := printf "*.%s.%s.svc" .Values.units.pool.service .Values.units.namespace.name }}
{{- $all := list $own (printf "%s.cluster.local" $own) $units (printf "%s.cluster.local" $units) }}
{{- toJson (without $all (printf "*.%s" (include "tg.lookupDomain" .))) }}
{{- end }}

{{- define "tg.tcpKeepalive" -}}
tcpKeepalive:
  {{- toYaml .Values.limits.tcpKeepalive | nindent 2 }}
{{- end }}

{{- /* External authorization of a SecurityPolicy, from a dict: `root`, `headers` that the service sets, and `recomputeRoute`. */}}
{{- define "tg.extAuth" -}}
{{- $authorization := .root.Values.authorization }}
{{- $namespace := default .root.Release.Namespace $authorization.service.namespace }}
failOpen: false
statusOnError: 503
timeout: {{ $authorization.timeout }}
recomputeRoute: {{ .recomputeRoute }}
http:
  path: {{ $authorization.path }}
  backendRefs:
    {{- if $authorization.byName }}
    - group: gateway.envoyproxy.io
      kind: Backend
      name: {{ include "tg.gateway" .root }}-authorization
      namespace: {{ $namespace }}
    {{- else }}
    - name: {{ $authorization.service.name }}
      namespace: {{ $namespace }}
      port: {{ $authorization.service.port }}
    {{- end }}
  headersToBackend:
    {{- toYaml .headers | nindent 4 }}
{{- end }}

{{- /* The namespaces of SecurityPolicies that refer to the authorization service. */}}
{{- define "tg.authorizedNamespaces" -}}
{{- $namespaces := concat (list .Values.units.namespace.name) .Values.units.moreNamespaces }}
{{- $own := .Values.resolver.enabled }}
{{- range include "tg.routes" . | fromJson }}
{{- $own = or $own .authorize }}
{{- end }}
{{- toJson (ternary (append $namespaces .Release.Namespace) $namespaces (not (not $own)) | uniq) }}
{{- end }}

{{- /* A path of units as a match for any of them. */}}
{{- define "tg.anyUnitPath" -}}
{{- $parts := splitList "{key}" .value }}
{{- if eq (len $parts) 1 }}
{{- toJson . }}
{{- else if eq .type "RegularExpression" }}
{{- toJson (dict "type" .type "value" (join "[^/]+" $parts)) }}
{{- else }}
{{- $end := ternary "(/.*)?" "" (eq .type "PathPrefix") }}
{{- $after := ternary (trimSuffix "/" (last $parts)) (last $parts) (eq .type "PathPrefix") }}
{{- $value := printf "%s[^/]+%s%s" (regexQuoteMeta (first $parts)) (regexQuoteMeta $after) $end }}
{{- toJson (dict "type" "RegularExpression" "value" $value) }}
{{- end }}
{{- end }}
