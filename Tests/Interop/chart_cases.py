"""Sets of values for the chart, with what each changes against the defaults, and those that are refused."""

import base64

TOKEN = "mrt_" + "a1B2" * 10
KEY = base64.b64encode(bytes(range(32))).decode()
POD = "Deployment/martlet:spec.template.spec."
ARGS = POD + "containers[martlet].args"
GONE = object()
RWX = {"persistence": {"accessModes": ["ReadWriteMany"]}}
MODES = "PersistentVolumeClaim/martlet:spec.accessModes"
SELECTOR = {
    "app.kubernetes.io/name": "martlet", "app.kubernetes.io/instance": "martlet",
    "app.kubernetes.io/component": "server"}


def secret(name, key):
    return {"name": name, "secret": {"secretName": key}}


TLS = {
    ARGS + "[--tls-cert]": "/etc/martlet/tls/tls.crt", ARGS + "[--tls-key]": "/etc/martlet/tls/tls.key",
    POD + "volumes[tls]": secret("tls", "cert"),
    POD + "containers[martlet].volumeMounts[tls]": {"name": "tls", "mountPath": "/etc/martlet/tls", "readOnly": True},
    POD + "containers[martlet].startupProbe.httpGet.scheme": "HTTPS",
    POD + "containers[martlet].livenessProbe.httpGet.scheme": "HTTPS",
    POD + "containers[martlet].readinessProbe.httpGet.scheme": "HTTPS",
    "Service/martlet:spec.ports[http]": GONE,
    "Service/martlet:spec.ports[https]": {"name": "https", "port": 2746, "targetPort": "http"},
}

# (name, values, what is different from the defaults: place -> value, GONE for what is not there any more)
CASES = [
    ("nothing set", {}, {}),
    ("an image of one's own", {"image": {"repository": "r.example.com/m", "tag": "2", "pullPolicy": "Always"}}, {
        POD + "containers[martlet].image": "r.example.com/m:2",
        POD + "containers[martlet].imagePullPolicy": "Always",
        POD + "containers[martlet].env[MARTLET_STEP_IMAGE].value": "r.example.com/m:2"}),
    ("no pull policy", {"image": {"pullPolicy": ""}}, {POD + "containers[martlet].imagePullPolicy": GONE}),
    ("a step image of its own", {"steps": {"image": "steps:1"}}, {
        POD + "containers[martlet].env[MARTLET_STEP_IMAGE].value": "steps:1"}),
    ("settings of steps", {"steps": {
        "podSecurity": "baseline", "user": 0, "gracePeriod": 90, "checkpointClaim": "c", "modelCacheClaim": "m"}}, {
            ARGS + "[--pod-security]": "baseline", ARGS + "[--pod-user]": "0", ARGS + "[--grace-period]": "90",
            ARGS + "[--checkpoint-claim]": "c", ARGS + "[--model-cache-claim]": "m"}),
    ("settings of the server", {"server": {
        "parallelism": 1000000, "namespaceParallelism": 5, "retention": ["age=90d", "namespace=a,count=10"],
        "logFormat": "text", "logLevel": "debug", "openMetrics": True, "extraArgs": ["--notify-on=Failed"]}}, {
            ARGS + "[--parallelism]": "1000000", ARGS + "[--namespace-parallelism]": "5",
            ARGS + "[--retention]": ["age=90d", "namespace=a,count=10"], ARGS + "[--log-format]": "text",
            ARGS + "[--log-level]": "debug", ARGS + "[--open-metrics]": "", ARGS + "[--notify-on]": "Failed"}),
    ("environment", {"env": [{"name": "HTTPS_PROXY", "value": "http://p:1"}],
                     "envFrom": [{"secretRef": {"name": "s3"}}]}, {
        POD + "containers[martlet].env[HTTPS_PROXY]": {"name": "HTTPS_PROXY", "value": "http://p:1"},
        POD + "containers[martlet].envFrom": [{"secretRef": {"name": "s3"}}]}),
    ("resources", {"resources": {"requests": {"cpu": 2}, "limits": None}}, {
        POD + "containers[martlet].resources.requests.cpu": 2,
        POD + "containers[martlet].resources.limits": GONE}),
    ("a service on nodes", {"service": {
        "type": "NodePort", "port": 80, "nodePort": 30080, "annotations": {"a": "b"}}}, {
            "Service/martlet:spec.type": "NodePort", "Service/martlet:spec.ports[http].port": 80,
            "Service/martlet:spec.ports[http].nodePort": 30080, "Service/martlet:metadata.annotations": {"a": "b"}}),
    ("a balanced service", {"service": {"type": "LoadBalancer", "nodePort": 30080}}, {
        "Service/martlet:spec.type": "LoadBalancer"}),
    ("another port of steps", {"service": {"stepPort": 8747}}, {
        "Service/martlet-steps:spec.ports[steps].port": 8747,
        ARGS + "[--step-url]": "http://martlet-steps.$(POD_NAMESPACE).svc:8747"}),
    ("an ingress", {"ingress": {
        "enabled": True, "className": "nginx", "annotations": {"n": "v"},
        "hosts": [{"host": "m.example.com", "paths": [{"path": "/"}]}],
        "tls": [{"secretName": "t", "hosts": ["m.example.com"]}]}}, {
            "Ingress/martlet": {
                "metadata": {"annotations": {"n": "v"}},
                "spec": {
                    "ingressClassName": "nginx", "tls": [{"secretName": "t", "hosts": ["m.example.com"]}],
                    "rules": [{"host": "m.example.com", "http": {"paths": [{
                        "path": "/", "pathType": "Prefix",
                        "backend": {"service": {"name": "martlet", "port": {"number": 2746}}}}]}}]}}}),
    ("a claim that is there", {"persistence": {"existingClaim": "mine"}}, {
        "PersistentVolumeClaim/martlet": GONE,
        POD + "volumes[data].persistentVolumeClaim.claimName": "mine"}),
    ("another volume", {"persistence": {"storageClass": "fast", "size": "1Ti", "annotations": {"a": "b"}}}, {
        "PersistentVolumeClaim/martlet:spec.storageClassName": "fast",
        "PersistentVolumeClaim/martlet:spec.resources.requests.storage": "1Ti",
        "PersistentVolumeClaim/martlet:metadata.annotations.a": "b"}),
    ("a volume of no class", {"persistence": {"storageClass": "-"}}, {
        "PersistentVolumeClaim/martlet:spec.storageClassName": ""}),
    ("no volume", {"persistence": {"enabled": False}}, {
        "PersistentVolumeClaim/martlet": GONE, POD + "volumes[data].persistentVolumeClaim": GONE,
        POD + "volumes[data].emptyDir": {}}),
    ("two servers on a shared volume", {"replicaCount": 2, **RWX}, {
        "Deployment/martlet:spec.replicas": 2, MODES: ["ReadWriteMany"],
        POD + "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100, "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": SELECTOR}}}]}}}),
    ("two servers with an affinity of one's own", {"replicaCount": 2, "affinity": {"nodeAffinity": {}}, **RWX}, {
        "Deployment/martlet:spec.replicas": 2, MODES: ["ReadWriteMany"], POD + "affinity": {"nodeAffinity": {}}}),
    ("metrics for everybody", {"server": {"openMetrics": True}, "metrics": {"serviceMonitor": {
        "enabled": True, "labels": {"release": "p"}}}}, {
            ARGS + "[--open-metrics]": "",
            "ServiceMonitor/martlet": {"spec": {
                "jobLabel": "app.kubernetes.io/part-of", "namespaceSelector": {"matchNames": ["martlet"]},
                "selector": {"matchLabels": SELECTOR},
                "endpoints": [{"port": "http", "path": "/metrics", "interval": "30s"}]}}}),
    ("metrics by a token and TLS", {"tls": {"secretName": "cert"}, "metrics": {"serviceMonitor": {
        "enabled": True, "interval": "1m", "tokenSecret": {"name": "viewer", "key": "t"},
        "insecureSkipVerify": True}}}, {
            **TLS,
            "ServiceMonitor/martlet": {"spec": {
                "jobLabel": "app.kubernetes.io/part-of", "namespaceSelector": {"matchNames": ["martlet"]},
                "selector": {"matchLabels": SELECTOR},
                "endpoints": [{
                    "port": "https", "path": "/metrics", "interval": "1m", "scheme": "https",
                    "tlsConfig": {"insecureSkipVerify": True},
                    "authorization": {"credentials": {"name": "viewer", "key": "t"}}}]}}}),
    ("alert rules", {"metrics": {"rules": {"enabled": True, "labels": {"team": "x"}}}}, {
        "PrometheusRule/martlet": {}}),
    ("a dashboard", {"metrics": {"dashboard": {"enabled": True, "labels": {"grafana_dashboard": "2"}}}}, {
        "ConfigMap/martlet-dashboard": {}}),
    ("no server for now", {"replicaCount": 0}, {"Deployment/martlet:spec.replicas": 0}),
    ("tokens of one's own", {"auth": {"token": TOKEN, "secretKey": KEY}}, {
        "Secret/martlet:data.token": base64.b64encode(TOKEN.encode()).decode(),
        "Secret/martlet:data.secret-key": base64.b64encode(KEY.encode()).decode()}),
    ("a Secret that is there", {"auth": {"existingSecret": "mine"}}, {
        "Secret/martlet": GONE, POD + "volumes[secret].secret.secretName": "mine"}),
    ("TLS in the server", {"tls": {"secretName": "cert"}}, TLS),
    ("an account that is there", {"serviceAccount": {"create": False, "name": "mine"}}, {
        "ServiceAccount/martlet": GONE, POD + "serviceAccountName": "mine",
        "RoleBinding/martlet:subjects[mine]": {"kind": "ServiceAccount", "name": "mine", "namespace": "martlet"},
        "RoleBinding/martlet:subjects[martlet]": GONE, "RoleBinding/martlet-lease:subjects[martlet]": GONE,
        "RoleBinding/martlet-lease:subjects[mine]": {
            "kind": "ServiceAccount", "name": "mine", "namespace": "martlet"}}),
    ("an account for a cloud's store", {"serviceAccount": {"annotations": {"iam.example.com/role": "r"}}}, {
        "ServiceAccount/martlet:metadata.annotations": {"iam.example.com/role": "r"}}),
    ("rights that somebody else gives", {"rbac": {"create": False}}, {
        "Role/martlet": GONE, "RoleBinding/martlet": GONE, "Role/martlet-lease": GONE,
        "RoleBinding/martlet-lease": GONE}),
    ("no network policies", {"networkPolicy": {"enabled": False}}, {
        "NetworkPolicy/martlet": GONE, "NetworkPolicy/martlet-steps": GONE}),
    ("steps that stay inside", {"networkPolicy": {"steps": {
        "internet": False, "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}}}, {
            "NetworkPolicy/martlet-steps:spec.egress[3]": {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}),
    ("few may ask", {"networkPolicy": {"server": {"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}}}, {
        "NetworkPolicy/martlet:spec.ingress[0].from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}),
    ("where the server runs", {
        "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "priorityClassName": "high", "terminationGracePeriodSeconds": 60,
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]}, {
                POD + "nodeSelector": {"disk": "ssd"}, POD + "tolerations": [{"key": "k", "operator": "Exists"}],
                POD + "affinity": {"nodeAffinity": {}}, POD + "priorityClassName": "high",
                POD + "terminationGracePeriodSeconds": 60,
                POD + "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]}),
    ("what is put beside", {
        "podAnnotations": {"a": "1"}, "podLabels": {"team": "x"}, "imagePullSecrets": [{"name": "pull"}],
        "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}]}, {
            "Deployment/martlet:spec.template.metadata.annotations.a": "1",
            "Deployment/martlet:spec.template.metadata.labels.team": "x",
            POD + "imagePullSecrets[pull]": {"name": "pull"},
            POD + "volumes[ca]": {"name": "ca", "configMap": {"name": "ca"}},
            POD + "containers[martlet].volumeMounts[ca]": {"name": "ca", "mountPath": "/etc/ca"}}),
    ("another user", {"podSecurityContext": {"runAsUser": 2000, "fsGroup": 2000}, "securityContext": {
        "readOnlyRootFilesystem": False}}, {
            POD + "securityContext.runAsUser": 2000, POD + "securityContext.fsGroup": 2000,
            POD + "containers[martlet].securityContext.readOnlyRootFilesystem": False}),
]

# (name, values, what the refusal says)
REFUSED = [
    ("two servers on a volume of one node", {"replicaCount": 2}, r"one node only.*one writer.*ReadWriteMany"),
    ("two on one pod's", {"replicaCount": 2, "persistence": {"accessModes": ["ReadWriteOncePod"]}}, "one node only"),
    ("two on a claim that nobody says is shared", {
        "replicaCount": 3, "persistence": {"existingClaim": "mine"}}, "replicaCount is 3.*one node only"),
    ("two without a volume", {"replicaCount": 2, "persistence": {"enabled": False}}, "a database of its own"),
    ("a misspelled value", {"replicas": 2}, "replicas.*unexpected"),
    ("a misspelled value inside", {"image": {"tags": "x"}}, "image.*tags.*unexpected"),
    ("a number as text", {"replicaCount": "2"}, "replicaCount.*not of type"),
    ("half a server", {"replicaCount": 0.5}, "replicaCount.*not of type"),
    ("an unknown level", {"steps": {"podSecurity": "strict"}}, "podSecurity.*not one of"),
    ("a token that the server would not take", {"auth": {"token": "secret"}}, "auth.token.*does not match"),
    ("a key that is too short", {"auth": {"secretKey": "c2hvcnQ="}}, "auth.secretKey.*does not match"),
    ("a token beside a Secret", {"auth": {"token": TOKEN, "existingSecret": "x"}}, "would be used by nothing"),
    ("metrics that nobody may read", {"metrics": {"serviceMonitor": {"enabled": True}}}, "metrics wants a token"),
    ("root in restricted pods", {"steps": {"user": 0}}, "which restricted pods must not be"),
    ("an unknown service", {"service": {"type": "ExternalName"}}, "service.type.*not one of"),
    ("no port", {"service": {"port": 70000}}, "service.port.*greater than the maximum"),
    ("a read-only volume", {"persistence": {"accessModes": ["ReadOnlyMany"]}}, "accessModes.*not one of"),
    ("a path that is none", {"ingress": {
        "enabled": True, "hosts": [{"host": "x", "paths": [{"path": "x"}]}]}}, "path.*does not match"),
    ("a namespace that is none", {"workflowNamespaces": ["A_b"]}, "workflowNamespaces.*does not match"),
]
