//! Words that mean another one, or do what another one is named for.
//!
//! Owns small tables for what denies by meaning: verbs of systemctl that restart a unit under
//! another name, the three names that a cluster gives to each sort of its objects, and the
//! number and the names of a signal.
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

/// Programs to which a signal is an option of its own (`-9`), and which have one without it.
const KILLERS: &[&str] = &["kill", "killall", "killall5", "pkill", "skill", "snice"];

/// Programs that take one behind `-s` or `--signal` alone.
const SENDERS: &[&str] = &["docker", "nerdctl", "podman", "systemctl", "timeout"];

/// The options behind which a signal stands, beside the beginnings of the long one.
const BEFORE_A_SIGNAL: &[&str] = &["-s", "-n", "--signal"];

/// signal(7), the numbers of x86 and ARM, in their order from 1.
const SIGNALS: &[&str] = &[
    "hup", "int", "quit", "ill", "trap", "abrt", "bus", "fpe", "kill", "usr1", "segv", "usr2",
    "pipe", "alrm", "term", "stkflt", "chld", "cont", "stop", "tstp", "ttin", "ttou", "urg",
    "xcpu", "xfsz", "vtalrm", "prof", "winch", "io", "pwr", "sys",
];

/// The signal that is sent where none is named.
const UNNAMED: &[(&str, &str)] = &[
    ("docker", "kill"),
    ("kill", "term"),
    ("killall", "term"),
    ("killall5", "term"),
    ("nerdctl", "kill"),
    ("pkill", "term"),
    ("podman", "kill"),
    ("skill", "term"),
    ("snice", "term"),
    ("systemctl", "term"),
    ("timeout", "term"),
];

/// The number of a signal by its number or name, in lower case.
fn signal(text: &str) -> Option<usize> {
    if let Ok(number) = text.parse() {
        // 0 asks whether there is such a process.
        return (number <= SIGNALS.len()).then_some(number);
    }
    let name = text.strip_prefix("sig").unwrap_or(text);
    let name = match name {
        "iot" => "abrt",
        "cld" => "chld",
        "poll" => "io",
        name => name,
    };
    let at = SIGNALS.iter().position(|known| *known == name)?;
    Some(at + 1)
}

/// The signal that this word of the program names as an option, or the one behind such a
/// word: `-9`, `-SIGKILL`, `-s9`, `--signal=kill`, `-s` before `kill`. In lower case.
pub(super) fn signal_of(program: &str, word: &str, next: Option<&str>) -> Option<usize> {
    let own = KILLERS.contains(&program);
    if !own && !SENDERS.contains(&program) {
        return None;
    }
    let long = |name: &str| name.len() > 2 && "--signal".starts_with(name);
    if BEFORE_A_SIGNAL.contains(&word) || long(word) {
        return signal(next?);
    }
    if let Some((_, value)) = word.split_once('=').filter(|(name, _)| long(name)) {
        return signal(value);
    }
    let letters = word.strip_prefix('-')?;
    let glued = || letters.strip_prefix(['s', 'n']).and_then(signal);
    (if own { signal(letters) } else { None }).or_else(glued)
}

/// The signals that the words behind the program send.
pub(super) fn signals_of(program: &str, words: &[String]) -> Vec<usize> {
    let each = words.iter().enumerate();
    let mut found: Vec<usize> = each
        .filter_map(|(at, word)| signal_of(program, word, words.get(at + 1).map(String::as_str)))
        .collect();
    if found.is_empty() {
        let unnamed = UNNAMED.iter().find(|(of, _)| *of == program);
        found.extend(unnamed.and_then(|(_, name)| signal(name)));
    }
    found
}
