//! `dhub access`: the keys that a hub lets in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use comfy_table::Table;
use dhub_proto::access::{self, OWNER};
use dhub_proto::client::{Client, ClientError};
use dhub_proto::disk::{output, words};
use dhub_proto::exit::Exit;
use dhub_proto::find::{Target, by_access};
use dhub_proto::plain;
use dhub_proto::role::{Role, Roles};
use dhub_proto::wire::{ErrorCode, Reload, reply, request};
use serde_json::json;

use crate::net::error::HomeError;
use crate::net::grant::Grant;
use crate::net::home::Home;
use crate::net::place::Place;

/// How long a hub that runs may take to read its keys again.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Show whom the hub lets in
    #[command(
        visible_alias = "show",
        after_help = "Examples:
  dhub access list
  dhub access list -f run.db           of several hubs: that one
  dhub access list --json | jq -r '.keys[] | select(.revoked == null).name'"
    )]
    List {
        /// For programs: JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Make a key, and the access file that it is used with
    #[command(after_help = "Examples:
  dhub access new node --role work                    for workers where your home is not
  dhub access new ada --role submit --to ada.access   for somebody who adds tasks
  dhub access new ci --role submit --role work        its tasks may add tasks
  dhub access new node --role work --to - | ssh node 'umask 77; cat > hub.access'

Use the file with --access FILE or DHUB_ACCESS. Who has it is let in: carry it over ssh, keep it 0600.")]
    New {
        /// What the key is called: letters, digits, '-', '_' and '.'
        #[arg(value_parser = parse_name)]
        name: String,
        /// What it may do; can be given several times
        #[arg(long, required = true, value_enum)]
        role: Vec<Role>,
        /// Where the access file goes; -: standard output [default: beside the hub's keys]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
    /// Take a key back: who has it is refused from the next message on
    #[command(after_help = "Examples:
  dhub access revoke node")]
    Revoke {
        name: String,
        #[command(flatten)]
        which: Which,
    },
    /// Tell the hub that runs to read its keys again; new and revoke do that by themselves
    #[command(after_help = "Examples:
  dhub access reload                   after the directory of keys was copied back, say")]
    Reload {
        #[command(flatten)]
        which: Which,
    },
}

/// Which hub is meant.
#[derive(clap::Args, Clone, Debug)]
pub struct Which {
    /// The hub's file [default: your only hub, or the only one that runs]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The hub's directory below DIR, for one without a file or of another machine
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    hub: Option<String>,

    /// Where keys and access files are kept [default: ~/.dhub]
    #[arg(long, value_name = "DIR", env = "DHUB_DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum AccessFailure {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("no hub has made keys in {dir} yet; they are made when it starts: dhub -f FILE")]
    NoHub { dir: PathBuf },
    #[error("no hub has made keys for {what} in {dir}; there are those of:\n  {there}")]
    Unknown { what: String, dir: PathBuf, there: String },
    #[error("there are keys of several hubs in {dir}; choose one with -f or --hub:\n  {there}")]
    Several { dir: PathBuf, there: String },
    #[error(
        "the keys are changed, but the hub of {hub} could not be told: {source}\n  it looks at them each second by itself; if it hangs, when it goes on"
    )]
    Untold { hub: String, source: ClientError },
    #[error("the hub of {hub} does not read its keys again: {}\n  those of before stay valid", .error.message)]
    Unread { hub: String, error: dhub_proto::wire::Error },
    #[error("cannot write to standard output: {}", words(.0))]
    Output(#[source] io::Error),
    #[error("cannot write to standard output: {}\n  the key '{name}' was taken back", words(.source))]
    Lost { name: String, source: io::Error },
}

/// Only standard output is written with `?`.
impl From<io::Error> for AccessFailure {
    fn from(error: io::Error) -> Self {
        Self::Output(output(error))
    }
}

impl AccessFailure {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Home(
                HomeError::Exists { .. }
                | HomeError::Unknown { .. }
                | HomeError::Taken { .. }
                | HomeError::Own { .. },
            ) => Exit::Refused,
            Self::Home(_) | Self::Unread { .. } => Exit::Keys,
            Self::NoHub { .. } | Self::Unknown { .. } | Self::Several { .. } => Exit::Usage,
            Self::Untold { .. } => Exit::NoHub,
            Self::Output(_) | Self::Lost { .. } => Exit::System,
        }
    }
}

fn parse_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text.len() {
        1..=64 if text.chars().all(fits) && !text.starts_with(['.', '-']) => Ok(text.into()),
        _ => Err("a name has 1 to 64 letters, digits, '-', '_' and '.', and begins with one of the first two".into()),
    }
}

pub fn run(verb: &Verb) -> Result<(), AccessFailure> {
    match verb {
        Verb::List { json, which } => list(&which.home()?, *json),
        Verb::New { name, role, to, which } => new(&which.home()?, name, role, to.as_deref()),
        Verb::Revoke { name, which } => revoke(&which.home()?, name),
        Verb::Reload { which } => reload(&which.home()?),
    }
}

impl Which {
    fn home(&self) -> Result<Home, AccessFailure> {
        let base = self.dir.clone().or_else(access::default_dir).ok_or(HomeError::Nowhere)?;
        let dir = std::path::absolute(&base).unwrap_or(base);
        let all = Home::all(&dir)?;
        let there = || all.iter().map(about).collect::<Vec<_>>().join("\n  ");
        let unknown =
            |what: String| AccessFailure::Unknown { what, dir: dir.clone(), there: there() };
        if all.is_empty() {
            return Err(AccessFailure::NoHub { dir });
        }
        if let Some(file) = &self.file {
            let what = file.display().to_string();
            let home = Home::of(&dir, Some(file)).ok().filter(Home::exists);
            return home.ok_or_else(|| unknown(what));
        }
        if let Some(name) = &self.hub {
            let home = all.iter().find(|home| home.name() == name).cloned();
            return home.ok_or_else(|| unknown(name.clone()));
        }
        // One that cannot be told may run.
        let runs = |home: &&Home| home.live().map_or(true, |live| live.is_some());
        let live: Vec<&Home> = all.iter().filter(runs).collect();
        match (live.as_slice(), all.as_slice()) {
            ([home], _) => Ok((*home).clone()),
            (_, [home]) => Ok(home.clone()),
            _ => Err(AccessFailure::Several { dir: dir.clone(), there: there() }),
        }
    }
}

/// Its name, its file, and whether it runs.
fn about(home: &Home) -> String {
    // Only for people: what cannot be read is told by what is done next.
    let file = home.place().ok().map(|place| place.file);
    let file = file.filter(|file| !file.is_empty()).unwrap_or("in memory".into());
    let live = match home.live().ok().flatten() {
        Some(live) => format!("process {} since {}", live.process, live.since),
        None => "stopped".into(),
    };
    plain::plain(&format!("{}  {file}  {live}", home.name())).into_owned()
}

fn list(home: &Home, json: bool) -> Result<(), AccessFailure> {
    let grants = home.grants()?;
    let Place { file: hub_file, endpoints, .. } = home.place()?;
    let file = |grant: &Grant| {
        let path = home.access_path(&grant.name);
        (grant.is_valid() && path.exists()).then(|| path.display().to_string())
    };
    let mut out = io::stdout().lock();
    if json {
        let key = |grant: &Grant| {
            json!({
                "name": grant.name,
                "roles": grant.roles,
                "public_key": grant.public_key,
                "made": grant.made,
                "revoked": grant.revoked,
                "access_file": file(grant),
            })
        };
        let live = home.live().map_err(HomeError::from)?;
        let hub = json!({
            "hub": home.name(),
            "file": hub_file,
            "process": live.map(|live| live.process),
            "endpoints": endpoints,
            "keys": grants.iter().map(key).collect::<Vec<_>>(),
        });
        writeln!(out, "{}", plain::json(&format!("{hub:#}")))?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["NAME", "ROLES", "MADE", "TAKEN BACK", "ACCESS FILE"]);
    for grant in grants {
        let file = file(&grant).unwrap_or_default();
        let revoked = grant.revoked.unwrap_or_default();
        let cells = [grant.name, grant.roles.to_string(), grant.made, revoked, file];
        table.add_row(cells.map(|cell| plain::plain(&cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(out, "{}", about(home))?;
    if !endpoints.is_empty() {
        writeln!(out, "{}", plain::plain(&endpoints.join("  ")))?;
    }
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn new(home: &Home, name: &str, roles: &[Role], to: Option<&Path>) -> Result<(), AccessFailure> {
    let roles: Roles = roles.iter().copied().collect();
    let own = home.access_path(name);
    let to_stdout = to == Some(Path::new("-"));
    let path = to.filter(|_| !to_stdout).unwrap_or(&own);
    // Before it: the hub does not know the key of a new owner yet.
    let target = reachable(home);
    let text = home.add(name, roles, Some(path).filter(|_| !to_stdout))?;
    if to_stdout {
        let mut out = io::stdout().lock();
        if let Err(source) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Nobody has it, or who has it got only a part.
            home.revoke(name)?;
            return Err(AccessFailure::Lost { name: name.into(), source: output(source) });
        }
    }
    tell(home, target)?;
    let at = if to_stdout { "standard output".into() } else { path.display().to_string() };
    // Standard output may be the file itself.
    dhub_proto::say(format_args!("dhub: the key '{name}' may {roles}; {at} lets in who has it"));
    Ok(())
}

fn revoke(home: &Home, name: &str) -> Result<(), AccessFailure> {
    // With the key itself a hub cannot be told.
    let is_owner = home.access_path(name) == home.path(OWNER);
    // Whatever keeps the hub from being told: it looks at its keys by itself.
    home.revoke(name)?;
    let target = if is_owner { None } else { reachable(home) };
    let when = match (tell(home, target)?, home.live()) {
        (true, _) => "from its next message on",
        (false, Ok(None)) => "when the hub runs again",
        // There is no key to tell it with, or it is gone.
        (false, _) => "within a second, if the hub runs",
    };
    dhub_proto::say(format_args!(
        "dhub: the key '{name}' was taken back; who has it is refused {when}"
    ));
    if is_owner {
        let roles: Vec<_> = Role::ALL.iter().map(|role| format!("--role {role}")).collect();
        dhub_proto::say(format_args!(
            "  your own tools had it and find this hub no more; make them another: dhub access new {name} {}",
            roles.join(" ")
        ));
    }
    Ok(())
}

fn reload(home: &Home) -> Result<(), AccessFailure> {
    let told = tell(home, target(home)?)?;
    let what = if told { "has read its keys again" } else { "does not run" };
    dhub_proto::say(format_args!("dhub: the hub of {} {what}", home.name()));
    Ok(())
}

/// The hub to be told, as `target` has it; if that cannot be found out, it is said why, and the hub is not told.
fn reachable(home: &Home) -> Option<Target> {
    target(home).unwrap_or_else(|why| {
        dhub_proto::say(format_args!("dhub: the hub is not told of it: {why}"));
        None
    })
}

/// The hub, if it runs and its owner's key opens it.
fn target(home: &Home) -> Result<Option<Target>, AccessFailure> {
    if home.live().map_err(HomeError::from)?.is_none() {
        return Ok(None);
    }
    let Some(owner) = home.owner().map_err(HomeError::from)? else { return Ok(None) };
    // On this machine it would take the connection.
    let is_gone =
        owner.host == dhub_proto::host_name() && !owner.ipc_answers().map_err(HomeError::from)?;
    Ok(if is_gone { None } else { by_access(home.path(OWNER)).ok() })
}

/// False if there is none to be told.
fn tell(home: &Home, target: Option<Target>) -> Result<bool, AccessFailure> {
    let Some(target) = target else { return Ok(false) };
    let endpoint = target.endpoint.clone();
    let mut client = Client::new(target, TIMEOUT);
    let source = match client.request(request::Body::Reload(Reload {}), Duration::ZERO) {
        Ok(reply::Body::Reloaded(_)) => return Ok(true),
        Ok(_) => ClientError::Unexpected { endpoint },
        Err(ClientError::Refused(error)) if error.code() != ErrorCode::ErrorBusy => {
            return Err(AccessFailure::Unread { hub: home.name().into(), error });
        }
        Err(error) => error,
    };
    Err(AccessFailure::Untold { hub: home.name().into(), source })
}
