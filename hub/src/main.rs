//! dhub: start, say what was found, run until told to stop.

use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use dhub::args::{Action, Args, Listen};
use dhub::engine::message::Phase;
use dhub::engine::scheduler::{Scheduler, State};
use dhub::net::access::AccessFailure;
use dhub::net::descriptors::Descriptors;
use dhub::net::gate::Gate;
use dhub::net::home::{Home, HomeError, ServerKeys};
use dhub::net::place::PLACE;
use dhub::net::security::Security;
use dhub::net::socket::{BindError, Socket};
use dhub::server::{Fatal, Options, Server};
use dhub::store::{
    Access, CopyError, Doubt, FILE_VERSION, LockError, Newer, OpenError, Opened, Orphans,
    RescueError, Scanned, Store, StoreError, advice, copy_file, fault, rescue,
};
use dhub_proto::disk::{output, words};
use dhub_proto::endpoint;
use dhub_proto::exit::Exit;
use dhub_proto::plain::plain;
use dhub_proto::private::{Mode, PrivateError};
use dhub_proto::signal::is_ignored;
use dhub_proto::{access, cli, limits, secret, shell};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// To standard error.
macro_rules! say {
    ($($text:tt)*) => { dhub_proto::say(format_args!($($text)*)); };
}

/// Without any connection a hub has about 25 files open; the rest is for a few clients.
const FILES_MIN: u64 = 64;

/// So long a start waits for the hub before it, which may be stopping just now.
const STOPPING_MAX: Duration = Duration::from_secs(2);
const STOPPING_POLL: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Access(#[from] AccessFailure),
    #[error("this libzmq has no CURVE, or is older than 4.3.5")]
    NoCurve,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Dir(#[from] PrivateError),
    #[error("{fatal}{}", .file.as_ref().map_or(String::new(), |file| fatal.advice(file)))]
    Fatal {
        file: Option<PathBuf>,
        #[source]
        fatal: Fatal,
    },
    #[error("cannot start in memory: {0}")]
    Memory(rusqlite::Error),
    #[error("{source}{}", advice_if(source.is_damage(), file))]
    Copy { file: PathBuf, source: CopyError },
    #[error(transparent)]
    Rescue(#[from] RescueError),
    #[error("not all of {file} could be saved: what is lost or in doubt is listed")]
    Incomplete { file: String },
    #[error("{file} does not exist")]
    Absent { file: String },
    #[error(transparent)]
    Orphans(#[from] Orphans),
    #[error("{file} is empty, which the file of a hub never is{}: what was in it is gone\n  put the file back, or go on from a backup; to begin a new hub without tasks, remove it first: rm {}", .place.as_ref().map_or(String::new(), |place| format!(", and a hub has run on it ({})", place.display())), shell::file(file))]
    Empty { file: String, place: Option<PathBuf> },
    #[error("{file} is not sound:\n  {}\n  {}", .problems.join("\n  "), if *.is_mended { format!("a start mends it, in the background, and nothing is lost: dhub -f {}", shell::file(file)) } else { advice(file.as_ref()) })]
    Unsound { file: String, problems: Vec<String>, is_mended: bool },
    #[error("cannot read {file}: {source}{}", advice_if(source.is_damage(), file.as_ref()))]
    Restore { file: String, source: StoreError },
    #[error(
        "this process may open {limit} files only (ulimit -Hn); a hub needs {FILES_MIN}, and one more for each connection"
    )]
    Files { limit: u64 },
    #[error("cannot write to standard output: {}", words(.0))]
    Output(#[source] io::Error),
    #[error("the system refused {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::Fatal { fatal: Fatal::Gone(_), .. }
            | Failure::Open(OpenError::Gone { .. })
            | Failure::Restore { source: StoreError::Gone(_), .. } => Exit::FileGone,
            // Wherever it was met.
            _ if fault(self).is_some() => Exit::Disk,
            Failure::Access(failure) => failure.exit(),
            Failure::Open(OpenError::Lock(LockError::InUse { .. })) => Exit::FileInUse,
            Failure::Open(OpenError::Newer { .. }) => Exit::FileNewer,
            Failure::Open(OpenError::Network { .. }) => Exit::NetworkFile,
            Failure::Open(_)
            | Failure::Restore { .. }
            | Failure::Memory(_)
            | Failure::Absent { .. }
            | Failure::Orphans(_)
            | Failure::Empty { .. }
            | Failure::Unsound { .. } => Exit::FileUnusable,
            Failure::Copy { source, .. } if source.is_damage() => Exit::FileUnusable,
            Failure::Copy { .. } => Exit::System,
            Failure::Incomplete { .. } => Exit::Incomplete,
            Failure::Rescue(failure) => match failure {
                RescueError::Lock(_) => Exit::FileInUse,
                RescueError::Newer { .. } => Exit::FileNewer,
                RescueError::Exists(_) | RescueError::Io { .. } | RescueError::Write { .. } => {
                    Exit::System
                }
                _ => Exit::FileUnusable,
            },
            Failure::Bind(_) | Failure::Dir(_) => Exit::Bind,
            Failure::Home(_) => Exit::Keys,
            Failure::NoCurve | Failure::Output(_) => Exit::System,
            Failure::Fatal { fatal: Fatal::Store(error), .. } => match error.is_damage() {
                true => Exit::FileUnusable,
                false => Exit::Disk,
            },
            Failure::Fatal { fatal: Fatal::Socket(_), .. }
            | Failure::System { .. }
            | Failure::Files { .. } => Exit::System,
        }
    }
}

fn advice_if(is_damage: bool, file: &Path) -> String {
    if is_damage { format!("\n  {}", advice(file)) } else { String::new() }
}

fn main() -> ExitCode {
    // Before any key is read.
    secret::forbid_dumps();
    let args: Args = cli::parse(|command| command, |_| false);
    std::panic::set_hook(Box::new(|panic| {
        say!("dhub: stopped by an error of its own: {panic}");
        say!("  nothing that was acknowledged is lost; please report this");
        dhub_proto::finish_saying();
        std::process::exit(Exit::Internal as i32);
    }));
    // Nobody waits for who reads what is said. Without a thread for it they have to.
    let _speaking = dhub_proto::say_in_background().ok();
    match run(&args) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            say!("dhub: {failure}");
            failure.exit().into()
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    // Each file is made with the mode that it is to have; this is for those of the libraries.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Before anything that opens files.
    raise_file_limit()?;
    dhub::heap::set_up();
    // What a check finds it lists.
    let is_check = matches!(args.action, Some(Action::Check { .. }));
    log_to_stderr(args.verbose, if is_check { "warn,dhub_checksum=error" } else { "warn" });
    let system = |source| Failure::System { what: "to catch signals", source };
    // A write beyond the limit of file sizes (ulimit -f) is to fail like any other, not to kill.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(system)?;
    match &args.action {
        Some(Action::Check { file, network_file }) => return check(file, *network_file),
        Some(Action::Backup { file, to, network_file, mode }) => {
            return backup(file, to, *network_file, mode.file_mode);
        }
        Some(Action::Rescue { file, to, mode }) => return save(file, to, mode.file_mode),
        Some(Action::Access(verb)) => return Ok(dhub::net::access::run(verb)?),
        None => {}
    }
    if zmq::version() < (4, 3, 5) || zmq::has("curve") != Some(true) {
        return Err(Failure::NoCurve);
    }
    let (stop, wake) = catch_signals()?;
    let Opened { store, new, was, doubt, newer } = open(args)?;

    dhub::net::socket::limit_peers();
    let context = zmq::Context::new();
    // Before any socket that asks it.
    let mut gate = Gate::new(&context).map_err(BindError::from)?;
    let endpoints = args.endpoints();
    let home = home(args, store.real())?;
    let keys = home.open()?;
    gate.set_home(home.clone())?;
    let descriptors = Descriptors::measure(endpoints.len() + 1);
    descriptors.limit_connections();
    let mut sockets = Vec::new();
    for listen in &endpoints {
        sockets.push(match listen {
            Listen::Plain(endpoint) => Socket::bind(&context, endpoint, None)?,
            Listen::Curve(endpoint) => Socket::bind(&context, endpoint, Some(&keys))?,
            Listen::CurveAnywhere => bind_anywhere(&context, &home, &keys)?,
        });
    }
    let ipc = Socket::bind(&context, &own_ipc(&home)?, Some(&keys))?;
    drop(keys);
    let host = args.host.clone().unwrap_or_else(dhub_proto::host_name);
    sockets.iter_mut().for_each(|socket| socket.call(&host));
    let own_ipc = ipc.endpoint.clone();
    let encrypted = sockets.iter().filter(|socket| socket.security == Security::Curve);
    let encrypted = encrypted.map(|socket| socket.endpoint.clone()).collect();
    sockets.push(ipc);
    let listening: Vec<String> = sockets.iter().map(describe).collect();
    let is_plain = sockets.iter().any(|socket| socket.security == Security::Plain);

    let options = Options {
        worker_timeout_ms: args.worker_timeout.as_millis() as u64,
        lease_ms: args.lease.as_millis() as u64,
        retry_delay_ms: args.retry_delay.as_millis() as u64,
        inherit_priority: !args.no_priority_inheritance,
        disk_reserve_bytes: args.disk_reserve_mib << 20,
        descriptors,
    };
    let name = args.file.as_ref().map_or("in memory".into(), |file| file.display().to_string());
    let stopped = |fatal| Failure::Fatal { file: args.file.clone(), fatal };
    let mut server =
        Server::new(sockets, gate, store, options, stop, wake).map_err(|fatal| match fatal {
            Fatal::Store(source) => Failure::Restore { file: name.clone(), source },
            fatal => stopped(fatal),
        })?;
    server.look_at_files().map_err(stopped)?;
    let found = if new { "new".into() } else { found(server.scheduler()) };
    say!("dhub {} · {name}: {found}", dhub_proto::VERSION);
    for (i, endpoint) in listening.iter().enumerate() {
        say!("  {}   {endpoint}", if i == 0 { "listening" } else { "         " });
    }
    home.announce(&own_ipc, encrypted, since())?;
    let owner = home.path(access::OWNER);
    say!("  access      {}  your tools find it by themselves", owner.display());
    if let Some(found) = server.upgraded() {
        say!(
            "  upgraded    {name} was of version {found} and is of {FILE_VERSION} now; an older dhub refuses it"
        );
    }
    if let Some(was) = was {
        let mode = args.mode.file_mode;
        say!(
            "  warning     others could read {name} (mode {was:04o}); it is {mode} now: --file-mode"
        );
    }
    if let Some(doubt) = doubt {
        say!("  warning     in doubt: {doubt}");
    }
    if let Some(newer) = newer {
        say!("  warning     {newer}");
    }
    if is_plain {
        say!("  warning     plain TCP: whoever can connect can run commands as you");
    }
    if args.file.is_none() {
        say!("  warning     no file (-f): the tasks are lost when this hub stops");
    }
    server.run(|| home.withdraw()).map_err(stopped)
}

/// Where the keys of this hub are; by the real name of its file, as a start has found it, if one has.
fn home(args: &Args, real: Option<&Path>) -> Result<Home, Failure> {
    let base = args.dir.clone().or_else(access::default_dir).ok_or(HomeError::Nowhere)?;
    let what = "the path of the file";
    let system = |source| Failure::System { what, source };
    let base = std::path::absolute(base).map_err(system)?;
    match (&args.file, real) {
        // It may be gone by now, and its files are looked at later.
        (Some(file), Some(real)) => Ok(Home::of_real(&base, file, real.to_owned())),
        (file, _) => Home::of(&base, file.as_deref()).map_err(system),
    }
}

/// Ports tried one after the other, if none was asked for: each hub takes two.
const PORTS_TRIED: u16 = 100;

/// At the port of the last time, where workers look for this hub, else at the first that is free.
fn bind_anywhere(
    context: &zmq::Context,
    home: &Home,
    keys: &ServerKeys,
) -> Result<Socket, Failure> {
    let bind_at = |port: u16| Socket::bind(context, &format!("tcp://0.0.0.0:{port}"), Some(keys));
    let bind = |port: u16| match bind_at(port) {
        Err(BindError::Bind { source: zmq::Error::EADDRINUSE, .. }) => None,
        bound => Some(bound),
    };
    let last = home.place()?.endpoints;
    let last = last.first().and_then(|endpoint| endpoint.rsplit_once(':')?.1.parse().ok());
    if let Some(bound) = last.and_then(bind) {
        return Ok(bound?);
    }
    if let Some(port) = last {
        say!(
            "  warning     port {port} is taken now; workers that know this hub there do not find it"
        );
    }
    let mut ports = (0..PORTS_TRIED).map(|n| limits::PORT + 2 * n);
    Ok(ports.find_map(bind).unwrap_or_else(|| bind_at(0))?)
}

/// The file of a stopped hub; never made by looking at it.
fn open_stopped(file: &Path, network: bool) -> Result<Opened, Failure> {
    expect(file)?;
    Ok(Store::open(file, &since(), network)?)
}

fn expect(file: &Path) -> Result<(), Failure> {
    match Orphans::of(file) {
        Some(orphans) => Err(orphans.into()),
        None if is_empty(file) => {
            Err(Failure::Empty { file: file.display().to_string(), place: None })
        }
        None if file.is_file() => Ok(()),
        None => Err(Failure::Absent { file: file.display().to_string() }),
    }
}

fn is_empty(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0)
}

fn check(file: &Path, network: bool) -> Result<(), Failure> {
    let name = file.display().to_string();
    expect(file)?;
    let scanned = Scanned::of(file, &since())?;
    let Opened { store, doubt, newer, .. } = match open_stopped(file, network) {
        Err(failure) => {
            for line in scanned.problems(None) {
                say!("dhub: {name}: {line}");
            }
            return Err(failure);
        }
        opened => opened?,
    };
    let unread = |source| Failure::Restore { file: name.clone(), source };
    let mut problems = scanned.problems(Some(&store));
    let mut is_mended = scanned.are_mended();
    match store.check() {
        Ok(more) => {
            is_mended &= more.is_empty();
            problems.extend(more);
        }
        Err(error) if error.is_damage() && !problems.is_empty() => is_mended = false,
        Err(error) => return Err(unread(error)),
    }
    if !problems.is_empty() {
        return Err(Failure::Unsound { file: name, problems, is_mended });
    }
    let scheduler = dhub::server::restore(&store, &Options::default()).map_err(unread)?;
    let at = match scheduler.phase() {
        Phase::Empty => "no task was ever added",
        Phase::Active => "there is work to do",
        Phase::Stuck => "the rest waits for names that nobody added",
        Phase::Finished => "everything is finished",
    };
    print(format_args!("{}: sound; {}; {at}", file.display(), found(&scheduler)))?;
    if scanned.has_no_checksums() {
        print("  its pages have no checksums, by which damage is told: the next hub adds them")?;
    }
    tell(doubt, newer)?;
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

/// What else is to be known of a file that was looked at.
fn tell(doubt: Option<Doubt>, newer: Option<Newer>) -> Result<(), Failure> {
    if let Some(doubt) = doubt {
        print(format_args!("  in doubt: {doubt}"))?;
    }
    newer.map_or(Ok(()), |newer| print(format_args!("  {newer}")))
}

fn backup(file: &Path, to: &Path, network: bool, mode: Mode) -> Result<(), Failure> {
    let Opened { store, doubt, newer, .. } = open_stopped(file, network)?;
    let failed = |source| Failure::Copy { file: file.to_owned(), source };
    let bytes = copy_file(&store, to, mode).map_err(failed)?;
    print(format_args!("{} copied to {} ({bytes} bytes)", file.display(), to.display()))?;
    tell(doubt, newer)?;
    store.close().map_err(|source| Failure::Restore { file: file.display().to_string(), source })
}

/// Saves what can be read, and lists the rest.
fn save(file: &Path, to: &Path, mode: Mode) -> Result<(), Failure> {
    let rescued = rescue(file, to, mode, &since())?;
    let name = |path: &Path| path.display().to_string();
    let list = |what: &str, lines: &[String]| {
        lines.iter().try_for_each(|line| print(format_args!("  {what}  {}", plain(line))))
    };
    let store = Store::open(to, &since(), true)?.store;
    let unread = |source| Failure::Restore { file: name(to), source };
    let scheduler = dhub::server::restore(&store, &Options::default()).map_err(unread)?;
    let used: Vec<_> = rescued.used.iter().map(|path| name(path)).collect();
    let (tasks, used) = (found(&scheduler), used.join(", "));
    print(format_args!("{} saved to {}: {tasks}; read from {used}", name(file), name(to)))?;
    list("lost task", &rescued.tasks)?;
    list("lost     ", &rescued.lost)?;
    list("in doubt ", &rescued.doubt)?;
    list("not used ", &rescued.unused)?;
    if let Some(newer) = &rescued.saved {
        print(format_args!("  {newer}"))?;
    }
    store.close().map_err(unread)?;
    match rescued.is_whole() {
        true => Ok(()),
        false => Err(Failure::Incomplete { file: name(file) }),
    }
}

/// To standard output; whoever stopped to read it has seen enough.
fn print(line: impl Display) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Output(output(error)))
        }
        _ => Ok(()),
    }
}

/// For the lock: when this hub started.
fn since() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string()
}

fn open(args: &Args) -> Result<Opened, Failure> {
    let Some(file) = &args.file else {
        let store = Store::open_in_memory().map_err(Failure::Memory)?;
        return Ok(Opened { store, new: true, was: None, doubt: None, newer: None });
    };
    // One that was made just now, or by a hub that was killed as it did so, has run nowhere.
    if is_empty(file) && Orphans::of(file).is_none() {
        let place = home(args, None)?.path(PLACE);
        if place.exists() {
            return Err(Failure::Empty { file: file.display().to_string(), place: Some(place) });
        }
    }
    let (network, without_redo) = (args.network_file, args.without_redo);
    let mode = Some(args.mode.file_mode);
    let access = Access { network, without_redo, mode, mends: true, ..Access::default() };
    let began = Instant::now();
    loop {
        match Store::open_with(file, &since(), access) {
            Err(OpenError::Lock(LockError::InUse { .. })) if began.elapsed() < STOPPING_MAX => {
                thread::sleep(STOPPING_POLL);
            }
            opened => return Ok(opened?),
        }
    }
}

/// The endpoint of this hub for its user on this machine; the same again after a restart.
fn own_ipc(home: &Home) -> Result<String, Failure> {
    let dir = endpoint::make_socket_dir()?;
    Ok(format!("ipc://{}", dir.join(format!("{}.sock", home.name())).display()))
}

fn describe(socket: &Socket) -> String {
    let endpoint = &socket.endpoint;
    match socket.security {
        Security::Curve if socket.is_ipc => format!("{endpoint}  encrypted, on this machine"),
        Security::Curve => format!("{endpoint}  encrypted"),
        Security::Plain => format!("{endpoint}  plain"),
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

/// SIGINT, SIGTERM and the end of the terminal set the flag and make the descriptor readable.
fn catch_signals() -> Result<(Arc<AtomicBool>, UnixStream), Failure> {
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

fn log_to_stderr(verbose: u8, usual: &str) {
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
