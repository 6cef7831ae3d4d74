{{- define "fasttalk-stt.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fasttalk-stt.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fasttalk-stt.labels" -}}
{{ include "fasttalk-stt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The claim of the models: an existing one, the chart's own, or none. */ -}}
{{- define "fasttalk-stt.claim" -}}
{{- if .Values.modelCache.existingClaim -}}
{{- .Values.modelCache.existingClaim -}}
{{- else if .Values.modelCache.createClaim -}}
{{- printf "%s-models" (include "fasttalk-stt.name" .) -}}
{{- end -}}
{{- end -}}

{{- /* Secrets that become files: [secret, its key, the variable that names the file]. */ -}}
{{- define "fasttalk-stt.secretFiles" -}}
{{- with .Values.access.apiKeysSecret }}
- {secret: {{ . | quote }}, file: api_keys.toml, variable: API_KEYS_FILE}
{{- end }}
{{- with .Values.access.jwksSecret }}
- {secret: {{ . | quote }}, file: jwks.json, variable: JWT_JWKS_FILE}
{{- end }}
{{- with .Values.access.monitoringTokenSecret }}
- {secret: {{ . | quote }}, file: token, variable: MONITORING_TOKEN_FILE}
{{- end }}
{{- end -}}
