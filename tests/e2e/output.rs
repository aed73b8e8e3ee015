//! What a program said, and how it ended.

use serde_json::Value;

#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub what: String,
    pub stdout: String,
    pub stderr: String,
    /// None: ended by a signal.
    pub code: Option<i32>,
}

impl Output {
    /// Ended with this exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Ended well; what it printed.
    #[track_caller]
    pub fn ok(&self) -> &str {
        self.exits(0);
        &self.stdout
    }

    /// Its standard error has all of these.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.stderr.contains(part), "no '{part}' in {self:#?}");
        }
        self
    }

    /// Its standard output has all of these.
    #[track_caller]
    pub fn prints(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.stdout.contains(part), "no '{part}' in {self:#?}");
        }
        self
    }

    /// What happened is on one line that begins with the program's name; advice may follow,
    /// indented. Never a stack trace.
    #[track_caller]
    pub fn is_one_message(&self) -> &Self {
        let mut lines = self.stderr.lines();
        let first = lines.next().unwrap_or_default();
        let program = self.what.split(' ').next().unwrap_or_default();
        assert!(first.starts_with(&format!("{program}: ")), "{self:#?}");
        assert!(lines.all(|line| line.starts_with("  ")), "more than one message: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).expect("a line of JSON");
        self.stdout.lines().map(parse).collect()
    }
}
