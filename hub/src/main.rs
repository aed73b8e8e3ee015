//! dhub: start, say what was found, run until told to stop.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use dhub::args::{Action, Args};
use dhub::scheduler::message::Phase;
use dhub::scheduler::{Scheduler, State};
use dhub::server::{Fatal, Options, Server};
use dhub::socket::{BindError, Socket};
use dhub::store::{Access, CopyError, LockError, OpenError, Store, StoreError, copy_file};
use dhub_proto::endpoint;
use dhub_proto::exit::Exit;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

/// To standard error; that nobody reads it is no reason to stop.
macro_rules! say {
    ($($text:tt)*) => { let _ = writeln!(std::io::stderr(), $($text)*); };
}

/// Without any connection a hub has about 25 files open; the rest is for a few clients.
const FILES_MIN: u64 = 64;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Dir(#[from] endpoint::DirError),
    #[error(transparent)]
    Fatal(#[from] Fatal),
    #[error("cannot start in memory: {0}")]
    Memory(rusqlite::Error),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("{file} does not exist")]
    Absent { file: String },
    #[error("{file} is not sound:\n  {}\n  go back to a backup: dhub backup, dquery backup", .problems.join("\n  "))]
    Unsound { file: String, problems: Vec<String> },
    #[error("cannot read {file}: {source}")]
    Restore { file: String, source: StoreError },
    #[error(
        "this process may open {limit} files only (ulimit -Hn); a hub needs {FILES_MIN}, and one more for each connection"
    )]
    Files { limit: u64 },
    #[error("the system refused {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Open(OpenError::Lock(LockError::InUse { .. })) => Exit::FileInUse,
            Failure::Open(OpenError::Newer { .. }) => Exit::FileNewer,
            Failure::Open(OpenError::Network { .. }) => Exit::NetworkFile,
            Failure::Open(_)
            | Failure::Restore { .. }
            | Failure::Memory(_)
            | Failure::Absent { .. }
            | Failure::Unsound { .. } => Exit::FileUnusable,
            Failure::Copy(_) => Exit::System,
            Failure::Bind(_) | Failure::Dir(_) => Exit::Bind,
            Failure::Fatal(Fatal::Store(_)) => Exit::Commit,
            Failure::Fatal(Fatal::Socket(_)) | Failure::System { .. } | Failure::Files { .. } => {
                Exit::System
            }
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    std::panic::set_hook(Box::new(|panic| {
        say!("dhub: stopped by an error of its own: {panic}");
        say!("  nothing that was acknowledged is lost; please report this");
        std::process::exit(Exit::Internal as i32);
    }));
    match run(&args) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            say!("dhub: {failure}");
            failure.exit().into()
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    give_back_memory();
    log_to_stderr(args.verbose);
    let system = |source| Failure::System { what: "to catch signals", source };
    // A write beyond the limit of file sizes (ulimit -f) is to fail like any other, not to kill.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(system)?;
    match &args.action {
        Some(Action::Check { file, network_file }) => return check(file, *network_file),
        Some(Action::Backup { file, to, network_file }) => return backup(file, to, *network_file),
        None => {}
    }
    let endpoints = args.endpoints().map_err(Failure::Usage)?;
    let (stop, wake) = catch_signals()?;
    raise_file_limit()?;
    let (store, new) = open(args)?;

    let context = zmq::Context::new();
    let mut sockets = Vec::new();
    for endpoint in &endpoints {
        sockets.push(Socket::bind(&context, endpoint)?);
    }
    sockets.push(Socket::bind(&context, &own_ipc(args.file.as_deref())?)?);
    let listening: Vec<String> = sockets.iter().map(describe).collect();

    let options = Options {
        worker_timeout_ms: args.worker_timeout.as_millis() as u64,
        lease_ms: args.lease.as_millis() as u64,
        disk_reserve_bytes: args.disk_reserve_mib << 20,
    };
    let name = args.file.as_ref().map_or("in memory".into(), |file| file.display().to_string());
    let server = Server::new(sockets, store, options, stop, wake)
        .map_err(|source| Failure::Restore { file: name.clone(), source })?;
    let found = if new { "new".into() } else { found(server.scheduler()) };
    say!("dhub {} · {name}: {found}", dhub_proto::VERSION);
    for (i, endpoint) in listening.iter().enumerate() {
        say!("  {}   {endpoint}", if i == 0 { "listening" } else { "         " });
    }
    if args.insecure {
        say!("  warning     plain TCP: whoever can connect can run commands as you");
    }
    if args.file.is_none() {
        say!("  warning     no file (-f): the tasks are lost when this hub stops");
    }
    server.run()?;
    Ok(())
}

/// The file of a stopped hub; never made by looking at it.
fn open_stopped(file: &Path, network: bool) -> Result<Store, Failure> {
    if !file.is_file() {
        return Err(Failure::Absent { file: file.display().to_string() });
    }
    Ok(Store::open(file, &since(), network)?.store)
}

fn check(file: &Path, network: bool) -> Result<(), Failure> {
    let store = open_stopped(file, network)?;
    let name = file.display().to_string();
    let unread = |source| Failure::Restore { file: name.clone(), source };
    let problems = store.check().map_err(unread)?;
    if !problems.is_empty() {
        return Err(Failure::Unsound { file: name, problems });
    }
    let scheduler = dhub::server::restore(&store, &Options::default()).map_err(unread)?;
    let at = match scheduler.phase() {
        Phase::Empty => "no task was ever added",
        Phase::Active => "there is work to do",
        Phase::Stuck => "the rest waits for names that nobody added",
        Phase::Finished => "everything is finished",
    };
    println!("{}: sound; {}; {at}", file.display(), found(&scheduler));
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

fn backup(file: &Path, to: &Path, network: bool) -> Result<(), Failure> {
    let store = open_stopped(file, network)?;
    let bytes = copy_file(&store, to)?;
    println!("{} copied to {} ({bytes} bytes)", file.display(), to.display());
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

/// For the lock: when this hub started.
fn since() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}

fn open(args: &Args) -> Result<(Store, bool), Failure> {
    let Some(file) = &args.file else {
        return Ok((Store::open_in_memory().map_err(Failure::Memory)?, true));
    };
    let (network, without_redo) = (args.network_file, args.without_redo);
    let access = Access { network, without_redo, ..Access::default() };
    let opened = Store::open_with(file, &since(), access)?;
    Ok((opened.store, opened.new))
}

/// The endpoint of this hub for its user on this machine; the same again after a restart.
fn own_ipc(file: Option<&Path>) -> Result<String, Failure> {
    let dir = endpoint::make_socket_dir()?;
    let name = match file {
        None => format!("memory-{}", std::process::id()),
        Some(file) => {
            let what = "the path of the file";
            let path = file.canonicalize().map_err(|source| Failure::System { what, source })?;
            let stem: String = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
                .take(32)
                .collect();
            let hash = dhub::convert::definition(&[path.to_string_lossy().into()], 0, 0, None);
            format!("{stem}-{:08x}", hash as u32)
        }
    };
    Ok(format!("ipc://{}", dir.join(format!("{name}.sock")).display()))
}

fn describe(socket: &Socket) -> String {
    match socket.is_tcp {
        true => format!("{}  plain", socket.endpoint),
        false => format!("{}  you, on this machine", socket.endpoint),
    }
}

/// What a restart goes on with.
fn found(scheduler: &Scheduler) -> String {
    let counts = scheduler.counts();
    let mut text = match counts.total() {
        1 => "1 task".to_owned(),
        total => format!("{total} tasks"),
    };
    let states = [
        (State::Done, "done"),
        (State::Failed, "failed"),
        (State::Skipped, "skipped"),
        (State::Cancelled, "cancelled"),
        (State::Running, "running"),
        (State::Ready, "ready"),
        (State::Waiting, "waiting"),
    ];
    let parts: Vec<String> = states
        .iter()
        .filter(|(state, _)| counts.of(*state) > 0)
        .map(|(state, name)| format!("{} {name}", counts.of(*state)))
        .collect();
    if !parts.is_empty() {
        text += &format!(" ({})", parts.join(", "));
    }
    text
}

/// SIGINT and SIGTERM set the flag and make the descriptor readable.
fn catch_signals() -> Result<(Arc<AtomicBool>, UnixStream), Failure> {
    let system = |source| Failure::System { what: "to catch signals", source };
    let stop = Arc::new(AtomicBool::new(false));
    let (wake, write) = UnixStream::pair().map_err(system)?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(system)?;
        let write = write.try_clone().map_err(system)?;
        signal_hook::low_level::pipe::register(signal, write).map_err(system)?;
    }
    Ok((stop, wake))
}

/// Each connection is a descriptor; thousands of workers need more than the usual 1024.
fn raise_file_limit() -> Result<(), Failure> {
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

/// The chunks that tasks are held in go back to the system when they are freed. Without this, glibc
/// takes the next ones from its heap as soon as something as large was freed once, and what is freed
/// in the middle of that stays: of 1,300 MB for ten million tasks, 360 when all were done, with it 22.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "no well-kept crate has it")]
fn give_back_memory() {
    let bytes = dhub::scheduler::CHUNK_BYTES as libc::c_int;
    // SAFETY: it takes two numbers and touches nothing but malloc's own settings, under its lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back_memory() {}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
