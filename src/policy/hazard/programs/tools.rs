//! Hazards of containers, clusters, clouds, databases and version control.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("aws", "",
        "endpoint-url ca-bundle no-verify-ssl cli-input-json cli-input-yaml debug",
        "cp mv rm sync mb rb presign website configure login sso deploy install uninstall \
         push package ssm-sessions"),
    row("az", "",
        "debug",
        "create delete update set add remove start stop restart deallocate redeploy reimage \
         invoke run-command ssh exec deploy login logout attach detach import export upload \
         download copy move purge recover backup restore enable disable assign approve reject \
         cancel scale swap regenerate get-access-token list-keys"),
    row("buildah skopeo", "",
        "authfile",
        "copy delete sync login logout generate-sigstore-key standalone-sign run from add \
         commit build bud push pull rm rmi mount umount unmount config rename tag prune \
         unshare manifest"),
    row("consul", "",
        "",
        "exec kv write delete put join leave force-leave reload operator login ssh unwrap \
         seal unseal register deregister agent watch lock maint keyring debug connect tls \
         create update clone save restore bootstrap set-agent-token"),
    row("crictl", "cr",
        "config runtime-endpoint image-endpoint",
        "exec run runp rm rmi rmp stop stopp start create pull attach port-forward update \
         checkpoint"),
    row("ctr", "",
        "",
        "run exec rm delete remove kill pull push import export mount unmount install start \
         pause resume attach checkpoint restore create label prune fetch ingest"),
    row("docker", "H",
        "follow host config context tlscacert",
        "run exec cp rm rmi kill stop start restart build push pull commit create load import \
         export save plugin swarm service secret system volume network update rename attach \
         login compose buildx checkpoint context trust pause unpause prune deploy promote \
         demote debug tag wait up down scale connect disconnect join leave init"),
    row("docker-compose podman-compose", "",
        "follow",
        "run exec cp rm kill stop start restart build push pull create pause unpause up down \
         scale watch attach publish"),
    row("etcdctl", "",
        "",
        "put del txn compaction defrag lease user role auth snapshot move-leader elect lock \
         watch add remove update promote disarm migrate make-mirror downgrade enable cancel \
         revoke grant"),
    row("gcloud", "",
        "flags-file configuration impersonate-service-account log-http access-token-file \
         credential-file-override",
        "create delete update set unset ssh scp deploy start stop reset suspend resume run \
         exec call invoke submit enable disable cancel add remove import export move resize \
         restart rollback attach detach copy-files rsync rm cp mv mb rb print-access-token \
         print-identity-token activate-service-account login revoke access \
         add-iam-policy-binding remove-iam-policy-binding set-iam-policy add-metadata \
         remove-metadata add-tags remove-tags patch promote failover sign-url"),
    row("git", "cO",
        "upload-pack exec exec-path config-env output ext-diff open-files-in-pager textconv \
         paginate git-dir work-tree receive-pack no-index help run-command contents html-path",
        "push fetch pull clone commit reset clean checkout switch restore rm mv config gc \
         rebase merge apply am stash submodule worktree filter-branch bisect hook daemon \
         update-ref difftool mergetool credential archive bundle maintenance p4 svn instaweb \
         send-email cherry-pick revert init add symbolic-ref update-index read-tree \
         checkout-index fast-import repack prune pack-refs rerere gui citool web--browse help \
         shell upload-pack receive-pack http-backend notes replace sparse-checkout \
         hash-object mktag mktree commit-tree imap-send send-pack fetch-pack format-patch \
         interpret-trailers lfs merge-index merge-one-file merge-file remote-ext remote-fd \
         http-fetch http-push upload-archive fast-export unpack-file unpack-objects \
         index-pack pack-objects update-server-info filter-repo replay write-tree quiltimport \
         cvsimport cvsserver cvsexportcommit archimport scalar bugreport diagnose \
         credential-store credential-cache"),
    row("git:branch", "dDmMcCfu",
        "delete move copy force edit-description set-upstream-to unset-upstream create-reflog \
         track",
        ""),
    row("git:commit-graph git:multi-pack-index", "", "", "write repack expire"),
    row("git:fsck", "", "lost-found", ""),
    row("git:reflog", "", "", "expire delete"),
    row("git:refs", "", "", "migrate"),
    row("git:remote", "", "", "add remove rm rename set-url set-head set-branches prune update"),
    row("git:tag", "adsufFmeT",
        "delete annotate sign local-user force file message edit create-reflog cleanup",
        ""),
    row("helm", "",
        "kubeconfig post-renderer kube-apiserver kube-as-group kube-as-user kube-ca-file \
         kube-context kube-insecure-skip-tls-verify kube-tls-server-name kube-token \
         registry-config repository-config",
        "install upgrade uninstall delete rollback plugin pull push repo test registry \
         dependency package create fetch"),
    row("hg", "",
        "config cwd repository debugger",
        "clone commit push pull update merge rebase strip purge revert serve"),
    row("incus lxc", "",
        "",
        "exec launch init start stop restart delete copy move file config publish import \
         export rename restore snapshot project remote query shell edit set unset add remove \
         create attach detach pause resume monitor rebuild switch reset low-level recover \
         cluster admin debug"),
    row("kubectl", "f",
        "kubeconfig filename raw as as-group server token context cluster kustomize \
         certificate-authority template output-watch-events cache-dir profile-output log-file \
         log-dir user username password as-uid as-user-extra client-key client-certificate \
         insecure-skip-tls-verify tls-server-name output-directory",
        "exec run apply create delete edit patch replace scale cp port-forward proxy attach \
         drain cordon uncordon taint label annotate debug rollout set plugin config auth \
         certificate expose autoscale wait krew use-context set-context set-cluster \
         set-credentials delete-context delete-cluster delete-user rename-context unset \
         restart undo pause resume approve deny reconcile evict"),
    row("limactl multipass", "",
        "",
        "exec shell launch start stop restart delete purge suspend mount umount transfer set \
         recover restore clone snapshot create edit copy factory-reset"),
    row("mariadb-dump mysqldump", "rTF",
        "result-file tab flush-logs delete-master-logs delete-source-logs flush-privileges \
         plugin-dir defaults-file defaults-extra-file log-error init-command",
        ""),
    row("mongodump mongoexport pgbench qemu-nbd", "*", "", ""),
    row("mysqladmin", "",
        "defaults-file defaults-extra-file plugin-dir",
        "create drop kill shutdown password reload refresh flush-hosts flush-logs \
         flush-privileges flush-status flush-tables flush-threads start-slave stop-slave \
         start-replica stop-replica old-password flush-user-resources flush-ssl \
         flush-all-statistics start-all-slaves stop-all-slaves debug"),
    row("mysqlcheck", "ro",
        "repair optimize auto-repair fix-db-names fix-table-names plugin-dir defaults-file \
         defaults-extra-file",
        ""),
    row("nerdctl podman", "H",
        "host config context connection url identity root runroot storage-opt hooks-dir \
         runtime conmon",
        "run exec cp rm rmi kill stop start restart build push pull commit create load import \
         export save system volume network update rename attach login compose play kube \
         generate machine unshare mount umount secret init checkpoint restore pause unpause \
         prune deploy promote demote tag untag sign clone auto-update wait up down scale \
         connect disconnect join leave"),
    row("nomad", "",
        "",
        "run stop exec alloc-exec restart signal revert promote scale dispatch force purge gc \
         reconcile delete apply drain eligibility fail pause resume unblock bootstrap put \
         init agent deregister register detach create join force-leave operator acl login \
         plan"),
    row("oc", "f",
        "kubeconfig filename raw as as-group server token context cluster kustomize \
         certificate-authority template output-watch-events cache-dir profile-output log-file \
         log-dir user username password as-uid as-user-extra client-key client-certificate \
         insecure-skip-tls-verify tls-server-name output-directory",
        "exec run apply create delete edit patch replace scale cp port-forward proxy attach \
         drain cordon uncordon taint label annotate debug rollout set plugin config auth \
         certificate expose autoscale wait krew use-context set-context set-cluster \
         set-credentials delete-context delete-cluster delete-user rename-context unset \
         restart undo pause resume approve deny reconcile evict rsh rsync new-app new-project \
         new-build start-build cancel-build login logout process adm policy import-image \
         extract project deploy rollback idle observe tag"),
    row("pg_ctl", "", "", "start stop restart reload promote kill init initdb register"),
    row("pg_dump pg_dumpall", "f", "file", ""),
    row("qemu-img", "rcad",
        "repair object",
        "create convert commit rebase resize amend bitmap dd bench"),
    row("rabbitmqctl", "",
        "",
        "eval eval_file exec encode decode stop stop_app start_app shutdown reset force_reset \
         rotate_logs add_user delete_user change_password clear_password set_permissions \
         clear_permissions set_policy clear_policy set_parameter purge_queue delete_queue \
         close_connection close_all_connections join_cluster forget_cluster_node remote_shell \
         await_startup"),
    row("svn", "",
        "config-dir config-option diff-cmd diff3-cmd editor-cmd",
        "commit ci update up checkout co delete del remove rm move mv copy cp import switch \
         sw merge revert propset propedit lock unlock"),
    row("terraform tofu", "",
        "chdir out state-out backup plugin-dir generate-config-out",
        "apply destroy import taint init state console force-unlock fmt get login logout \
         refresh test untaint new delete select lock mirror push mv rm replace-provider"),
    row("vagrant", "c",
        "command",
        "ssh up halt destroy provision reload resume suspend snapshot box plugin package push \
         upload winrm powershell ssh-config"),
    row("vault", "",
        "",
        "exec kv write delete put join leave force-leave reload operator login ssh unwrap \
         seal unseal agent proxy server debug register deregister patch rollback undelete \
         destroy enable disable tune move renew revoke create"),
    row("virsh", "clkK",
        "connect log",
        "start shutdown destroy reboot reset undefine define create edit migrate save restore \
         suspend resume qemu-monitor-command qemu-agent-command attach-device detach-device \
         snapshot-create snapshot-revert snapshot-delete vol-delete pool-destroy net-destroy \
         console managedsave managedsave-remove managedsave-define blockcopy blockcommit \
         blockpull blockresize blkdeviotune dump setmem setmaxmem setvcpus vcpupin \
         emulatorpin iothreadadd iothreaddel send-key send-process-signal screenshot \
         attach-disk attach-interface detach-disk detach-interface detach-device-alias \
         update-device change-media domrename desc metadata domif-setlink domiftune \
         domblkthreshold inject-nmi autostart numatune schedinfo snapshot-create-as \
         snapshot-edit checkpoint-create checkpoint-create-as checkpoint-delete backup-begin \
         vol-create vol-create-as vol-clone vol-upload vol-download vol-wipe vol-resize \
         pool-create pool-create-as pool-define pool-define-as pool-start pool-build \
         pool-delete pool-undefine pool-autostart pool-edit pool-refresh net-create \
         net-define net-start net-undefine net-autostart net-edit net-update nodedev-create \
         nodedev-destroy nodedev-detach nodedev-reattach nodedev-reset nodedev-define \
         nodedev-undefine nodedev-start iface-define iface-undefine iface-start iface-destroy \
         iface-edit iface-bridge iface-unbridge iface-begin iface-commit iface-rollback \
         nwfilter-define nwfilter-undefine nwfilter-edit secret-define secret-set-value \
         secret-get-value secret-undefine domjobabort migrate-setspeed dompmsuspend \
         dompmwakeup domfstrim domfsfreeze domfsthaw set-user-password set-user-sshkeys cd \
         lxc-enter-namespace"),
];
