{{- define "authd.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "authd" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-authd" (.Release.Name | trunc 44 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* By these the pods are found: they must never change. */}}
{{- define "authd.selector" -}}
app.kubernetes.io/name: authd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "authd.labels" -}}
{{ include "authd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "authd.embedded" -}}
{{- if eq .Values.mode "embedded" }}true{{ end -}}
{{- end -}}

{{- define "authd.kubernetes" -}}
{{- if eq .Values.mode "kubernetes" }}true{{ end -}}
{{- end -}}

{{- define "authd.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The issuer's host without its port. */}}
{{- define "authd.host" -}}
{{- (urlParse .Values.config.issuer).host | regexFind "^[^:]+" -}}
{{- end -}}

{{/*
authd's settings: those of the values, and those that follow from how the chart runs it. The audit log goes to standard
output where the data folder goes with the pod.
*/}}
{{- define "authd.config" -}}
{{- $own := dict "drain_timeout" (printf "%ds" (int .Values.drainSeconds)) "shutdown_delay" (printf "%ds" (int .Values.shutdownDelaySeconds)) -}}
{{- if include "authd.embedded" . -}}
{{- $own = merge $own (dict "election" "solo" "keys" "embedded") -}}
{{- else -}}
{{- $own = merge $own (dict "election" .Values.mode "keys" .Values.mode) -}}
{{- if not .Values.config.audit_file -}}
{{- $own = merge $own (dict "audit_file" "-") -}}
{{- end -}}
{{- end -}}
{{- if include "authd.kubernetes" . -}}
{{- $name := include "authd.name" . -}}
{{- $own = merge $own (dict "kubernetes_lease" (printf "%s-leader" $name) "kubernetes_secret" (printf "%s-keys" $name)) -}}
{{- end -}}
{{- range $setting, $secret := dict "kek_file" "kek" "admin_token_file" "adminToken" "redis_password_file" "redisPassword" "etcd_password_file" "etcdPassword" "users_password_file" "usersPassword" -}}
{{- if (index $.Values.secrets $secret).name -}}
{{- $own = merge $own (dict $setting (printf "/run/authd/%s" (kebabcase $secret))) -}}
{{- end -}}
{{- end -}}
{{- if .Values.secrets.etcdTLS -}}
{{- $own = merge $own (dict "etcd_ca" "/run/authd/etcd-tls/ca.crt" "etcd_cert" "/run/authd/etcd-tls/tls.crt" "etcd_key" "/run/authd/etcd-tls/tls.key") -}}
{{- end -}}
{{- toYaml (merge $own .Values.config) -}}
{{- end -}}

{{/* What of Secrets is mounted at /run/authd, as sources of a projected volume. */}}
{{- define "authd.secrets" -}}
{{- range $secret := list "kek" "adminToken" "redisPassword" "etcdPassword" "usersPassword" -}}
{{- with index $.Values.secrets $secret -}}
{{- if .name }}
- secret:
    name: {{ .name }}
    items: [{key: {{ .key | quote }}, path: {{ kebabcase $secret }}}]
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.secrets.etcdTLS }}
- secret:
    name: {{ . }}
    items:
      - {key: ca.crt, path: etcd-tls/ca.crt}
      - {key: tls.crt, path: etcd-tls/tls.crt}
      - {key: tls.key, path: etcd-tls/tls.key}
{{- end -}}
{{- end -}}
