//! Where a hub is found when nobody says so: in a directory of this user that only it can enter.

use std::path::{Path, PathBuf};

use crate::access::takes_connections;
use crate::limits::PORT;
use crate::private::{self, PrivateError};

/// Longest path of a Unix socket, in bytes (sun_path without its final NUL).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
const ADVICE: &str = "set XDG_RUNTIME_DIR to a directory of yours";

/// `$XDG_RUNTIME_DIR/dhub`, else a directory of this user below the temporary directory.
pub fn socket_dir() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => Path::new(&dir).join("dhub"),
        _ => std::env::temp_dir().join(format!("dhub-{}", rustix::process::getuid().as_raw())),
    }
}

/// Makes the directory if it is missing, and makes sure that nobody else can enter it.
pub fn make_socket_dir() -> Result<PathBuf, PrivateError> {
    let path = socket_dir();
    private::make_dir(&path, ADVICE)?;
    Ok(path)
}

/// Endpoints of this user's hubs on this machine that take connections now.
pub fn live_hubs() -> Result<Vec<String>, PrivateError> {
    let dir = socket_dir();
    let Ok(entries) = std::fs::read_dir(&dir) else {
        return Ok(Vec::new());
    };
    private::check_dir(&dir, ADVICE)?;
    let mut live: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sock"))
        .filter(|path| path.to_str().is_some_and(takes_connections))
        .map(|path| format!("ipc://{}", path.display()))
        .collect();
    live.sort();
    Ok(live)
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

/// Accepts what people type: `host`, `host:port` or a whole endpoint.
pub fn parse(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an endpoint is needed, for example tcp://127.0.0.1:6125".into());
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
        assert_eq!(parse("tcp://login3").unwrap(), "tcp://login3:6125");
        assert_eq!(parse("ipc:///run/x.sock").unwrap(), "ipc:///run/x.sock");
        assert!(parse("tcp://login3:70000").is_err());
        assert!(parse("udp://login3:1").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn the_report_endpoint_keeps_the_clients_way_to_the_host() {
        assert_eq!(report_endpoint("tcp://a:6125", "tcp://:6126").as_deref(), Some("tcp://a:6126"));
        assert_eq!(report_endpoint("ipc:///a", "ipc:///b").as_deref(), Some("ipc:///b"));
        assert_eq!(report_endpoint("ipc:///a", ""), None);
    }
}
