//! Room for the open files of all slots.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides those of the tasks: sockets, and those of a start.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files if the slots need it; an error if the hard one forbids it.
pub fn make_room(slots: usize) -> Result<(), String> {
    let needed = slots as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|&maximum| maximum < needed) {
        return Err(format!(
            "{slots} slots need {needed} open files, but only {maximum} are allowed (ulimit -n)"
        ));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|error| format!("{slots} slots need {needed} open files (ulimit -n): {error}"))
}
