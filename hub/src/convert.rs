//! The native dialect: from wire messages to commands, and from answers back.
//!
//! No generated type goes further in. Every field is checked here: prost enforces nothing.

use dhub_proto::limits::*;
use dhub_proto::wire::{self, reply, request};
use hashbrown::HashSet;

use crate::scheduler::State;
use crate::scheduler::message::*;

/// What a request asks for: a command to the scheduler, or something to read.
#[derive(Debug)]
pub enum Asked {
    Command(Command),
    Heartbeat(Command, Load),
    Hello,
    Status,
    Show(String),
    Long(Long),
    Reload,
    Shutdown,
}

/// What may touch millions of tasks. Equal ones are the same request, sent again.
#[derive(Clone, Debug, PartialEq)]
pub enum Long {
    List(List),
    CancelByState(Selection),
    Retry { selection: Selection, done: bool },
    Backup { to: std::path::PathBuf },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub names: Vec<Name>,
    pub states: Vec<State>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub selection: Selection,
    pub limit: usize,
    pub after: TaskId,
}

/// A worker's own words, next to its heartbeat.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub sample: Option<wire::Sample>,
    pub note: String,
}

type Checked<T> = Result<T, wire::Error>;

pub fn error(code: wire::ErrorCode, message: impl Into<String>) -> wire::Error {
    wire::Error { code: code.into(), message: message.into(), names: Vec::new() }
}

fn invalid(message: impl Into<String>) -> wire::Error {
    error(wire::ErrorCode::ErrorInvalid, message)
}

fn over(what: &str, has: usize, limit: usize) -> wire::Error {
    error(wire::ErrorCode::ErrorLimit, format!("{what}: {has}, the limit is {limit}"))
}

/// The command or question of a native request.
pub fn decode(ticket: Ticket, body: Option<request::Body>) -> Checked<Asked> {
    use request::Body;
    let Some(body) = body else {
        let message =
            format!("this hub of version {} does not know that request", dhub_proto::VERSION);
        return Err(error(wire::ErrorCode::ErrorUnsupported, message));
    };
    Ok(match body {
        Body::Hello(_) => Asked::Hello,
        Body::Create(create) => Asked::Command(decode_create(ticket, create)?),
        Body::Steal(steal) => Asked::Command(decode_steal(ticket, steal)?),
        Body::Complete(complete) => Asked::Command(decode_complete(ticket, complete)?),
        Body::Release(release) => Asked::Command(Command::Release {
            ticket,
            who: who(release.worker)?,
            needs: Vec::new(),
            attempts: attempts(release.attempts)?,
        }),
        Body::Heartbeat(heartbeat) => {
            let (command, load) = decode_heartbeat(Some(ticket), heartbeat)?;
            Asked::Heartbeat(command, load)
        }
        Body::Exit(exit) => Asked::Command(Command::Exit { ticket, who: who(exit.worker)? }),
        Body::Cancel(cancel) => {
            let selection = selection(cancel.selection)?;
            match (selection.names.is_empty(), selection.states.is_empty()) {
                (true, true) => return Err(invalid("which tasks? name them, or their states")),
                (false, true) => Asked::Command(Command::Cancel { ticket, names: selection.names }),
                _ => Asked::Long(Long::CancelByState(selection)),
            }
        }
        Body::Retry(retry) => {
            let selection = selection(retry.selection)?;
            if selection.names.is_empty() && selection.states.is_empty() {
                return Err(invalid("which tasks? name them, or their states"));
            }
            Asked::Long(Long::Retry { selection, done: retry.done })
        }
        Body::Status(_) => Asked::Status,
        Body::List(list) => Asked::Long(Long::List(List {
            selection: selection(list.selection)?,
            limit: match list.limit as usize {
                0 => 100,
                limit => limit.min(PAGE_TASKS_MAX),
            },
            after: list.after,
        })),
        Body::Show(show) => {
            name(&show.name)?;
            Asked::Show(show.name)
        }
        Body::Wait(wait) => {
            Asked::Command(Command::Wait { ticket, wait_ms: wait.wait_ms.min(WAIT_MS_MAX) })
        }
        Body::Shutdown(_) => Asked::Shutdown,
        Body::Reload(_) => Asked::Reload,
        Body::Backup(backup) => {
            let to = std::path::PathBuf::from(backup.to);
            if !to.is_absolute() {
                return Err(invalid("a backup goes to an absolute path on the hub's machine"));
            }
            Asked::Long(Long::Backup { to })
        }
    })
}

/// The name of a task, checked.
pub fn name(name: &str) -> Checked<()> {
    match name.len() {
        0 => Err(invalid("a task needs a name")),
        n if n > NAME_BYTES_MAX => {
            let start: String = name.chars().take(40).collect();
            Err(over(&format!("bytes in the name '{start}...'"), n, NAME_BYTES_MAX))
        }
        _ if name.contains('\0') => Err(invalid("a name must not contain a NUL")),
        _ => Ok(()),
    }
}

/// All names of a request: those that are refused go back in the reply, which has its limit too.
fn names_fit<'a>(names: impl Iterator<Item = &'a str>) -> Checked<()> {
    match names.map(str::len).sum() {
        bytes if bytes > NAMES_BYTES_MAX => {
            Err(over("bytes of names in one request", bytes, NAMES_BYTES_MAX))
        }
        _ => Ok(()),
    }
}

fn decode_create(ticket: Ticket, create: wire::Create) -> Checked<Command> {
    if create.tasks.len() > BATCH_TASKS_MAX {
        return Err(over("tasks in one request", create.tasks.len(), BATCH_TASKS_MAX));
    }
    let needs = create.tasks.iter().map(|task| task.needs.len()).sum();
    if needs > CREATE_NEEDS_MAX {
        return Err(over("dependencies in one request", needs, CREATE_NEEDS_MAX));
    }
    let tasks = create.tasks.into_iter().map(new_task).collect::<Checked<Vec<_>>>()?;
    Ok(Command::Create { ticket, tasks, merge: false })
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
    let details = (!task.command.is_empty() || task.time_limit_ms > 0).then(|| {
        let command = (!task.command.is_empty()).then(|| task.command.into());
        Box::new(Details { command, time_limit_ms: task.time_limit_ms })
    });
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

/// Fewer names are compared with each other, without a table.
const FEW_NAMES: usize = 16;

/// In the order of the first mention.
pub fn without_repeats(names: &mut Vec<Name>) {
    if names.len() <= FEW_NAMES {
        let is_repeat = |i: usize| names[..i].contains(&names[i]);
        if !(1..names.len()).any(is_repeat) {
            return;
        }
    }
    let mut seen = HashSet::with_capacity(names.len());
    let first: Vec<bool> = names.iter().map(|name| seen.insert(&**name)).collect();
    drop(seen);
    let mut first = first.into_iter();
    names.retain(|_| first.next() == Some(true));
}

/// FNV-1a over all that defines a task. It is stored, so it must stay the same in all versions.
pub fn definition(needs: &[Name], priority: i32, retries: u32, details: Option<&Details>) -> u64 {
    if needs.is_empty() && priority == 0 && retries == 0 && details.is_none() {
        return PLAIN;
    }
    let mut hash = FNV_START;
    let mut sorted: Vec<&str> = needs.iter().map(|need| &**need).collect();
    sorted.sort_unstable();
    sorted.dedup();
    for need in sorted {
        hash = fnv_field(hash, need.as_bytes());
    }
    hash = fnv_field(hash, &priority.to_le_bytes());
    hash = fnv_field(hash, &retries.to_le_bytes());
    let command = details.and_then(|details| details.command.as_deref());
    hash = fnv_field(hash, command.unwrap_or("").as_bytes());
    fnv_field(hash, &details.map_or(0, |details| details.time_limit_ms).to_le_bytes())
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Of a task with nothing but a name, as most are.
const PLAIN: u64 =
    fnv_field(fnv_field(fnv_field(fnv_field(FNV_START, &[0; 4]), &[0; 4]), b""), &[0; 8]);

/// The length, then the bytes.
const fn fnv_field(hash: u64, bytes: &[u8]) -> u64 {
    fnv(fnv(hash, &(bytes.len() as u32).to_le_bytes()), bytes)
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

fn who(worker: Option<wire::Worker>) -> Checked<Who> {
    let worker =
        worker.ok_or_else(|| invalid("the request does not say which worker it is from"))?;
    match worker.name.len() {
        0 => return Err(invalid("a worker needs a name")),
        n if n > WORKER_NAME_BYTES_MAX => {
            return Err(over("bytes in the name of the worker", n, WORKER_NAME_BYTES_MAX));
        }
        _ if worker.name.contains('\0') => return Err(invalid("a name must not contain a NUL")),
        _ => {}
    }
    Ok(Who { name: worker.name.into(), id: client(&worker.id)? })
}

fn client(id: &[u8]) -> Checked<Option<ClientId>> {
    if id.is_empty() {
        return Ok(None);
    }
    match id.try_into() {
        Ok(id) => Ok(Some(id)),
        Err(_) => {
            Err(invalid(format!("an id has {CLIENT_ID_BYTES} bytes, this one has {}", id.len())))
        }
    }
}

fn lease_ms(ms: u64) -> Checked<u64> {
    match ms {
        0 => Ok(0),
        1..1000 => Err(invalid("a lease lasts at least 1,000 ms")),
        ms if ms > LEASE_MS_MAX => {
            Err(over("milliseconds of the lease", ms as usize, LEASE_MS_MAX as usize))
        }
        ms => Ok(ms),
    }
}

fn steal_tasks(n: u32) -> Checked<u32> {
    if n as usize > STEAL_TASKS_MAX {
        return Err(over("tasks to steal at once", n as usize, STEAL_TASKS_MAX));
    }
    Ok(n)
}

/// Numbers are stored, and SQLite's are signed.
fn number(number: u64) -> Checked<u64> {
    if i64::try_from(number).is_err() {
        return Err(invalid("the number of a steal is at most 2^63 - 1"));
    }
    Ok(number)
}

fn decode_steal(ticket: Ticket, steal: wire::Steal) -> Checked<Command> {
    let who = who(steal.worker)?;
    let steal = Steal {
        client: client(&steal.client)?.or(who.id),
        number: number(steal.number)?,
        n: steal_tasks(steal.n)?,
        wait_ms: steal.wait_ms.min(WAIT_MS_MAX),
        lease_ms: lease_ms(steal.lease_ms)?,
        stay: steal.stay,
    };
    Ok(Command::Steal { ticket, who, steal })
}

fn decode_complete(ticket: Ticket, complete: wire::Complete) -> Checked<Command> {
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
        }),
    };
    Ok(Command::Complete { ticket, who, outcomes, want })
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
        report: Report {
            exit_code: outcome.exit_code,
            reason: (!reason.is_empty()).then(|| reason.into()),
            output: (!output.is_empty()).then(|| output.into()),
        },
    })
}

fn attempts(attempts: Vec<wire::Attempt>) -> Checked<Vec<AttemptRef>> {
    if attempts.len() > BATCH_TASKS_MAX {
        return Err(over("attempts in one request", attempts.len(), BATCH_TASKS_MAX));
    }
    names_fit(attempts.iter().map(|attempt| attempt.name.as_str()))?;
    let attempt = |attempt: wire::Attempt| {
        name(&attempt.name)?;
        Ok(AttemptRef {
            name: attempt.name.into(),
            attempt: attempt.attempt,
            started: attempt.started,
        })
    };
    attempts.into_iter().map(attempt).collect()
}

/// A heartbeat, and what the worker says of itself.
pub fn decode_heartbeat(
    ticket: Option<Ticket>,
    heartbeat: wire::Heartbeat,
) -> Checked<(Command, Load)> {
    let mut note = heartbeat.note;
    while note.len() > REASON_BYTES_MAX {
        note.pop();
    }
    let load = Load { sample: heartbeat.sample, note };
    let who = who(heartbeat.worker)?;
    let attempts = attempts(heartbeat.attempts)?;
    Ok((Command::Heartbeat { ticket, who, attempts }, load))
}

fn selection(selection: Option<wire::Selection>) -> Checked<Selection> {
    let Some(selection) = selection else {
        return Ok(Selection::default());
    };
    if selection.names.len() > BATCH_TASKS_MAX {
        return Err(over("names in one request", selection.names.len(), BATCH_TASKS_MAX));
    }
    names_fit(selection.names.iter().map(String::as_str))?;
    let mut states = Vec::new();
    for number in &selection.states {
        states.push(
            from_wire(*number).ok_or_else(|| invalid(format!("there is no state {number}")))?,
        );
    }
    for n in &selection.names {
        name(n)?;
    }
    Ok(Selection { names: selection.names.into_iter().map(Name::from).collect(), states })
}

fn from_wire(state: i32) -> Option<State> {
    use State::*;
    [Missing, Waiting, Ready, Running, Done, Failed, Skipped, Cancelled]
        .into_iter()
        .find(|known| *known as i32 == state)
}

// --- answers ---------------------------------------------------------------------------------

pub fn phase(phase: Phase) -> wire::Phase {
    match phase {
        Phase::Empty => wire::Phase::Empty,
        Phase::Active => wire::Phase::Active,
        Phase::Stuck => wire::Phase::Stuck,
        Phase::Finished => wire::Phase::Finished,
    }
}

fn code(code: Code) -> wire::ErrorCode {
    match code {
        Code::Limit => wire::ErrorCode::ErrorLimit,
        Code::NotFound => wire::ErrorCode::ErrorNotFound,
        Code::Conflict => wire::ErrorCode::ErrorConflict,
        Code::Cycle => wire::ErrorCode::ErrorCycle,
        Code::Stale => wire::ErrorCode::ErrorStale,
        Code::State => wire::ErrorCode::ErrorState,
        Code::Busy => wire::ErrorCode::ErrorBusy,
    }
}

pub fn refused(refused: &Refused) -> wire::Refused {
    wire::Refused {
        name: refused.name.to_string(),
        attempt: refused.attempt,
        code: code(refused.code).into(),
        message: refused.message.into(),
    }
}

fn all_refused(all: &[Refused]) -> Vec<wire::Refused> {
    all.iter().map(refused).collect()
}

fn lost(lost: &[(Name, u32)]) -> Vec<wire::Attempt> {
    let attempt = |(name, attempt): &(Name, u32)| wire::Attempt {
        name: name.to_string(),
        attempt: *attempt,
        started: false,
    };
    lost.iter().map(attempt).collect()
}

/// `details` fetches what the store has for a lease.
fn stolen<E>(
    stolen: &Stolen,
    details: &mut impl FnMut(TaskId) -> Result<Details, E>,
) -> Result<wire::Stolen, E> {
    let mut leases = Vec::with_capacity(stolen.leases.len());
    for lease in &stolen.leases {
        let details = if lease.has_details { details(lease.id)? } else { Details::default() };
        leases.push(wire::Lease {
            name: lease.name.to_string(),
            attempt: lease.attempt,
            command: details.command.map(String::from).unwrap_or_default(),
            time_limit_ms: details.time_limit_ms,
            term_ms: lease.term_ms,
        });
    }
    Ok(wire::Stolen {
        leases,
        phase: phase(stolen.phase).into(),
        not_done: stolen.not_done,
        lost: lost(&stolen.lost),
        drain: false,
    })
}

/// The reply to a command; None if nobody waits for it. `progress` tells the counts of now, and the
/// tasks done a second.
pub fn encode<E>(
    answer: &Answer,
    progress: impl FnOnce() -> (wire::Counts, f64),
    mut details: impl FnMut(TaskId) -> Result<Details, E>,
) -> Result<Option<reply::Body>, E> {
    use reply::Body;
    Ok(Some(match answer {
        Answer::Created { added, existing, ready } => {
            Body::Created(wire::Created { added: *added, existing: *existing, ready: *ready })
        }
        Answer::Stolen(answer) => Body::Stolen(stolen(answer, &mut details)?),
        Answer::Completed { refused, stolen: leases } => Body::Completed(wire::Completed {
            refused: all_refused(refused),
            stolen: leases.as_ref().map(|leases| stolen(leases, &mut details)).transpose()?,
        }),
        Answer::Released { released, refused } => {
            Body::Released(wire::Released { released: *released, refused: all_refused(refused) })
        }
        Answer::Heartbeaten { lost: attempts } => {
            Body::Heartbeaten(wire::Heartbeaten { lost: lost(attempts), drain: false })
        }
        Answer::Exited { released } => Body::Exited(wire::Exited { released: *released }),
        Answer::Cancelled { cancelled, refused } => Body::Cancelled(wire::Cancelled {
            cancelled: *cancelled,
            refused_total: refused.len() as u64,
            refused: all_refused(refused),
        }),
        Answer::Revived { retried, unskipped, refused } => Body::Retried(wire::Retried {
            retried: *retried,
            unskipped: *unskipped,
            refused_total: refused.len() as u64,
            refused: all_refused(refused),
        }),
        Answer::Waited { phase: at } => {
            let (counts, done_per_s) = progress();
            let phase = phase(*at).into();
            Body::Waited(wire::Waited { phase, counts: Some(counts), done_per_s })
        }
        Answer::Error { code: why, message, names } => Body::Error(wire::Error {
            code: code(*why).into(),
            message: message.clone(),
            names: names.iter().take(ERROR_NAMES_MAX).map(|name| name.to_string()).collect(),
        }),
        Answer::Replaced | Answer::Joined { .. } => return Ok(None),
    }))
}
