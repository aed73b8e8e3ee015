//! A socket whose files somebody removed, as a logout does with the directory that they are in.

use dhub_proto::parts::uninterrupted;
use dhub_proto::{access, endpoint};

use super::{BindError, Socket, try_socket};

/// Its files are gone, and what listened there was let go.
pub struct Adrift {
    /// Why they cannot be made again was said.
    is_told: bool,
}

impl Socket {
    /// If its files are gone they are made again: at one look it lets go, since that removes what has their names by
    /// then, from the next on it tries to listen anew. Connections go on meanwhile.
    pub fn look(&mut self) {
        let [request, report] = self.files.as_slice() else { return };
        match self.adrift {
            None if request.exists() && report.exists() => {}
            None => {
                for (inlet, endpoint) in self.ends() {
                    // One that listened nowhere has nothing to let go.
                    let _ = uninterrupted(|| inlet.socket.unbind(endpoint));
                }
                self.adrift = Some(Adrift { is_told: false });
            }
            Some(Adrift { is_told }) => match self.listen_anew() {
                Ok(()) => {
                    tracing::warn!("{} was removed; it is there again", request.display());
                    self.adrift = None;
                }
                Err(error) => {
                    if !is_told {
                        tracing::warn!(
                            "{} was removed, and tried again: {error}",
                            request.display()
                        );
                    }
                    self.adrift = Some(Adrift { is_told: true });
                }
            },
        }
    }

    fn listen_anew(&self) -> Result<(), BindError> {
        if let [request, ..] = self.files.as_slice() {
            // One that others could enter from the start is as it was: the user chose it, and keys decide.
            let dir = request.parent().filter(|dir| !dir.as_os_str().is_empty());
            if dir.is_some_and(|dir| self.is_private || !dir.is_dir()) {
                endpoint::remake_socket_dir(request)?;
            }
            if access::takes_connections(request) {
                return Err(BindError::Alive { endpoint: self.endpoint.clone() });
            }
            try_socket(request)?;
        }
        for (inlet, endpoint) in self.ends() {
            // What came of an earlier try.
            let _ = uninterrupted(|| inlet.socket.unbind(endpoint));
            let failed = |source| BindError::Bind { endpoint: endpoint.to_owned(), source };
            uninterrupted(|| inlet.socket.bind(endpoint)).map_err(failed)?;
        }
        Ok(())
    }
}
