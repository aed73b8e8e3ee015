//! The dwork dialect: programs written for dwork's hub work unchanged.
//!
//! One flat message of optionals, so each type has its own check of what may be there. Where
//! dwork's hub did harm (docs/protocol.md lists it), this one answers Error or NotFound.

use dhub_proto::Message;
use dhub_proto::dwork::{LogMsg, QueryMsg, TaskMsg, log_msg, query_msg::Type};
use dhub_proto::limits::*;
use dhub_proto::verb::Verb;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::dialect::fields::{Fields, Malformed, Value};
use crate::dialect::native::{definition, name as check_name, without_repeats};
use crate::engine::message::*;
use crate::engine::scheduler::{Counts, State};

/// What a dwork program asks for.
#[derive(Debug)]
pub enum Asked {
    Request(Request),
    Status,
}

impl Asked {
    /// What that is called in the native dialect; each needs the same role in both.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Status => Verb::Status,
            Self::Request(request) => match request.body {
                Body::Create { .. } => Verb::Create,
                Body::Steal(_) => Verb::Steal,
                Body::Complete { .. } => Verb::Complete,
                Body::Release { .. } => Verb::Release,
                Body::Exit => Verb::Exit,
                // Nothing else is made of a dwork request.
                _ => Verb::Shutdown,
            },
        }
    }
}

/// Is the frame of this dialect? It has a field below 8 at top level, or is no protobuf at all.
/// Native requests start at field 8.
pub fn is_dwork(frame: &[u8]) -> bool {
    let mut rest = frame;
    if rest.is_empty() {
        return true;
    }
    while !rest.is_empty() {
        let Ok((tag, wire_type)) = prost::encoding::decode_key(&mut rest) else {
            return true;
        };
        if tag < 8 {
            return true;
        }
        let context = prost::encoding::DecodeContext::default();
        if prost::encoding::skip_field(wire_type, tag, &mut rest, context).is_err() {
            return true;
        }
    }
    false
}

/// The fields of a request but its tasks, which are read in place later.
#[derive(Default)]
struct Query<'a> {
    kind: Option<i32>,
    tasks: usize,
    has_name: bool,
    n: Option<i32>,
    location: Option<&'a str>,
}

fn query(mut fields: Fields<'_>) -> Result<Query<'_>, Malformed> {
    let mut query = Query::default();
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => query.kind = Some(value.number()? as i32),
            2 => query.tasks += 1,
            3 => query.has_name = value.text().map(|_| true)?,
            4 => query.n = Some(value.number()? as i32),
            6 => query.location = Some(value.text()?),
            _ => {}
        }
    }
    Ok(query)
}

/// None: the request is not valid, and the reply is Error.
pub fn decode(frame: &[u8]) -> Option<Asked> {
    let fields = Fields::of(frame);
    let query = query(fields).ok()?;
    let kind = Type::try_from(query.kind?).ok()?;
    if query.tasks > BATCH_TASKS_MAX {
        return None;
    }
    let (has_tasks, has_name, has_n) = (query.tasks > 0, query.has_name, query.n.is_some());
    let mut tasks = Tasks { fields, names: 0, needs: 0 };
    match kind {
        Type::Create if has_tasks && !has_name && !has_n && query.location.is_none() => {
            let mut new = Vec::with_capacity(query.tasks);
            while let Some(task) = tasks.next().ok()? {
                new.push(new_task(task)?);
            }
            Some(Asked::Request(Body::Create { tasks: new, merge: true }.into()))
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
                // It runs one after the other.
                slots: 1,
                waiting: 0,
            };
            Some(Asked::Request(Request::by(who, Body::Steal(steal))))
        }
        Type::Complete if has_tasks && !has_name && !has_n => {
            let who = who(query.location)?;
            let mut outcomes = Vec::with_capacity(query.tasks);
            while let Some(task) = tasks.next().ok()? {
                let name = checked(task.name)?;
                let report = Report::default();
                outcomes.push(Outcome {
                    name,
                    attempt: 0,
                    verdict: Verdict::Done,
                    is_final: false,
                    report,
                });
            }
            tasks.names_fit().then_some(())?;
            Some(Asked::Request(Request::by(who, Body::Complete { outcomes, want: None })))
        }
        Type::Transfer if has_tasks && !has_name && !has_n => {
            let who = who(query.location)?;
            let (mut attempts, mut needs) = (Vec::new(), Vec::new());
            // Named twice, it cannot be given back twice.
            let mut seen = std::collections::HashSet::new();
            while let Some(task) = tasks.next().ok()? {
                if !seen.insert(task.name) {
                    return None;
                }
                let task = new_task(task)?;
                attempts.push(AttemptRef { name: task.name, attempt: 0, started: false });
                needs.push(task.needs);
            }
            tasks.names_fit().then_some(())?;
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

fn who(location: Option<&str>) -> Option<Who> {
    let name = location?;
    let valid = (1..=WORKER_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
    valid.then(|| Who { name: name.into(), ..Who::default() })
}

fn checked(name: &str) -> Option<Name> {
    check_name(name).ok()?;
    Some(name.into())
}

/// The tasks of a request, one after the other.
struct Tasks<'a> {
    fields: Fields<'a>,
    /// Bytes of the names so far.
    names: usize,
    /// Dependencies so far.
    needs: usize,
}

/// A task with all that is required of it, at every level.
struct Task<'a> {
    name: &'a str,
    fields: Fields<'a>,
    needs: usize,
}

impl<'a> Tasks<'a> {
    /// What is refused goes back by name, and a reply has its limit too.
    fn names_fit(&self) -> bool {
        self.names <= NAMES_BYTES_MAX
    }

    fn next(&mut self) -> Result<Option<Task<'a>>, Malformed> {
        while let Some((tag, value)) = self.fields.next()? {
            if tag == 2 {
                let task = task(self.fields.within(value)?)?;
                self.names += task.name.len();
                self.needs += task.needs;
                let fits = self.needs <= CREATE_NEEDS_MAX;
                return if fits { Ok(Some(task)) } else { Err(Malformed) };
            }
        }
        Ok(None)
    }
}

fn task(mut fields: Fields<'_>) -> Result<Task<'_>, Malformed> {
    let start = fields;
    let (mut name, mut has_origin, mut needs) = (None, false, 0);
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => name = Some(value.text()?),
            2 => has_origin = value.text().map(|_| true)?,
            4 => {
                dependency(&fields, value)?;
                needs += 1;
            }
            5 => dependency(&fields, value).map(drop)?,
            6 => log(&fields, value)?,
            _ => {}
        }
    }
    let name = name.filter(|_| has_origin).ok_or(Malformed)?;
    Ok(Task { name, fields: start, needs })
}

fn dependency<'a>(task: &Fields<'a>, value: Value<'a>) -> Result<&'a str, Malformed> {
    let mut name = None;
    let mut fields = task.within(value)?;
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => name = Some(value.text()?),
            2 => value.text().map(drop)?,
            _ => {}
        }
    }
    name.ok_or(Malformed)
}

fn log<'a>(task: &Fields<'a>, value: Value<'a>) -> Result<(), Malformed> {
    let (mut state, mut has_time) = (None, false);
    let mut fields = task.within(value)?;
    while let Some((tag, value)) = fields.next()? {
        match tag {
            1 => state = Some(value.number()? as i32),
            2 => has_time = value.number().map(|_| true)?,
            _ => {}
        }
    }
    let is_known = state.is_some_and(|state| log_msg::State::try_from(state).is_ok());
    if is_known && has_time { Ok(()) } else { Err(Malformed) }
}

fn new_task(task: Task<'_>) -> Option<NewTask> {
    let name = checked(task.name)?;
    let mut needs: Vec<Name> = Vec::with_capacity(task.needs);
    let mut fields = task.fields;
    while needs.len() < task.needs
        && let Some((tag, value)) = fields.next().ok()?
    {
        if tag == 4 {
            needs.push(checked(dependency(&fields, value).ok()?)?);
        }
    }
    without_repeats(&mut needs);
    let definition = definition(&needs, 0, 0, None);
    Some(NewTask { name, needs, definition, priority: 0, retries: 0, details: None })
}

fn reply(kind: Type) -> QueryMsg {
    QueryMsg { r#type: Some(kind.into()), ..QueryMsg::default() }
}

/// The reply to whatever is not valid.
pub fn error() -> QueryMsg {
    reply(Type::Error)
}

pub fn status(counts: &Counts) -> QueryMsg {
    let ready = counts.of(State::Ready);
    QueryMsg {
        name: Some(format!("dhub: {} active tasks, {ready} ready.", counts.unfinished())),
        n: Some(i32::try_from(ready).unwrap_or(i32::MAX)),
        ..reply(Type::Ok)
    }
}

fn not_found<'a>(names: impl Iterator<Item = &'a Name>, host: &str) -> QueryMsg {
    let task = |name: &Name| TaskMsg {
        name: Some(name.to_string()),
        origin: Some(host.into()),
        ..TaskMsg::default()
    };
    QueryMsg { task: names.map(task).collect(), ..reply(Type::NotFound) }
}

/// The frame that a dwork program hears of an answer. `host` and `now_us` go into stolen tasks.
pub fn encode(answer: &Answer, host: &str, now_us: i64) -> Option<Vec<u8>> {
    let reply = match answer {
        // One that left is as unknown as one that never came.
        Answer::Exited { again: true, .. } => reply(Type::NotFound),
        Answer::Created { .. } | Answer::Exited { .. } => reply(Type::Ok),
        // A drained worker of dwork's leaves as if all were finished.
        Answer::Stolen(stolen) if stolen.leases.is_empty() => reply(match stolen.phase {
            _ if stolen.order != Order::None => Type::Exit,
            Phase::Finished => Type::Exit,
            Phase::Empty | Phase::Active | Phase::Stuck => Type::NotFound,
        }),
        Answer::Stolen(stolen) => return Some(encode_stolen(stolen, host, now_us)),
        Answer::Completed { refused, .. } | Answer::Released { refused, .. } => {
            let unknown = |refused: &&Refused| refused.code == Code::NotFound;
            if refused.iter().any(|refused| unknown(&refused)) {
                not_found(refused.iter().filter(unknown).map(|refused| &refused.name), host)
            } else if refused.is_empty() {
                reply(Type::Ok)
            } else {
                error()
            }
        }
        Answer::Error { code: Code::NotFound, .. } => reply(Type::NotFound),
        Answer::Error { .. } => error(),
        Answer::Replaced | Answer::Joined { .. } | Answer::Forgotten => return None,
        Answer::Heartbeaten { .. }
        | Answer::Steered
        | Answer::Listed { .. }
        | Answer::Exported { .. }
        | Answer::Counted { .. }
        | Answer::EndedTasks { .. }
        | Answer::Told { .. }
        | Answer::BackedUp { .. }
        | Answer::Cancelled { .. }
        | Answer::Revived { .. }
        | Answer::Adjusted { .. }
        | Answer::Awaited { .. }
        | Answer::Waited { .. } => error(),
    };
    Some(reply.encode_to_vec())
}

/// A Transfer of the tasks. They differ in their names alone, so all else is written once.
fn encode_stolen(stolen: &Stolen, host: &str, now_us: i64) -> Vec<u8> {
    let log = LogMsg { state: Some(log_msg::State::Stolen.into()), time: Some(now_us) };
    let rest = TaskMsg { origin: Some(host.into()), log: vec![log], ..TaskMsg::default() };
    let rest = rest.encode_to_vec();
    let mut frame = reply(Type::Transfer).encode_to_vec();
    frame.reserve(stolen.leases.iter().map(|lease| lease.name.len() + rest.len() + 10).sum());
    for lease in &stolen.leases {
        let name = lease.name.as_bytes();
        let length = 1 + encoded_len_varint(name.len() as u64) + name.len() + rest.len();
        encode_key(2, WireType::LengthDelimited, &mut frame);
        encode_varint(length as u64, &mut frame);
        encode_key(1, WireType::LengthDelimited, &mut frame);
        encode_varint(name.len() as u64, &mut frame);
        frame.extend_from_slice(name);
        frame.extend_from_slice(&rest);
    }
    frame
}
