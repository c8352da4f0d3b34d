{{/* What operator and gateway have in common. */}}
{{- define "carrel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "carrel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* dict "root" $ "user" "operator" */}}
{{- define "carrel.commonEnv" -}}
{{- $values := .root.Values -}}
- { name: NODE_ENV, value: production }
- { name: CARREL_ACCOUNT_ID, value: {{ $values.accountId | quote }} }
- { name: CARREL_REGION, value: {{ $values.region | quote }} }
- { name: CARREL_LOG_LEVEL, value: {{ $values.logLevel | quote }} }
- name: CARREL_REDIS
  valueFrom: { secretKeyRef: { name: {{ $values.redis.existingSecret | default "carrel-redis" }}, key: {{ .user }}-url } }
- { name: CARREL_REDIS_PREFIX, value: {{ $values.redis.prefix | quote }} }
- { name: CARREL_REDIS_WAIT_SECONDS, value: '100' }
{{- if or $values.redis.caSecret (and $values.redis.tlsSecret (include "carrel.redisInside" .root)) }}
- { name: CARREL_REDIS_CA_FILE, value: /etc/carrel/redis/ca.crt }
{{- end }}
- name: CARREL_METER_SECRET
  valueFrom: { secretKeyRef: { name: {{ $values.meter.existingSecret | default "carrel-meter" }}, key: secret } }
{{- with $values.oidc }}
{{- if .trustedIssuers }}
- { name: CARREL_OIDC_TRUSTED_ISSUERS, value: {{ join "," .trustedIssuers | quote }} }
{{- end }}
{{- if .trustedCidrs }}
- { name: CARREL_OIDC_TRUSTED_CIDRS, value: {{ join "," .trustedCidrs | quote }} }
{{- end }}
{{- if .caConfigMap }}
- { name: CARREL_OIDC_CA_FILE, value: /etc/carrel/oidc/ca.crt }
{{- end }}
{{- end }}
{{- end -}}

{{- define "carrel.commonMounts" -}}
{{- if or .Values.redis.caSecret (and .Values.redis.tlsSecret (include "carrel.redisInside" .)) }}
- { name: redis-ca, mountPath: /etc/carrel/redis, readOnly: true }
{{- end }}
{{- if .Values.oidc.caConfigMap }}
- { name: oidc-ca, mountPath: /etc/carrel/oidc, readOnly: true }
{{- end }}
{{- end -}}

{{- define "carrel.commonVolumes" -}}
{{- $redisCa := .Values.redis.caSecret | default (ternary .Values.redis.tlsSecret "" (eq (include "carrel.redisInside" .) "yes")) -}}
{{- if $redisCa }}
- name: redis-ca
  secret: { secretName: {{ $redisCa }}, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- if .Values.oidc.caConfigMap }}
- name: oidc-ca
  configMap: { name: {{ .Values.oidc.caConfigMap }}, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- end -}}

{{/* The node, and who pulls: dict "root" $ "of" .Values.operator */}}
{{- define "carrel.placement" -}}
{{- with .of.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
