{{- /* Checks that the schema cannot express, such as conflicts between the paths of static routes and units. */}}
{{- define "tg.check" -}}
{{- $unitPaths := .Values.units.pool.paths }}
{{- $defaultHosts := list (default "*" .Values.gateway.hostname) }}
{{- $seen := dict }}
{{- range $name, $route := include "tg.routes" . | fromJson }}
{{- if not $route.service }}
{{- fail (printf "routes.%s.service: name and port are required" $name) }}
{{- end }}
{{- range $path := $route.paths }}
{{- $value := include "tg.plainPath" $path.value }}
{{- range $host := default $defaultHosts $route.hostnames }}
{{- $key := printf "%s %s" $host $value }}
{{- with get $seen $key }}
{{- fail (printf "routes.%s and routes.%s have the same path %s: remove it from one of them, or disable one with enabled: false" . $name $value) }}
{{- end }}
{{- $_ := set $seen $key $name }}
{{- end }}
{{- if not $route.objectStore }}
{{- range $unit := $unitPaths }}
{{- $conflict := false }}
{{- $any := include "tg.anyUnitPath" $unit | fromJson }}
{{- if eq $any.type "RegularExpression" }}
{{- /* A regular expression takes precedence over prefixes, but not over exact paths. */}}
{{- $conflict = and (eq (default "PathPrefix" $path.type) "Exact") (regexMatch (printf "^(%s)$" $any.value) $value) }}
{{- else }}
{{- $start := include "tg.plainPath" $unit.value }}
{{- $conflict = or (eq $value $start) (hasPrefix (printf "%s/" $start) $value) }}
{{- end }}
{{- if $conflict }}
{{- fail (printf "routes.%s has the path %s, which is within the unit path %s: service %s would receive requests for units. Change the path of the route, or remove the unit path from units.pool.paths" $name $value $unit.value $route.service.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.units.pool.create (eq .Values.units.pool.lookup "Host") (not .Values.authorization.enabled) }}
{{- fail "units.pool.lookup=Host requires an authorization service that returns the unit's host name: set authorization.enabled=true or units.pool.lookup=Linear" }}
{{- end }}
{{- if and .Values.units.pool.create (dig "lifecycle" "idleTimeout" "" .Values.units.pool.spec) }}
{{- $activity := dig "activity" (dict) .Values.units.pool.spec }}
{{- if ne .Values.units.backend "operator" }}
{{- fail "units.pool.spec.lifecycle.idleTimeout: Texera's manager marks a unit without a pod as terminated when anybody lists units, so a suspended unit would be lost. Install a backend that looks for ComputingUnits instead of pods, then set units.backend=operator" }}
{{- end }}
{{- if not (or $activity.busyProbes (eq (default "" $activity.annotation) "Enabled")) }}
{{- fail "units.pool.spec.lifecycle.idleTimeout: an execution that nobody watches, or that the agent service started, sends nothing through the gateway, so its unit would be suspended. Set units.pool.spec.activity.busyProbes, or let the backend set the annotation texera.apache.org/last-activity of units that execute workflows and set units.pool.spec.activity.annotation=Enabled" }}
{{- end }}
{{- end }}
{{- if .Values.resolver.enabled }}
{{- if not .Values.resolver.hostnames }}
{{- fail "resolver.enabled=true requires resolver.hostnames: the host names that requests may be forwarded to" }}
{{- end }}
{{- if or (ne .Values.units.pool.lookup "Host") (not .Values.authorization.enabled) }}
{{- fail "resolver.enabled=true requires units.pool.lookup=Host and authorization.enabled=true: the route of a request is selected by the host name that the authorization service returns" }}
{{- end }}
{{- end }}
{{- if not (or .Values.gateway.http.enabled .Values.gateway.https.enabled) }}
{{- fail "the Gateway has no listeners: set gateway.http.enabled=true or gateway.https.enabled=true" }}
{{- end }}
{{- if and .Values.gateway.http.redirectToHttps (not .Values.gateway.https.enabled) }}
{{- fail "gateway.http.redirectToHttps=true requires gateway.https.enabled=true" }}
{{- end }}
{{- $namespaces := append .Values.units.moreNamespaces .Values.units.namespace.name }}
{{- if and .Values.gateway.http.redirectToHttps .Values.gateway.inCluster.enabled (has .Release.Namespace $namespaces) }}
{{- fail "gateway.http.redirectToHttps=true: units in the release namespace would be reachable without TLS, because their routes attach to the HTTP listener. Use another namespace for units, or set gateway.inCluster.enabled=false" }}
{{- end }}
{{- with .Values.objectStore }}
{{- $ownListener := and .enabled $.Values.gateway.https.enabled (include "tg.listenerHostname" $) }}
{{- if and $ownListener (or (not .secretName) (eq .secretName $.Values.gateway.https.secretName)) }}
{{- fail "objectStore.secretName: the object store requires its own certificate, because Envoy Gateway disables HTTP/2 for listeners that share one" }}
{{- end }}
{{- end }}
{{- if and .Values.gateway.https.issuer .Values.gateway.https.clusterIssuer }}
{{- fail "gateway.https.issuer and gateway.https.clusterIssuer are mutually exclusive" }}
{{- end }}
{{- end }}

{{- /* A path without its trailing slash. */}}
{{- define "tg.plainPath" -}}
{{- default "/" (trimSuffix "/" .) }}
{{- end }}
