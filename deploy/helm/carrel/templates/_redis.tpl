{{/* docs/guide/redis.md says what Carrel needs. The names of its users are in a file of their own, which only it can read. */}}
{{- define "carrel.redisConf" -}}
bind * -::*
protected-mode no
dir /data
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
save ""
aclfile /etc/redis-users/users.acl
{{- if .Values.redis.tlsSecret }}
port 0
tls-port 6379
tls-auth-clients no
tls-cert-file /etc/redis-tls/tls.crt
tls-key-file /etc/redis-tls/tls.key
tls-ca-cert-file /etc/redis-tls/ca.crt
{{- else }}
port 6379
{{- end }}
{{ end -}}
