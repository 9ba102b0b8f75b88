//! Hazards of package managers.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("apk", "",
        "root repository keys-dir repositories-file",
        "add del fix update upgrade fetch cache"),
    row("apt", "oc",
        "option config-file",
        "install remove purge update upgrade full-upgrade dist-upgrade autoremove \
         edit-sources satisfy reinstall source build-dep download changelog moo autopurge \
         clean autoclean"),
    row("apt-cache apt-config apt-mark aptitude", "oc",
        "option config-file",
        "install remove purge upgrade auto manual hold unhold add gencaches update \
         full-upgrade safe-upgrade"),
    row("apt-get", "oc",
        "option config-file",
        "install remove purge update upgrade dist-upgrade autoremove source build-dep \
         download clean autoclean changelog autopurge satisfy reinstall full-upgrade markauto \
         unmarkauto dselect-upgrade"),
    row("apt-key rpmbuild rpmspec", "*", "", ""),
    row("brew", "",
        "",
        "install uninstall remove rm upgrade update reinstall link unlink tap untap services \
         cleanup autoremove pin unpin ruby irb sh edit create test bundle postinstall \
         developer"),
    row("conda", "",
        "",
        "run install remove uninstall update upgrade create env config clean init activate \
         rename"),
    row("dnf microdnf yum", "c",
        "config setopt installroot enableplugin disableplugin downloaddir repofrompath",
        "install remove erase update upgrade downgrade reinstall autoremove distro-sync \
         groupinstall localinstall swap shell clean makecache module config-manager \
         system-upgrade offline-upgrade mark download in rm up upgrade-minimal update-minimal \
         update-to upgrade-to undo rollback redo reposync builddep copr autoupdate \
         distribution-synchronization debuginfo-install alias load-transaction localupdate \
         add"),
    row("dpkg", "iPrAbxXeR",
        "install remove purge unpack configure root admindir instdir pre-invoke post-invoke \
         status-logger force-all path-exclude command-fd set-selections clear-selections \
         add-architecture update-avail log extract vextract control raw-extract build \
         record-avail clear-avail merge-avail forget-old-unavail triggers-only \
         remove-architecture",
        ""),
    row("dpkg-deb", "xXeRbf", "extract vextract control raw-extract build fsys-tarfile", ""),
    row("flatpak", "",
        "",
        "install uninstall update run override remote-add remote-delete remote-modify kill \
         repair mask make-current enter build"),
    row("gem", "",
        "source",
        "install uninstall update exec push fetch build owner yank cert cleanup pristine \
         unpack signin signout"),
    row("pacman", "SRUDTr",
        "sync remove upgrade database root dbpath config hookdir cachedir gpgdir",
        ""),
    row("rpm", "EeiUFDr",
        "eval erase install upgrade freshen pipe define dbpath root rcfile macros load import \
         rebuilddb initdb setperms setugids restore specfile predefine addsign resign delsign",
        ""),
    row("snap", "",
        "",
        "install remove refresh revert enable disable set unset run connect disconnect start \
         stop restart alias unalias prefer switch ack try download pack login logout save \
         restore forget abort reboot quota recovery prepare-image create-cohort"),
    row("zypper", "c",
        "config root plus-repo",
        "install in remove rm update up patch dup dist-upgrade addrepo ar removerepo rr \
         modifyrepo mr clean source-install si shell sh"),
];
