//! What a word of an invocation is: a number, a file, a unit, a script.
//!
//! Owns the kinds that descriptions name and what may stand for each. A kind is strict
//! where a word of another form would be read differently by some version of the program.
//! Called by the parser of descriptions and by the reader.

mod filled;
mod forms;
mod sites;
mod template;
mod variables;

use self::forms::{
    is_deb, is_loopback, is_npm, is_number, is_revision, is_text_format, is_yq_path, names_a_host,
    socket_names_a_host,
};
use self::sites::{is_bare_site, is_line, is_plain_header, is_plain_url, is_resolved_here};
use self::variables::is_form_assignment;
use crate::policy::filter::awk;
use crate::policy::programs::effects::Effects;

/// Sorts of a cluster's objects that hold what logs in (OpenShift's clients of OAuth, too).
const HOLD_SECRETS: &[&str] = &["oauthclient", "oauthclients", "secret", "secrets"];

/// What an option's value or an operand is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything; it is only printed, compared or computed with.
    Text,
    /// An amount, a count, a size, a duration: digits with a sign and a unit.
    Number,
    /// A count without a unit: behind some numbers a letter is one more option (`tail +5f`).
    Digits,
    /// How many rounds or seconds until it ends; with 0 or less it goes on.
    Rounds,
    /// What `ps -o` shows of a process: secrets where its variables are among it.
    Columns,
    /// A name without `/` that is no option.
    Word,
    /// One of these, each whole; with `*` behind it, a beginning.
    OneOf(Vec<&'static str>),
    /// Letters, digits and `_.-` alone, no option: what no connection string looks like.
    Name,
    /// The same, of a database: not `mysql`, whose tables hold what logs in.
    Database,
    /// A pattern of names, as `nginx*` or `/usr/bin/*`, without what a macro or an option has.
    Glob,
    /// Packages as apt names them (`nginx`, `nginx=1.2`, `nginx/stable`), no file.
    Deb,
    /// The same of npm (`x`, `@y/x@^1`): no file, folder, address or repository.
    Npm,
    /// Resources of a cluster other than [`HOLD_SECRETS`]: `pods`, `deploy/web`, `pods,svc`.
    Resource,
    /// A value of a cloud's command line, which reads `file://`, `@FILE` and `x=@FILE`, and fetches
    /// `http://`.
    Parameter,
    /// A revision by a name that hardly any file has: `HEAD~2`, `main..dev`, `origin/main`.
    Revision,
    /// A file or revision of a repository: relative, without `..`.
    Inside,
    /// A path where the program would fetch `github.com/x/y` as well: `x.yml`, `/x`, `./x`.
    Near,
    /// Begins with `+`, as the format of `date`.
    Plus,
    /// Process numbers, with commas.
    Pid,
    /// A unit of systemd.
    Unit,
    /// A container, an image, an object: letters, digits and `_.:/@-`, no option.
    Object,
    /// A file or directory whose contents or names are shown: checked against `paths`.
    Path,
    /// The same, of a program that goes into it and reads what is below.
    Tree,
    /// A place of which only numbers and names are shown (`df /srv`): not checked.
    Place,
    /// A file that is written, made, changed or removed.
    Write,
    /// A file that output goes to; harmless where it is `/dev/null`.
    Output,
    /// The same as [`Self::Path`], and the program would make another host of `host:file` or
    /// `/inet/tcp/0/host/80` (gawk), a list of arguments of `@file`, a command of `file|`, and
    /// no blanks around it count.
    Local,
    /// The same, of a program that starts what ends with a bar (Perl's `<>`): no wildcard, which
    /// may be such a name.
    Opened,
    /// A pattern of names, without `/`.
    Names,
    /// A device by its short name (`sda1`), no number.
    Device,
    /// What no shell computes with: none of `` $`[]() ``.
    Atom,
    /// A format of `printf` that takes texts only: numbers are expressions to some shells.
    Format,
    /// Another host, by name or address.
    Host,
    /// A filter of addresses or names of hosts, which are looked up: a name is another host's
    /// business, an address is none (`ss dst 10.0.0.1`).
    Peer,
    /// A file or a socket, with a host behind `@` or `,` (`lsof -i @h`, `fuser 80,h/tcp`).
    Socket,
    /// `http://` or `https://`, without a user, and without what curl expands.
    Url,
    /// The same, or without the scheme, where the name means no other one (`ftp.` for curl).
    Site,
    /// A header of a request that only describes what is wanted, of printable characters.
    Header,
    /// Printable characters, with no `@` in front, which means a file.
    Line,
    /// The same with a `=`: behind `--data-urlencode`, an `@` without one means a file too.
    Field,
    /// `HOST:PORT:ADDRESS` of `curl --resolve`, where the address is this host's own.
    Resolve,
    /// What `curl -w` prints: no `@` in front, and nothing that writes a file.
    WriteOut,
    /// Scripts with a checker of their own.
    Awk,
    Sed,
    Jq,
    /// A template of Go, over what a container is: secrets where it may show its variables.
    Template,
    /// One statement, as psql, as mysql and as sqlite3 take it.
    Sql,
    Mysql,
    Sqlite,
    /// A path into a document, for `yq`.
    YqPath,
    /// `NAME=VALUE` of a variable of awk.
    AwkVariable,
    /// `NAME=VALUE` of a variable that changes only form.
    Assignment,
    /// The first word of another command, which goes on to the end.
    Program,
    /// The same, if it is one of these: the others are verbs of the program itself.
    ProgramOf(Vec<&'static str>),
    /// The same, up to `;` or `+`, as behind `find -exec`.
    ProgramUntil,
}

impl Kind {
    /// The kind of this name in a description.
    pub(crate) fn named(name: &'static str) -> Option<Self> {
        if let Some(list) = name
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            return Some(Self::OneOf(list.split(',').collect()));
        }
        if let Some(list) = name.strip_prefix("program=") {
            return Some(Self::ProgramOf(list.split(',').collect()));
        }
        Some(match name {
            "text" => Self::Text,
            "number" => Self::Number,
            "digits" => Self::Digits,
            "rounds" => Self::Rounds,
            "columns" => Self::Columns,
            "word" => Self::Word,
            "name" => Self::Name,
            "database" => Self::Database,
            "glob" => Self::Glob,
            "deb" => Self::Deb,
            "npm" => Self::Npm,
            "resource" => Self::Resource,
            "parameter" => Self::Parameter,
            "revision" => Self::Revision,
            "inside" => Self::Inside,
            "near" => Self::Near,
            "template" => Self::Template,
            "sql" => Self::Sql,
            "mysql" => Self::Mysql,
            "sqlite" => Self::Sqlite,
            "plus" => Self::Plus,
            "pid" => Self::Pid,
            "unit" => Self::Unit,
            "object" => Self::Object,
            "path" => Self::Path,
            "tree" => Self::Tree,
            "place" => Self::Place,
            "write" => Self::Write,
            "output" => Self::Output,
            "local" => Self::Local,
            "opened" => Self::Opened,
            "names" => Self::Names,
            "device" => Self::Device,
            "atom" => Self::Atom,
            "format" => Self::Format,
            "host" => Self::Host,
            "peer" => Self::Peer,
            "socket" => Self::Socket,
            "url" => Self::Url,
            "site" => Self::Site,
            "header" => Self::Header,
            "line" => Self::Line,
            "field" => Self::Field,
            "resolve" => Self::Resolve,
            "writeout" => Self::WriteOut,
            "awk" => Self::Awk,
            "sed" => Self::Sed,
            "jq" => Self::Jq,
            "yq-path" => Self::YqPath,
            "awk-variable" => Self::AwkVariable,
            "assignment" => Self::Assignment,
            "program" => Self::Program,
            "program;" => Self::ProgramUntil,
            _ => return None,
        })
    }

    /// What comes with it, whatever the option or operand.
    pub(crate) fn effects(&self) -> Effects {
        match self {
            Self::Write => Effects::WRITES,
            Self::Host | Self::Url | Self::Site => Effects::NETWORK,
            _ => Effects::READS,
        }
    }

    /// What comes with this text for it.
    pub(crate) fn effects_of(&self, text: &str) -> Effects {
        match self {
            Self::Output if !matches!(text, "/dev/null" | "/dev/stdout" | "/dev/stderr") => {
                Effects::WRITES
            }
            Self::Columns if text.to_ascii_lowercase().contains("environ") => Effects::SECRETS,
            Self::Rounds if !forms::ends(text) => Effects::FOLLOWS,
            Self::Template if !template::is_plain(text) => Effects::SECRETS,
            Self::Peer if names_a_host(text) => Effects::NETWORK,
            Self::Socket if socket_names_a_host(text) => Effects::NETWORK,
            // This host is asked about itself.
            Self::Host if is_loopback(text) => Effects::READS,
            _ => self.effects(),
        }
    }

    /// Whether its contents are read, so that `paths` decides.
    pub(crate) fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Path | Self::Tree | Self::Local | Self::Opened | Self::Near
        )
    }

    /// Whether it is a file or a place among files, whatever becomes of it.
    pub(crate) fn names_a_file(&self) -> bool {
        let other = matches!(
            self,
            Self::Place | Self::Socket | Self::Write | Self::Output | Self::Inside
        );
        self.is_read() || other
    }

    /// Whether another command begins here.
    pub(crate) fn is_program(&self) -> bool {
        matches!(
            self,
            Self::Program | Self::ProgramOf(_) | Self::ProgramUntil
        )
    }

    /// Whether the name of any file may stand for it, of which the text is a pattern: a name
    /// can hold what is a script, an option or another host to a program.
    pub(crate) fn takes_any_file(&self, pattern: &str) -> bool {
        let file = self.names_a_file() && *self != Self::Opened;
        let from_root = *self == Self::Glob && pattern.starts_with('/');
        file || from_root || matches!(self, Self::Text | Self::Atom)
    }

    /// Whether a text may stand for it. Scripts are checked by their checkers.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let only = |more: &[u8]| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        match self {
            Self::Text
            | Self::Columns
            | Self::Template
            | Self::Awk
            | Self::Sed
            | Self::Jq
            | Self::Sql
            | Self::Mysql
            | Self::Sqlite => true,
            Self::Number | Self::Rounds => is_number(text),
            Self::Digits => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
            Self::Word => !text.starts_with('-') && only(b"_.,:%@+=-~^"),
            Self::Name => text.bytes().any(|b| b != b'.') && !text.starts_with('-') && only(b"_.-"),
            Self::Database => Self::Name.takes(text) && !text.eq_ignore_ascii_case("mysql"),
            Self::Glob => !text.starts_with('-') && !text.is_empty() && only(b"_.:/@+,~^*?[]-"),
            Self::Parameter => {
                !text.contains("://") && !text.starts_with('@') && !text.contains("=@")
            }
            Self::Revision => Self::Inside.takes(text) && is_revision(text),
            Self::Inside => {
                !text.starts_with(['-', '/'])
                    && !text.is_empty()
                    && !text.split('/').any(|part| part == "..")
                    && only(b"_.:/@%+=,~^{}-")
            }
            Self::Near => {
                (text.starts_with(['/', '.']) || !text.contains('/'))
                    && !text.is_empty()
                    && !text.contains([':', '@'])
                    && !text.starts_with('-')
            }
            Self::Resource => {
                Self::Object.takes(text)
                    && !text.split(',').any(|one| {
                        let kind = one.split(['/', '.']).next().unwrap_or_default();
                        HOLD_SECRETS
                            .iter()
                            .any(|known| kind.eq_ignore_ascii_case(known))
                    })
            }
            Self::Deb => is_deb(text),
            Self::Npm => is_npm(text),
            Self::ProgramOf(list) => list.contains(&text),
            Self::OneOf(list) => list.iter().any(|known| match known.strip_suffix('*') {
                Some(beginning) => text.starts_with(beginning),
                None => *known == text,
            }),
            Self::Plus => text.starts_with('+'),
            Self::Pid => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b','),
            Self::Unit => !text.starts_with('-') && !text.is_empty() && only(b"_.:@\\*?-"),
            Self::Object => {
                !text.starts_with('-')
                    && !text.is_empty()
                    && !text.split('/').any(|part| part == "..")
                    && only(b"_.:/@%+=,~^-")
            }
            Self::Path
            | Self::Tree
            | Self::Place
            | Self::Write
            | Self::Output
            | Self::Peer
            | Self::Socket => !text.is_empty(),
            Self::Local | Self::Opened => {
                !text.is_empty()
                    && !text.contains([':', '|', '<', '>'])
                    && !text.starts_with('@')
                    && !["/inet/", "/inet4/", "/inet6/"]
                        .iter()
                        .any(|net| text.starts_with(net))
                    && text.trim() == text
            }
            Self::Names => !text.contains('/'),
            Self::Device => text.starts_with(|c: char| c.is_ascii_alphabetic()) && only(b"_.-"),
            Self::Atom => !text.contains(['$', '`', '[', ']', '(', ')']),
            Self::Format => is_text_format(text),
            Self::YqPath => is_yq_path(text),
            Self::AwkVariable => awk::is_assignment(text),
            Self::Host => !text.starts_with('-') && !text.is_empty() && only(b"_.:%-"),
            Self::Url => is_plain_url(text),
            Self::Site => is_plain_url(text) || is_bare_site(text),
            Self::Header => is_line(text) && is_plain_header(text),
            Self::Line => is_line(text),
            Self::Field => is_line(text) && text.contains('='),
            Self::Resolve => is_resolved_here(text),
            Self::WriteOut => !text.starts_with('@') && !text.contains("%output"),
            Self::Assignment => text
                .split_once('=')
                .is_some_and(|(name, value)| is_form_assignment(name, value)),
            // An assignment in its place would be one to `sudo` and `env`.
            Self::Program | Self::ProgramUntil => {
                !text.starts_with('-') && !text.is_empty() && !text.contains('=')
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_stand_for_a_kind() {
        for (kind, text) in [
            ("number", "-5"),
            ("number", "+100M"),
            ("number", "1.5"),
            ("number", "0-"),
            ("word", "a.b:c"),
            ("glob", "nginx-*"),
            ("resource", "deploy/secrets-manager"),
            ("resource", "pods,svc"),
            ("parameter", "Name=tag:Name,Values=web*"),
            ("revision", "HEAD~1"),
            ("revision", "main...dev"),
            ("inside", "stash@{0}"),
            ("inside", "src/main.rs"),
            ("near", "/srv/app/compose.yml"),
            ("near", "compose.yml"),
            ("name", "shop_2.x-y"),
            ("deb", "nginx"),
            ("deb", "nginx=1.22.1-9+deb12u1"),
            ("deb", "nginx:amd64"),
            ("deb", "nginx/bookworm-backports"),
            ("deb", "^linux-image-.*"),
            ("deb", "?installed"),
            ("npm", "express"),
            ("npm", "express@^4.17.1"),
            ("npm", "@types/node@latest"),
            ("rounds", "5"),
            ("{json,yaml,custom-columns=*}", "custom-columns=A:b"),
            ("pid", "1,22"),
            ("unit", "getty@tty1.service"),
            ("object", "registry/app:1.2"),
            ("url", "http://127.0.0.1:8080/health?x=1"),
            ("local", "/etc/ssl/x.crt"),
            ("site", "localhost:8080/health?x=1"),
            ("site", "https://example.com"),
            ("header", "Host: example.com"),
            ("header", "X-Forwarded-Proto: https"),
            ("line", "Mozilla/5.0 (X11)"),
            ("field", "query=up == 0"),
            ("resolve", "example.com:443:127.0.0.1"),
            ("resolve", "example.com:443:[::1]"),
            ("writeout", "%{http_code}\n"),
            ("assignment", "LC_ALL=C.UTF-8"),
            ("assignment", "TZ=Europe/Berlin"),
            ("assignment", "PAGER=cat"),
            ("local", "/backup/x.tar"),
            ("opened", "/var/log/mail.log"),
            ("names", "*.log"),
            ("device", "nvme0n1"),
            ("atom", "/etc/nginx"),
            ("format", "%-20s %s\\n"),
            ("format", "100%% of %s"),
            ("yq-path", ".services.web.ports[0]"),
            ("yq-path", ".[\"a\"] | length"),
            ("yq-path", "."),
            ("awk-variable", "n=5"),
            ("program", "/usr/bin/grep"),
        ] {
            let takes = Kind::named(kind).unwrap().takes(text);
            assert_eq!(takes, text != "0-", "{kind} {text}");
        }
        for (kind, text) in [
            ("number", "/etc/shadow"),
            ("number", ""),
            ("number", "-c"),
            ("word", "-x"),
            ("word", "a/b"),
            ("glob", "%(id)"),
            ("resource", "pods,Secrets"),
            ("resource", "secret/x"),
            ("resource", "secrets.v1."),
            ("resource", "-o"),
            ("parameter", "file:///etc/shadow"),
            ("parameter", "@/etc/shadow"),
            ("parameter", "a=@/etc/shadow"),
            ("resource", "pods,oauthclients/x"),
            ("revision", "shadow"),
            ("revision", "shadow~"),
            ("inside", "/etc/shadow"),
            ("inside", "a/../../b"),
            ("near", "https://h/x.yml"),
            ("near", "github.com/x/y.git"),
            ("near", "-"),
            ("deb", "./x.deb"),
            ("deb", "/root/x.deb"),
            ("deb", "../x"),
            ("deb", "x/y.deb"),
            ("deb", "x/y/z"),
            ("deb", "-o"),
            ("npm", "git+ssh://h/x"),
            ("npm", "https://h/x.tgz"),
            ("npm", "user/repository"),
            ("npm", "github:user/repository"),
            ("npm", "x@npm:y"),
            ("npm", "x@user/repository"),
            ("npm", "x@./y"),
            ("npm", "."),
            ("npm", "~/x"),
            ("npm", "x.tgz"),
            ("npm", "x@y.TAR"),
            ("npm", "-g"),
            ("rounds", "x"),
            ("name", "sslkey=/x.so:k"),
            ("name", "postgres://h/d"),
            ("name", "-x"),
            ("name", ".."),
            ("{json,yaml}", "jsonpath"),
            ("pid", "1 2"),
            ("unit", "-H"),
            ("object", "../x"),
            ("host", "-oProxyCommand=x"),
            ("url", "file:///etc/passwd"),
            ("url", "http://u:p@h/"),
            ("url", "http://h/{a,b}"),
            ("local", "org.openssl.engine:/x.so:y"),
            ("local", "file:/etc/shadow"),
            ("site", "file:///etc/passwd"),
            ("site", "ftp.example.com/x"),
            ("site", "FTP.example.com"),
            ("site", "host:dir"),
            ("site", "u@h/"),
            ("site", "/etc/passwd"),
            ("site", "-T"),
            ("header", "@/etc/shadow"),
            ("header", "X-HTTP-Method-Override: DELETE"),
            ("header", "Host: a\r\nDELETE / HTTP/1.1"),
            ("line", "@x"),
            ("field", "x@/etc/shadow"),
            ("field", "@/etc/shadow=x"),
            ("resolve", "example.com:443:192.0.2.1"),
            ("resolve", "example.com:443:127.0.0.1,192.0.2.1"),
            ("resolve", "*:443:127.0.0.1"),
            ("resolve", "-example.com:443"),
            ("writeout", "@/etc/shadow"),
            ("writeout", "%output{/tmp/x}a"),
            ("assignment", "LD_PRELOAD=/x.so"),
            ("assignment", "TZ=/etc/shadow"),
            ("assignment", "PAGER=less"),
            ("assignment", "LC_ALL"),
            ("assignment", "POSIXLY_CORRECT=1"),
            ("local", "host:/x.tar"),
            ("local", "touch /x|"),
            ("opened", "/x|"),
            ("local", ">/x"),
            ("local", " /etc/shadow"),
            ("local", "@/etc/shadow"),
            ("names", "/etc/shadow"),
            ("device", "1"),
            ("device", "/dev/sda"),
            ("atom", "a[$(id)]"),
            ("atom", "a[b]"),
            ("format", "-v"),
            ("format", "%d"),
            ("format", "%(%F)T"),
            ("format", "%n"),
            ("format", "%*s"),
            ("format", "%"),
            ("yq-path", "load(\"/x\")"),
            ("yq-path", ".a | load(.b)"),
            ("yq-path", ".env[env]"),
            ("yq-path", "env"),
            ("awk-variable", "ENVIRON=1"),
            ("program", "A=/bin/cat"),
            ("program", "-x"),
        ] {
            assert!(!Kind::named(kind).unwrap().takes(text), "{kind} {text}");
        }
        assert_eq!(Kind::named("file"), None);
    }
}
