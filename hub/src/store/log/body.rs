//! What a record says: the changes of a turn, in words of its version. Those of the engine may become others; a hub
//! reads what a hub of an older version left.

mod v5;
mod v6;

use std::io;

use serde::Serialize;

use crate::engine::message::{Change, Turn};
use crate::engine::scheduler::Counts;
use crate::store::tables::fold::Batch;

/// What is written. The newest digit of a record's magic.
pub const VERSION: u8 = 6;
/// What can be read.
pub const VERSIONS: [u8; 2] = [5, VERSION];

pub struct RecordBody {
    pub version: u8,
    pub bytes: Vec<u8>,
}

/// Appends it to a record.
pub fn encode(
    at_ms: i64,
    changes: &[Change],
    counts: &Counts,
    record: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let body = (at_ms, counts.numbers(), v6::Changes(changes));
    append(&body, record)
}

fn append(body: &impl Serialize, record: Vec<u8>) -> io::Result<Vec<u8>> {
    postcard::to_extend(body, record).map_err(io::Error::other)
}

/// None: it makes no sense.
pub fn decode(turn: Turn, body: &RecordBody) -> Option<Batch> {
    let (at_ms, numbers, changes) = match body.version {
        5 => v5::decode(&body.bytes)?,
        VERSION => v6::decode(&body.bytes)?,
        _ => return None,
    };
    Some(Batch { turn, at_ms, changes, counts: Counts::from(numbers) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::*;

    /// One of each kind, with all that it can say.
    fn changes() -> Vec<Change> {
        let client = Some([7; 16]);
        let details = Some(Box::new(Details {
            command: Some("run".into()),
            time_limit_ms: 9,
            dir: Some("d".into()),
            env: Some(r#"["A=1"]"#.into()),
            stdin: Some([8, 9].into()),
        }));
        let definition = 6_840_028_416_809_089_948;
        let (name, needs) = ("ü".into(), Vec::new());
        let task = NewTask { name, needs, definition, priority: -1, retries: 2, details };
        let report = Report {
            exit_code: -3,
            reason: Some("why".into()),
            output: Some([1, 2].into()),
            output_file: Some("o".into()),
            left_behind: 3,
            run_ms: Some(300),
        };
        let state = State::Failed;
        vec![
            Change::Missing { id: 1, name: "x".into() },
            Change::Added { id: 2, task: Box::new(task), needs: vec![1], adopted: false },
            Change::Needs { task: 2, needs: vec![1] },
            Change::Worker {
                id: 1,
                who: Who { name: "w".into(), id: client, key: "k".into(), ..Who::default() },
            },
            Change::Host { id: 1, host: "h".into() },
            Change::Leased { task: 2, attempt: 1, worker: 1, client, number: 4, term_ms: 5 },
            Change::Ended { task: 2, attempt: 1, worker: 1, how: Ended::Failed, report },
            Change::Back { task: 2, attempt: 1, failures: 1, reclaims: 0 },
            Change::Finished { task: 2, state, attempt: 1, failures: 1, reclaims: 0, blame: 2 },
            Change::Blamed { task: 2, blame: 1 },
            Change::Reopened { task: 2 },
            Change::Adjusted { task: 2, held: true, priority: 7 },
            Change::Key { id: 1, key: "k#01".into() },
            Change::Told {
                number: 300,
                tag: Tag { key: "k".into(), token: [6; 16], sum: 7 },
                progress: Progress { after: 8, counts: [9, 10] },
                reply: Some([11, 12].into()),
            },
            Change::Untold { number: 300 },
        ]
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let hex = hex.trim();
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whoever changes what is written makes another version.
    #[test]
    fn what_this_version_writes_is_known_and_read() {
        let counts = Counts::from([0, 1, 2, 3, 4, 500, 6, 7, 8]);
        let written = encode(-5, &changes(), &counts, Vec::new()).expect("a body");
        assert_eq!(hex(&written), include_str!("body/v6.txt").trim());
        let batch =
            decode(9, &RecordBody { version: VERSION, bytes: written }).expect("it is read");
        assert_eq!((batch.turn, batch.at_ms, batch.counts), (9, -5, counts));
        assert_eq!(batch.changes, changes());
    }

    #[test]
    fn what_version_5_wrote_is_read() {
        let body = RecordBody { version: 5, bytes: bytes(include_str!("body/v5.txt")) };
        let batch = decode(9, &body).expect("it is read");
        assert_eq!((batch.turn, batch.at_ms, batch.counts), (9, 0, Counts::default()));
        // It had none of an end, or of what a person adjusts.
        let is_there =
            |it: &Change| !matches!(it, Change::Finished { .. } | Change::Adjusted { .. });
        let expected: Vec<Change> = changes().into_iter().filter(is_there).collect();
        assert_eq!(batch.changes, expected);
    }

    #[test]
    fn what_makes_no_sense_is_not_read() {
        let mut bytes = encode(0, &changes(), &Counts::default(), Vec::new()).expect("a body");
        assert!(decode(1, &RecordBody { version: 7, bytes: bytes.clone() }).is_none());
        bytes.truncate(bytes.len() - 1);
        assert!(decode(1, &RecordBody { version: VERSION, bytes }).is_none());
        let no_state = v6::Changes(&[Change::Reopened { task: 1 }]);
        let mut bytes = append(&(0_i64, [0_u64; 9], no_state), Vec::new()).expect("a body");
        bytes.pop();
        bytes.pop();
        // An end of which there is no such state.
        bytes.extend([9, 1, 99, 1, 0, 0, 0]);
        assert!(decode(1, &RecordBody { version: VERSION, bytes }).is_none());
    }
}
