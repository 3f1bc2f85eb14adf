{{- define "martlet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* The names of objects; 40 characters, so that endings have room. */ -}}
{{- define "martlet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "martlet.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "martlet.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "martlet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "martlet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "martlet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: martlet
{{ include "martlet.selectorLabels" . }}
{{- end -}}

{{- /* Pods of steps, whichever run they belong to. */ -}}
{{- define "martlet.stepLabels" -}}
app.kubernetes.io/managed-by: martlet
app.kubernetes.io/instance: {{ include "martlet.fullname" . }}
{{- end -}}

{{- define "martlet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "martlet.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "martlet.secretName" -}}
{{- default (include "martlet.fullname" .) .Values.auth.existingSecret -}}
{{- end -}}

{{- define "martlet.claimName" -}}
{{- default (include "martlet.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "martlet.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- /* What cannot work is refused here, with the reason. */ -}}
{{- define "martlet.check" -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- if not .Values.persistence.enabled -}}
{{- fail (printf "replicaCount is %d without persistence: each server would have a database of its own, and what one knows the others do not. Set persistence.enabled with accessModes [ReadWriteMany], or replicaCount 1." (int .Values.replicaCount)) -}}
{{- end -}}
{{- if not (has "ReadWriteMany" .Values.persistence.accessModes) -}}
{{- fail (printf "replicaCount is %d, but the volume (accessModes %s) can be mounted by one node only: the database is one SQLite file with one writer, and a second server on another node could never start to take over. Use a storage class that has ReadWriteMany and set persistence.accessModes [ReadWriteMany], or replicaCount 1: Kubernetes starts a lost server anew, and running steps go on meanwhile." (int .Values.replicaCount) (join ", " .Values.persistence.accessModes)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.metrics.serviceMonitor -}}
{{- if and .enabled (not .tokenSecret.name) (not $.Values.server.openMetrics) -}}
{{- fail "metrics.serviceMonitor: /metrics wants a token. Make one by `martlet token create prometheus --role viewer`, put it into a Secret and name that in metrics.serviceMonitor.tokenSecret, or set server.openMetrics." -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.steps.podSecurity "restricted") (eq (int .Values.steps.user) 0) -}}
{{- fail "steps.user 0 is root, which restricted pods must not be: say steps.podSecurity baseline, or another user." -}}
{{- end -}}
{{- if and .Values.auth.existingSecret (or .Values.auth.token .Values.auth.secretKey) -}}
{{- fail "auth.existingSecret names a Secret that is there already, so auth.token and auth.secretKey would be used by nothing: leave them empty, or leave auth.existingSecret empty." -}}
{{- end -}}
{{- end -}}
