//! What a user's or group's name stands for.
//!
//! Owns the reading of `/etc/passwd` and `/etc/group`: the C library's look-up would load
//! modules into a static program. Names from elsewhere (LDAP, systemd) are given as
//! numbers. Called by the boot, `check`, `trust` and `ask`, before the sandbox closes.

use std::io::{self, Read as _};

use crate::cli::{Account, Id, User};

/// Most bytes of either file.
const MAX: u64 = 4 * 1024 * 1024;

/// # Errors
/// A name that is in neither file.
pub(crate) fn find(account: &Account) -> Result<User, String> {
    let passwd = || text("/etc/passwd");
    let (uid, own_group) = match &account.user {
        Id::Number(uid) => (*uid, *uid),
        Id::Name(name) => {
            let found = passwd().map(|text| user(&text, name));
            found
                .map_err(|error| format!("/etc/passwd: {error}"))?
                .ok_or_else(|| unknown("user", name, "/etc/passwd"))?
        }
    };
    let gid = match &account.group {
        None => own_group,
        Some(Id::Number(gid)) => *gid,
        Some(Id::Name(name)) => {
            let found = text("/etc/group").map(|text| group(&text, name));
            found
                .map_err(|error| format!("/etc/group: {error}"))?
                .ok_or_else(|| unknown("group", name, "/etc/group"))?
        }
    };
    Ok(User { uid, gid })
}

/// The same where there may be none.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_some(account: Option<&Account>) -> Result<Option<User>, String> {
    account.map(find).transpose()
}

/// What a user is called; the number where no name is known.
pub(crate) fn name_of(uid: u32) -> String {
    let text = text("/etc/passwd").unwrap_or_default();
    let number_of = |line: &str| number(line.split(':').nth(2)?);
    let mut lines = text.lines();
    let line = lines.find(|line| number_of(line) == Some(uid));
    let name = line.and_then(|line| line.split(':').next());
    name.map_or_else(|| uid.to_string(), str::to_owned)
}

fn unknown(what: &str, name: &str, file: &str) -> String {
    format!("no {what} '{name}' in {file}: give its number")
}

fn text(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:x:uid:gid:…` (passwd(5))
fn user(text: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = fields(text, name)?.skip(2);
    Some((number(fields.next()?)?, number(fields.next()?)?))
}

/// `name:x:gid:…` (group(5))
fn group(text: &str, name: &str) -> Option<u32> {
    number(fields(text, name)?.nth(2)?)
}

fn fields<'t>(text: &'t str, name: &str) -> Option<std::str::Split<'t, char>> {
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    Some(line.split(':'))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_numbers_are_numbers() {
        let text = "root:x:0:0:root:/root:/bin/sh\nmcp:x:998:997::/:\nbad:x:-1:0::/:\n";
        assert_eq!(user(text, "mcp"), Some((998, 997)));
        assert_eq!(user(text, "mc"), None);
        assert_eq!(user(text, "bad"), None);
        assert_eq!(group("adm:x:4:root\n", "adm"), Some(4));
    }
}
