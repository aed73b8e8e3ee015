//! `backup`: has the hub copy its file, between two commits of it.

use std::path::PathBuf;
use std::time::Duration;

use dhub_proto::client::ClientError;
use dhub_proto::exit::Exit;
use dhub_proto::plain::lines;
use dhub_proto::private::{self, Mode};
use dhub_proto::shell;
use dhub_proto::wire::{self, ErrorCode, reply, request};
use serde_json::json;

use crate::failure::Failure;
use crate::hub::Hub;
use crate::output::Output;
use crate::render::words::plain;

#[derive(clap::Args, Debug)]
pub struct Backup {
    /// Where the copy goes, on the hub's machine; nothing may be there
    to: PathBuf,

    /// Who may read the copy: 0600 (you), 0640 (your group too) or 0644 (everybody) [default: as the hub's
    /// own --file-mode]
    #[arg(long, value_name = "MODE", value_parser = Mode::parse)]
    file_mode: Option<Mode>,
}

/// The hub goes on with what it can read; nothing else can be done before it stops.
fn advice(file: &str) -> String {
    format!(
        "stop the hub, then save what can be read to a new file, with a list of what cannot: {}\n  if that lacks too much, go on from an older backup",
        plain(&shell::rescue(file))
    )
}

pub fn run(args: Backup, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    if args.to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let dir = args.to.display().to_string();
        let dir = plain(&dir);
        let failure = Failure::new(Exit::Usage, format!("{dir} is a directory by its name"));
        return Err(failure.hint(format!("say what the copy is called: {dir}run.db")));
    }
    // The hub runs in another directory.
    let to = std::path::absolute(&args.to)
        .map_err(|error| Failure::system(args.to.display(), &error))?;
    let path = to;
    let to = path.display().to_string();
    let request = request::Body::Backup(wire::Backup { to: to.clone() });
    let copied = match hub.ask_parked(request, Duration::ZERO) {
        Ok(reply::Body::BackedUp(copied)) => copied,
        Ok(_) => return Err(hub.unexpected()),
        // The hub has said which file.
        Err(ClientError::Refused(why)) if why.code() == ErrorCode::ErrorDisk => {
            return Err(Failure::new(Exit::Disk, plain(&why.message)));
        }
        Err(ClientError::Refused(why)) if why.code() == ErrorCode::ErrorDamaged => {
            let failure = Failure::new(Exit::FileUnusable, plain(&why.message));
            return Err(failure.hint(advice(why.names.first().map_or("FILE", String::as_str))));
        }
        // It names no file but this one, and says what to do in a line of its own.
        Err(ClientError::Refused(why)) if why.code() == ErrorCode::ErrorInvalid => {
            return Err(Failure::new(Exit::Refused, lines(&why.message)));
        }
        Err(error) => return Err(error.into()),
    };
    if args.file_mode.is_some() {
        // The hub is this user's, on this machine.
        let kept = private::look(&path, args.file_mode);
        kept.map_err(|error| Failure::new(Exit::System, error.to_string()))?;
    }
    let value = json!({ "to": to, "bytes": copied.bytes });
    out.result(|| format!("copied to {to} ({} bytes)", copied.bytes), value)?;
    Ok(Exit::Ok)
}
