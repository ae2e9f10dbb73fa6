{{- /* What the schema cannot say: the paths of rows against each other and against those of units. */}}
{{- define "tg.check" -}}
{{- $unitPaths := .Values.units.pool.paths }}
{{- $defaultHosts := list (default "*" .Values.gateway.hostname) }}
{{- $seen := dict }}
{{- range $name, $row := include "tg.rows" . | fromJson }}
{{- if not $row.service }}
{{- fail (printf "routes.%s.service: give name and port of the service that the row leads to" $name) }}
{{- end }}
{{- range $path := $row.paths }}
{{- $value := include "tg.plainPath" $path.value }}
{{- range $host := default $defaultHosts $row.hostnames }}
{{- $key := printf "%s %s" $host $value }}
{{- with get $seen $key }}
{{- fail (printf "routes.%s and routes.%s both take %s: which of them would answer is chance. Take the path out of one, or set enabled: false for a row" . $name $value) }}
{{- end }}
{{- $_ := set $seen $key $name }}
{{- end }}
{{- if not $row.objectStore }}
{{- range $unit := $unitPaths }}
{{- $swallows := false }}
{{- if eq $unit.type "RegularExpression" }}
{{- /* It goes before every prefix, and after a path that is matched exactly. */}}
{{- $swallows = and (eq (default "PathPrefix" $path.type) "Exact") (regexMatch $unit.value $value) }}
{{- else }}
{{- $start := include "tg.plainPath" $unit.value }}
{{- $swallows = or (eq $value $start) (hasPrefix (printf "%s/" $start) $value) }}
{{- end }}
{{- if $swallows }}
{{- fail (printf "routes.%s takes %s, which lies in the units' path %s: requests for units would be answered by service %s. Give the row another path, or take the path out of units.pool.paths" $name $value $unit.value $row.service.name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.units.pool.create (eq .Values.units.pool.lookup "Host") (not .Values.authorization.enabled) }}
{{- fail "units.pool.lookup: Host needs an authorization that answers with the unit's host name: set authorization.enabled, or units.pool.lookup: Linear" }}
{{- end }}
{{- if not (or .Values.gateway.http.enabled .Values.gateway.https.enabled) }}
{{- fail "the Gateway has no listener: set gateway.http.enabled or gateway.https.enabled" }}
{{- end }}
{{- if and .Values.gateway.http.redirectToHttps (not .Values.gateway.https.enabled) }}
{{- fail "gateway.http.redirectToHttps needs gateway.https.enabled" }}
{{- end }}
{{- with .Values.objectStore }}
{{- $apart := and .enabled $.Values.gateway.https.enabled (include "tg.listenerHostname" $) }}
{{- if and $apart (or (not .secretName) (eq .secretName $.Values.gateway.https.secretName)) }}
{{- fail "objectStore.secretName: give the object store a certificate of its own. For listeners that share one Envoy Gateway turns HTTP/2 off" }}
{{- end }}
{{- end }}
{{- if and .Values.gateway.https.issuer .Values.gateway.https.clusterIssuer }}
{{- fail "gateway.https: give issuer or clusterIssuer, not both" }}
{{- end }}
{{- end }}

{{- /* A path without a slash at its end. */}}
{{- define "tg.plainPath" -}}
{{- default "/" (trimSuffix "/" .) }}
{{- end }}
