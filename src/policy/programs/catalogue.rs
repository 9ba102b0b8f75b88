//! The descriptions there are, found by the name of a program.
//!
//! Owns the files of `data/` and the index over them. A description is read when it is
//! first asked for, so that a start costs nothing for programs that no policy names. Called
//! by the reader, the rules and `policy sets`.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use crate::policy::programs::description::Description;
use crate::policy::programs::parse;

/// Goes up with every change of a description.
pub(crate) const VERSION: u32 = 1;

/// Each file is one family.
pub(crate) const FAMILIES: &[(&str, &str)] = &[
    ("admin/accounts", include_str!("data/admin/accounts.txt")),
    ("admin/consoles", include_str!("data/admin/consoles.txt")),
    ("admin/hardware", include_str!("data/admin/hardware.txt")),
    ("admin/mail", include_str!("data/admin/mail.txt")),
    ("admin/power", include_str!("data/admin/power.txt")),
    ("admin/security", include_str!("data/admin/security.txt")),
    ("admin/tls", include_str!("data/admin/tls.txt")),
    ("base/archives", include_str!("data/base/archives.txt")),
    ("base/changes", include_str!("data/base/changes.txt")),
    ("base/coreutils", include_str!("data/base/coreutils.txt")),
    ("base/files", include_str!("data/base/files.txt")),
    ("base/hardware", include_str!("data/base/hardware.txt")),
    ("base/inspect", include_str!("data/base/inspect.txt")),
    ("base/monitoring", include_str!("data/base/monitoring.txt")),
    ("base/processes", include_str!("data/base/processes.txt")),
    ("base/scripts", include_str!("data/base/scripts.txt")),
    ("base/search", include_str!("data/base/search.txt")),
    ("base/state", include_str!("data/base/state.txt")),
    ("base/wrappers", include_str!("data/base/wrappers.txt")),
    ("cloud/aws", include_str!("data/cloud/aws.txt")),
    ("cloud/az", include_str!("data/cloud/az.txt")),
    ("cloud/gcloud", include_str!("data/cloud/gcloud.txt")),
    ("cloud/init", include_str!("data/cloud/init.txt")),
    (
        "containers/compose",
        include_str!("data/containers/compose.txt"),
    ),
    (
        "containers/docker",
        include_str!("data/containers/docker.txt"),
    ),
    ("containers/helm", include_str!("data/containers/helm.txt")),
    ("containers/k3s", include_str!("data/containers/k3s.txt")),
    (
        "containers/kubectl",
        include_str!("data/containers/kubectl.txt"),
    ),
    ("containers/lxc", include_str!("data/containers/lxc.txt")),
    ("containers/oc", include_str!("data/containers/oc.txt")),
    (
        "containers/podman",
        include_str!("data/containers/podman.txt"),
    ),
    (
        "containers/runtimes",
        include_str!("data/containers/runtimes.txt"),
    ),
    (
        "network/firewalls",
        include_str!("data/network/firewalls.txt"),
    ),
    ("network/iproute", include_str!("data/network/iproute.txt")),
    (
        "network/managers",
        include_str!("data/network/managers.txt"),
    ),
    ("network/probes", include_str!("data/network/probes.txt")),
    (
        "network/services",
        include_str!("data/network/services.txt"),
    ),
    ("network/tables", include_str!("data/network/tables.txt")),
    ("network/web", include_str!("data/network/web.txt")),
    ("packages/debian", include_str!("data/packages/debian.txt")),
    (
        "packages/languages",
        include_str!("data/packages/languages.txt"),
    ),
    ("packages/others", include_str!("data/packages/others.txt")),
    ("packages/redhat", include_str!("data/packages/redhat.txt")),
    (
        "services/backups",
        include_str!("data/services/backups.txt"),
    ),
    (
        "services/clusters",
        include_str!("data/services/clusters.txt"),
    ),
    (
        "services/daemons",
        include_str!("data/services/daemons.txt"),
    ),
    ("services/jvm", include_str!("data/services/jvm.txt")),
    ("services/mail", include_str!("data/services/mail.txt")),
    ("services/mongo", include_str!("data/services/mongo.txt")),
    ("services/redis", include_str!("data/services/redis.txt")),
    ("services/sql", include_str!("data/services/sql.txt")),
    (
        "services/versions",
        include_str!("data/services/versions.txt"),
    ),
    ("services/web", include_str!("data/services/web.txt")),
    ("storage/checks", include_str!("data/storage/checks.txt")),
    ("storage/disks", include_str!("data/storage/disks.txt")),
    (
        "storage/filesystems",
        include_str!("data/storage/filesystems.txt"),
    ),
    ("storage/lvm", include_str!("data/storage/lvm.txt")),
    ("systemd/journal", include_str!("data/systemd/journal.txt")),
    (
        "systemd/systemctl",
        include_str!("data/systemd/systemctl.txt"),
    ),
    ("systemd/tools", include_str!("data/systemd/tools.txt")),
    ("tools/git", include_str!("data/tools/git.txt")),
    ("tools/others", include_str!("data/tools/others.txt")),
    ("tools/svn", include_str!("data/tools/svn.txt")),
];

struct Entry {
    text: &'static str,
    /// Which group of the names in its head.
    group: usize,
    description: OnceLock<Option<Description>>,
}

impl Entry {
    /// The sets that it belongs to, without reading the rest of it.
    fn sets(&self) -> impl Iterator<Item = &'static str> {
        let mut lines = self.text.lines();
        let sets = lines.find_map(|line| line.strip_prefix("  sets "));
        sets.into_iter().flat_map(|names| names.split(' '))
    }

    /// A text that does not parse is none; a test holds that each one does.
    fn description(&self) -> Option<&Description> {
        let read = || parse::parse(self.text, self.group).ok();
        self.description.get_or_init(read).as_ref()
    }
}

struct Index {
    entries: Vec<Entry>,
    by_name: HashMap<&'static str, usize>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index {
        entries: Vec::new(),
        by_name: HashMap::new(),
    };
    for (_, text) in FAMILIES {
        for one in descriptions(text) {
            for (group, names) in parse::names(one).into_iter().enumerate() {
                let place = index.entries.len();
                for name in names {
                    index.by_name.insert(name, place);
                }
                index.entries.push(Entry {
                    text: one,
                    group,
                    description: OnceLock::new(),
                });
            }
        }
    }
    index
});

/// Cuts a family's text at its `program` and `programs` lines.
fn descriptions(text: &'static str) -> impl Iterator<Item = &'static str> {
    let starts: Vec<usize> = text
        .match_indices("program")
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n'))
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts
        .into_iter()
        .zip(ends)
        .filter_map(|(start, end)| text.get(start..end))
}

/// The description of a program by its name without a directory.
pub(crate) fn find(name: &str) -> Option<&'static Description> {
    let place = *INDEX.by_name.get(name)?;
    INDEX.entries.get(place)?.description()
}

/// All descriptions, in the order of the files.
pub(crate) fn all() -> impl Iterator<Item = &'static Description> {
    INDEX.entries.iter().filter_map(Entry::description)
}

/// Those of any of these sets, in the order of the files. The others are not read.
pub(crate) fn of_sets<S: AsRef<str>>(sets: &[S]) -> impl Iterator<Item = &'static Description> {
    let is_wanted = |name: &str| sets.iter().any(|set| set.as_ref() == name);
    let members = INDEX
        .entries
        .iter()
        .filter(move |entry| entry.sets().any(is_wanted));
    members.filter_map(Entry::description)
}

/// The names of all sets, sorted.
pub(crate) fn sets() -> Vec<&'static str> {
    let mut sets: Vec<&str> = INDEX.entries.iter().flat_map(Entry::sets).collect();
    sets.sort_unstable();
    sets.dedup();
    sets
}

pub(crate) fn is_set(name: &str) -> bool {
    sets().contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_description_parses_and_is_in_its_place() {
        let mut names = HashSet::new();
        for (family, text) in FAMILIES {
            let mut before = "";
            assert!(text.ends_with('\n') && !text.contains('\t'), "{family}");
            for one in descriptions(text) {
                let line = text.get(..one.as_ptr().addr() - text.as_ptr().addr());
                let line = line.unwrap().lines().count() + 1;
                let groups = parse::names(one);
                for (group, list) in groups.iter().enumerate() {
                    let read = parse::parse(one, group).unwrap_or_else(|(at, why)| {
                        panic!("{family}.txt:{}: {why}", line + at);
                    });
                    assert_eq!(read.names, *list);
                    let entry = &INDEX.entries[INDEX.by_name[list[0]]];
                    assert!(entry.sets().eq(read.sets), "{family}: {}", list[0]);
                    for name in list {
                        assert!(names.insert(*name), "{family}: {name} is described twice");
                    }
                }
                let name = groups[0][0];
                assert!(before < name, "{family}: {name} stands behind {before}");
                before = name;
            }
        }
    }
}
