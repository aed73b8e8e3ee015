//! One frame, on the way that the hub takes it: `Server::take_request` and `take_report`.

use dhub::dialect::dwork;
use dhub::dialect::frame::{Shape, is_bounded};
use dhub::dialect::native;
use dhub::dialect::native::Asked;
use dhub::engine::message::*;
use dhub_proto::Message;
use dhub_proto::limits::*;
use dhub_proto::wire;

use crate::memory::peak_of;
use crate::reference;

/// What the hub makes of a frame.
pub enum Heard {
    Native(Asked),
    Dwork(dwork::Asked),
    /// Answered with an error.
    Refused,
}

/// Memory for what is decoded, beside the frame: an empty task has two bytes there.
const BYTES_FOR_ONE: usize = 300;
/// What a frame of few bytes may take, as messages of errors.
const BYTES_FOR_ALL: usize = 16 * 1024;
/// A frame of parts that are too many, and of too few bytes each, is not decoded at all.
const BYTES_FOR_LARGE: usize = 192 << 20;

/// As a request.
pub fn hear(frame: &[u8]) -> Heard {
    if dwork::is_dwork(frame) {
        if !is_bounded(frame, Shape::Dwork) {
            return Heard::Refused;
        }
        return dwork::decode(frame).map_or(Heard::Refused, Heard::Dwork);
    }
    if !is_bounded(frame, Shape::Native) {
        return Heard::Refused;
    }
    let Ok(request) = wire::Request::decode(frame) else {
        return Heard::Refused;
    };
    native::decode(request.body).map_or(Heard::Refused, Heard::Native)
}

/// As a report.
pub fn hear_report(frame: &[u8]) -> Option<Request> {
    let report = is_bounded(frame, Shape::Native).then(|| wire::Report::decode(frame));
    let Ok(wire::Report { body: Some(wire::report::Body::Heartbeat(heartbeat)) }) = report? else {
        return None;
    };
    native::decode_heartbeat(heartbeat).ok().map(|(request, _)| request)
}

/// Nothing in it makes the hub panic or take much memory, and what gets through is within all
/// limits and says the same when it is written and read again. True if something gets through.
pub fn check(frame: &[u8]) -> bool {
    let (heard, peak) = peak_of(|| hear(frame));
    let most = BYTES_FOR_ALL + (BYTES_FOR_ONE * frame.len()).min(8 * frame.len() + BYTES_FOR_LARGE);
    assert!(peak <= most, "{peak} bytes of memory for a request of {}", frame.len());
    match &heard {
        Heard::Native(asked) => native_is_valid(asked),
        Heard::Dwork(dwork::Asked::Request(request)) => request_is_valid(request),
        Heard::Dwork(dwork::Asked::Status) | Heard::Refused => {}
    }
    let (report, peak) = peak_of(|| hear_report(frame));
    assert!(peak <= most, "{peak} bytes of memory for a report of {}", frame.len());
    report.iter().for_each(request_is_valid);
    reads_back(frame, &heard);
    agrees_with_prost(frame, &heard);
    report.is_some() || !matches!(heard, Heard::Refused)
}

fn reads_back(frame: &[u8], heard: &Heard) {
    match heard {
        Heard::Native(asked) => {
            let request = wire::Request::decode(frame).expect("it was read before");
            let written = request.encode_to_vec();
            assert!(!dwork::is_dwork(&written), "a native request reads as dwork's when written");
            let Heard::Native(again) = hear(&written) else {
                panic!("a request is refused when it is written again");
            };
            assert_eq!(format!("{asked:?}"), format!("{again:?}"));
        }
        Heard::Dwork(asked) => {
            let query = dhub_proto::dwork::QueryMsg::decode(frame).expect("it was read before");
            let Heard::Dwork(again) = hear(&query.encode_to_vec()) else {
                panic!("a request is refused when it is written again");
            };
            assert_eq!(format!("{asked:?}"), format!("{again:?}"));
        }
        Heard::Refused => {}
    }
}

fn agrees_with_prost(frame: &[u8], heard: &Heard) {
    if dwork::is_dwork(frame) && is_bounded(frame, Shape::Dwork) {
        let asked = match heard {
            Heard::Dwork(asked) => Some(asked),
            _ => None,
        };
        let reference = reference::decode(frame);
        assert_eq!(format!("{asked:?}"), format!("{:?}", reference.as_ref()));
    }
}

fn native_is_valid(asked: &Asked) {
    match asked {
        Asked::Request(request) => request_is_valid(request),
        Asked::Heartbeat(request, load) => {
            request_is_valid(request);
            assert!(load.note.len() <= REASON_BYTES_MAX);
        }
        Asked::Show(name) => name_is_valid(name),
        Asked::Long(Long::List(list)) => {
            selection_is_valid(&list.selection);
            assert!((1..=PAGE_TASKS_MAX).contains(&list.limit));
            assert!(list.before == 0 || list.after == 0 && list.selection.names.is_empty());
        }
        Asked::Long(Long::Export(export)) => {
            selection_is_valid(&export.list.selection);
            assert!((1..=PAGE_TASKS_MAX).contains(&export.list.limit));
        }
        Asked::Long(Long::Sweep { selection, .. } | Long::Retry { selection, .. }) => {
            assert!(!selection.is_empty());
            selection_is_valid(selection);
        }
        Asked::Long(Long::Count(selection)) => selection_is_valid(selection),
        Asked::Workers { limit, .. } => assert!((1..=PAGE_WORKERS_MAX).contains(limit)),
        Asked::Long(Long::Steer { workers, order }) => {
            assert!((1..=STEER_NAMES_MAX).contains(&workers.len()) && *order != Order::None);
        }
        Asked::Long(Long::Backup { to }) => assert!(to.is_absolute()),
        Asked::Hello | Asked::Status | Asked::Reload | Asked::Shutdown => {}
    }
}

fn request_is_valid(request: &Request) {
    let body = &request.body;
    if let Some(who) = request.worker() {
        assert!((1..=WORKER_NAME_BYTES_MAX).contains(&who.name.len()) && !who.name.contains('\0'));
    }
    body.names().for_each(|name| name_is_valid(name));
    match body {
        Body::Create { tasks, .. } => {
            assert!(tasks.len() <= BATCH_TASKS_MAX);
            assert!(tasks.iter().map(|task| task.needs.len()).sum::<usize>() <= CREATE_NEEDS_MAX);
            tasks.iter().for_each(task_is_valid);
        }
        Body::Steal(steal) => steal_is_valid(steal),
        Body::Complete { outcomes, want } => {
            assert!(outcomes.len() <= BATCH_TASKS_MAX);
            want.iter().for_each(steal_is_valid);
            for Report { reason, output, .. } in outcomes.iter().map(|outcome| &outcome.report) {
                assert!(reason.as_ref().is_none_or(|reason| reason.len() <= REASON_BYTES_MAX));
                assert!(output.as_ref().is_none_or(|output| output.len() <= OUTPUT_BYTES_MAX));
            }
        }
        Body::Release { attempts, .. } | Body::Heartbeat { attempts } => {
            assert!(attempts.len() <= BATCH_TASKS_MAX);
        }
        Body::Wait { wait_ms } => assert!(*wait_ms <= WAIT_MS_MAX),
        Body::Cancel { names } | Body::Adjust { names, .. } => {
            assert!(names.len() <= BATCH_TASKS_MAX);
        }
        Body::Await { names, wait_ms, .. } => {
            assert!((1..=WAIT_NAMES_MAX).contains(&names.len()) && *wait_ms <= WAIT_MS_MAX);
        }
        Body::Exit => {}
        Body::Steer { .. }
        | Body::Revive { .. }
        | Body::Hasten { .. }
        | Body::Revoked { .. }
        | Body::Marked { .. }
        | Body::Undelivered { .. }
        | Body::Damaged { .. }
        | Body::Forget { .. }
        | Body::Tick => {
            panic!("nobody can ask for this: {body:?}");
        }
    }
}

fn name_is_valid(name: &str) {
    assert!((1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0'), "{name:?}");
}

fn task_is_valid(task: &NewTask) {
    name_is_valid(&task.name);
    task.needs.iter().for_each(|need| name_is_valid(need));
    assert!(task.needs.len() <= NEEDS_MAX && task.retries <= RETRIES_MAX);
    if let Some(details) = task.details.as_deref() {
        let Details { command, time_limit_ms, dir, env, stdin } = details;
        assert!(dir.as_ref().is_none_or(|dir| (1..=DIR_BYTES_MAX).contains(&dir.len())));
        // Quotes and commas of JSON, and what it escapes, come on top.
        assert!(env.as_ref().is_none_or(|env| env.len() <= 6 * ENV_BYTES_MAX + 2));
        assert!(stdin.as_ref().is_none_or(|stdin| (1..=STDIN_BYTES_MAX).contains(&stdin.len())));
        let fits = |command: &str| command.len() <= COMMAND_BYTES_MAX && !command.contains('\0');
        assert!(command.as_deref().is_none_or(fits));
        assert!(i64::try_from(*time_limit_ms).is_ok());
    }
}

fn steal_is_valid(steal: &Steal) {
    assert!(steal.n as usize <= STEAL_TASKS_MAX && steal.wait_ms <= WAIT_MS_MAX);
    assert!(steal.lease_ms == 0 || (1000..=LEASE_MS_MAX).contains(&steal.lease_ms));
    assert!(i64::try_from(steal.number).is_ok());
}

fn selection_is_valid(selection: &Selection) {
    selection.names.iter().for_each(|name| name_is_valid(name));
    assert!(selection.names.len() <= BATCH_TASKS_MAX);
    let patterns = [&selection.patterns, &selection.workers];
    patterns.into_iter().flatten().for_each(|pattern| name_is_valid(pattern));
    assert!(patterns.into_iter().all(|patterns| patterns.len() <= PATTERNS_MAX));
    assert!(selection.exit_codes.len() <= PATTERNS_MAX);
}
