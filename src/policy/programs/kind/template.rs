//! Templates of `docker inspect --format` (Go's text/template, over a container).
//!
//! Owns which of them show nothing secret: a container's variables (`.Config.Env`), its
//! arguments and what its logging is given may hold passwords, its state, addresses and
//! mounts do not. Refuses, as secrets, whatever it does not read whole. Called by the kinds.

/// Members of a container, an image or a volume that hold no secret, at any depth.
const PLAIN: &[&str] = &[
    "Architecture",
    "Config.ExposedPorts",
    "Config.Hostname",
    "Config.Image",
    "Config.StopSignal",
    "Config.User",
    "Config.Volumes",
    "Config.WorkingDir",
    "Created",
    "Driver",
    "HostConfig.AutoRemove",
    "HostConfig.Binds",
    "HostConfig.CpuQuota",
    "HostConfig.CpuShares",
    "HostConfig.LogConfig.Type",
    "HostConfig.Memory",
    "HostConfig.MemorySwap",
    "HostConfig.NanoCpus",
    "HostConfig.NetworkMode",
    "HostConfig.PidsLimit",
    "HostConfig.PortBindings",
    "HostConfig.Privileged",
    "HostConfig.ReadonlyRootfs",
    "HostConfig.RestartPolicy",
    "ID",
    "Id",
    "Image",
    "ImageName",
    "LogPath",
    "Mountpoint",
    "Mounts",
    "Name",
    "NetworkSettings",
    "Os",
    "Platform",
    "RepoDigests",
    "RepoTags",
    "RestartCount",
    "RootFS",
    "Size",
    "SizeRootFs",
    "SizeRw",
    "State",
];

/// Functions of the language and of docker's own that only form what they are given.
const FUNCTIONS: &[&str] = &[
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not",
    "or", "print", "printf", "println", "title", "truncate", "upper",
];

/// What an action has begun and no `end` has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    If,
    /// `range` or `with`: within it, `.` is a part of something plain.
    Inner,
}

/// Whether the template shows only what is [`PLAIN`].
pub(super) fn is_plain(text: &str) -> bool {
    // Without an action it is a name for all of it (`json`, and nothing at all).
    if !text.contains("{{") || text.starts_with("table") {
        return false;
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, from)) = rest.split_once("{{") {
        let Some((action, after)) = from.split_once("}}") else {
            return false;
        };
        let action = action.strip_prefix("- ").unwrap_or(action);
        let action = action.strip_suffix(" -").unwrap_or(action);
        if !is_plain_action(action.trim(), &mut blocks) {
            return false;
        }
        rest = after;
    }
    blocks.is_empty()
}

fn is_plain_action(action: &str, blocks: &mut Vec<Block>) -> bool {
    let (first, rest) = action.split_once(' ').unwrap_or((action, ""));
    let inner = blocks.contains(&Block::Inner);
    match first {
        "end" => rest.is_empty() && blocks.pop().is_some(),
        // Behind the `else` of a `range` or `with`, `.` is the container again.
        "else" => rest.is_empty() && blocks.last() == Some(&Block::If),
        "if" => {
            blocks.push(Block::If);
            is_pipeline(rest, inner)
        }
        "range" | "with" => {
            blocks.push(Block::Inner);
            let value = match rest.split_once(":=") {
                Some((names, value)) if names.split(',').all(|name| is_variable(name.trim())) => {
                    value
                }
                Some(_) => return false,
                None => rest,
            };
            is_pipeline(value, inner)
        }
        _ => is_pipeline(action, inner),
    }
}

/// Functions and arguments, with `|` between. A text with a blank or `|` in it is not read.
fn is_pipeline(text: &str, inner: bool) -> bool {
    let is_argument = |word: &str| {
        is_literal(word)
            || is_field(word, inner)
            // Variables are made by `range` and `with` alone, from what is plain.
            || is_variable(word.split('.').next().unwrap_or_default())
    };
    let words = || text.split([' ', '|']).filter(|word| !word.is_empty());
    // podman takes a function without an argument for all of it: `{{json}}`.
    (words().any(is_argument) || text.trim() == "println")
        && words().all(|word| FUNCTIONS.contains(&word) || is_argument(word))
}

fn is_literal(word: &str) -> bool {
    let number = word.bytes().all(|b| b.is_ascii_digit());
    let quoted = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'))
        .is_some_and(|text| !text.contains(['"', '\\']));
    number || quoted || matches!(word, "true" | "false" | "nil")
}

/// `$name`; `$` alone is the container.
fn is_variable(word: &str) -> bool {
    word.strip_prefix('$').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn is_field(word: &str, inner: bool) -> bool {
    let Some(path) = word.strip_prefix('.') else {
        return false;
    };
    let named = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    let begins = |known: &&&str| {
        path.strip_prefix(**known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    named && (inner || PLAIN.iter().any(|known| begins(&known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_state_addresses_and_mounts() {
        for text in [
            "{{.State.Health.Status}}",
            "{{.Name}} {{.State.Status}} restarts={{ .RestartCount }}",
            "{{json .NetworkSettings.Networks}}",
            "{{range .Mounts}}{{.Source}} -> {{.Destination}}{{println}}{{end}}",
            "{{range $name, $net := .NetworkSettings.Networks}}{{$name}} {{$net.IPAddress}}{{end}}",
            "{{if .State.Running}}up{{else}}down{{end}}",
            "{{index .RepoTags 0}}",
            "{{with .State}}{{.ExitCode}}{{end}}",
            "{{.HostConfig.RestartPolicy.Name}}",
            "{{- .Name -}}",
            "name: {{.Name}}",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn what_may_show_a_secret_or_is_not_read() {
        for text in [
            "",
            "json",
            "{{json}}",
            "{{json .}}",
            "{{.}}",
            "{{.Config.Env}}",
            "{{.Config}}",
            "{{.HostConfig}}",
            "{{.HostConfig.LogConfig}}",
            "{{.HostConfig.LogConfig.Config}}",
            "{{.Args}}",
            "{{.StateX}}",
            "{{$.Config.Env}}",
            "{{json $}}",
            "{{$x := .Config}}{{$x.Env}}",
            "{{range .Mounts}}{{$.Config.Env}}{{end}}",
            "{{range .Config.Env}}{{.}}{{end}}",
            "{{with .State}}a{{else}}{{.Config.Env}}{{end}}",
            "{{with .State}}{{if .X}}{{else}}{{end}}{{else}}{{.Env}}{{end}}",
            "{{range .Mounts}}{{end}}{{.Env}}",
            "{{(.Config).Env}}",
            "{{.State",
            "{{if .State}}",
            "{{template \"x\"}}",
            "{{call .X}}",
            "{{range .Mounts}}{{end}}{{end}}{{.Config.Env}}",
            "{{/* x */}}",
            "{{index . \"Config\"}}",
            "{{.State|json}}{{`x`}}",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
