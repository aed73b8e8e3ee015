//! `addfile`: checks a whole file of tasks, then adds it in large batches.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dhub_proto::client::ClientError;
use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Created, State};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::create::TaskOptions;
use crate::args::command;
use crate::batch::{Batches, Defaults};
use crate::failure::{Failure, say, system};
use crate::feed::Feed;
use crate::hub::Hub;
use crate::output::{Output, watched};
use crate::render::words::{number, plain, span, tasks};
use crate::taskfile::{Format, TaskFile, Template};

/// Names asked about at once: the reply has their tasks, with commands of any length.
const ASK_NAMES: usize = 400;
/// From this many tasks on there is something to watch.
const PROGRESS_TASKS: usize = 50_000;

#[derive(clap::Args, Debug)]
pub struct Addfile {
    /// The file; - is standard input
    file: String,

    /// The file has a JSON object on each line (so has a file whose name ends in .jsonl)
    #[arg(long)]
    jsonl: bool,

    /// Command of the tasks that have none; {} stands for the name, quoted for the shell
    #[arg(long, value_name = "CMD", value_parser = command)]
    command: Option<String>,

    #[command(flatten)]
    options: TaskOptions,

    /// Accept dependencies that are neither in the file nor in the hub
    #[arg(long)]
    allow_missing: bool,
}

pub fn run(args: Addfile, hub: &mut Hub, out: Output) -> Result<Exit, Failure> {
    let start = Instant::now();
    let bytes = read(&args.file)?;
    let format = match args.jsonl || args.file.ends_with(".jsonl") {
        true => Format::Json,
        false => Format::Lines,
    };
    let title = if args.file == "-" { "standard input".into() } else { plain(&args.file) };
    let file = TaskFile::parse(&title, &bytes, format)?;
    let defaults = Defaults {
        template: args.command.as_deref().map(Template::new),
        priority: args.options.priority,
        retries: args.options.retries,
        time_limit_ms: args.options.time_limit_ms(),
        dir: args.options.dir.unwrap_or_default(),
        env: args.options.env,
    };
    if let Some(template) = &defaults.template {
        file.refuse_long_commands(template)?;
    }
    if file.len() == 0 {
        say(&format!("{title} has no tasks"));
    }
    let order = file.order()?;
    if !args.allow_missing {
        file.refuse_unknown(&unknown(file.foreign(), hub)?)?;
    }

    let stop = stop_at_signals().map_err(|error| {
        Failure::new(Exit::System, format!("cannot take signals: {}", system(&error)))
    })?;
    let go_on = || !stop.load(Ordering::Relaxed);
    let progress = progress_bar(file.len());
    let mut feed = Feed::new(hub.client(), hub.timeout());
    let batches = Batches::new(&file, &defaults, order.iter());
    let result = feed.run(batches.take_while(|_| go_on()), &progress);
    progress.finish_and_clear();
    let (sum, total) = (feed.sum, file.len() as u64);
    if let Err(error) = result {
        return Err(cut_off(error, sum, total));
    }
    if sum.added + sum.existing < total {
        let there = number(sum.added + sum.existing);
        say(&format!(
            "stopped: {there} of {} are in the hub\n  the same command adds the rest",
            tasks(total)
        ));
        // The shell should see that it was a signal.
        let _ = signal_hook::low_level::emulate_default_handler(SIGINT);
    }
    let value = json!({
        "added": sum.added,
        "existing": sum.existing,
        "ready": sum.ready,
        "seconds": start.elapsed().as_secs_f64(),
    });
    out.result(|| format!("{} in {}", sentence(sum), span(start.elapsed())), value)?;
    Ok(Exit::Ok)
}

/// Set by Ctrl-C: what is under way is waited for. A second one ends the program at once.
fn stop_at_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGINT, Arc::clone(&stop))?;
    flag::register(SIGINT, Arc::clone(&stop))?;
    Ok(stop)
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = match file {
        "-" => io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes),
        _ => fs::read(file),
    };
    result.map_err(|error| Failure::system(plain(file), &error))
}

/// Those of the names that the hub does not have as tasks.
fn unknown(names: Vec<String>, hub: &mut Hub) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    for names in names.chunks(ASK_NAMES) {
        let selection = wire::Selection { names: names.to_vec(), ..Default::default() };
        hub.list(selection, |listed| {
            unknown.extend(listed.unknown);
            // A name that others wait for is no task yet.
            let missing = listed.tasks.into_iter().filter(|task| task.state() == State::Missing);
            unknown.extend(missing.map(|task| task.name));
            Ok(())
        })?;
    }
    Ok(unknown)
}

fn progress_bar(tasks: usize) -> ProgressBar {
    if tasks < PROGRESS_TASKS || !watched() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("[{bar:28}] {percent} %  {human_pos}/{human_len}  {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("█▉▊▋▌▍▎▏ ");
    ProgressBar::new(tasks as u64).with_style(style)
}

/// Batches that came before are added: running it again adds the rest.
fn cut_off(error: ClientError, sum: Created, total: u64) -> Failure {
    let refused = matches!(error, ClientError::Refused(_));
    let mut failure = Failure::from(error);
    match sum.added + sum.existing {
        0 if refused => failure,
        0 => failure.hint("(nothing was added, as far as the hub said)"),
        there => {
            // True of its batch only.
            let batch = failure.message.trim_end_matches("; nothing was added").len();
            failure.message.truncate(batch);
            failure.hint(format!(
                "({} of {} are in the hub; the same command adds the rest)",
                number(there),
                tasks(total)
            ))
        }
    }
}

/// 12,000 tasks added (9,800 ready, 2,200 wait for others), 3 were there already
fn sentence(sum: Created) -> String {
    let mut text = format!("{} added", tasks(sum.added));
    let waiting = sum.added.saturating_sub(sum.ready);
    if waiting > 0 {
        let wait = if waiting == 1 { "waits" } else { "wait" };
        text += &format!(" ({} ready, {} {wait} for others)", number(sum.ready), number(waiting));
    }
    match sum.existing {
        0 => {}
        1 => text += ", 1 was there already,",
        n => text += &format!(", {} were there already,", number(n)),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_in_a_sentence() {
        let sum = |added, ready, existing| sentence(Created { added, existing, ready });
        assert_eq!(
            sum(12_000, 9_800, 0),
            "12,000 tasks added (9,800 ready, 2,200 wait for others)"
        );
        assert_eq!(sum(1, 1, 0), "1 task added");
        assert_eq!(sum(0, 0, 3), "0 tasks added, 3 were there already,");
    }
}
