//! Whether worlds can be made on this machine, and what is missing if not.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::measure;
use crate::sandbox::UNSHARE;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// What is wrong with it, if anything.
    pub fault: Option<String>,
    /// Whether no world can be made without it.
    pub needed: bool,
}

/// The programs that every world needs, and where Debian has them.
const NEEDED: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("timeout", "coreutils"),
    ("ip", "iproute2"),
    ("nginx", "nginx-light"),
    ("unbound", "unbound"),
];

/// The programs that some worlds need: those with HTTP/3 and QUIC, and those with VPN servers.
const SOME: &[(&str, &str)] = &[
    ("caddy", "caddy"),
    ("gtlsserver", "ngtcp2-server"),
    ("openvpn", "openvpn"),
    ("ss-server", "shadowsocks-libev"),
    ("tor", "tor"),
    ("obfs4proxy", "obfs4proxy"),
    ("trojan", "trojan"),
    ("v2ray", "v2ray"),
    ("wireguard-go", "wireguard-go"),
    ("wg", "wireguard-tools"),
    ("charon-systemd", "charon-systemd"),
    ("pptpd", "pptpd"),
    ("xl2tpd", "xl2tpd"),
    ("sstpd", "sstp-server, of PyPI (scripts/install-packages)"),
    ("ocserv", "ocserv"),
    ("vpnserver", "softether-vpnserver"),
    ("microsocks", "microsocks"),
    ("tinyproxy", "tinyproxy"),
    ("squid", "squid"),
    ("turnserver", "coturn"),
];

/// The files that some worlds need: below `/usr/lib`, or in a folder there (that of the processor's architecture).
const FILES: &[(&str, &str, &str)] = &[
    ("nginx stream", "nginx/modules/ngx_stream_module.so", "libnginx-mod-stream"),
    ("libfaketime", "faketime/libfaketimeMT.so.1", "libfaketime"),
];

/// The programs that the tests use as independent judges.
const JUDGES: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("dig", "dnsutils"),
    ("openssl", "openssl"),
    ("perl", "perl-base"),
    ("gtlsclient", "ngtcp2-client"),
    ("sstpc", "sstp-client"),
    ("openconnect", "openconnect"),
    ("ike-scan", "ike-scan"),
    ("pptp", "pptp-linux"),
    ("vpncmd", "softether-vpncmd"),
];

/// Looks at everything.
pub fn examine() -> Vec<Finding> {
    let others = SOME.iter().chain(JUDGES).map(|&tool| (tool, false));
    let programs = NEEDED.iter().map(|&tool| (tool, true)).chain(others);
    let mut findings: Vec<Finding> = programs
        .map(|((program, package), needed)| Finding {
            what: program.into(),
            fault: (!is_installed(program)).then(|| format!("not found; install the package {package}")),
            needed,
        })
        .collect();
    findings.extend(FILES.iter().map(|&(what, end, package)| Finding {
        what: what.into(),
        fault: (!is_below_usr_lib(end)).then(|| format!("not found; install the package {package}")),
        needed: false,
    }));
    findings.push(Finding { what: "namespaces".into(), fault: namespaces_fault(), needed: true });
    findings.push(Finding { what: "/dev/net/tun".into(), fault: tun_fault(), needed: true });
    let probe = measure::find_probe().err().map(|error| error.to_string());
    findings.push(Finding { what: "probe".into(), fault: probe, needed: false });
    findings
}

/// Why no world can be made here, in one sentence; `None` if it can.
pub fn obstacle() -> Option<String> {
    let faults = examine().into_iter().filter(|finding| finding.needed);
    let words: Vec<_> = faults.filter_map(|f| f.fault.map(|fault| format!("{}: {fault}", f.what))).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // `/usr/sbin` is where daemons are, and not everybody's PATH has it.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

fn is_below_usr_lib(end: &str) -> bool {
    let lib = Path::new("/usr/lib");
    let folders = std::fs::read_dir(lib).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    folders.chain([lib.to_owned()]).any(|folder| folder.join(end).is_file())
}

fn namespaces_fault() -> Option<String> {
    match Command::new("unshare").args(UNSHARE).arg("true").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn tun_fault() -> Option<String> {
    let device = Path::new("/dev/net/tun");
    let opened = std::fs::File::options().read(true).write(true).open(device);
    opened.err().map(|error| error.to_string())
}
