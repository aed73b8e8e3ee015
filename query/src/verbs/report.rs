//! `report`: a page about a run, to look at in a browser.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use dhub_proto::exit::Exit;
use dhub_proto::private::ModeOption;
use dhub_proto::wire;
use serde_json::json;

use super::export::write;
use crate::failure::Failure;
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::words::{counted, number, tasks};
use crate::run::report::{About, page};

#[derive(clap::Args, Debug)]
pub struct Report {
    /// The page to write; - is standard output
    #[arg(value_name = "FILE.html")]
    file: PathBuf,

    #[command(flatten)]
    mode: ModeOption,
}

pub fn run(args: Report, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let about = ask!(hub, Status(wire::Status {}) => Status).hub.unwrap_or_default();
    let run = hub.run()?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let about = About {
        version: about.version,
        file: about.file.rsplit('/').next().unwrap_or_default().to_owned(),
        host: about.host,
        written_ms: since_1970.as_millis() as u64,
    };
    let page = page(&run, about);
    if args.file == Path::new("-") {
        out.raw(&page)?;
        return Ok(Exit::Ok);
    }
    write(&args.file, &page, args.mode.file_mode)?;
    let (file, attempts) = (args.file.display().to_string(), run.attempts().count() as u64);
    let value = json!({
        "file": file,
        "bytes": page.len(),
        "tasks": run.tasks_added(),
        "attempts": attempts,
    });
    let sentence = || {
        let (tasks, attempts) = (tasks(run.tasks_added()), counted(attempts, "attempt"));
        format!("{file}: {tasks}, {attempts}, {} kB", number(page.len().div_ceil(1000) as u64))
    };
    out.result(sentence, value)?;
    Ok(Exit::Ok)
}
