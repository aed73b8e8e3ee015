//! What tasks wrote about themselves: which ran, how often, in which order.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

/// A file to which each task appends its name when it ends.
pub struct Log {
    path: PathBuf,
}

impl Log {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The names, in order; none while there is no file.
    pub fn names(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The names, sorted.
    pub fn sorted(&self) -> Vec<String> {
        let mut names = self.names();
        names.sort();
        names
    }

    pub fn len(&self) -> usize {
        let bytes = fs::read(&self.path).unwrap_or_default();
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Each of the tasks ran, at most `times` times, and none before all that it needs had run.
#[track_caller]
pub fn check_order(log: &Log, tasks: &[(String, Vec<String>)], times: usize) {
    let names = log.names();
    let mut ran: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        ran.entry(name).or_default().push(at);
    }
    for (name, needs) in tasks {
        let at = ran.get(name.as_str()).unwrap_or_else(|| panic!("'{name}' never ran"));
        assert!(at.len() <= times, "'{name}' ran {} times", at.len());
        for need in needs {
            let before = ran.get(need.as_str()).is_some_and(|need| need[0] < at[0]);
            assert!(before, "'{name}' ran before '{need}'");
        }
    }
    assert_eq!(ran.len(), tasks.len(), "something ran that was never added");
}
