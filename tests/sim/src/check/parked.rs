//! Nobody waits for what is there, and nobody is woken for nothing.

use std::collections::BTreeSet;

use dhub::engine::message::*;
use dhub::engine::scheduler::Scheduler;

use super::Check;
use super::orders::Orders;
use crate::message::Ask;

/// A request that the hub keeps parked.
pub struct Parked<'a> {
    pub ask: &'a Ask,
    pub since: Millis,
}

/// What is still parked after a turn had better have nothing to wait for.
pub fn parked_have_to_wait<'a>(
    scheduler: &Scheduler,
    orders: &Orders,
    keeps_out: impl Fn(&Who) -> bool,
    may_have: impl Fn(&Who) -> u64,
    now: Millis,
    mut parked: impl Iterator<Item = Parked<'a>>,
) -> Check {
    let mut clients = BTreeSet::new();
    parked.try_for_each(|parked| {
        let Ask::Request(Request { who, body, .. }) = parked.ask else {
            return Ok(());
        };
        match body {
            Body::Steal(steal) => {
                losses_are_told(scheduler, who)?;
                let worker = scheduler.worker_id(who);
                if orders.has_news(worker, who) {
                    let order = orders.of(worker);
                    return Err(format!("{} is parked and is not told to {order:?}", who.name));
                }
                if steal.client.is_some() && !clients.insert((&who.key, steal.client)) {
                    return Err(format!("two steals of one client of {} are parked", who.name));
                }
                if steal.n > 0 && orders.of(worker) == Order::None {
                    let ready = if keeps_out(who) { 0 } else { may_have(who) };
                    nothing_is_ready(scheduler, who, steal, ready)?;
                }
                is_not_over(now, parked.since + steal.wait_ms, &format!("steal of {}", who.name))
            }
            Body::Wait { wait_ms } => {
                if matches!(scheduler.phase(), Phase::Stuck | Phase::Finished) {
                    return Err("a Wait is parked although all is at rest".into());
                }
                is_not_over(now, parked.since + wait_ms, "Wait")
            }
            Body::Await { names, wait_ms, .. } => {
                none_is_finished(scheduler, names)?;
                is_not_over(now, parked.since + wait_ms, "Wait for tasks")
            }
            other => Err(format!("is not answered in its turn: {other:?}")),
        }
    })
}

/// No lost wake-up.
fn nothing_is_ready(scheduler: &Scheduler, who: &Who, steal: &Steal, ready: u64) -> Check {
    if steal.n > 0 && ready > 0 {
        return Err(format!("a steal of {} is parked while {ready} tasks are ready", who.name));
    }
    let at_rest = matches!(scheduler.phase(), Phase::Stuck | Phase::Finished);
    if steal.n > 0 && !steal.stay && at_rest {
        return Err(format!("a steal of {} is parked although all is at rest", who.name));
    }
    Ok(())
}

/// A parked steal that is answered, and perhaps with nothing.
pub struct Woken<'a> {
    pub who: &'a Who,
    pub steal: &'a Steal,
    pub stolen: &'a Stolen,
    pub is_over: bool,
    pub is_silent: bool,
    pub is_sent_away: bool,
    pub has_orders: bool,
}

/// Or it would ask again at once, and again.
pub fn woken_for_a_reason(it: Woken) -> Check {
    let Woken { who, steal, stolen, .. } = it;
    let has_news = !stolen.leases.is_empty() || !stolen.lost.is_empty() || it.has_orders;
    let at_rest = matches!(stolen.phase, Phase::Stuck | Phase::Finished);
    let may_leave = at_rest && steal.n > 0 && !steal.stay;
    let is_asked = steal.n > 0 && it.is_silent;
    match has_news || may_leave || is_asked || it.is_over || it.is_sent_away {
        true => Ok(()),
        false => {
            Err(format!("a parked steal of {} is answered with nothing, for nothing", who.name))
        }
    }
}

/// A finished task leaves memory.
fn none_is_finished(scheduler: &Scheduler, names: &[Name]) -> Check {
    let unfinished =
        |name: &&Name| scheduler.find(name).is_some_and(|task| !task.state.is_finished());
    match names.iter().find(|name| !unfinished(name)) {
        Some(name) => Err(format!("a Wait for '{name}' is parked although that is finished")),
        None => Ok(()),
    }
}

fn losses_are_told(scheduler: &Scheduler, who: &Who) -> Check {
    let worker = scheduler.worker_id(who).and_then(|id| scheduler.worker(id));
    match worker.and_then(|worker| worker.lost().first()) {
        Some((name, attempt)) if who.id.is_some() => Err(format!(
            "{} is parked and is not told that it lost attempt {attempt} of '{name}'",
            who.name
        )),
        _ => Ok(()),
    }
}

fn is_not_over(now: Millis, until: Millis, what: &str) -> Check {
    if until <= now {
        return Err(format!("a {what} is parked {} ms longer than it may be", now - until));
    }
    Ok(())
}
