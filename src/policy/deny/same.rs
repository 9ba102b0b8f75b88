//! Words that mean another one, or do what another one is named for.
//!
//! Owns small tables for what denies by meaning: verbs of systemctl that restart a unit under
//! another name, and the three names that a cluster gives to each sort of its objects.
//! Generous, since it only ever adds to what a deny holds for. Called by `meaning`.

/// A program, a verb, and the other verbs that do what it does.
const VERBS: &[(&str, &str, &[&str])] = &[
    (
        "systemctl",
        "reload",
        &["force-reload", "reload-or-restart", "try-reload-or-restart"],
    ),
    (
        "systemctl",
        "restart",
        &[
            "condrestart",
            "force-reload",
            "reload-or-restart",
            "try-reload-or-restart",
            "try-restart",
        ],
    ),
];

/// Programs that talk to a cluster of Kubernetes.
const CLUSTERS: &[&str] = &["k3s", "kubectl", "microk8s", "oc"];

/// What `kubectl api-resources` (1.30) lists for the sorts that come with it: one, many, short.
const SORTS: &[&[&str]] = &[
    &[
        "certificatesigningrequest",
        "certificatesigningrequests",
        "csr",
    ],
    &["configmap", "configmaps", "cm"],
    &["cronjob", "cronjobs", "cj"],
    &[
        "customresourcedefinition",
        "customresourcedefinitions",
        "crd",
        "crds",
    ],
    &["daemonset", "daemonsets", "ds"],
    &["deployment", "deployments", "deploy"],
    &["endpoint", "endpoints", "ep"],
    &["event", "events", "ev"],
    &["horizontalpodautoscaler", "horizontalpodautoscalers", "hpa"],
    &["ingress", "ingresses", "ing"],
    &["job", "jobs"],
    &["limitrange", "limitranges", "limits"],
    &["namespace", "namespaces", "ns"],
    &["networkpolicy", "networkpolicies", "netpol"],
    &["node", "nodes", "no"],
    &["persistentvolume", "persistentvolumes", "pv"],
    &["persistentvolumeclaim", "persistentvolumeclaims", "pvc"],
    &["pod", "pods", "po"],
    &["poddisruptionbudget", "poddisruptionbudgets", "pdb"],
    &["priorityclass", "priorityclasses", "pc"],
    &["replicaset", "replicasets", "rs"],
    &["replicationcontroller", "replicationcontrollers", "rc"],
    &["resourcequota", "resourcequotas", "quota"],
    &["secret", "secrets"],
    &["service", "services", "svc"],
    &["serviceaccount", "serviceaccounts", "sa"],
    &["statefulset", "statefulsets", "sts"],
    &["storageclass", "storageclasses", "sc"],
];

/// The verbs that do what this one of the program does.
pub(super) fn verbs_like(program: &str, verb: &str) -> &'static [&'static str] {
    let mut known = VERBS.iter();
    let found = known.find(|(of, named, _)| *of == program && *named == verb);
    found.map_or(&[], |(_, _, others)| others)
}

/// The other names of the sorts of objects that an operand of the program names: `po`,
/// `pods/x`, `pods.v1.,svc`.
pub(super) fn sorts_like(program: &str, operand: &str) -> impl Iterator<Item = &'static str> {
    let named = match CLUSTERS.contains(&program) {
        true => operand.split('/').next().unwrap_or_default(),
        false => "",
    };
    let names: Vec<&str> = named
        .split(',')
        .map(|one| one.split('.').next().unwrap_or_default())
        .collect();
    let means = move |sort: &&&[&str]| names.iter().any(|name| sort.contains(name));
    SORTS
        .iter()
        .filter(means)
        .flat_map(|sort| sort.iter().copied())
}
