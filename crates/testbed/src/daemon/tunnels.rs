//! Servers of further VPNs, and proxies, at [`ADDRESS`]: pptpd, xl2tpd, sstp-server, ocserv, `SoftEther`, microsocks, tinyproxy, Squid,
//! coturn. Nobody has an account with any of them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::vpn::ADDRESS;
use super::{Daemon, Endpoint};
use crate::certificates::Identity;
use crate::netns::{Namespace, with_resolvers};
use crate::scenario::Vpn;

/// Ports: IANA's for PPTP, L2TP, SOCKS and STUN; `SoftEther`'s own; those that proxies have by custom.
pub const PPTP_PORT: u16 = 1_723;
/// See [`PPTP_PORT`].
pub const L2TP_PORT: u16 = 1_701;
/// See [`PPTP_PORT`].
pub const SOCKS_PORT: u16 = 1_080;
/// One that wants a login.
pub const SOCKS_LOGIN_PORT: u16 = 1_081;
/// See [`PPTP_PORT`].
pub const STUN_PORT: u16 = 3_478;
/// See [`PPTP_PORT`].
pub const SOFTETHER_PORT: u16 = 5_555;
/// Of a proxy for everybody.
pub const PROXY_PORT: u16 = 8_080;
/// Of one that wants a login.
pub const PROXY_LOGIN_PORT: u16 = 8_081;
/// Of one that lets nobody through.
pub const PROXY_REFUSES_PORT: u16 = 3_128;
/// HTTPS's is nobody's here, so that a connection there is refused.
pub const ANYCONNECT_PORT: u16 = 4_443;
/// See [`ANYCONNECT_PORT`].
pub const SSTP_PORT: u16 = 4_433;

/// A server in the making.
struct Making<'a> {
    namespace: &'a Namespace,
    folder: &'a Path,
}

/// Starts one of them in `namespace`, with its files in `folder`.
pub(super) fn start(vpn: Vpn, namespace: &Namespace, folder: &Path, identity: &Identity) -> Result<Daemon> {
    let making = Making { namespace, folder };
    match vpn {
        Vpn::Pptp => making.pptp(),
        Vpn::L2tp => making.l2tp(),
        Vpn::Sstp => making.sstp(identity),
        Vpn::Anyconnect => making.anyconnect(identity),
        Vpn::Softether => making.softether(),
        Vpn::Socks5 => making.socks(SOCKS_PORT, &[]),
        Vpn::Socks5Login => making.socks(SOCKS_LOGIN_PORT, &["-u", "user", "-P", "word"]),
        Vpn::HttpProxy => making.proxy(PROXY_PORT, ""),
        Vpn::HttpProxyLogin => making.proxy(PROXY_LOGIN_PORT, "BasicAuth user word\n"),
        Vpn::HttpProxyRefuses => making.squid(),
        Vpn::Stun => making.stun(),
        _ => bail!("{vpn:?} is another module's"),
    }
}

impl Making<'_> {
    /// A file of the server's, by its path.
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    fn over_tcp(&self, command: Command, port: u16) -> Result<Daemon> {
        Daemon::start(self.namespace, command, self.folder, vec![Endpoint::Tcp(SocketAddr::new(ADDRESS, port))])
    }

    fn over_udp(&self, command: Command, port: u16) -> Result<Daemon> {
        Daemon::start(self.namespace, command, self.folder, vec![Endpoint::Udp(port)])
    }

    /// One that finds names by a public resolver.
    fn resolving(&self, program: &str) -> Result<Command> {
        let names = self.folder.join("resolv.conf");
        std::fs::write(&names, "nameserver 8.8.8.8\n")?;
        with_resolvers(self.namespace, &names, program.as_ref())
    }

    /// One that runs as this user of this group: within a user namespace nobody may leave groups, and some programs insist.
    fn as_user(&self, user: u32, group: u32, program: &str, arguments: &[&str]) -> Command {
        let (user, group) = (format!("--map-user={user}"), format!("--map-group={group}"));
        let mut command = self.command("unshare", &["--user", &user, &group, "--", program]);
        command.args(arguments);
        command
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.namespace.command(program);
        command.args(arguments).current_dir(self.folder);
        command
    }

    /// It starts a PPP daemon for each call; nobody here makes one.
    fn pptp(&self) -> Result<Daemon> {
        let (options, pid) = (self.file("options", "")?, self.folder.join("pid"));
        let text = format!(
            "ppp /bin/false\noption {options}\nlisten {ADDRESS}\nlocalip 10.9.0.1\nremoteip 10.9.0.2-9\npidfile {}\n",
            pid.display()
        );
        let configuration = self.file("pptpd.conf", &text)?;
        self.over_tcp(self.command("pptpd", &["--fg", "-c", &configuration]), PPTP_PORT)
    }

    fn l2tp(&self) -> Result<Daemon> {
        let text = format!(
            "[global]\nforce userspace = yes\nlisten-addr = {ADDRESS}\n[lns default]\nip range = 10.9.1.2-10.9.1.9\n\
             local ip = 10.9.1.1\n"
        );
        let configuration = self.file("xl2tpd.conf", &text)?;
        let (pid, control) = (self.folder.join("pid").display().to_string(), self.folder.join("control"));
        let control = control.display().to_string();
        self.over_udp(self.command("xl2tpd", &["-D", "-c", &configuration, "-p", &pid, "-C", &control]), L2TP_PORT)
    }

    fn sstp(&self, identity: &Identity) -> Result<Daemon> {
        let both = [std::fs::read_to_string(&identity.certificate)?, std::fs::read_to_string(&identity.key)?].concat();
        let (both, options) = (self.file("both.pem", &both)?, self.file("options", "")?);
        let (address, port) = (ADDRESS.to_string(), SSTP_PORT.to_string());
        let ppp = ["--pppd", "/bin/false", "--pppd-config", &options, "--local", "10.9.3.1", "--remote", "10.9.3.0/24"];
        let mut command = self.command("sstpd", &["-l", &address, "-p", &port, "-c", &both]);
        command.args(ppp);
        self.over_tcp(command, SSTP_PORT)
    }

    fn anyconnect(&self, identity: &Identity) -> Result<Daemon> {
        let passwords = self.file("passwords", "")?;
        let socket = self.folder.join("socket");
        let text = format!(
            "auth = \"plain[passwd={passwords}]\"\nlisten-host = {ADDRESS}\ntcp-port = {ANYCONNECT_PORT}\nudp-port = {ANYCONNECT_PORT}\n\
             socket-file = {}\nisolate-workers = false\n\
             server-cert = {}\nserver-key = {}\ndevice = vpns\nipv4-network = 10.9.2.0/24\n",
            socket.display(),
            identity.certificate.display(),
            identity.key.display()
        );
        let configuration = self.file("ocserv.conf", &text)?;
        let pid = self.folder.join("pid").display().to_string();
        // It insists on being root.
        self.over_tcp(self.as_user(0, 1_000, "ocserv", &["-f", "-c", &configuration, "-p", &pid]), ANYCONNECT_PORT)
    }

    /// It writes beside its program: it runs from a copy. Its certificate is of its own making.
    fn softether(&self) -> Result<Daemon> {
        std::fs::create_dir_all("/run/softether")?;
        let script = "cp /usr/libexec/softether/vpnserver/* . && exec ./vpnserver execsvc";
        self.over_tcp(self.command("sh", &["-c", script]), SOFTETHER_PORT)
    }

    fn socks(&self, port: u16, login: &[&str]) -> Result<Daemon> {
        let (address, number) = (ADDRESS.to_string(), port.to_string());
        let mut command = self.resolving("microsocks")?;
        command.args(["-i", &address, "-p", &number]).args(login);
        self.over_tcp(command, port)
    }

    fn proxy(&self, port: u16, more: &str) -> Result<Daemon> {
        let text = format!("Port {port}\nListen {ADDRESS}\nTimeout 60\nMaxClients 20\n{more}");
        let configuration = self.file("tinyproxy.conf", &text)?;
        let mut command = self.resolving("tinyproxy")?;
        command.args(["-d", "-c", &configuration]);
        self.over_tcp(command, port)
    }

    fn squid(&self) -> Result<Daemon> {
        let own = self.folder.display();
        let text = format!(
            "http_port {ADDRESS}:{PROXY_REFUSES_PORT}\nhttp_access deny all\npid_filename {own}/pid\ncache_log {own}/cache.log\n\
             access_log none\nvisible_hostname proxy\ncoredump_dir {own}\n"
        );
        let configuration = self.file("squid.conf", &text)?;
        // It insists on not being root.
        self.over_tcp(self.as_user(1_000, 1_000, "squid", &["-N", "-f", &configuration]), PROXY_REFUSES_PORT)
    }

    fn stun(&self) -> Result<Daemon> {
        let (address, port) = (ADDRESS.to_string(), STUN_PORT.to_string());
        let (pid, users) =
            (self.folder.join("pid").display().to_string(), self.folder.join("users").display().to_string());
        let mut command = self.command("turnserver", &["-n", "--stun-only", "--log-file=stdout", "--simple-log"]);
        command.args(["-L", &address, "-p", &port, "--no-tls", "--no-dtls", "--no-cli", "--pidfile", &pid]);
        command.args(["--userdb", &users]);
        self.over_udp(command, STUN_PORT)
    }
}
