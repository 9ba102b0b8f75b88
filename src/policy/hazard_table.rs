//! The table of hazards: what a wildcard never grants, program by program.
//!
//! Owns data only, one row a program, made to be read and argued about: short options,
//! long options, words. What a row means is said in [`super::hazard`]. Nobody should
//! take it for complete; `policy tables` prints it with its version.

/// One program's row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) program: &'static str,
    /// Letters that are a hazard anywhere in a cluster; `*` means every argument is.
    pub(super) short: &'static str,
    /// Names of long options, with every abbreviation; separated by blanks.
    pub(super) long: &'static str,
    /// Whole words; separated by blanks.
    pub(super) words: &'static str,
}

const fn row(
    program: &'static str,
    short: &'static str,
    long: &'static str,
    words: &'static str,
) -> Row {
    Row {
        program,
        short,
        long,
        words,
    }
}

/// In the order of the programs' names.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("apache2", "kfcCdDe", "", "start stop restart graceful graceful-stop"),
    row("apache2ctl", "kfcCdDe", "", "start stop restart graceful graceful-stop"),
    row("apachectl", "kfcCdDe", "", "start stop restart graceful graceful-stop"),
    row("apk", "",
        "root repository keys-dir repositories-file",
        "add del fix update upgrade fetch cache"),
    row("apt", "oc",
        "option config-file",
        "install remove purge update upgrade full-upgrade dist-upgrade autoremove edit-sources \
         satisfy reinstall source build-dep download changelog moo autopurge clean autoclean"),
    row("apt-cache", "oc",
        "option config-file",
        "install remove purge upgrade auto manual hold unhold add gencaches update full-upgrade \
         safe-upgrade"),
    row("apt-config", "oc",
        "option config-file",
        "install remove purge upgrade auto manual hold unhold add gencaches update full-upgrade \
         safe-upgrade"),
    row("apt-get", "oc",
        "option config-file",
        "install remove purge update upgrade dist-upgrade autoremove source build-dep download \
         clean autoclean changelog autopurge satisfy reinstall full-upgrade markauto unmarkauto \
         dselect-upgrade"),
    row("apt-mark", "oc",
        "option config-file",
        "install remove purge upgrade auto manual hold unhold add gencaches update full-upgrade \
         safe-upgrade"),
    row("aptitude", "oc",
        "option config-file",
        "install remove purge upgrade auto manual hold unhold add gencaches update full-upgrade \
         safe-upgrade"),
    row("aria2c", "*", "", ""),
    row("arp", "sdf", "set delete file", ""),
    row("auditctl", "DadeAbfrRsWwt", "", ""),
    row("bat", "", "pager", ""),
    row("batcat", "", "pager", ""),
    row("bfs", "",
        "",
        "-exec -execdir -ok -okdir -delete -rm -fls -fprint -fprint0 -fprintf -files0-from"),
    row("bootctl", "", "", "install update remove set-default set-oneshot set-timeout unlink \
         cleanup"),
    row("bridge", "bn",
        "batch netns force",
        "add del delete change replace set append flush link-set"),
    row("bsdtar", "xcruIPTC",
        "extract create append update use-compress-program files-from directory",
        ""),
    row("btrfs", "",
        "",
        "create delete snapshot set set-default add remove replace balance scrub defragment \
         resize label send receive restore rescue"),
    row("busctl", "HM", "host machine address", "call set-property emit monitor capture"),
    row("bzgrep", "fRr", "file recursive dereference-recursive exclude-from", ""),
    row("certbot", "",
        "pre-hook post-hook deploy-hook renew-hook manual-auth-hook manual-cleanup-hook \
         config-dir work-dir logs-dir",
        "run certonly renew enhance install revoke delete register unregister update_account \
         rollback reconfigure"),
    row("chage", "dEImMWR", "lastday expiredate inactive mindays maxdays warndays root", ""),
    row("chronyc", "",
        "",
        "add delete burst makestep offline online reset settime shutdown allow deny cyclelogs \
         reload dump local manual"),
    row("conntrack", "DFIUE", "delete flush create update event", ""),
    row("consul", "",
        "",
        "exec kv write delete put join leave force-leave reload operator login ssh unwrap seal \
         unseal"),
    row("coredumpctl", "Do",
        "directory output debugger root image file debugger-arguments",
        "debug gdb dump"),
    row("cpio", "ipoOFDER", "extract create pass-through file", ""),
    row("crictl", "cr",
        "config runtime-endpoint image-endpoint",
        "exec run runp rm rmi rmp stop stopp start create pull attach port-forward update \
         checkpoint"),
    row("crontab", "er", "", ""),
    row("csplit", "", "filter", ""),
    row("ctr", "", "", "run exec"),
    row("curl", "*", "", ""),
    row("date", "sf", "set file", ""),
    row("dd", "*", "", ""),
    row("diff", "", "to-file from-file", ""),
    row("dig", "f", "", ""),
    row("dmesg", "CcDEnwFWK",
        "clear read-clear console-off console-on console-level file kmsg-file follow follow-new",
        ""),
    row("dnf", "c",
        "config setopt installroot enableplugin disableplugin downloaddir repofrompath",
        "install remove erase update upgrade downgrade reinstall autoremove distro-sync \
         groupinstall localinstall swap shell clean makecache module config-manager \
         system-upgrade offline-upgrade mark download in rm up upgrade-minimal update-minimal \
         update-to upgrade-to undo rollback redo reposync builddep copr autoupdate \
         distribution-synchronization debuginfo-install alias load-transaction localupdate add"),
    row("docker", "H",
        "follow host config context tlscacert",
        "run exec cp rm rmi kill stop start restart build push pull commit create load import \
         export save plugin swarm service secret system volume network update rename attach \
         login compose buildx checkpoint context trust pause unpause prune deploy promote \
         demote debug tag wait"),
    row("doveadm", "",
        "",
        "exec expunge kick stop reload sync purge import move copy save deduplicate"),
    row("dpkg", "iPrAbxXeR",
        "install remove purge unpack configure root admindir instdir pre-invoke post-invoke \
         status-logger force-all path-exclude command-fd set-selections clear-selections \
         add-architecture update-avail log extract vextract control raw-extract build \
         record-avail clear-avail merge-avail forget-old-unavail triggers-only remove-architecture",
        ""),
    row("dpkg-deb", "xXeRbf", "extract vextract control raw-extract build fsys-tarfile", ""),
    row("du", "X", "files0-from exclude-from", ""),
    row("egrep", "fRr", "file recursive directories", ""),
    row("etcdctl", "",
        "",
        "put del txn compaction defrag lease user role auth snapshot move-leader elect lock watch"),
    row("ethtool", "ACEGKLNPQUWXfprst", "", ""),
    row("exim", "*", "", ""),
    row("fail2ban-client", "csp",
        "",
        "set start stop restart reload unban banip unbanip add flushlogs server-stop"),
    row("faillock", "", "reset", ""),
    row("faillog", "rlmR", "reset lock-secs maximum root", ""),
    row("fd", "xX", "exec exec-batch", ""),
    row("fdfind", "xX", "exec exec-batch", ""),
    row("fgrep", "fRr", "file recursive directories", ""),
    row("file", "Cfm", "compile files-from magic-file", ""),
    row("find", "",
        "",
        "-exec -execdir -ok -okdir -delete -fls -fprint -fprint0 -fprintf -files0-from"),
    row("flatpak", "",
        "",
        "install uninstall update run override remote-add remote-delete remote-modify kill \
         repair mask make-current enter build"),
    row("ftp", "*", "", ""),
    row("gfind", "",
        "",
        "-exec -execdir -ok -okdir -delete -fls -fprint -fprint0 -fprintf -files0-from"),
    row("git", "cO",
        "upload-pack exec exec-path config-env output ext-diff open-files-in-pager textconv \
         paginate git-dir work-tree receive-pack no-index help run-command contents",
        "push fetch pull clone commit reset clean checkout switch restore rm mv config gc \
         rebase merge apply am stash submodule worktree filter-branch bisect hook daemon \
         update-ref difftool mergetool credential archive bundle maintenance p4 svn instaweb \
         send-email cherry-pick revert init add symbolic-ref update-index read-tree \
         checkout-index fast-import repack prune pack-refs rerere gui citool web--browse help \
         shell upload-pack receive-pack http-backend notes replace sparse-checkout hash-object \
         mktag mktree commit-tree imap-send send-pack fetch-pack format-patch interpret-trailers \
         lfs"),
    row("gpg", "*", "", ""),
    row("gpg2", "*", "", ""),
    row("grep", "fRr", "file recursive dereference-recursive directories exclude-from", ""),
    row("hdparm", "*", "", ""),
    row("helm", "",
        "kubeconfig post-renderer kube-apiserver kube-as-group kube-as-user kube-ca-file \
         kube-context kube-insecure-skip-tls-verify kube-tls-server-name kube-token \
         registry-config repository-config",
        "install upgrade uninstall delete rollback plugin pull push repo test registry \
         dependency package"),
    row("hg", "", "config cwd repository debugger",
        "clone commit push pull update merge rebase strip purge revert serve"),
    row("host", "f", "", ""),
    row("hostname", "bF", "boot file", ""),
    row("hostnamectl", "HM",
        "host machine",
        "set-hostname hostname set-icon-name set-chassis set-deployment set-location icon-name \
         chassis deployment location"),
    row("httpd", "kfcCdDe", "", "start stop restart graceful graceful-stop"),
    row("iconv", "o", "output", ""),
    row("ifconfig", "",
        "",
        "up down add del netmask hw mtu promisc -arp arp -promisc allmulti -allmulti dstaddr \
         broadcast pointopoint tunnel metric txqueuelen media"),
    row("incus", "",
        "",
        "exec launch init start stop restart delete copy move file config publish import export \
         rename restore snapshot project remote"),
    row("ip", "bBn",
        "batch force netns",
        "add del delete flush change replace set append prepend exec restore save attach \
         monitor help-me deleteall"),
    row("ip6tables", "ADIRFZNXPEM",
        "append delete insert replace flush zero new-chain delete-chain policy rename-chain \
         modprobe",
        ""),
    row("ip6tables-save", "Mf", "modprobe file", ""),
    row("ipset", "NAXFEWRD", "",
        "create add del destroy flush rename swap restore"),
    row("iptables", "ADIRFZNXPEM",
        "append delete insert replace flush zero new-chain delete-chain policy rename-chain \
         modprobe",
        ""),
    row("iptables-save", "Mf", "modprobe file", ""),
    row("journalctl", "MDf",
        "follow vacuum-size vacuum-time vacuum-files rotate flush sync relinquish-var \
         smart-relinquish-var setup-keys update-catalog machine root image directory file \
         cursor-file namespace",
        ""),
    row("jq", "fL", "from-file slurpfile rawfile argfile", ""),
    row("kubectl", "f",
        "kubeconfig filename raw as as-group server token context cluster kustomize \
         certificate-authority template output-watch-events cache-dir profile-output log-file \
         log-dir user username password as-uid as-user-extra client-key client-certificate \
         insecure-skip-tls-verify tls-server-name output-directory",
        "exec run apply create delete edit patch replace scale cp port-forward proxy attach \
         drain cordon uncordon taint label annotate debug rollout set plugin config auth \
         certificate expose autoscale wait krew"),
    row("lastlog", "CSR", "clear set root", ""),
    row("launchctl", "",
        "",
        "load unload bootstrap bootout kickstart start stop remove submit setenv unsetenv \
         enable disable"),
    row("lftp", "*", "", ""),
    row("links", "*", "", ""),
    row("localectl", "HM", "host machine", "set-locale set-keymap set-x11-keymap"),
    row("loginctl", "HM",
        "host machine",
        "kill-session kill-user terminate-session terminate-user terminate-seat lock-sessions \
enable-linger disable-linger attach activate \
         lock-session unlock-session unlock-sessions flush-devices"),
    row("logrotate", "*", "", ""),
    row("lsof", "Dm", "", ""),
    row("lvs", "", "config profile", ""),
    row("lxc", "",
        "",
        "exec launch init start stop restart delete copy move file config publish import export \
         rename restore snapshot project remote"),
    row("lynx", "*", "", ""),
    row("machinectl", "HM",
        "host machine",
        "shell login start poweroff reboot terminate kill remove clone rename copy-to copy-from \
         bind enable disable import-tar import-raw pull-tar pull-raw export-tar export-raw \
         set-limit clean edit"),
    row("mail", "*", "", ""),
    row("mailx", "*", "", ""),
    row("mdadm", "CAFGSRIBafrwo",
        "create assemble build manage grow stop fail remove add re-add replace zero-superblock \
         misc monitor run readwrite readonly config update-subarray",
        ""),
    row("microdnf", "c",
        "config setopt installroot enableplugin disableplugin downloaddir repofrompath",
        "install remove erase update upgrade downgrade reinstall autoremove distro-sync \
         groupinstall localinstall swap shell clean makecache module config-manager \
         system-upgrade offline-upgrade mark download in rm up upgrade-minimal update-minimal \
         update-to upgrade-to undo rollback redo reposync builddep copr autoupdate \
         distribution-synchronization debuginfo-install alias load-transaction localupdate add"),
    row("mount", "*", "", ""),
    row("mtr", "F", "filename", ""),
    row("mutt", "*", "", ""),
    row("mysqladmin", "",
        "defaults-file defaults-extra-file plugin-dir",
        "create drop kill shutdown password reload refresh flush-hosts flush-logs \
         flush-privileges flush-status flush-tables flush-threads start-slave stop-slave \
         start-replica stop-replica"),
    row("nc", "eclLUxXo",
        "exec sh-exec lua-exec listen unixsock proxy proxy-auth output hex-dump",
        ""),
    row("ncat", "eclLUxXo",
        "exec sh-exec lua-exec listen unixsock proxy proxy-auth output hex-dump",
        ""),
    row("nerdctl", "H",
        "host config context connection url identity root runroot storage-opt hooks-dir runtime \
         conmon",
        "run exec cp rm rmi kill stop start restart build push pull commit create load import \
         export save system volume network update rename attach login compose play kube \
         generate machine unshare mount umount secret init checkpoint restore pause unpause \
         prune deploy promote demote tag untag sign clone auto-update wait"),
    row("netcat", "eclLUxXo",
        "exec sh-exec lua-exec listen unixsock proxy proxy-auth output hex-dump",
        ""),
    row("networkctl", "",
        "",
        "up down reload reconfigure renew forcerenew delete edit mask unmask"),
    row("nft", "f", "file", "add delete flush insert replace create destroy reset rename import \
         include"),
    row("nginx", "cgpse", "", ""),
    row("nmap", "oi",
        "script script-args script-updatedb datadir servicedb versiondb resume stylesheet \
         excludefile interactive",
        ""),
    row("nmcli", "",
        "",
        "add modify edit delete clone up down connect disconnect set reapply monitor import \
         export reload load on off rescan hotspot hostname logging checkpoint agent"),
    row("openssl", "",
        "out keyout engine writerand provider provider-path config CAcreateserial CAserial \
         sess_out keylogfile msgfile early_data proxy unix ssl_config",
        "enc s_client s_server req ca rsa pkcs12 engine dgst smime cms genrsa genpkey gendsa \
         ecparam pkey pkeyutl rsautl s_time ocsp cmp ts rand rehash speed"),
    row("pacman", "SRUDTr",
        "sync remove upgrade database root dbpath config hookdir cachedir gpgdir",
        ""),
    row("passwd", "deluxnwikqrRs",
        "delete expire lock unlock inactive maxdays mindays warndays root stdin prefix",
        ""),
    row("pg_ctl", "", "", "start stop restart reload promote kill init initdb register"),
    row("pidstat", "e", "", ""),
    row("ping", "fpbI", "flood", ""),
    row("podman", "H",
        "host config context connection url identity root runroot storage-opt hooks-dir runtime \
         conmon",
        "run exec cp rm rmi kill stop start restart build push pull commit create load import \
         export save system volume network update rename attach login compose play kube \
         generate machine unshare mount umount secret init checkpoint restore pause unpause \
         prune deploy promote demote tag untag sign clone auto-update wait"),
    row("postconf", "eX", "", ""),
    row("postfix", "", "", "start stop abort flush reload upgrade-configuration set-permissions"),
    row("postqueue", "fis", "", ""),
    row("postsuper", "dhHrsei", "", ""),
    row("pvs", "", "config profile", ""),
    row("rabbitmqctl", "",
        "",
        "eval eval_file exec encode decode stop stop_app start_app shutdown reset force_reset \
         rotate_logs add_user delete_user change_password clear_password set_permissions \
         clear_permissions set_policy clear_policy set_parameter purge_queue delete_queue \
         close_connection close_all_connections join_cluster forget_cluster_node remote_shell \
         await_startup"),
    row("rc-service", "", "", "start stop restart reload zap"),
    row("rclone", "",
        "password-command config rc",
        "copy copyto copyurl move moveto sync bisync delete deletefile purge mount rcd serve \
         config \
         rcat mkdir rmdir rmdirs touch link"),
    row("resolvectl", "i",
        "",
        "flush-caches reset-statistics reset-server-features dns domain default-route llmnr \
         mdns dnsovertls dnssec nta revert log-level monitor"),
    row("rg", "zf", "pre hostname-bin search-zip file", ""),
    row("rndc", "", "",
        "addzone delzone modzone flush flushname flushtree freeze thaw halt loadkeys nta querylog \
         reconfig reload refresh retransfer stop sync trace notrace sign signing dumpdb stats"),
    row("route", "", "", "add del delete change flush"),
    row("rpm", "EeiUFDr",
        "eval erase install upgrade freshen pipe define dbpath root rcfile macros load import \
         rebuilddb initdb setperms setugids restore specfile predefine addsign resign delsign",
        ""),
    row("rsync", "eMT",
        "rsh rsync-path daemon config dparam remote-option remove-source-files delete \
         write-batch only-write-batch read-batch temp-dir log-file files-from exclude-from \
         include-from password-file backup-dir partial-dir",
        ""),
    row("sar", "o", "", ""),
    row("scp", "*", "", ""),
    row("sed", "ifE", "in-place file", ""),
    row("sendmail", "*", "", ""),
    row("service", "",
        "full-restart",
        "start stop restart reload force-reload try-restart condrestart"),
    row("sftp", "*", "", ""),
    row("shuf", "o", "output random-source", ""),
    row("smartctl", "sStoXB", "set test offlineauto saveauto abort drivedb", ""),
    row("snap", "",
        "",
        "install remove refresh revert enable disable set unset run connect disconnect start \
         stop restart alias unalias prefer switch ack try download pack login logout save \
         restore forget abort reboot quota recovery prepare-image create-cohort"),
    row("socat", "*", "", ""),
    row("sort", "oT",
        "output compress-program files0-from temporary-directory random-source",
        ""),
    row("split", "", "filter", ""),
    row("ss", "KDFNE", "kill diag filter net events", ""),
    row("supervisorctl", "csupf",
        "configuration serverurl username password",
        "start stop restart reload reread update shutdown remove add clear signal fg pid tail"),
    row("svn", "",
        "config-dir config-option diff-cmd diff3-cmd editor-cmd",
        "commit ci update up checkout co delete del remove rm move mv copy cp import switch sw \
         merge \
         revert propset propedit lock unlock"),
    row("sysctl", "wpf", "write load system", ""),
    row("systemctl", "HM",
        "host machine root image force pager",
        "start stop restart reload reload-or-restart try-restart kill enable disable mask \
         unmask edit isolate reboot poweroff halt kexec rescue emergency daemon-reload \
         daemon-reexec set-property set-environment import-environment link preset reset-failed \
         revert switch-root suspend hibernate exit clean freeze thaw soft-reboot bind \
         mount-image service-log-level set-default add-wants add-requires log-level log-target \
         try-reload-or-restart reload-or-try-restart force-reload condrestart condreload condstop \
         reenable preset-all cancel unset-environment service-log-target service-watchdogs default \
         sleep hybrid-sleep suspend-then-hibernate"),
    row("systemd-analyze", "HM",
        "host machine root image",
        "set-log-level log-level set-log-target log-target service-watchdogs"),
    row("tail", "fF", "follow retry", ""),
    row("tar", "xcruAIPTCFg",
        "extract get create append update catenate concatenate delete to-command \
         checkpoint-action use-compress-program info-script new-volume-script rsh-command \
         rmt-command files-from absolute-names directory one-top-level index-file transform \
         xform volno-file listed-incremental set-mtime-command",
        ""),
    row("tc", "bn",
        "batch netns force",
        "add del delete change replace set append flush link-set"),
    row("tcpdump", "wzWGCFV", "postrotate-command", ""),
    row("tee", "*", "", ""),
    row("terraform", "",
        "chdir out state-out backup plugin-dir generate-config-out",
        "apply destroy import taint init state console force-unlock"),
    row("tftp", "*", "", ""),
    row("timedatectl", "HM", "host machine", "set-time set-timezone set-local-rtc set-ntp"),
    row("tmutil", "",
        "",
        "load unload bootstrap bootout kickstart start stop remove submit setenv unsetenv \
         enable disable"),
    row("tree", "oR", "", ""),
    row("tshark", "wX", "export-objects", ""),
    row("udevadm", "", "", "trigger control settle test test-builtin monitor"),
    row("ufw", "",
        "",
        "enable disable reset reload allow deny reject limit delete insert route default \
         logging app prepend"),
    row("umount", "*", "", ""),
    row("uniq", "", "", ""),
    row("varlinkctl", "", "", "call exec"),
    row("varnishadm", "",
        "",
        "vcl.load vcl.inline vcl.use vcl.discard param.set ban stop start panic.clear \
         storage.list"),
    row("varnishhist", "wDPf", "", ""),
    row("varnishlog", "wDPf", "", ""),
    row("varnishncsa", "wDPf", "", ""),
    row("varnishtop", "wDPf", "", ""),
    row("vault", "",
        "",
        "exec kv write delete put join leave force-leave reload operator login ssh unwrap seal \
         unseal"),
    row("vgs", "", "config profile", ""),
    row("virsh", "c",
        "connect",
        "start shutdown destroy reboot reset undefine define create edit migrate save restore \
         suspend resume qemu-monitor-command qemu-agent-command attach-device detach-device \
         snapshot-create snapshot-revert snapshot-delete vol-delete pool-destroy net-destroy \
         console"),
    row("w3m", "*", "", ""),
    row("wc", "", "files0-from", ""),
    row("wget", "*", "", ""),
    row("xxd", "r", "revert", ""),
    row("xzgrep", "fRr", "file recursive dereference-recursive exclude-from", ""),
    row("yum", "c",
        "config setopt installroot enableplugin disableplugin downloaddir repofrompath",
        "install remove erase update upgrade downgrade reinstall autoremove distro-sync \
         groupinstall localinstall swap shell clean makecache module config-manager \
         system-upgrade offline-upgrade mark download in rm up upgrade-minimal update-minimal \
         update-to upgrade-to undo rollback redo reposync builddep copr autoupdate \
         distribution-synchronization debuginfo-install alias load-transaction localupdate add"),
    row("zegrep", "fRr", "file recursive dereference-recursive exclude-from", ""),
    row("zfgrep", "fRr", "file recursive dereference-recursive exclude-from", ""),
    row("zfs", "", "", "destroy create rollback set receive send rename unmount mount promote \
         recv inherit allow unallow hold release upgrade share unshare clone load-key unload-key \
         change-key program jail unjail umount"),
    row("zgrep", "fRr", "file recursive dereference-recursive directories exclude-from", ""),
    row("zip", "T", "unzip-command test", ""),
    row("zpool", "",
        "",
        "destroy create add remove import export scrub set offline online clear attach detach \
         replace split upgrade trim initialize reguid reopen labelclear checkpoint sync"),
    row("zypper", "c",
        "config root plus-repo",
        "install in remove rm update up patch dup dist-upgrade addrepo ar removerepo rr \
         modifyrepo mr clean source-install si shell sh"),
];
