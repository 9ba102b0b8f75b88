//! Hazards of interfaces, firewalls, name servers, mail, web and remote copies.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("apache2 apache2ctl apachectl httpd", "kfcCdDe",
        "",
        "start stop restart graceful graceful-stop"),
    row("aria2c curl dumpcap exim ftp iperf iperf3 lftp links lynx mail mailx mutt rpcclient \
         scp sendmail sftp smbclient socat ssh-add tcpflow telnet tftp vtysh w3m wget", "*",
        "",
        ""),
    row("arp", "sdf", "set delete file", ""),
    row("arptables arptables-legacy arptables-nft ebtables ebtables-legacy ebtables-nft", "ADIRFZNXPECM",
        "append delete insert replace flush zero new-chain delete-chain policy rename-chain \
         change-counters init-table atomic-file atomic-init atomic-save atomic-commit \
         concurrent modprobe",
        ""),
    row("brctl", "",
        "",
        "addbr delbr addif delif setageing setbridgeprio setfd sethello setmaxage setpathcost \
         setportprio stp hairpin"),
    row("bridge tc", "bn",
        "batch netns force",
        "add del delete change replace set append flush link-set"),
    row("conntrack", "DFIUE", "delete flush create update event", ""),
    row("dig host ssh-keyscan", "f", "", ""),
    row("doveadm", "",
        "",
        "exec expunge kick stop reload sync purge import move copy save deduplicate"),
    row("drill", "fwqi", "", ""),
    row("ethtool", "ACEGKLNPQUWXfprst",
        "change set-ring coalesce set-channels pause features offload flash reset negotiate \
         identify test set-eee set-phy-tunable set-priv-flags config-ntuple config-nfc \
         set-dump rxfh rxfh-indir set-rxfh-indir set-fec set-module per-queue set-mm \
         set-plca-cfg monitor set-tunable eeprom-write change-eeprom reset-stats cable-test \
         cable-test-tdr",
        ""),
    row("haproxy", "CDWSLpsx", "", ""),
    row("ifconfig", "",
        "",
        "up down add del netmask hw mtu promisc -arp arp -promisc allmulti -allmulti dstaddr \
         broadcast pointopoint tunnel metric txqueuelen media"),
    row("ip", "bBn",
        "batch force netns",
        "add del delete flush change replace set append prepend exec restore save attach \
         monitor help-me deleteall"),
    row("ip6tables ip6tables-legacy ip6tables-nft iptables iptables-legacy iptables-nft", "ADIRFZNXPEM",
        "append delete insert replace flush zero new-chain delete-chain policy rename-chain \
         modprobe",
        ""),
    row("ip6tables-save iptables-save", "Mf", "modprobe file", ""),
    row("ipset", "NAXFEWRD", "", "create add del destroy flush rename swap restore"),
    row("ipvsadm", "AEDCRaedZ",
        "add-service edit-service delete-service clear restore add-server edit-server \
         delete-server zero start-daemon stop-daemon set",
        ""),
    row("iw", "",
        "",
        "set add del connect disconnect join leave trigger abort switch scan start stop"),
    row("ldapsearch", "yfTt", "", ""),
    row("mtr", "F", "filename", ""),
    row("nc ncat netcat", "eclLUxXo",
        "exec sh-exec lua-exec listen unixsock proxy proxy-auth output hex-dump",
        ""),
    row("networkctl", "",
        "",
        "up down reload reconfigure renew forcerenew delete edit mask unmask"),
    row("nft", "fiDI",
        "file interactive define includepath",
        "add delete flush insert replace create destroy reset rename import include"),
    row("nginx", "cgpse", "", ""),
    row("ngrep", "O", "", ""),
    row("nmap", "oi",
        "script script-args script-updatedb datadir servicedb versiondb resume stylesheet \
         excludefile interactive",
        ""),
    row("nmcli", "",
        "",
        "add modify edit delete clone up down connect disconnect set reapply monitor import \
         export reload load on off rescan hotspot hostname logging checkpoint agent"),
    row("nsd-control unbound-control", "cs",
        "",
        "start stop reload reload_keep_cache fast_reload flush flush_type flush_zone \
         flush_bogus flush_negative flush_stats flush_requestlist flush_infra local_zone \
         local_data local_zone_remove local_data_remove local_zones local_datas \
         local_zones_remove local_datas_remove load_cache set_option forward_add \
         forward_remove stub_add stub_remove forward insecure_add insecure_remove \
         auth_zone_reload auth_zone_transfer log_reopen verbosity rpz_enable rpz_disable \
         add_cookie_secret drop_cookie_secret activate_cookie_secret reconfig repattern \
         transfer force_transfer write addzone delzone"),
    row("openssl", "",
        "out keyout engine writerand provider provider-path config CAcreateserial CAserial \
         sess_out keylogfile msgfile early_data proxy unix ssl_config",
        "enc s_client s_server req ca rsa pkcs12 engine dgst smime cms genrsa genpkey gendsa \
         ecparam pkey pkeyutl rsautl s_time ocsp cmp ts rand rehash speed base64 zlib pkcs7 \
         pkcs8 ec dsa dsaparam dhparam storeutl spkac srp mac kdf fipsinstall sess_id passwd \
         aes128 aes192 aes256 des des3 bf rc2 rc4 cast seed"),
    row("ping ping6", "fpbI", "flood", ""),
    row("postconf", "eX", "", ""),
    row("postfix", "", "", "start stop abort flush reload upgrade-configuration set-permissions"),
    row("postqueue", "fis", "", ""),
    row("postsuper", "dhHrsei", "", ""),
    row("resolvectl", "i",
        "",
        "flush-caches reset-statistics reset-server-features dns domain default-route llmnr \
         mdns dnsovertls dnssec nta revert log-level monitor"),
    row("rndc", "",
        "",
        "addzone delzone modzone flush flushname flushtree freeze thaw halt loadkeys nta \
         querylog reconfig reload refresh retransfer stop sync trace notrace sign signing \
         dumpdb stats"),
    row("route", "", "", "add del delete change flush"),
    row("rpcinfo", "d", "", ""),
    row("ss", "KDFNE", "kill diag filter net events", ""),
    row("ssh-keygen", "DwRpsKMYHUcAITGkmN", "", ""),
    row("tcpdump", "wzWGCFV", "postrotate-command", ""),
    row("tshark", "wX", "export-objects", ""),
    row("ufw", "",
        "",
        "enable disable reset reload allow deny reject limit delete insert route default \
         logging app prepend"),
    row("varnishadm", "",
        "",
        "vcl.load vcl.inline vcl.use vcl.discard param.set ban stop start panic.clear \
         storage.list"),
    row("varnishhist varnishlog varnishncsa varnishtop", "wDPf", "", ""),
    row("whois", "hp", "host port", ""),
    row("wpa_cli", "aBgiP",
        "",
        "add_network remove_network set_network enable_network disable_network select_network \
         save_config reconfigure terminate disconnect reconnect reassociate set passphrase \
         password otp identity scan interface_add interface_remove"),
];
