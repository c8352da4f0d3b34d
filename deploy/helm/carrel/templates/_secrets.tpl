{{/*
Passwords and secrets are made once and kept: what the cluster has is taken as it is. They are remembered while the chart is
rendered, so that every template sees the same.
*/}}
{{- define "carrel.secrets" -}}
{{- if not (hasKey .Values "carrelSecrets") -}}
{{- $found := dict -}}
{{- range $name, $keys := dict "carrel-meter" (list "secret") "carrel-redis" (list "operator-password" "gateway-password") -}}
{{- $known := (lookup "v1" "Secret" $.Release.Namespace $name).data | default dict -}}
{{- $data := dict -}}
{{- range $keys -}}
{{- $_ := set $data . (hasKey $known . | ternary (get $known . | b64dec) (randAlphaNum 48)) -}}
{{- end -}}
{{- $_ := set $found $name $data -}}
{{- end -}}
{{- $_ := set .Values "carrelSecrets" $found -}}
{{- end -}}
{{- end -}}

{{/* Whether the chart runs Redis itself. */}}
{{- define "carrel.redisInside" -}}
{{- if not (or .Values.redis.url .Values.redis.existingSecret) -}}yes{{- end -}}
{{- end -}}

{{/* Where one of its users finds it: dict "root" $ "user" "operator" */}}
{{- define "carrel.redisURL" -}}
{{- include "carrel.secrets" .root -}}
{{- with .root.Values.redis -}}
{{- if .url -}}{{ .url }}
{{- else -}}
{{- $password := index $.root.Values.carrelSecrets "carrel-redis" (printf "%s-password" $.user) -}}
{{ ternary "redis" "rediss" (empty .tlsSecret) }}://{{ $.user }}:{{ $password }}@carrel-redis:6379
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The users of the Redis inside, by the hashes of their passwords; without a password nobody. The default user is off, and no one can
become it, but it keeps its rights: as that user Redis reads its own append-only file, and without them it forgets at a restart
every step that a script made.
*/}}
{{- define "carrel.redisUsers" -}}
{{- include "carrel.secrets" . -}}
{{- $facts := .Files.Get "files/facts.yaml" | fromYaml -}}
{{- $passwords := index .Values.carrelSecrets "carrel-redis" -}}
user default off resetpass ~* &* +@all
{{ range list "operator" "gateway" -}}
user {{ . }} on #{{ get $passwords (printf "%s-password" .) | sha256sum }} ~carrel:{{ "{" }}{{ $.Values.redis.prefix }}}:* resetchannels -@all {{ $facts.redisCommands }}
{{ end -}}
{{ end -}}

{{/* Changes when a secret of operator and gateway does, so that their pods are made anew. */}}
{{- define "carrel.secretsChecksum" -}}
{{- include "carrel.secrets" . -}}
{{- $external := dict -}}
{{- range compact (list .Values.redis.existingSecret .Values.redis.caSecret .Values.redis.tlsSecret .Values.meter.existingSecret) -}}
{{- $_ := set $external . ((lookup "v1" "Secret" $.Release.Namespace .).data | default dict) -}}
{{- end -}}
{{- toJson (list .Values.carrelSecrets $external .Values.redis.url) | sha256sum -}}
{{- end -}}
