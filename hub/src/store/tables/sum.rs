//! The sums over what a task's row says: of what is to be run, and of what that needs. A lease is given only for a
//! row that has its sums.
//!
//! The checksums of the pages tell what a disk changed. These tell a row that was wrong when it was
//! written, or that was put there by another. Of what is to be run it is a CRC-32,
//! which misses one wrong row of four billion; of what that needs 30 bits of one, which miss one of a billion. Both
//! are in one column. What a task needs has a sum of its own there, since
//! more may come to it later, and since a start looks at it without reading commands.

use crc32fast::Hasher;

use crate::engine::message::{Details, TaskId};
use crate::store::tables::row::parse_ids;

/// Of a row that was found damaged, by a rescue that gave its task up: it is given out no more.
pub const GIVEN_UP: i64 = i64::MIN;

/// In the upper half: there is a sum of what the task needs.
const HAS_NEEDS: i64 = 1 << 30;

/// What the column has of a row that is written now.
pub fn column(run: i32, id: TaskId, needs: &[TaskId]) -> i64 {
    (HAS_NEEDS | of_needs(id, needs)) << 32 | i64::from(run as u32)
}

/// The row is run as it was written.
pub fn fits_run(column: i64, run: i32) -> bool {
    column != GIVEN_UP && column as i32 == run
}

/// It needs what it needed when it was written.
pub fn fits_needs(column: i64, id: TaskId, needs: &[TaskId]) -> bool {
    is_without(column) || column >> 32 == HAS_NEEDS | of_needs(id, needs)
}

/// The column, and the list, after more needs have come to it. What was wrong stays so.
pub fn with_more(column: i64, id: TaskId, list: Option<&str>, more: &[TaskId]) -> i64 {
    match parse_ids(list) {
        // What it needed before has no sum.
        Some(needs) if is_without(column) && !needs.is_empty() => column,
        Some(mut needs) if fits_needs(column, id, &needs) => {
            needs.extend(more);
            self::column(column as i32, id, &needs)
        }
        _ => column,
    }
}

/// Written before needs had a sum.
fn is_without(column: i64) -> bool {
    i32::try_from(column).is_ok()
}

fn of_needs(id: TaskId, needs: &[TaskId]) -> i64 {
    let mut sum = Hasher::new();
    for id in std::iter::once(&id).chain(needs) {
        sum.update(&id.to_le_bytes());
    }
    i64::from(sum.finalize()) & (HAS_NEEDS - 1)
}

/// Over all that is run, and stays as it was when the task was added.
pub fn of_run(
    id: TaskId,
    name: &str,
    definition: u64,
    retries: u32,
    details: Option<&Details>,
) -> i32 {
    let mut sum = Hasher::new();
    for number in [id, definition, retries.into()] {
        sum.update(&number.to_le_bytes());
    }
    let limit = details.map_or(0, |details| details.time_limit_ms);
    sum.update(&limit.to_le_bytes());
    let fields = match details {
        None => [None; 4],
        Some(details) => [
            details.command.as_deref().map(str::as_bytes),
            details.dir.as_deref().map(str::as_bytes),
            details.env.as_deref().map(str::as_bytes),
            details.stdin.as_deref(),
        ],
    };
    for field in std::iter::once(Some(name.as_bytes())).chain(fields) {
        // What is not there is not the same as nothing.
        let size = field.map_or(u64::MAX, |bytes| bytes.len() as u64);
        sum.update(&size.to_le_bytes());
        sum.update(field.unwrap_or_default());
    }
    sum.finalize() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_that_are_not_as_they_were_written_do_not_fit() {
        for run in [0, 7, -7, i32::MIN, i32::MAX] {
            for needs in [&[][..], &[4], &[4, 5], &[4, 5, 6]] {
                let column = column(run, 9, needs);
                assert!(fits_run(column, run) && !fits_run(column, run ^ 1));
                for other in [&[][..], &[4], &[5], &[4, 5], &[5, 4], &[6, 7], &[4, 5, 6]] {
                    assert_eq!(fits_needs(column, 9, other), other == needs, "{needs:?} {other:?}");
                }
                assert!(!fits_needs(column, 10, needs), "another task's");
            }
        }
        assert!(!fits_run(GIVEN_UP, 0) && !fits_needs(GIVEN_UP, 9, &[]));
    }

    #[test]
    fn what_comes_later_is_in_the_sum_and_puts_nothing_right() {
        let sound = column(3, 9, &[4]);
        assert_eq!(with_more(sound, 9, Some("4"), &[5, 6]), column(3, 9, &[4, 5, 6]));
        assert_eq!(with_more(column(3, 9, &[]), 9, None, &[5]), column(3, 9, &[5]));
        let wrong = with_more(sound, 9, Some("7"), &[5]);
        assert!(!fits_needs(wrong, 9, &[7, 5]));
        assert_eq!(with_more(sound, 9, Some("x"), &[5]), sound);
    }

    #[test]
    fn a_row_of_before_is_believed_what_it_needs() {
        for run in [0, -1, i32::MAX] {
            let before = i64::from(run);
            assert!(fits_run(before, run) && fits_needs(before, 9, &[4, 5]));
            // What it has had from now on has a sum, unless it had some before.
            assert_eq!(with_more(before, 9, None, &[5]), column(run, 9, &[5]));
            assert_eq!(with_more(before, 9, Some("4"), &[5]), before);
        }
    }
}
