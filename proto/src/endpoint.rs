//! Where a hub is found when nobody says so: in a directory of this user that only it can enter.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::limits::PORT;
use crate::private::{self, PrivateError};

/// Longest path of a Unix socket, in bytes (sun_path without its final NUL).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
const ADVICE: &str = "set XDG_RUNTIME_DIR to a directory of yours";

/// `$XDG_RUNTIME_DIR/dhub`, if there is such a directory and it can be written to; else a directory of
/// this user below the temporary directory. A shell may have the variable of another session or user.
pub fn socket_dir() -> PathBuf {
    let is_usable = |dir: &Path| {
        let has = |rights| rustix::fs::access(dir, rights).is_ok();
        dir.is_absolute() && dir.is_dir() && has(Access::WRITE_OK | Access::EXEC_OK)
    };
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if is_usable(&dir) => dir.join("dhub"),
        _ => std::env::temp_dir().join(format!("dhub-{}", rustix::process::getuid().as_raw())),
    }
}

/// Makes the directory if it is missing, and makes sure that nobody else can enter it.
pub fn make_socket_dir() -> Result<PathBuf, PrivateError> {
    let path = socket_dir();
    private::make_dir(&path, ADVICE)?;
    Ok(path)
}

/// The same for a directory in which this socket was.
pub fn remake_socket_dir(socket: &Path) -> Result<(), PrivateError> {
    socket.parent().map_or(Ok(()), |dir| private::make_dir(dir, ADVICE))
}

/// Makes sure that nobody else can enter the directory that a hub's socket is in.
pub fn check_socket_dir(path: &Path) -> Result<(), PrivateError> {
    private::check_dir(path, ADVICE)
}

/// Do both lead to the same place? Names are looked up, this machine is one place, whatever it is called, and so
/// is a socket, by whatever path. If not, no harm is done by a yes: the key of one hub opens no other.
pub fn is_same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    if let (Some(a), Some(b)) = (a.strip_prefix("ipc://"), b.strip_prefix("ipc://")) {
        let a = real_path(a);
        return a.is_some() && a == real_path(b);
    }
    let port =
        |endpoint: &str| Some(endpoint.strip_prefix("tcp://")?.rsplit_once(':')?.1.to_owned());
    match (port(a), port(b)) {
        // Names are looked up only if they matter.
        (Some(one), Some(other)) if one == other => {}
        _ => return false,
    }
    let (a, b) = (addresses(a), addresses(b));
    let shared = a.iter().any(|it| b.contains(it));
    shared || (a.iter().any(is_here) && b.iter().any(is_here))
}

/// Does it lead to this port of this machine?
pub fn is_port_here(endpoint: &str, port: &str) -> bool {
    let is_port = endpoint.strip_prefix("tcp://").and_then(|it| it.rsplit_once(':'));
    is_port.is_some_and(|(_, it)| it == port) && addresses(endpoint).iter().any(is_here)
}

/// The socket itself need not be there.
fn real_path(path: &str) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let real = path.canonicalize().ok();
    real.or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)))
}

/// The name of a machine in this endpoint that has no address here, and why.
pub fn unknown_name(endpoint: &str) -> Option<(String, std::io::Error)> {
    let (host, _) = endpoint.strip_prefix("tcp://")?.rsplit_once(':')?;
    // What comes before is where from.
    let host = host.rsplit(';').next().unwrap_or(host);
    let error = (host.trim_matches(['[', ']']), 0).to_socket_addrs().err()?;
    (host != "*").then(|| (host.to_owned(), error))
}

fn addresses(endpoint: &str) -> Vec<IpAddr> {
    let Some((host, _)) = endpoint.trim_start_matches("tcp://").rsplit_once(':') else {
        return Vec::new();
    };
    let host = host.trim_matches(['[', ']']);
    // This machine's own name may be known to nobody else.
    if host.eq_ignore_ascii_case(&crate::host_name()) || host == "*" {
        return vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    }
    let found = (host, 0).to_socket_addrs().into_iter().flatten();
    found.map(|address| address.ip()).collect()
}

/// Is it an address of this machine? Only of one's own one can take a port.
fn is_here(address: &IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((*address, 0)).is_ok()
}

/// Whether it is an address of IPv6, which libzmq has to be told.
pub fn is_ipv6(endpoint: &str) -> bool {
    endpoint.starts_with("tcp://[")
}

/// Whether what listens there is reached by IPv6 too: all addresses are of both kinds, where there are both.
pub fn takes_ipv6(endpoint: &str) -> bool {
    is_ipv6(endpoint)
        || endpoint.starts_with("tcp://*:") && UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// A name that has addresses of IPv6 only becomes the first of them: libzmq has to be told.
pub fn with_address(endpoint: String) -> String {
    with_address_of(endpoint, addresses)
}

fn with_address_of(endpoint: String, addresses: impl Fn(&str) -> Vec<IpAddr>) -> String {
    let has_name = endpoint.starts_with("tcp://") && !is_ipv6(&endpoint);
    let all = if has_name { addresses(&endpoint) } else { Vec::new() };
    match (all.first(), endpoint.rsplit_once(':')) {
        (Some(address), Some((_, port))) if all.iter().all(IpAddr::is_ipv6) => {
            format!("tcp://[{address}]:{port}")
        }
        _ => endpoint,
    }
}

/// Where reports go, for a hub that answers at `request` and named `report` in its Welcome.
/// "tcp://:6126" leaves the host to the client, who alone knows how it got here.
pub fn report_endpoint(request: &str, report: &str) -> Option<String> {
    let Some(port) = report.strip_prefix("tcp://:") else {
        return (!report.is_empty()).then(|| report.to_owned());
    };
    let (host, _) = request.strip_prefix("tcp://")?.rsplit_once(':')?;
    Some(format!("tcp://{host}:{port}"))
}

/// Accepts what people type: `host`, `host:port`, `[address]:port`, an address, or a whole endpoint.
pub fn parse(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an endpoint is needed, for example tcp://127.0.0.1:6125".into());
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Ok(format!("tcp://[{address}]:{PORT}"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => format!("tcp://{text}"),
            _ => format!("tcp://{text}:{PORT}"),
        });
    };
    match scheme {
        "tcp" => match rest.rsplit_once(':') {
            Some((host, port))
                if !host.is_empty() && (port == "*" || port.parse::<u16>().is_ok()) =>
            {
                Ok(text.into())
            }
            Some((_, port)) if port.chars().all(|c| c.is_ascii_digit()) => {
                Err(format!("'{text}' has no host, or its port is not 0 to 65535"))
            }
            _ => Ok(format!("{text}:{PORT}")),
        },
        "ipc" if rest.len() > SOCKET_PATH_BYTES_MAX => Err(format!(
            "the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes, '{rest}' has {}",
            rest.len()
        )),
        "ipc" if !rest.is_empty() => Ok(text.into()),
        _ => Err(format!("'{text}' is neither tcp://HOST:PORT nor ipc://PATH")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_as_people_type_them() {
        assert_eq!(parse("login3").unwrap(), "tcp://login3:6125");
        assert_eq!(parse("login3:7000").unwrap(), "tcp://login3:7000");
        assert_eq!(parse("::1").unwrap(), "tcp://[::1]:6125");
        assert_eq!(parse("[fe80::7]").unwrap(), "tcp://[fe80::7]:6125");
        assert_eq!(parse("[::1]:7000").unwrap(), "tcp://[::1]:7000");
        assert_eq!(parse("tcp://login3").unwrap(), "tcp://login3:6125");
        assert_eq!(parse("ipc:///run/x.sock").unwrap(), "ipc:///run/x.sock");
        assert!(parse("tcp://login3:70000").is_err());
        assert!(parse("udp://login3:1").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn a_name_with_addresses_of_ipv6_alone_becomes_one_of_them() {
        let of = |endpoint: &str, addresses: &[&str]| {
            let all = addresses.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
            with_address_of(endpoint.into(), |_| all.clone())
        };
        assert_eq!(of("tcp://hub:7", &["fd00::1", "fd00::2"]), "tcp://[fd00::1]:7");
        for both in [&["fd00::1", "10.0.0.1"][..], &["10.0.0.1"], &[]] {
            assert_eq!(of("tcp://hub:7", both), "tcp://hub:7");
        }
        // Nobody is asked for what is no name.
        for none in ["tcp://[::1]:7", "ipc:///run/x.sock"] {
            assert_eq!(with_address_of(none.into(), |_| panic!("{none}")), none);
        }
    }

    #[test]
    fn a_place_is_the_same_by_whatever_name() {
        let here = format!("tcp://{}:7", crate::host_name());
        let names =
            ["tcp://localhost:7", "tcp://127.0.0.1:7", "tcp://127.0.0.2:7", "tcp://0.0.0.0:7"];
        for one in names.into_iter().chain([here.as_str(), "tcp://[::1]:7"]) {
            for other in names.into_iter().chain([here.as_str()]) {
                assert!(is_same(one, other), "{one} and {other}");
            }
            // Addresses for documentation: of no machine.
            for other in ["tcp://127.0.0.1:8", "tcp://192.0.2.1:7", "ipc:///run/x.sock"] {
                assert!(!is_same(one, other), "{one} and {other}");
            }
        }
        assert!(is_same("tcp://192.0.2.1:7", "tcp://192.0.2.1:7"));
        assert!(!is_same("tcp://192.0.2.1:7", "tcp://192.0.2.2:7"));
    }

    #[test]
    fn a_socket_is_the_same_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().display();
        std::fs::create_dir(format!("{dir}/run")).unwrap();
        std::fs::write(format!("{dir}/run/x.sock"), "").unwrap();
        std::os::unix::fs::symlink("run", format!("{dir}/link")).unwrap();
        std::os::unix::fs::symlink("run/x.sock", format!("{dir}/y.sock")).unwrap();
        for file in ["x.sock", "absent.sock"] {
            let one = format!("ipc://{dir}/run/{file}");
            for other in ["/run/", "//run//", "/link/", "/run/../run/./", "/link/../run/"] {
                assert!(is_same(&one, &format!("ipc://{dir}{other}{file}")), "{other}{file}");
            }
            for other in ["/run/z.sock", "/x.sock", "/none/x.sock"] {
                assert!(!is_same(&one, &format!("ipc://{dir}{other}")), "{other}");
            }
        }
        assert!(is_same(&format!("ipc://{dir}/run/x.sock"), &format!("ipc://{dir}/y.sock")));
        assert!(!is_same("ipc:///none/x.sock", "ipc:///none/y.sock"));
        assert!(is_same("ipc://@name", "ipc://@name"));
    }

    #[test]
    fn names_that_have_no_address_are_told_from_those_that_have() {
        for known in
            ["tcp://localhost:7", "tcp://127.0.0.1:7", "tcp://[::1]:7", "ipc:///x", "tcp://*:7"]
        {
            assert!(unknown_name(known).is_none(), "{known}");
        }
        assert_eq!(unknown_name("tcp://nobody.invalid:7").unwrap().0, "nobody.invalid");
    }

    #[test]
    fn the_report_endpoint_keeps_the_clients_way_to_the_host() {
        assert_eq!(report_endpoint("tcp://a:6125", "tcp://:6126").as_deref(), Some("tcp://a:6126"));
        assert_eq!(report_endpoint("ipc:///a", "ipc:///b").as_deref(), Some("ipc:///b"));
        assert_eq!(report_endpoint("ipc:///a", ""), None);
    }
}
