//! A look at a frame before it is decoded.
//!
//! Two bytes can stand for a task of a hundred, so a message of 64 MiB could take gigabytes of
//! memory before its tasks are counted. Here its fields are counted first, in place.

use dhub_proto::Message;
use dhub_proto::limits::{BATCH_TASKS_MAX, CREATE_NEEDS_MAX};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A smaller frame cannot become large.
const SMALL_BYTES: usize = 64 * 1024;
/// Fields of one kind of things that a valid request can have so many of.
const ITEMS_MAX: usize = BATCH_TASKS_MAX + 100;
/// Fields of all tasks of a valid request: each has up to eight, and all have their dependencies and
/// their environment (in the dwork dialect: the two parts of each dependency).
const FIELDS_MAX: usize = 8 * BATCH_TASKS_MAX + 3 * CREATE_NEEDS_MAX;

/// Which dialect a frame is of decides where its tasks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Request or report, body, task.
    Native,
    /// Message, task, dependency.
    Dwork,
}

/// Whether a frame has no more parts than a valid request can have. One that is no protobuf passes:
/// decoding it fails as early as the count does.
pub fn is_bounded(frame: &[u8], shape: Shape) -> bool {
    if frame.len() <= SMALL_BYTES {
        return true;
    }
    let limits = match shape {
        Shape::Native => [ITEMS_MAX, ITEMS_MAX, FIELDS_MAX],
        Shape::Dwork => [ITEMS_MAX, FIELDS_MAX, FIELDS_MAX],
    };
    let mut left = limits;
    count(frame, &mut left)
}

/// Takes off what is there, level by level; false if one has too much.
fn count(mut message: &[u8], left: &mut [usize]) -> bool {
    let Some((fields, deeper)) = left.split_first_mut() else {
        return true;
    };
    while !message.is_empty() {
        let Ok((tag, wire_type)) = decode_key(&mut message) else {
            return true;
        };
        match fields.checked_sub(1) {
            Some(rest) => *fields = rest,
            None => return false,
        }
        if wire_type != WireType::LengthDelimited {
            if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
                return true;
            }
            continue;
        }
        let length =
            decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
        let Some((inner, rest)) = length.and_then(|length| message.split_at_checked(length)) else {
            return true;
        };
        // A text is taken for a message too: that counts no more than its bytes, once.
        if !count(inner, deeper) {
            return false;
        }
        message = rest;
    }
    true
}

/// The id of a native request, for the reply to one that is not decoded.
pub fn request_id(frame: &[u8]) -> u64 {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Head {
        #[prost(uint64, tag = "8")]
        id: u64,
    }
    Head::decode(frame).map_or(0, |head| head.id)
}

#[cfg(test)]
mod tests {
    use dhub_proto::dwork::{Dep, QueryMsg, TaskMsg};
    use dhub_proto::wire::{Create, Request, Task, request::Body};

    use super::*;

    fn create(tasks: Vec<Task>) -> Vec<u8> {
        Request { id: 7, body: Some(Body::Create(Create { tasks })), ..Request::default() }
            .encode_to_vec()
    }

    #[test]
    fn the_largest_valid_requests_pass() {
        let task = |i: usize| Task {
            name: format!("task {i}"),
            needs: vec!["a".into(); CREATE_NEEDS_MAX / BATCH_TASKS_MAX],
            command: "run".into(),
            priority: -1,
            retries: 1,
            time_limit_ms: 1,
            ..Task::default()
        };
        let frame = create((0..BATCH_TASKS_MAX).map(task).collect());
        assert!(is_bounded(&frame, Shape::Native));
        assert_eq!(request_id(&frame), 7);
        let pred = || Dep { name: Some("a".into()), location: Some("b".into()) };
        let task = TaskMsg {
            name: Some("task".into()),
            origin: Some("host".into()),
            pred: (0..CREATE_NEEDS_MAX / BATCH_TASKS_MAX).map(|_| pred()).collect(),
            ..TaskMsg::default()
        };
        let query = QueryMsg { task: vec![task; BATCH_TASKS_MAX], ..QueryMsg::default() };
        assert!(is_bounded(&query.encode_to_vec(), Shape::Dwork));
    }

    #[test]
    fn what_would_take_gigabytes_does_not() {
        let tasks = create(vec![Task::default(); 200_000]);
        assert!(!is_bounded(&tasks, Shape::Native));
        let needs = Task { needs: vec![String::new(); 2_000_000], ..Task::default() };
        assert!(!is_bounded(&create(vec![needs]), Shape::Native));
        // The same Create again and again is one Create with all their tasks.
        let parts = create(vec![Task::default(); 40_000]).repeat(2);
        assert!(!is_bounded(&parts, Shape::Native));
        let query = QueryMsg { task: vec![TaskMsg::default(); 200_000], ..QueryMsg::default() };
        assert!(!is_bounded(&query.encode_to_vec(), Shape::Dwork));
    }

    #[test]
    fn what_is_no_protobuf_passes() {
        assert!(is_bounded(&vec![0xff; SMALL_BYTES + 1], Shape::Native));
        assert!(is_bounded(&vec![b'x'; SMALL_BYTES + 1], Shape::Dwork));
    }
}
