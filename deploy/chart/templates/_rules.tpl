{{- /* The rules of deploy/kubernetes/role.yaml, which role.yaml here links to: there is one list of what is needed. */ -}}
{{- define "martlet.rules" -}}
{{- $rules := list -}}
{{- range splitList "\n---\n" (.Files.Get "role.yaml") -}}
{{- $object := fromYaml . -}}
{{- if eq (default "" $object.kind) "Role" -}}
{{- $rules = $object.rules -}}
{{- end -}}
{{- end -}}
{{- if empty $rules -}}
{{- fail "the chart's role.yaml has no Role: it is a link to deploy/kubernetes/role.yaml, so take the chart from a copy of the repository in which links are links" -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
