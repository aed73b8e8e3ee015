//! dhub: start, say what was found, run until told to stop.

/// To standard error.
macro_rules! say {
    ($($text:tt)*) => { dhub_proto::say(format_args!($($text)*)); };
}

mod failure;
mod listen;
mod process;
mod stopped;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dhub::args::{Action, Args, Listen};
use dhub::net::descriptors::Descriptors;
use dhub::net::gate::Gate;
use dhub::net::place::PLACE;
use dhub::net::security::Security;
use dhub::net::socket::{BindError, Socket};
use dhub::server::{Fatal, Options, Server};
use dhub::store::{Access, FILE_VERSION, LockError, OpenError, Opened, Orphans, Store};
use dhub_proto::exit::Exit;
use dhub_proto::{access, cli, secret};
use failure::Failure;
use listen::{bind_anywhere, describe, found, home, own_ipc};
use process::{catch_signals, log_to_stderr, raise_file_limit};
use signal_hook::consts::SIGXFSZ;
use stopped::{backup, check, is_empty, save, since};

/// So long a start waits for the hub before it, which may be stopping just now.
const STOPPING_MAX: Duration = Duration::from_secs(2);

const STOPPING_POLL: Duration = Duration::from_millis(20);

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
