//! `ssh_config(5)` → hosts, as `ssh -G` would have them.
//!
//! Owns the lines of the file, `Include`, `Host` and `Match`, and the rule that the first
//! value of an option counts. A host is imported for each name that a `Host` line spells out;
//! what is not understood is named with its line. Called by `import`.

use std::path::{Path, PathBuf};

use crate::cli::commands::import::fleet::{Fleet, Found, HOSTS_MAX, Login, Me, is_alias, text_of};
use crate::cli::commands::import::jumps;
use crate::policy::rule::glob::Glob;

/// How deep `Include` may go, as in OpenSSH.
const INCLUDE_MAX: usize = 16;

/// One line, its keyword in lower case.
#[derive(Debug)]
struct Directive {
    /// Such as `/home/me/.ssh/config:12`.
    place: String,
    keyword: String,
    arguments: Vec<String>,
    /// What an `Include` stands for.
    included: Vec<Directive>,
}

/// The options of one name that count here; of each the first value.
#[derive(Debug, Default, Clone)]
struct Options {
    host_name: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    keys: Vec<String>,
    certificate: Option<String>,
    jump: Option<String>,
}

/// What of an option is taken over.
enum Taken {
    Whole,
    /// Changes nothing here.
    Nothing,
    /// Not taken over, and why that matters.
    Left(&'static str),
}

/// # Errors
/// The file cannot be read, or a file that it includes.
pub(crate) fn read(file: &Path, me: &Me) -> Result<Fleet, String> {
    let config = Config {
        directives: directives(file, me, 0)?,
        me,
    };
    let mut fleet = Fleet::default();
    config.notes(&config.directives, &mut fleet);
    let mut names = Vec::new();
    spelled_names(&config.directives, &mut names);
    for name in names {
        if !is_alias(&name) {
            fleet.note(format!(
                "{name:?} is left out: an alias has 1 to 100 of A-Z a-z 0-9 . _ -"
            ));
            continue;
        }
        if fleet.hosts.len() >= HOSTS_MAX {
            fleet.note(format!("names beyond the first {HOSTS_MAX} are left out"));
            break;
        }
        let found = config.host(&name, &mut fleet);
        let twin = |other: &&mut Found| {
            (&other.host, other.port, &other.login, &other.jump)
                == (&found.host, found.port, &found.login, &found.jump)
        };
        match fleet.hosts.iter_mut().find(twin) {
            Some(twin) => twin.also.push(name),
            None => fleet.hosts.push(found),
        }
    }
    jumps::resolve(&mut fleet, &|name| found(name, &config.options(name), me));
    Ok(fleet)
}

struct Config<'m> {
    directives: Vec<Directive>,
    me: &'m Me,
}

impl Config<'_> {
    fn host(&self, name: &str, fleet: &mut Fleet) -> Found {
        let options = self.options(name);
        if options.keys.len() > 1 {
            fleet.note(format!(
                "{name}: the first of {} keys is taken over: an entry of credentials.yml has one",
                options.keys.len()
            ));
        }
        found(name, &options, self.me)
    }

    /// As `ssh -G NAME` evaluates them.
    fn options(&self, name: &str) -> Options {
        let mut options = Options::default();
        self.evaluate(&self.directives, name, &mut options);
        options
    }

    fn evaluate(&self, directives: &[Directive], name: &str, options: &mut Options) {
        let mut active = true;
        for directive in directives {
            let arguments = &directive.arguments;
            match directive.keyword.as_str() {
                "host" => active = patterns_match(arguments, name),
                "match" => active = self.matches(arguments, name, options).unwrap_or(false),
                // What an inactive block includes is not looked at, and `Host` lines of the
                // included file end with it.
                "include" if active => self.evaluate(&directive.included, name, options),
                keyword if active => set(options, keyword, arguments, name),
                _ => {}
            }
        }
    }

    /// `None` for a condition that is not understood.
    fn matches(&self, arguments: &[String], name: &str, options: &Options) -> Option<bool> {
        let mut words = arguments.iter();
        let mut all = true;
        while let Some(word) = words.next() {
            let (negated, criterion) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word.as_str()),
            };
            let (criterion, glued) = match criterion.split_once('=') {
                Some((criterion, list)) => (criterion, Some(list)),
                None => (criterion, None),
            };
            if criterion.eq_ignore_ascii_case("all") {
                all &= !negated;
                continue;
            }
            let list = glued.or_else(|| words.next().map(String::as_str))?;
            let list: Vec<String> = list.split(',').map(str::to_owned).collect();
            let subject = match criterion.to_ascii_lowercase().as_str() {
                "host" => options.host_name.as_deref().unwrap_or(name),
                "originalhost" => name,
                "user" => options.user.as_deref().unwrap_or(&self.me.user),
                "localuser" => &self.me.user,
                _ => return None,
            };
            all &= patterns_match(&list, subject) != negated;
        }
        Some(all)
    }

    /// Names what is not taken over, wherever it stands.
    fn notes(&self, directives: &[Directive], fleet: &mut Fleet) {
        for directive in directives {
            self.notes(&directive.included, fleet);
            let Directive {
                place,
                keyword,
                arguments,
                ..
            } = directive;
            let said = arguments.join(" ");
            if keyword == "match" && self.matches(arguments, "x", &Options::default()).is_none() {
                fleet.note(format!(
                    "{place}: `match {said}` is not understood: what stands below it is left out"
                ));
            } else if let Taken::Left(why) = taken(keyword, arguments) {
                fleet.note(format!("{place}: {keyword} {said}: {why}"));
            }
        }
    }
}

/// A host of these options.
fn found(name: &str, options: &Options, me: &Me) -> Found {
    Found {
        alias: name.to_owned(),
        also: Vec::new(),
        host: options.host_name.clone().unwrap_or_else(|| name.to_owned()),
        port: options.port,
        login: Login {
            user: options.user.clone().unwrap_or_else(|| me.user.clone()),
            key: options.keys.first().cloned(),
            certificate: options.certificate.clone(),
            password: false,
        },
        tags: Vec::new(),
        jump: options.jump.clone(),
    }
}

fn set(options: &mut Options, keyword: &str, arguments: &[String], name: &str) {
    let Some(value) = arguments.first() else {
        return;
    };
    let first = |place: &mut Option<String>, value: String| {
        place.get_or_insert(value);
    };
    match keyword {
        "hostname" => first(
            &mut options.host_name,
            value.replace("%h", name).replace("%%", "%"),
        ),
        "user" => first(&mut options.user, value.clone()),
        "port" => options.port = options.port.or_else(|| value.parse().ok()),
        "identityfile" if value != "none" && !options.keys.contains(value) => {
            options.keys.push(value.clone());
        }
        "certificatefile" => first(&mut options.certificate, value.clone()),
        // Whichever of the two comes first counts.
        "proxyjump" => first(&mut options.jump, value.clone()),
        "proxycommand" => first(
            &mut options.jump,
            jumps::of_proxy_command(arguments).unwrap_or_else(|| "none".to_owned()),
        ),
        _ => {}
    }
}

fn taken(keyword: &str, arguments: &[String]) -> Taken {
    let is = |value: &str| arguments.first().is_some_and(|own| own == value);
    match keyword {
        "host" | "match" | "include" | "hostname" | "user" | "port" | "identityfile"
        | "certificatefile" | "proxyjump" => Taken::Whole,
        "proxycommand" if is("none") || jumps::of_proxy_command(arguments).is_some() => {
            Taken::Whole
        }
        "proxycommand" => Taken::Left("no program is run to connect; use jump"),
        "userknownhostsfile" | "globalknownhostsfile" => Taken::Left(
            "its lines have to stand in known_hosts of the keys directory; trust ALIAS adds a key",
        ),
        "hostkeyalias" => Taken::Left(
            "keys are looked up by the host's own name or address: add a line with it to known_hosts",
        ),
        "stricthostkeychecking" if is("no") || is("off") || is("accept-new") => {
            Taken::Left("host keys are always verified; trust ALIAS adds a key")
        }
        "remotecommand" => Taken::Left("commands come from the assistant, by the policy"),
        "identityagent" if !is("none") && !is("SSH_AUTH_SOCK") => {
            Taken::Left("the agent is the one at SSH_AUTH_SOCK")
        }
        "pkcs11provider" | "securitykeyprovider" => {
            Taken::Left("keys come from files and from the agent")
        }
        "canonicalizehostname" if !is("no") => Taken::Left("names are taken as they are written"),
        "addressfamily" | "bindaddress" | "bindinterface" if !is("any") => {
            Taken::Left("the system chooses the address to connect from")
        }
        "ciphers"
        | "kexalgorithms"
        | "macs"
        | "hostkeyalgorithms"
        | "pubkeyacceptedalgorithms"
        | "pubkeyacceptedkeytypes" => {
            Taken::Left("safe algorithms are built in; legacy_algorithms: true has older ones")
        }
        _ if INDIFFERENT.contains(&keyword) => Taken::Nothing,
        _ => Taken::Left("not understood"),
    }
}

/// Options that change nothing for commands that are run one by one, in lower case. Sorted.
const INDIFFERENT: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "batchmode",
    "canonicalizehostname",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "escapechar",
    "exitonforwardfailure",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "identitiesonly",
    "identityagent",
    "ignoreunknown",
    "ipqos",
    "kbdinteractiveauthentication",
    "localcommand",
    "localforward",
    "loglevel",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "preferredauthentications",
    "pubkeyauthentication",
    "rekeylimit",
    "remoteforward",
    "requesttty",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "setenv",
    "stricthostkeychecking",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "visualhostkey",
    "xauthlocation",
];

/// Every name that a `Host` line spells out, in order, each once.
fn spelled_names(directives: &[Directive], names: &mut Vec<String>) {
    for directive in directives {
        spelled_names(&directive.included, names);
        if directive.keyword == "host" {
            let spelled = |name: &&String| !name.contains(['*', '?', '!']);
            for name in directive.arguments.iter().filter(spelled) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
    }
}

/// ssh_config(5), PATTERNS: one that matches, and none of those with `!`.
fn patterns_match(patterns: &[String], name: &str) -> bool {
    let matches = |pattern: &str| {
        // `[` has no meaning in these patterns.
        let escaped = pattern.replace('[', "[[]");
        Glob::parse(&escaped).is_ok_and(|glob| glob.matches(name))
    };
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern) => return false,
            Some(_) => {}
            None => found |= matches(pattern),
        }
    }
    found
}

fn directives(file: &Path, me: &Me, depth: usize) -> Result<Vec<Directive>, String> {
    let mut found = Vec::new();
    for (index, line) in text_of(file)?.lines().enumerate() {
        let place = format!("{}:{}", file.display(), index + 1);
        let Some((keyword, arguments)) =
            words(line).map_err(|problem| format!("{place}: {problem}"))?
        else {
            continue;
        };
        let mut included = Vec::new();
        if keyword == "include" {
            if depth >= INCLUDE_MAX {
                return Err(format!(
                    "{place}: more than {INCLUDE_MAX} files include each other"
                ));
            }
            for pattern in &arguments {
                for path in files(pattern, me) {
                    included.extend(directives(&path, me, depth + 1)?);
                }
            }
        }
        found.push(Directive {
            place,
            keyword,
            arguments,
            included,
        });
    }
    Ok(found)
}

/// The files that an `Include` names; relative ones lie in `~/.ssh`. A pattern without a
/// file is none.
fn files(pattern: &str, me: &Me) -> Vec<PathBuf> {
    let path = match pattern.strip_prefix("~/") {
        Some(rest) => me.home.join(rest),
        None if pattern.starts_with('/') => PathBuf::from(pattern),
        None => me.home.join(".ssh").join(pattern),
    };
    let mut found = vec![PathBuf::from("/")];
    for component in path.components().skip(1) {
        let name = component.as_os_str().to_string_lossy().into_owned();
        let mut next = Vec::new();
        for directory in found {
            if !name.contains(['*', '?', '[']) {
                next.push(directory.join(&name));
                continue;
            }
            let Ok(glob) = Glob::parse(&name) else {
                continue;
            };
            let entries = std::fs::read_dir(&directory)
                .into_iter()
                .flatten()
                .flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let fits = |own: &String| {
                glob.matches(own) && (name.starts_with('.') || !own.starts_with('.'))
            };
            let mut names: Vec<String> = names.filter(fits).collect();
            names.sort();
            next.extend(names.into_iter().map(|own| directory.join(own)));
        }
        found = next;
    }
    found.retain(|path| path.is_file());
    found
}

/// The keyword and its arguments; `None` for a line without any.
fn words(line: &str) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let line = line.trim_matches([' ', '\t', '\r', '\u{c}']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let mut arguments = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in rest.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => arguments.extend(word.take()),
            (None, '#') if word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    arguments.extend(word);
    Ok(Some((keyword.to_ascii_lowercase(), arguments)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_openssh_does() {
        for (line, expected) in [
            ("  HostName=web", Some("hostname|web")),
            ("Host a b # c", Some("host|a|b")),
            (
                "IdentityFile \"~/my keys/a\"",
                Some("identityfile|~/my keys/a"),
            ),
            ("# x", None),
            ("\t", None),
            ("User a#b", Some("user|a#b")),
        ] {
            let cut = words(line).unwrap().map(|(keyword, arguments)| {
                std::iter::once(keyword)
                    .chain(arguments)
                    .collect::<Vec<_>>()
                    .join("|")
            });
            assert_eq!(cut.as_deref(), expected, "{line}");
        }
        assert!(words("User \"a").is_err());
    }

    #[test]
    fn patterns_of_hosts() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (patterns, name, matches) in [
            ("web*", "web1", true),
            ("web? !web2", "web1", true),
            ("web? !web2", "web2", false),
            ("!web2", "web1", false),
            ("[a]", "[a]", true),
        ] {
            assert_eq!(
                patterns_match(&list(patterns), name),
                matches,
                "{patterns} {name}"
            );
        }
        assert!(INDIFFERENT.is_sorted());
    }
}
