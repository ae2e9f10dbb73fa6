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

{{/* Name of what another release of this name would also create: cluster-scoped objects, and objects in other namespaces.
The namespace of the release is part of it. No name of a namespace or a release contains a colon. */}}
{{- define "cuo.qualifiedName" -}}
{{ .Release.Namespace }}:{{ include "cuo.fullname" . }}
{{- end }}

{{/* The same, for kinds whose names must not have a colon. */}}
{{- define "cuo.qualifiedDnsName" -}}
{{ include "cuo.fullname" . }}.{{ .Release.Namespace }}
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
{{- required "serviceAccount.name is required if serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "cuo.activatorService" -}}
{{ include "cuo.fullname" . }}-activator
{{- end }}

{{- define "cuo.leaseName" -}}
{{- default (include "cuo.fullname" .) .Values.leaderElection.leaseName }}
{{- end }}

{{- define "cuo.image" -}}
{{- $repository := required "image.repository is required: no image of the operator is published, so build one and push it to a registry of your own" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* Permissions in the namespaces of units. api/src/rbac.rs documents each of them; a test keeps both lists equal. */}}
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
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [list, create, patch]
{{- end }}

{{/* Permissions in the namespaces of Gateways and proxies. */}}
{{- define "cuo.rules.gateways" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}

{{/* Permissions on cluster-scoped resources, and those that must not be in a namespace of units. While a namespace is deleted, its Roles may be deleted before its units,
and the operator still has to find those units and to remove its finalizer. */}}
{{- define "cuo.rules.cluster" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
- apiGroups: [texera.apache.org]
  resources: [computingunits]
  verbs: [list, watch, patch]
{{- end }}

{{/* Permissions of the Job that removes finalizers after the release is uninstalled. */}}
{{- define "cuo.rules.uninstall" -}}
- apiGroups: [texera.apache.org]
  resources: [computingunits]
  verbs: [list, patch]
{{- end }}

{{/* Annotations of the uninstall hook. The argument is the weight. */}}
{{- define "cuo.uninstallHook" -}}
"helm.sh/hook": post-delete
"helm.sh/hook-weight": {{ . | quote }}
"helm.sh/hook-delete-policy": before-hook-creation,hook-succeeded
{{- end }}
