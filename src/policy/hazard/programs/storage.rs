//! Hazards of disks, volumes and file systems.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("badblocks", "wnof", "", ""),
    row("blkid", "cwg", "cache-file garbage-collect", ""),
    row("btrfs", "",
        "",
        "create delete snapshot set set-default add remove replace balance scrub defragment \
         resize label send receive restore rescue sync scan enable disable rescan assign \
         cancel resume mkswapfile limit start"),
    row("debugfs e2image e4crypt hdparm mount umount xfs_db xfs_io", "*", "", ""),
    row("diskutil", "",
        "",
        "mount unmount mountDisk unmountDisk umount umountDisk eject rename eraseDisk \
         eraseVolume eraseOptical zeroDisk randomDisk secureErase partitionDisk addPartition \
         splitPartition mergePartitions resizeVolume enableJournal disableJournal \
         enableOwnership disableOwnership repairVolume repairDisk repairPermissions \
         resetUserPermissions reformat moveJournal apfs appleRAID ar coreStorage cs image"),
    row("dmsetup", "",
        "showkeys exec",
        "create remove remove_all suspend resume load reload clear rename message wipe_table \
         mknodes mangle setgeometry wait udevcreatecookie udevreleasecookie udevcomplete \
         udevcomplete_all measure"),
    row("e2fsck fsck fsck.ext2 fsck.ext3 fsck.ext4 fsck.vfat fsck.xfs", "aypfcDEkLlzbtrwC",
        "",
        ""),
    row("exportfs", "arouif", "", ""),
    row("lvdisplay lvmdiskscan lvs lvscan pvdisplay pvs vgdisplay vgs", "", "config profile", ""),
    row("lvm", "",
        "config profile",
        "lvchange lvconvert lvcreate lvextend lvreduce lvremove lvrename lvresize pvchange \
         pvcreate pvmove pvremove pvresize pvck vgcfgbackup vgcfgrestore vgchange vgconvert \
         vgcreate vgexport vgextend vgimport vgimportclone vgimportdevices vgmerge vgmknodes \
         vgreduce vgremove vgrename vgsplit lvmdevices lvpoll pvscan vgscan"),
    row("mdadm", "CAFGSRIBafrwo",
        "create assemble build manage grow stop fail remove add re-add replace \
         zero-superblock misc monitor run readwrite readonly config update-subarray",
        ""),
    row("nfsstat", "z", "zero", ""),
    row("parted", "",
        "",
        "mklabel mktable mkpart mkpartfs mkfs rm resizepart resize move cp set name rescue \
         toggle disk_set disk_toggle type"),
    row("sfdisk", "aArNbOI",
        "activate delete disk-id part-attrs part-label part-type part-uuid reorder append \
         backup backup-file backup-pt-sectors partno move-data wipe wipe-partitions \
         move-use-fsync discard-free",
        ""),
    row("sgdisk", "AabCcdeGghjklmNnoRrSstTuUzZBX",
        "attributes set-alignment backup change-name recompute-chs delete move-second-header \
         randomize-guids disk-guid hybrid load-backup gpttombr new largest-new clear \
         transpose replicate sort resize-table typecode transform-bsd partition-guid zap \
         zap-all",
        ""),
    row("smartctl", "sStoXBC", "set test offlineauto saveauto abort drivedb smart captive", ""),
    row("tune2fs", "cCeEfgijJLmMoOQrsTuUyzI", "", ""),
    row("xfs_quota", "xc", "", ""),
    row("zfs", "",
        "",
        "destroy create rollback set receive send rename unmount mount promote recv inherit \
         allow unallow hold release upgrade share unshare clone load-key unload-key \
         change-key program jail unjail umount ^snapshot ^snap bookmark redact project \
         rewrite zone unzone"),
    row("zpool", "c",
        "",
        "destroy create add remove import export scrub set offline online clear attach detach \
         replace split upgrade trim initialize reguid reopen labelclear checkpoint sync \
         prefetch ddtprune"),
];
