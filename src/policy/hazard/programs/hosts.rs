//! Hazards of services, users, time, logs and hardware of a host.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("auditctl", "DadeAbfrRsWwt", "", ""),
    row("ausearch", "", "checkpoint", ""),
    row("bootctl", "",
        "",
        "install update remove set-default set-oneshot set-timeout unlink cleanup"),
    row("busctl", "HM", "host machine address", "call set-property emit monitor capture"),
    row("certbot", "c",
        "pre-hook post-hook deploy-hook renew-hook manual-auth-hook manual-cleanup-hook \
         config-dir work-dir logs-dir config",
        "run certonly renew enhance install revoke delete register unregister update_account \
         rollback reconfigure"),
    row("chage", "dEImMWR", "lastday expiredate inactive mindays maxdays warndays root", ""),
    row("chkconfig", "", "add del level override", "on off reset resetpriorities"),
    row("chronyc", "",
        "",
        "add delete burst makestep offline online reset settime shutdown allow deny cyclelogs \
         reload dump local manual"),
    row("coredumpctl", "Do",
        "directory output debugger root image file debugger-arguments",
        "debug gdb dump"),
    row("crontab", "er", "", ""),
    row("date gdate", "sf", "set file", ""),
    row("dbus-send gdbus logrotate modprobe osqueryi varlinkctl", "*", "", ""),
    row("defaults", "", "", "write delete rename import"),
    row("dmesg", "CcDEnwFWK",
        "clear read-clear console-off console-on console-level file kmsg-file follow \
         follow-new",
        ""),
    row("dmidecode", "", "dump-bin", ""),
    row("fail2ban-client", "cspix",
        "interactive",
        "set start stop restart reload unban banip unbanip add flushlogs server-stop"),
    row("faillock", "", "reset", ""),
    row("faillog", "rlmR", "reset lock-secs maximum root", ""),
    row("fuser", "kK", "kill", ""),
    row("hostname", "bF", "boot file", ""),
    row("hostnamectl", "HM",
        "host machine",
        "set-hostname hostname set-icon-name set-chassis set-deployment set-location \
         icon-name chassis deployment location"),
    row("hwinfo", "", "log save-config dump-db dump-db-raw", ""),
    row("initctl", "", "", "start stop restart reload reload-configuration emit"),
    row("inxi", "U", "update debug export", ""),
    row("ipmitool", "f",
        "",
        "power chassis reset raw i2c set write exec shell activate deactivate clear on off \
         cycle soft bootdev bootparam identify delete add enable disable password priv import \
         update upload hpm fwum sunoem"),
    row("journalctl", "MDf",
        "follow vacuum-size vacuum-time vacuum-files rotate flush sync relinquish-var \
         smart-relinquish-var setup-keys update-catalog machine root image directory file \
         cursor-file namespace",
        ""),
    row("lastlog", "CSR", "clear set root", ""),
    row("launchctl", "",
        "",
        "load unload bootstrap bootout kickstart start stop remove submit setenv unsetenv \
         enable disable"),
    row("localectl", "HM", "host machine", "set-locale set-keymap set-x11-keymap"),
    row("loginctl", "HM",
        "host machine",
        "kill-session kill-user terminate-session terminate-user terminate-seat lock-sessions \
         enable-linger disable-linger attach activate lock-session unlock-session \
         unlock-sessions flush-devices"),
    row("lshw", "", "dump", ""),
    row("lsof", "Dm", "", ""),
    row("machinectl", "HM",
        "host machine",
        "shell login start poweroff reboot terminate kill remove clone rename copy-to \
         copy-from bind enable disable import-tar import-raw pull-tar pull-raw export-tar \
         export-raw set-limit clean edit import-fs"),
    row("monit", "cIdlp", "", "start stop restart monitor unmonitor reload quit"),
    row("ntpdate", "bBsu", "", ""),
    row("nvidia-smi", "",
        "pm pl ac rac e p c r f lgc rgc lmc rmc am caa acp gom mig vm cc dm fdm filename \
         gpu-reset persistence-mode power-limit applications-clocks reset-applications-clocks \
         ecc-config reset-ecc-errors compute-mode lock-gpu-clocks reset-gpu-clocks \
         lock-memory-clocks reset-memory-clocks accounting-mode clear-accounted-apps \
         gpu-operation-mode multi-instance-gpu",
        "drain mig"),
    row("nvram", "cdfx", "", ""),
    row("passwd", "deluxnwikqrRs",
        "delete expire lock unlock inactive maxdays mindays warndays root stdin prefix",
        ""),
    row("pidstat", "e", "", ""),
    row("pm2", "",
        "",
        "start stop restart reload gracefulReload delete del kill scale save dump resurrect \
         startup unstartup flush reloadLogs update deploy serve set unset multiset install \
         uninstall trigger send attach sendSignal link unlink reset link exec"),
    row("ps", "E", "", ""),
    row("rc-service", "", "", "start stop restart reload zap"),
    row("sar", "o", "", ""),
    row("semanage", "admDiIEBS",
        "add delete modify deleteall extract input-file",
        "import export"),
    row("sensors", "sc", "set config-file", ""),
    row("service", "",
        "full-restart",
        "start stop restart reload force-reload try-restart condrestart"),
    row("softwareupdate", "idaRe",
        "install download fetch-full-installer set-catalog clear-catalog reset-ignored ignore \
         schedule launch-rosetta background",
        ""),
    row("sshd", "EfDdoh", "", ""),
    row("supervisorctl", "csupfir",
        "configuration serverurl username password interactive history-file",
        "start stop restart reload reread update shutdown remove add clear signal fg pid tail"),
    row("sysctl", "wpf", "write load system", ""),
    row("systemctl", "HM",
        "host machine root image force pager",
        "start stop restart reload reload-or-restart try-restart kill enable disable mask \
         unmask edit isolate reboot poweroff halt kexec rescue emergency daemon-reload \
         daemon-reexec set-property set-environment import-environment link preset \
         reset-failed revert switch-root suspend hibernate exit clean freeze thaw soft-reboot \
         bind mount-image service-log-level set-default add-wants add-requires log-level \
         log-target try-reload-or-restart reload-or-try-restart force-reload condrestart \
         condreload condstop reenable preset-all cancel unset-environment service-log-target \
         service-watchdogs default sleep hybrid-sleep suspend-then-hibernate"),
    row("systemd-analyze", "HM",
        "host machine root image",
        "set-log-level log-level set-log-target log-target service-watchdogs unit-shell"),
    row("systemd-resolve", "",
        "flush-caches reset-statistics reset-server-features set-dns set-domain set-llmnr \
         set-mdns set-dnsovertls set-dnssec set-nta revert",
        ""),
    row("systemd-tmpfiles", "", "create clean remove purge root image replace", ""),
    row("timedatectl", "HM", "host machine", "set-time set-timezone set-local-rtc set-ntp"),
    row("tmutil", "",
        "",
        "startbackup stopbackup enable disable delete deletelocalsnapshots localsnapshot \
         snapshot restore setdestination removedestination addexclusion removeexclusion \
         associatedisk inheritbackup thinlocalsnapshots setquota"),
    row("udevadm", "c", "cleanup-db", "trigger control settle test test-builtin monitor"),
];
