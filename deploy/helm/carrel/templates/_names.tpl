{{/* The parts find each other by these names and by this namespace, which are in Carrel's code as well. */}}
{{- define "carrel.namespace" -}}
{{- if ne .Release.Namespace "carrel-system" -}}
{{- fail (printf "Carrel lives in the namespace carrel-system, and this is %s: helm install carrel ... --namespace carrel-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
carrel-system
{{- end -}}

{{- define "carrel.labels" -}}
app.kubernetes.io/name: carrel
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* dict "root" $ "part" "gateway" */}}
{{- define "carrel.selector" -}}
app.kubernetes.io/name: carrel
app.kubernetes.io/instance: {{ .root.Release.Name }}
carrel.dev/part: {{ .part }}
{{- end -}}

{{- define "carrel.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every RuntimeClass that a runtime may name, the default first, by commas. */}}
{{- define "carrel.runtimeClasses" -}}
{{- with .Values.runtimeClasses -}}
{{- prepend .allowed .default | compact | uniq | join "," -}}
{{- end -}}
{{- end -}}

{{- define "carrel.sessionNamespaces" -}}
{{- $names := list -}}
{{- range .Values.sessionNamespaces -}}{{- $names = append $names .name -}}{{- end -}}
{{- $names | uniq | join "," -}}
{{- end -}}
