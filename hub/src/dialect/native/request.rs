//! From a request on the wire to one for the scheduler, or to something to read.

use std::path::PathBuf;

use dhub_proto::limits::*;
use dhub_proto::wire::{self, request};
use serde_json::json;

use super::{Asked, definition, error, info};
use crate::dialect::check::*;
use crate::engine::message::*;

/// What a native request asks for.
pub fn decode(body: Option<request::Body>) -> Checked<Asked> {
    use request::Body as Wire;
    let Some(body) = body else {
        let message =
            format!("this hub of version {} does not know that request", dhub_proto::VERSION);
        return Err(error(wire::ErrorCode::ErrorUnsupported, message));
    };
    Ok(match body {
        Wire::Hello(_) => Asked::Hello,
        Wire::Create(create) => Asked::Request(decode_create(create)?),
        Wire::Steal(steal) => Asked::Request(decode_steal(steal)?),
        Wire::Complete(complete) => Asked::Request(decode_complete(complete)?),
        Wire::Release(release) => {
            let who = who(release.worker)?;
            let attempts = attempts(release.attempts)?;
            Asked::Request(Request::by(who, Body::Release { attempts, needs: Vec::new() }))
        }
        Wire::Heartbeat(heartbeat) => {
            let (request, load) = decode_heartbeat(heartbeat)?;
            Asked::Heartbeat(request, load)
        }
        Wire::Exit(exit) => Asked::Request(Request::by(who(exit.worker)?, Body::Exit)),
        Wire::Cancel(cancel) => {
            let selection = some_of(cancel.selection)?;
            match selection.is_only_names() {
                true => Asked::Request(Body::Cancel { names: selection.names }.into()),
                false => Asked::Long(Long::Sweep { selection, deed: Deed::Cancel }),
            }
        }
        Wire::Adjust(adjust) => {
            let selection = some_of(adjust.selection)?;
            let to = match adjust.change {
                Some(wire::adjust::Change::Held(held)) => Adjustment::Held(held),
                Some(wire::adjust::Change::Priority(priority)) => Adjustment::Priority(priority),
                None => return Err(invalid("the request does not say what is to be changed")),
            };
            match selection.is_only_names() {
                true => Asked::Request(Body::Adjust { names: selection.names, to }.into()),
                false => Asked::Long(Long::Sweep { selection, deed: Deed::Adjust(to) }),
            }
        }
        Wire::Retry(retry) => {
            let selection = some_of(retry.selection)?;
            Asked::Long(Long::Retry { selection, done: retry.done })
        }
        Wire::Count(count) => {
            let mut selection = selection(count.selection)?;
            without_repeats(&mut selection.names);
            Asked::Long(Long::Count(selection))
        }
        Wire::Status(_) => Asked::Status,
        Wire::List(list) if list.before > 0 && list.after > 0 => {
            return Err(invalid("a page is after a task or before one, not both"));
        }
        Wire::List(list)
            if list.before > 0
                && list.selection.as_ref().is_some_and(|it| !it.names.is_empty()) =>
        {
            return Err(invalid("a list of names has no page before"));
        }
        Wire::List(list) => Asked::Long(Long::List(List {
            selection: selection(list.selection)?,
            limit: match list.limit as usize {
                0 => 100,
                limit => limit.min(PAGE_TASKS_MAX),
            },
            after: list.after,
            before: list.before,
        })),
        Wire::Export(export) => Asked::Long(Long::Export(Export {
            list: List {
                selection: selection(export.selection)?,
                limit: match export.limit as usize {
                    0 => PAGE_TASKS_MAX,
                    limit => limit.min(PAGE_TASKS_MAX),
                },
                after: export.after,
                before: 0,
            },
            after_attempt: export.after_attempt,
            brief: export.brief,
        })),
        Wire::Show(show) => {
            name(&show.name)?;
            Asked::Show(show.name)
        }
        Wire::Wait(wait) => Asked::Request(decode_wait(wait)?),
        Wire::Shutdown(_) => Asked::Shutdown,
        Wire::Reload(_) => Asked::Reload,
        Wire::Steer(steer) => Asked::Long(decode_steer(steer)?),
        Wire::Workers(workers) => Asked::Workers {
            limit: match workers.limit as usize {
                0 => PAGE_WORKERS_MAX,
                limit => limit.min(PAGE_WORKERS_MAX),
            },
            after: WorkerId::try_from(workers.after)
                .map_err(|_| invalid("there is no such page of workers"))?,
        },
        Wire::Backup(backup) => {
            let to = PathBuf::from(backup.to);
            if !to.is_absolute() {
                return Err(invalid("a backup goes to an absolute path on the hub's machine"));
            }
            Asked::Long(Long::Backup { to })
        }
    })
}

fn decode_wait(wait: wire::Wait) -> Checked<Request> {
    let wait_ms = wait.wait_ms.min(WAIT_MS_MAX);
    if wait.names.is_empty() {
        return Ok(Body::Wait { wait_ms }.into());
    }
    if wait.names.len() > WAIT_NAMES_MAX {
        return Err(over("names in one Wait", wait.names.len(), WAIT_NAMES_MAX));
    }
    let mut names = names(wait.names)?;
    without_repeats(&mut names);
    Ok(Body::Await { names, wait_ms, output: wait.output }.into())
}

fn decode_create(create: wire::Create) -> Checked<Request> {
    if create.tasks.len() > BATCH_TASKS_MAX {
        return Err(over("tasks in one request", create.tasks.len(), BATCH_TASKS_MAX));
    }
    let needs = create.tasks.iter().map(|task| task.needs.len()).sum();
    if needs > CREATE_NEEDS_MAX {
        return Err(over("dependencies in one request", needs, CREATE_NEEDS_MAX));
    }
    let env = create.tasks.iter().map(|task| task.env.len()).sum();
    if env > CREATE_ENV_MAX {
        return Err(over("environment variables in one request", env, CREATE_ENV_MAX));
    }
    let tasks = create.tasks.into_iter().map(new_task).collect::<Checked<Vec<_>>>()?;
    Ok(Body::Create { tasks, merge: false }.into())
}

fn new_task(task: wire::Task) -> Checked<NewTask> {
    name(&task.name)?;
    if task.needs.len() > NEEDS_MAX {
        return Err(over(&format!("dependencies of '{}'", task.name), task.needs.len(), NEEDS_MAX));
    }
    for need in &task.needs {
        name(need)?;
    }
    if task.command.len() > COMMAND_BYTES_MAX {
        let what = format!("bytes in the command of '{}'", task.name);
        return Err(over(&what, task.command.len(), COMMAND_BYTES_MAX));
    }
    if task.command.contains('\0') {
        return Err(invalid(format!("the command of '{}' contains a NUL", task.name)));
    }
    if task.retries > RETRIES_MAX {
        return Err(over(
            &format!("retries of '{}'", task.name),
            task.retries as usize,
            RETRIES_MAX as usize,
        ));
    }
    if i64::try_from(task.time_limit_ms).is_err() {
        return Err(invalid(format!("the time limit of '{}' is too large", task.name)));
    }
    surroundings(&task)?;
    let text = |text: String| (!text.is_empty()).then(|| Name::from(text));
    let details = Details {
        command: text(task.command),
        time_limit_ms: task.time_limit_ms,
        dir: text(task.dir),
        env: (!task.env.is_empty()).then(|| json!(task.env).to_string().into()),
        stdin: (!task.stdin.is_empty()).then(|| task.stdin.into()),
    };
    let details = (details != Details::default()).then(|| Box::new(details));
    let mut needs: Vec<Name> = task.needs.into_iter().map(Name::from).collect();
    without_repeats(&mut needs);
    let definition = definition(&needs, task.priority, task.retries, details.as_deref());
    Ok(NewTask {
        name: task.name.into(),
        needs,
        definition,
        priority: task.priority,
        retries: task.retries,
        details,
    })
}

/// Where a task runs, and with what.
fn surroundings(task: &wire::Task) -> Checked<()> {
    let name = &task.name;
    if task.dir.len() > DIR_BYTES_MAX {
        return Err(over(
            &format!("bytes in the directory of '{name}'"),
            task.dir.len(),
            DIR_BYTES_MAX,
        ));
    }
    if task.dir.contains('\0') {
        return Err(invalid(format!("the directory of '{name}' contains a NUL")));
    }
    let env_bytes = task.env.iter().map(String::len).sum();
    if env_bytes > ENV_BYTES_MAX {
        return Err(over(
            &format!("bytes in the environment of '{name}'"),
            env_bytes,
            ENV_BYTES_MAX,
        ));
    }
    if task.env.iter().any(|entry| entry.contains('\0') || entry.find('=').unwrap_or(0) == 0) {
        let why = format!("the environment of '{name}' has an entry that is no NAME=VALUE");
        return Err(invalid(why));
    }
    if task.stdin.len() > STDIN_BYTES_MAX {
        let what = format!("bytes in the standard input of '{name}'");
        return Err(over(&what, task.stdin.len(), STDIN_BYTES_MAX));
    }
    Ok(())
}

fn decode_steal(steal: wire::Steal) -> Checked<Request> {
    let who = who(steal.worker)?;
    let steal = Steal {
        client: client(&steal.client)?.or(who.id),
        number: number(steal.number)?,
        n: steal_tasks(steal.n)?,
        wait_ms: steal.wait_ms.min(WAIT_MS_MAX),
        lease_ms: lease_ms(steal.lease_ms)?,
        stay: steal.stay,
        replaces: steal.replaces,
        slots: steal.slots,
        waiting: steal.waiting,
    };
    Ok(Request::by(who, Body::Steal(steal)))
}

fn decode_complete(complete: wire::Complete) -> Checked<Request> {
    let who = who(complete.worker)?;
    if complete.outcomes.len() > BATCH_TASKS_MAX {
        return Err(over("outcomes in one request", complete.outcomes.len(), BATCH_TASKS_MAX));
    }
    names_fit(complete.outcomes.iter().map(|outcome| outcome.name.as_str()))?;
    let outcomes = complete.outcomes.into_iter().map(outcome).collect::<Checked<Vec<_>>>()?;
    let want = match steal_tasks(complete.want)? {
        0 => None,
        n => Some(Steal {
            client: client(&complete.client)?.or(who.id),
            number: number(complete.number)?,
            n,
            wait_ms: 0,
            lease_ms: lease_ms(complete.lease_ms)?,
            stay: false,
            replaces: 0,
            slots: complete.slots,
            waiting: complete.waiting,
        }),
    };
    Ok(Request::by(who, Body::Complete { outcomes, want }))
}

fn outcome(outcome: wire::Outcome) -> Checked<Outcome> {
    name(&outcome.name)?;
    let verdict = match outcome.result() {
        wire::Result::Done => Verdict::Done,
        wire::Result::Failed => Verdict::Failed,
        wire::Result::Unspecified => {
            return Err(invalid(format!(
                "the outcome of '{}' says neither done nor failed",
                outcome.name
            )));
        }
    };
    // A tail is the end: what is over the limit is cut at the front.
    let cut = outcome.output.len().saturating_sub(OUTPUT_BYTES_MAX);
    let output = &outcome.output[cut..];
    let mut reason = outcome.reason;
    while reason.len() > REASON_BYTES_MAX {
        reason.pop();
    }
    Ok(Outcome {
        name: outcome.name.into(),
        attempt: outcome.attempt,
        verdict,
        is_final: outcome.r#final,
        report: Report {
            exit_code: outcome.exit_code,
            reason: (!reason.is_empty()).then(|| reason.into()),
            output: (!output.is_empty()).then(|| output.into()),
            // A path that is cut is another path.
            output_file: Some(outcome.output_file)
                .filter(|file| (1..=DIR_BYTES_MAX).contains(&file.len()))
                .map(Name::from),
            left_behind: outcome.left_behind,
            run_ms: outcome.run_ms,
        },
    })
}

fn decode_steer(steer: wire::Steer) -> Checked<Long> {
    let order = match steer.order() {
        wire::Order::Drain => Order::Drain,
        wire::Order::Stop => Order::Stop,
        wire::Order::Unspecified => {
            return Err(invalid("shall the workers drain or stop? the order says neither"));
        }
    };
    if steer.workers.is_empty() {
        return Err(invalid("which workers? name them; * stands for any text"));
    }
    if steer.workers.len() > STEER_NAMES_MAX {
        return Err(over("names in one request", steer.workers.len(), STEER_NAMES_MAX));
    }
    for name in &steer.workers {
        if !(1..=WORKER_NAME_BYTES_MAX).contains(&name.len()) {
            return Err(over("bytes in the name of a worker", name.len(), WORKER_NAME_BYTES_MAX));
        }
    }
    let mut workers = steer.workers.into_iter().map(Name::from).collect();
    without_repeats(&mut workers);
    Ok(Long::Steer { workers, order })
}

/// A heartbeat, and what the worker says of itself.
pub fn decode_heartbeat(heartbeat: wire::Heartbeat) -> Checked<(Request, Load)> {
    let mut note = heartbeat.note;
    while note.len() > REASON_BYTES_MAX {
        note.pop();
    }
    // A path that is cut is another path.
    let mut output_files = heartbeat.output_files;
    if output_files.len() > DIR_BYTES_MAX {
        output_files.clear();
    }
    let load = Load { sample: heartbeat.sample.map(info::read_sample), note, output_files };
    let who = who(heartbeat.worker)?;
    let attempts = attempts(heartbeat.attempts)?;
    Ok((Request::by(who, Body::Heartbeat { attempts }), load))
}
