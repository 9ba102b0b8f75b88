//! This server's own file in the runtime directory.
//!
//! Owns its making (whole and locked before it has its name) and the answers appended to
//! it. Refuses to grow it beyond [`MAX`] bytes: then it begins anew behind its first line.
//! Made by the boot, written by the thread that looks after the configuration.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::audit::Ts;
use crate::startup::presence::directory::{self, Runtime, SUFFIX};
use crate::startup::presence::{Answer, Identified};

/// Size at which old answers go. Nobody waits that long for one.
const MAX: u64 = 256 * 1024;

/// The file, locked as long as this process lives.
pub(crate) struct Presence {
    file: Flock<std::fs::File>,
    first: Vec<u8>,
    length: u64,
}

impl Presence {
    /// Makes the file. To be called as the user that the process stays, before the sandbox
    /// closes: it needs `/proc` and a directory that is not granted.
    ///
    /// # Errors
    /// There is no directory for it, or it cannot be written.
    pub(crate) fn make(named: Option<&Path>, uid: u32, config_dir: &Path) -> io::Result<Self> {
        let runtime = directory::made(&directory::places(named, uid), uid)?;
        sweep(&runtime);
        let pid = std::process::id();
        let identified = Identified {
            pid,
            namespace: namespace(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_dir: config_dir.display().to_string(),
            since: Ts::now().iso(),
        };
        let mut first = serde_json::to_vec(&identified)?;
        first.push(b'\n');
        // The name tells containers that share the directory apart, whose numbers repeat.
        let name = format!("{pid}-{}", Ts::now().micros());
        let making = format!("{name}.new");
        let file = runtime.file(&making, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)?;
        let file =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
        (&*file).write_all(&first)?;
        runtime.rename(&making, &format!("{name}{SUFFIX}"))?;
        let length = first.len() as u64;
        Ok(Self {
            file,
            first,
            length,
        })
    }

    /// Appends an answer. One that cannot be written is missed by whoever waits for it,
    /// who says so.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        let Ok(mut line) = serde_json::to_vec(answer) else {
            return;
        };
        line.push(b'\n');
        let _ = self.append(&line);
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.length + line.len() as u64 > MAX {
            self.length = self.first.len() as u64;
            self.file.set_len(self.length)?;
        }
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// What this process's number counts in. Empty where `/proc` does not say.
pub(crate) fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.display().to_string()
}

/// Removes what servers left behind that are gone.
fn sweep(runtime: &Runtime) {
    for name in runtime.names().unwrap_or_default() {
        if let Ok(file) = runtime.file(&name, OFlag::O_RDONLY)
            && Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok()
        {
            // Somebody else may have removed it: it is gone either way.
            let _ = runtime.remove(&name);
        }
    }
}
