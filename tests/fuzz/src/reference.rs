//! dwork's dialect, read by way of prost: what the hub's own reader has to agree with.

use dhub::dialect::dwork::Asked;
use dhub::dialect::native::{definition, name as check_name, without_repeats};
use dhub::engine::message::*;
use dhub_proto::Message;
use dhub_proto::dwork::{QueryMsg, TaskMsg, log_msg, query_msg::Type};
use dhub_proto::limits::*;

/// None: the request is not valid, and the reply is Error.
pub fn decode(frame: &[u8]) -> Option<Asked> {
    let query = QueryMsg::decode(frame).ok()?;
    let kind = Type::try_from(query.r#type?).ok()?;
    let (has_tasks, has_name, has_n) =
        (!query.task.is_empty(), query.name.is_some(), query.n.is_some());
    let needs: usize = query.task.iter().map(|task| task.pred.len()).sum();
    if query.task.len() > BATCH_TASKS_MAX || needs > CREATE_NEEDS_MAX {
        return None;
    }
    // What is refused goes back by name, and a reply has its limit too.
    let names: usize =
        query.task.iter().filter_map(|task| task.name.as_ref()).map(String::len).sum();
    if kind != Type::Create && names > NAMES_BYTES_MAX {
        return None;
    }
    match kind {
        Type::Create if has_tasks && !has_name && !has_n && query.location.is_none() => {
            let tasks = query.task.into_iter().map(new_task).collect::<Option<_>>()?;
            Some(Asked::Request(Body::Create { tasks, merge: true }.into()))
        }
        Type::Steal if !has_tasks && !has_name => {
            let who = who(query.location)?;
            let n = u32::try_from(query.n.unwrap_or(1))
                .ok()
                .filter(|n| (1..=STEAL_TASKS_MAX as u32).contains(n))?;
            let steal = Steal {
                client: None,
                number: 0,
                n,
                wait_ms: 0,
                lease_ms: 0,
                stay: false,
                replaces: 0,
                slots: 1,
                waiting: 0,
            };
            Some(Asked::Request(Request::by(who, Body::Steal(steal))))
        }
        Type::Complete if has_tasks && !has_name && !has_n => {
            let who = who(query.location)?;
            let outcomes = query.task.into_iter().map(outcome).collect::<Option<_>>()?;
            Some(Asked::Request(Request::by(who, Body::Complete { outcomes, want: None })))
        }
        Type::Transfer if has_tasks && !has_name && !has_n => {
            let who = who(query.location)?;
            let (mut attempts, mut needs) = (Vec::new(), Vec::new());
            // Named twice, it cannot be given back twice.
            let mut seen = std::collections::HashSet::new();
            if !query.task.iter().all(|task| seen.insert(task.name.as_deref())) {
                return None;
            }
            for task in query.task {
                let task = new_task(task)?;
                attempts.push(AttemptRef { name: task.name, attempt: 0, started: false });
                needs.push(task.needs);
            }
            Some(Asked::Request(Request::by(who, Body::Release { attempts, needs })))
        }
        Type::Ok if !has_tasks && !has_name && !has_n && query.location.is_none() => {
            Some(Asked::Status)
        }
        Type::Exit if !has_tasks && !has_name && !has_n => {
            Some(Asked::Request(Request::by(who(query.location)?, Body::Exit)))
        }
        _ => None,
    }
}

fn who(location: Option<String>) -> Option<Who> {
    let name = location?;
    let valid = (1..=WORKER_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
    valid.then(|| Who { name: name.into(), ..Who::default() })
}

/// Required fields are there, at every level; prost does not look.
fn task_name(task: &TaskMsg) -> Option<Name> {
    let name = task.name.as_deref()?;
    task.origin.as_deref()?;
    let deps_named = task.pred.iter().chain(&task.succ).all(|dep| dep.name.is_some());
    let known = |state| log_msg::State::try_from(state).is_ok();
    let log_whole = task.log.iter().all(|log| log.state.is_some_and(known) && log.time.is_some());
    if !deps_named || !log_whole {
        return None;
    }
    check_name(name).ok()?;
    Some(name.into())
}

fn new_task(task: TaskMsg) -> Option<NewTask> {
    let name = task_name(&task)?;
    let mut needs: Vec<Name> = Vec::with_capacity(task.pred.len());
    for pred in task.pred {
        let pred = pred.name?;
        check_name(&pred).ok()?;
        needs.push(pred.into());
    }
    without_repeats(&mut needs);
    let definition = definition(&needs, 0, 0, None);
    Some(NewTask { name, needs, definition, priority: 0, retries: 0, details: None })
}

fn outcome(task: TaskMsg) -> Option<Outcome> {
    let name = task_name(&task)?;
    Some(Outcome {
        name,
        attempt: 0,
        verdict: Verdict::Done,
        is_final: false,
        report: Report::default(),
    })
}
