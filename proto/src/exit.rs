//! Exit codes: the same meaning in every tool. docs/operations.md has the table for users.

use std::process::ExitCode;

/// Why a tool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// Tasks failed, were skipped or cancelled.
    SomeFailed = 1,
    /// The command line is wrong (clap uses the same number).
    Usage = 2,
    /// Nothing is ready yet; tasks are unfinished.
    NothingReady = 3,
    /// Every task is finished.
    AllFinished = 4,
    /// What remains waits for names that nobody added.
    Stuck = 5,
    /// The hub refused: unknown name, conflict, cycle, stale, wrong state, limit.
    Refused = 6,
    /// No hub answers.
    NoHub = 7,
    /// An input file is wrong; nothing was sent.
    Input = 8,
    /// The operating system refused something: file, memory, process.
    System = 9,
    /// The time given is over.
    TimeOut = 10,
    /// The hub does not let this key in, or not do this.
    Denied = 11,
    /// Tasks failed one after the other, as on a machine that is broken.
    Failing = 12,
    /// This worker was told to leave.
    Drained = 13,
    /// Another hub has the file.
    FileInUse = 20,
    /// The file is of a newer version of dhub.
    FileNewer = 21,
    /// The file cannot be opened, or is not a hub's.
    FileUnusable = 22,
    /// An endpoint cannot be bound.
    Bind = 23,
    /// The disk takes nothing: full, over quota, read-only, failing. Nothing that was acknowledged is lost.
    Disk = 24,
    /// The file is on a network file system.
    NetworkFile = 25,
    /// The directory of the keys, or a file in it, or an access file, cannot be used.
    Keys = 26,
    /// Files of a running hub were removed, replaced or cut; what it had is in a new one.
    FileGone = 27,
    /// Something is lost or in doubt of what was to be saved.
    Incomplete = 28,
    /// The hub found an error of its own and stopped before it could do harm.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// For `--help` of the tools that talk to a hub.
pub const CLIENT_HELP: &str = "Exit codes:
   0  done                       1  some tasks failed, were skipped or cancelled
   2  wrong command line         3  nothing is ready yet
   4  everything is finished     5  the rest waits for names that nobody added
   6  refused by the hub         7  no hub answers
   8  wrong input file           9  the system refused something
  10  the time is over          11  the hub does not let this key in, or not do this
  13  this worker was told to leave
  22  the hub's file is damaged
  24  the disk takes nothing    26  the keys cannot be used";

/// For `dhub --help`.
pub const HUB_HELP: &str = "Exit codes:
   0  stopped as asked           2  wrong command line
   9  the system refused something
  11  the hub does not let this key in, or not do this
  20  the file is in use         21  the file is of a newer dhub
  22  the file cannot be used    23  an endpoint cannot be bound
  24  the disk takes nothing     25  the file is on a network file system
  26  the keys cannot be used    27  its files are gone; all is in a new one
  28  not all could be saved     70  the hub found an error of its own";

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = include_str!("../../docs/operations.md");

    /// The one after it: whoever adds one cannot forget it here.
    fn next(exit: Exit) -> Option<Exit> {
        Some(match exit {
            Exit::Ok => Exit::SomeFailed,
            Exit::SomeFailed => Exit::Usage,
            Exit::Usage => Exit::NothingReady,
            Exit::NothingReady => Exit::AllFinished,
            Exit::AllFinished => Exit::Stuck,
            Exit::Stuck => Exit::Refused,
            Exit::Refused => Exit::NoHub,
            Exit::NoHub => Exit::Input,
            Exit::Input => Exit::System,
            Exit::System => Exit::TimeOut,
            Exit::TimeOut => Exit::Denied,
            Exit::Denied => Exit::Failing,
            Exit::Failing => Exit::Drained,
            Exit::Drained => Exit::FileInUse,
            Exit::FileInUse => Exit::FileNewer,
            Exit::FileNewer => Exit::FileUnusable,
            Exit::FileUnusable => Exit::Bind,
            Exit::Bind => Exit::Disk,
            Exit::Disk => Exit::NetworkFile,
            Exit::NetworkFile => Exit::Keys,
            Exit::Keys => Exit::FileGone,
            Exit::FileGone => Exit::Incomplete,
            Exit::Incomplete => Exit::Internal,
            Exit::Internal => return None,
        })
    }

    #[test]
    fn the_table_for_users_has_each_code_and_no_other() {
        let table = DOCS.split("\n## Exit codes\n").nth(1).expect("a section");
        let table = table.split("\n## ").next().expect("a section");
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
        let codes = std::iter::successors(Some(Exit::Ok), |&exit| next(exit));
        let codes: Vec<_> = codes.map(|exit| format!("| {} | {exit:?} |", exit as u8)).collect();
        assert_eq!(rows.len(), codes.len());
        for (row, code) in rows.iter().zip(&codes) {
            assert!(row.starts_with(code), "{code}: {row}");
        }
        // What the help lists is there, under its program.
        for (help, program) in [(CLIENT_HELP, 'q'), (HUB_HELP, 'd')] {
            let numbers = help.split_whitespace().filter_map(|word| word.parse::<u8>().ok());
            for number in numbers {
                let row = rows.iter().find(|row| row.starts_with(&format!("| {number} |")));
                let of = row.and_then(|row| row.split('|').nth(3)).unwrap_or_default();
                assert!(of.contains(program), "{number} of {program}: {row:?}");
            }
        }
    }
}
