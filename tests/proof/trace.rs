//! What strace wrote → what the program did beyond reading and printing.
//!
//! Owns the list of system calls that are watched and what each of them means. Whether a
//! description allows it is said in `judge`.

use std::collections::BTreeSet;

/// The calls that can change something, start something or reach somebody.
pub(crate) const WATCHED: &str = "execve,execveat,open,openat,openat2,creat,unlink,unlinkat,rename,\
    renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,mknod,mknodat,chmod,\
    fchmod,fchmodat,chown,fchown,lchown,fchownat,truncate,ftruncate,fallocate,utime,utimes,\
    utimensat,futimesat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,mount,\
    umount2,pivot_root,chroot,move_mount,fsopen,fsmount,open_tree,mount_setattr,swapon,swapoff,\
    sethostname,setdomainname,settimeofday,clock_settime,adjtimex,clock_adjtime,reboot,kexec_load,\
    init_module,finit_module,delete_module,syslog,kill,tkill,tgkill,rt_sigqueueinfo,\
    pidfd_send_signal,ptrace,process_vm_writev,setpriority,sched_setscheduler,sched_setparam,\
    sched_setattr,sched_setaffinity,ioprio_set,prlimit64,bpf,perf_event_open,quotactl,\
    keyctl,add_key,acct,ioctl,connect,sendto,sendmsg,sendmmsg,listen,setsockopt,\
    shmget,shmctl,semget,semctl,semop,msgget,msgctl,msgsnd,mq_open,mq_unlink,io_uring_setup,setns,\
    unshare,mmap";

/// One thing that a program did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) enum Deed {
    /// Opened for writing.
    Writes(String),
    /// Made, renamed, removed or changed a file.
    Changes(String),
    Starts(String),
    /// Connected to a socket of this host.
    Asks(String),
    /// Connected or sent to an address.
    Reaches(String),
    /// Mapped code of a file below `/probe`.
    Loads(String),
    /// Any other call that changes something, by its name.
    Calls(String),
}

/// What the program did, from its own start on.
pub(crate) fn deeds(trace: &str) -> Vec<Deed> {
    // Signals among its own processes are its own business.
    let own: BTreeSet<&str> = trace
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let mut deeds: Vec<Deed> = trace.lines().filter_map(|line| deed(line, &own)).collect();
    // The first program that is started is the one that is traced.
    if let Some(at) = deeds
        .iter()
        .position(|deed| matches!(deed, Deed::Starts(_)))
    {
        deeds.remove(at);
    }
    deeds.sort();
    deeds.dedup();
    deeds
}

fn deed(line: &str, own: &BTreeSet<&str>) -> Option<Deed> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let (call, rest) = line.split_once('(')?;
    if call.is_empty() || call.contains([' ', '<', '+', '-']) {
        return None;
    }
    // A call that nobody made: the process was ended while strace looked at it.
    if call == "???" || call.starts_with("syscall_0xffff") {
        return None;
    }
    let has = |texts: &[&str]| texts.iter().any(|text| rest.contains(text));
    let path = || path_of(rest);
    match call {
        "execve" | "execveat" => (!has(&[" = -1 "])).then(|| Deed::Starts(path())),
        "open" | "openat" | "openat2" => {
            let flags = rest.rsplit('"').next().unwrap_or(rest);
            // A file without a name is nobody's.
            if flags.contains("O_TMPFILE") {
                return None;
            }
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"]
                .iter()
                .any(|flag| flags.contains(flag))
                .then(|| Deed::Writes(path()))
        }
        "connect" | "sendto" | "sendmsg" | "sendmmsg" => reached(call, rest),
        "mmap" => {
            let file = rest
                .split_once('<')
                .and_then(|(_, file)| file.split_once('>'));
            let (file, _) = file?;
            (has(&["PROT_EXEC"]) && file.starts_with("/probe"))
                .then(|| Deed::Loads(file.to_owned()))
        }
        "ioctl" => {
            let request = rest.split(", ").nth(1)?.trim_end_matches(')');
            let request = request.split([')', ' ']).next()?;
            // mdadm deletes the partition of number 2^30, which there never is: the error tells
            // whether this is a partition or a whole disk (util.c, test_partition).
            if request == "BLKPG" && has(&["BLKPG_DEL_PARTITION"]) && has(&["pno=1073741824,"]) {
                return None;
            }
            (!is_asking(request)).then(|| Deed::Calls(format!("ioctl {request}")))
        }
        "prlimit64" => {
            let new = rest.split(", ").nth(2)?;
            // Its own limits (process 0) are its own business.
            (new != "NULL" && !rest.starts_with("0,")).then(|| Deed::Calls("prlimit64".to_owned()))
        }
        "syslog" => {
            let action = rest.split([',', ')']).next()?;
            let asks = [
                "SYSLOG_ACTION_READ_ALL",
                "SYSLOG_ACTION_SIZE_BUFFER",
                "SYSLOG_ACTION_SIZE_UNREAD",
            ];
            (!asks.iter().any(|one| action.contains(one)))
                .then(|| Deed::Calls(format!("syslog {action}")))
        }
        "adjtimex" | "clock_adjtime" => {
            (!has(&["modes=0,", "modes=0}"])).then(|| Deed::Calls(call.to_owned()))
        }
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" | "pidfd_send_signal" => {
            // Signal 0 asks whether a process is there.
            let whom = rest.split(',').next().unwrap_or_default();
            (!has(&[", 0)"]) && !own.contains(whom)).then(|| Deed::Calls(call.to_owned()))
        }
        "shmctl" | "semctl" | "msgctl" => {
            has(&["IPC_RMID", "IPC_SET", "SETALL", "SETVAL"]).then(|| Deed::Calls(call.to_owned()))
        }
        "shmget" | "semget" | "msgget" | "mq_open" => {
            has(&["IPC_CREAT", "O_CREAT"]).then(|| Deed::Calls(call.to_owned()))
        }
        "setsockopt" => has(&["SO_SET_", "_SET_REPLACE", "IPT_SO_SET", "SO_ATTACH"])
            .then(|| Deed::Calls("setsockopt SET".to_owned())),
        "setpriority" | "sched_setscheduler" | "sched_setparam" | "sched_setattr"
        | "sched_setaffinity" | "ioprio_set" | "ptrace" | "process_vm_writev" | "bpf"
        | "perf_event_open" | "quotactl" | "keyctl" | "add_key" | "acct" | "semop" | "msgsnd"
        | "io_uring_setup" | "setns" | "unshare" | "listen" | "sethostname" | "setdomainname"
        | "settimeofday" | "clock_settime" | "reboot" | "kexec_load" | "init_module"
        | "finit_module" | "delete_module" => Some(Deed::Calls(call.to_owned())),
        _ => Some(Deed::Changes(format!("{call} {}", path()))),
    }
}

fn reached(call: &str, rest: &str) -> Option<Deed> {
    // Netlink asks for lists and changes them with the same call.
    if rest.contains("nlmsg_") {
        // `ip` asks with an empty one whether the kernel knows the call.
        if rest.contains("nlmsg_len=32, nlmsg_type=RTM_NEWLINK") && rest.contains("ifi_index=0") {
            return None;
        }
        let changes = [
            "=RTM_NEW",
            "=RTM_DEL",
            "=RTM_SET",
            "NLM_F_CREATE",
            "NLM_F_REPLACE",
        ];
        return changes
            .iter()
            .any(|change| rest.contains(change))
            .then(|| Deed::Calls(format!("{call} netlink")));
    }
    if let Some((_, path)) = rest.split_once("sun_path=") {
        return Some(Deed::Asks(quoted(path).unwrap_or_default()));
    }
    let family = rest.split_once("sa_family=")?.1;
    if !family.starts_with("AF_INET") {
        return None;
    }
    let after = |mark: &str| {
        let (_, text) = family.split_once(mark)?;
        text.split([')', '"']).next()
    };
    let port = after("port=htons(").unwrap_or("?");
    let address = after("inet_addr(\"")
        .or_else(|| after("inet_pton(AF_INET6, \""))
        .unwrap_or("?");
    Some(Deed::Reaches(format!("{address} {port}")))
}

/// Requests that ask a device, a terminal or a file system and change nothing.
fn is_asking(request: &str) -> bool {
    const ASKING: &[&str] = &[
        "TCGETS",
        "TCGETS2",
        "TIOCGWINSZ",
        "TIOCGPGRP",
        "TIOCGSID",
        "TIOCGDEV",
        "TIOCINQ",
        "FIONREAD",
        "FIOCLEX",
        "FIONBIO",
        "FS_IOC_GETFLAGS",
        "FS_IOC_FSGETXATTR",
        "FS_IOC_FIEMAP",
        "FS_IOC_GETVERSION",
        "BLKGETSIZE",
        "BLKGETSIZE64",
        "BLKSSZGET",
        "BLKPBSZGET",
        "BLKBSZGET",
        "BLKROGET",
        "BLKIOMIN",
        "BLKIOOPT",
        "BLKALIGNOFF",
        "BLKGETZONESZ",
        "BLKREPORTZONE",
        "HDIO_GETGEO",
        "CDROM_GET_CAPABILITY",
        "CDROM_DRIVE_STATUS",
        "FIGETBSZ",
        "RTC_RD_TIME",
        "LOOP_GET_STATUS",
        "LOOP_GET_STATUS64",
        "LOOP_CTL_GET_FREE",
        "NS_GET_NSTYPE",
        "NS_GET_PARENT",
        "NS_GET_USERNS",
        "NS_GET_OWNER_UID",
        "FS_IOC_GETFSLABEL",
        "BTRFS_IOC_FS_INFO",
        "BLKDISCARDZEROES",
        "GIO_UNIMAP",
        "KDGKBTYPE",
        "KDGETMODE",
        "FIDEDUPERANGE",
    ];
    // The last are modes of a terminal, which strace takes for a timer of sound.
    let terminal = ["TCSETS", "SNDCTL_TMR_"]
        .iter()
        .any(|one| request.starts_with(one));
    terminal
        || ASKING.contains(&request)
        || request.starts_with("SIOCG")
        || request.starts_with("SIOCETHTOOL")
}

/// The file that a call is about: by its name, below an open directory, or open itself.
fn path_of(rest: &str) -> String {
    let open = || Some(rest.split_once('<')?.1.split_once('>')?.0.to_owned());
    let Some(name) = quoted(rest) else {
        return open().unwrap_or_else(|| rest.to_owned());
    };
    let below = rest
        .split_once('"')
        .filter(|(before, _)| before.contains('<') && !before.contains("AT_FDCWD</probe>"));
    match below.and_then(|_| open()) {
        Some(folder) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name,
    }
}

/// The first text in quotes.
fn quoted(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('"')?;
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(out),
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    Some(out)
}
