//! What the verbs that change many tasks have in common: which ones, how many, and whether that is meant.

use std::io::{IsTerminal, Write, stderr, stdin};

use dhub_proto::exit::Exit;
use dhub_proto::wire::{self, Counts, Selection, adjust};
use serde_json::json;

use super::tell_refused;
use crate::args::State;
use crate::failure::Failure;
use crate::filter::{Filter, is_only_names};
use crate::hub::{Hub, ask};
use crate::output::Output;
use crate::render::json;
use crate::render::progress::total;
use crate::render::words::{by_state, some_names, tasks, there_are_no};

/// What can be cancelled, held and the like.
pub const UNFINISHED: [State; 3] = [State::Waiting, State::Ready, State::Running];
/// Names that a dry run shows.
const NAMES_MAX: u32 = 10;

#[derive(clap::Args, Debug)]
pub struct Sweep {
    /// Only say which tasks it would be
    #[arg(long)]
    pub dry_run: bool,

    // Last, for it has a heading of its own in the help.
    #[command(flatten)]
    filter: Filter,
}

impl Sweep {
    /// Every task is never meant by saying nothing, nor some of them by a name that is misspelt.
    pub fn selection(&self, hub: &mut Hub) -> Result<Selection, Failure> {
        let selection = self.filter.selection();
        let unknown = hub.unknown_names(&selection)?;
        if !unknown.is_empty() {
            let message = format!("{}\n  (nothing was changed)", there_are_no(&unknown));
            return Err(Failure::new(Exit::Refused, message));
        }
        match selection {
            selection if selection == Selection::default() => {
                Err(Failure::new(Exit::Usage, "which tasks?")
                    .hint("name them, or say --state, --failed, --prefix, --worker, --since, --exit-code or --held")
                    .hint("all of them: '*'"))
            }
            selection => Ok(selection),
        }
    }

    /// Only says which tasks would be touched, of those in one of these states.
    pub fn tell(
        &self,
        verb: &str,
        touches: &[State],
        hub: &mut Hub,
        out: Output,
    ) -> Result<Exit, Failure> {
        let selection = touched(self.selection(hub)?, touches);
        let (counts, names) = match &selection {
            None => Default::default(),
            Some(selection) => {
                let counts = count(selection, hub)?;
                let list = wire::List {
                    selection: Some(selection.clone()),
                    limit: NAMES_MAX,
                    ..Default::default()
                };
                let page = ask!(hub, List(list) => Listed);
                (counts, page.tasks.into_iter().map(|task| task.name).collect::<Vec<_>>())
            }
        };
        let n = total(&counts);
        let counted = json::counts(&counts);
        let value = json!({ "dry_run": true, "tasks": n, "counts": counted, "names": names });
        let sentence = || match n {
            0 => format!("no task would be {verb}"),
            n => format!(
                "{} would be {verb} ({}): {}",
                tasks(n),
                by_state(&counts).join(", "),
                some_names(&names, n)
            ),
        };
        out.result(sentence, value)?;
        Ok(Exit::Ok)
    }

    /// A whole run is gone with one wrong word. Without a terminal nobody can be asked.
    pub fn is_meant(&self, touches: &[State], hub: &mut Hub) -> Result<bool, Failure> {
        let selection = self.selection(hub)?;
        if is_only_names(&selection) {
            return Ok(true);
        }
        if !stdin().is_terminal() || !stderr().is_terminal() {
            let message = "cancelling tasks that are not named one by one takes --yes when no terminal is there";
            return Err(
                Failure::new(Exit::Usage, message).hint("--dry-run says which tasks it would be")
            );
        }
        let counts = match touched(selection, touches) {
            Some(selection) => count(&selection, hub)?,
            None => Counts::default(),
        };
        if total(&counts) == 0 {
            return Ok(true);
        }
        let question =
            format!("cancel {} ({})? [y/N] ", tasks(total(&counts)), by_state(&counts).join(", "));
        let _ = stderr().write_all(question.as_bytes());
        let mut answer = String::new();
        // Unreadable is not yes.
        let _ = stdin().read_line(&mut answer);
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

fn count(selection: &Selection, hub: &mut Hub) -> Result<Counts, Failure> {
    let request = wire::Count { selection: Some(selection.clone()) };
    Ok(ask!(hub, Count(request) => Counted).counts.unwrap_or_default())
}

/// Those of the selection that are in one of these states; None: none can be.
pub(super) fn touched(mut selection: Selection, touches: &[State]) -> Option<Selection> {
    let touches = touches.iter().map(|&state| wire::State::from(state) as i32);
    match selection.states.is_empty() {
        true => selection.states = touches.collect(),
        false => {
            let touches: Vec<i32> = touches.collect();
            selection.states.retain(|state| touches.contains(state));
        }
    }
    Some(selection).filter(|selection| !selection.states.is_empty())
}

/// `hold`, `unhold` and `priority`; `done` says in a word what was done.
pub fn adjust(
    sweep: &Sweep,
    change: adjust::Change,
    done: &str,
    hub: &mut Hub,
    out: Output,
) -> Result<Exit, Failure> {
    if sweep.dry_run {
        return sweep.tell(done, &UNFINISHED, hub, out);
    }
    let mut selection = sweep.selection(hub)?;
    // Only those have to be let go.
    selection.held |= change == adjust::Change::Held(false) && !is_only_names(&selection);
    let selection = Some(selection);
    let adjusted = ask!(hub, Adjust(wire::Adjust { selection, change: Some(change) }) => Adjusted);
    let value = json!({
        "adjusted": adjusted.adjusted,
        "refused": json::refused(&adjusted.refused),
    });
    out.result(|| format!("{} {done}", tasks(adjusted.adjusted)), value)?;
    Ok(tell_refused(&adjusted.refused, adjusted.refused_total))
}
