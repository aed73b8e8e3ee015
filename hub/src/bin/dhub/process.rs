//! The process: signals, limits and its log.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dhub_proto::cli;
use dhub_proto::signal::is_ignored;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::Failure;

/// Without any connection a hub has about 25 files open; the rest is for a few clients.
pub const FILES_MIN: u64 = 64;

/// SIGINT, SIGTERM and the end of the terminal set the flag and make the descriptor readable.
pub fn catch_signals() -> Result<(Arc<AtomicBool>, UnixStream), Failure> {
    let system = |source| Failure::System { what: "to catch signals", source };
    let stop = Arc::new(AtomicBool::new(false));
    let (wake, write) = UnixStream::pair().map_err(system)?;
    // nohup means it.
    let hangup = Some(SIGHUP).filter(|&signal| !is_ignored(signal));
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(system)?;
        let write = write.try_clone().map_err(system)?;
        signal_hook::low_level::pipe::register(signal, write).map_err(system)?;
    }
    Ok((stop, wake))
}

/// Each connection is a descriptor; thousands of workers need more than the usual 1024.
pub fn raise_file_limit() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit = raised,
        Err(error) => {
            tracing::debug!("the limit of open files stays at {:?}: {error}", limit.current)
        }
    }
    match limit.current {
        Some(limit @ ..FILES_MIN) => Err(Failure::Files { limit }),
        _ => Ok(()),
    }
}

pub fn log_to_stderr(verbose: u8, usual: &str) {
    let level = match verbose {
        0 => usual,
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(cli::stderr_has_colors());
    log.with_writer(|| dhub_proto::Stderr).log_internal_errors(false).init();
}
