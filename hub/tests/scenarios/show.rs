//! How answers are written.

use std::fmt::Write as _;

use dhub::engine::message::*;

use crate::common::WORKER_TIMEOUT_MS;

fn show_attempts<'a>(attempts: impl Iterator<Item = (&'a Name, u32)>) -> String {
    let all: Vec<String> = attempts.map(|(name, attempt)| format!("{name}#{attempt}")).collect();
    if all.is_empty() { "nothing".into() } else { all.join(" ") }
}

fn show_lost(lost: &[(Name, u32)]) -> String {
    if lost.is_empty() {
        return String::new();
    }
    let lost = lost.iter().map(|(name, attempt)| (name, *attempt));
    format!(", lost {}", show_attempts(lost))
}

fn show_order(order: Order) -> &'static str {
    match order {
        Order::None => "",
        Order::Drain => ", drain",
        Order::Stop => ", stop",
    }
}

fn show_stolen(stolen: &Stolen) -> String {
    let leases = show_attempts(stolen.leases.iter().map(|lease| (&lease.name, lease.attempt)));
    let mut line = match stolen.leases.is_empty() {
        true => format!("nothing, {:?}", stolen.phase).to_lowercase(),
        false => leases,
    };
    if let Some(lease) = stolen.leases.iter().find(|lease| lease.term_ms != WORKER_TIMEOUT_MS) {
        let _ = write!(line, " for {}s", lease.term_ms / 1000);
    }
    if stolen.not_done > 0 {
        let _ = write!(line, ", {} not done", stolen.not_done);
    }
    line + &show_lost(&stolen.lost) + show_order(stolen.order)
}

fn show_refused(refused: &[Refused]) -> String {
    let mut line = String::new();
    for Refused { name, attempt, code, message } in refused {
        let _ = write!(line, "; {name}#{attempt} refused, {code:?}: {message}");
    }
    line
}

fn show_names(names: &[Name]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(" ") }
}

pub fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Created { added, existing, ready } => {
            format!("added {added}, existing {existing}, ready {ready}")
        }
        Answer::Stolen(stolen) => show_stolen(stolen),
        Answer::Completed { refused, stolen } => {
            let stolen = stolen
                .as_ref()
                .map_or(String::new(), |stolen| format!("; {}", show_stolen(stolen)));
            format!("ok{}{stolen}", show_refused(refused))
        }
        Answer::Released { released, refused } => {
            format!("released {released}{}", show_refused(refused))
        }
        Answer::Heartbeaten { lost, order } => {
            format!("ok{}{}", show_lost(lost), show_order(*order))
        }
        Answer::Steered => "ok".into(),
        Answer::Exited { released, again } => {
            format!("released {released}{}", if *again { ", again" } else { "" })
        }
        Answer::Cancelled { cancelled, refused } => {
            format!("cancelled {cancelled}{}", show_refused(&refused.first))
        }
        Answer::Adjusted { adjusted, refused } => {
            format!("adjusted {adjusted}{}", show_refused(&refused.first))
        }
        Answer::Awaited { finished, unknown, .. } => {
            let mut line = format!("finished {}", show_names(finished));
            if !unknown.is_empty() {
                let _ = write!(line, ", unknown {}", show_names(unknown));
            }
            line
        }
        Answer::Revived { .. }
        | Answer::Listed { .. }
        | Answer::Exported { .. }
        | Answer::Counted { .. }
        | Answer::EndedTasks { .. }
        | Answer::Told { .. }
        | Answer::BackedUp { .. } => panic!("only jobs answer so"),
        Answer::Waited { phase } => format!("{phase:?}").to_lowercase(),
        Answer::Error { code, message, names } => {
            format!("{code:?}: {message} [{}]", names.join(" "))
        }
        Answer::Replaced => "replaced".into(),
        Answer::Forgotten => "forgotten".into(),
        Answer::Joined { .. } => "joined by its repeat".into(),
    }
}
