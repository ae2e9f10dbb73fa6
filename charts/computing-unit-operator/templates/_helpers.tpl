{{- define "cuo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cuo.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "cuo.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cuo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cuo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "cuo.commonLabels" -}}
app.kubernetes.io/name: {{ include "cuo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: texera
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "cuo.labels" -}}
{{ include "cuo.commonLabels" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "cuo.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "cuo.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "cuo.entryService" -}}
{{ include "cuo.fullname" . }}-entry
{{- end }}

{{- define "cuo.leaseName" -}}
{{- default (include "cuo.fullname" .) .Values.leaderElection.leaseName }}
{{- end }}

{{- define "cuo.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* The rights in a namespace of units. src/rbac.rs says what each is for; a test keeps the two equal. */}}
{{- define "cuo.rules.units" -}}
- apiGroups: [texera.apache.org]
  resources: [computingunits]
  verbs: [list, watch, patch, delete]
- apiGroups: [texera.apache.org]
  resources: [computingunits/status]
  verbs: [patch]
- apiGroups: [texera.apache.org]
  resources: [computingunits/finalizers]
  verbs: [update]
- apiGroups: [texera.apache.org]
  resources: [computingunitpools]
  verbs: [list, watch]
- apiGroups: [texera.apache.org]
  resources: [computingunitpools/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The rights in a namespace of Gateways and of their proxies. */}}
{{- define "cuo.rules.gateways" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}

{{/* The rights to what has no namespace. */}}
{{- define "cuo.rules.cluster" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [list, watch]
{{- end }}

{{/* The rights of the Job that runs when the release is uninstalled. */}}
{{- define "cuo.rules.release" -}}
- apiGroups: [texera.apache.org]
  resources: [computingunits]
  verbs: [list, patch]
{{- end }}

{{/* Annotations of what runs once the release is uninstalled. */}}
{{- define "cuo.hook" -}}
"helm.sh/hook": post-delete
"helm.sh/hook-weight": {{ . | quote }}
"helm.sh/hook-delete-policy": before-hook-creation,hook-succeeded
{{- end }}
