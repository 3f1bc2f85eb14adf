{{- /* The rules of deploy/kubernetes/role.yaml, which role.yaml here links to: there is one list of what is needed. */ -}}
{{- define "martlet.rules" -}}
{{- range splitList "\n---\n" (required "the chart has no file role.yaml, a link to deploy/kubernetes/role.yaml: take it from a complete copy of the repository" (.Files.Get "role.yaml")) -}}
{{- $object := fromYaml . -}}
{{- if eq $object.kind "Role" -}}
{{- toYaml $object.rules -}}
{{- end -}}
{{- end -}}
{{- end -}}
