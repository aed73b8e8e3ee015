//! A file of tasks: read, checked and put in order before anything is sent.
//!
//! A million lines must fit in little memory: the file is one buffer from which names are
//! borrowed; each name is kept once and is a number (u32) everywhere else.

mod jsonl;
mod lines;
mod order;
mod template;

use std::borrow::Cow;
use std::hash::BuildHasher;

use dhub_proto::exit::Exit;
use dhub_proto::limits::{COMMAND_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, NEEDS_MAX};
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::failure::Failure;
use crate::render::words::{number, plain};

pub use template::Template;

/// No task: the name is only a dependency so far.
const NOBODY: u32 = u32::MAX;
/// Numbers of names, lines and dependencies have 32 bits; each takes a byte of the file at least.
const FILE_BYTES_MAX: usize = u32::MAX as usize - 1;
/// Room for what surrounds a single task in a message.
const FRAME_BYTES: usize = 4096;

/// How the lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `name,dep,dep`
    Lines,
    /// A JSON object on each line.
    Json,
}

pub struct TaskFile<'a> {
    /// For messages.
    file: &'a str,
    names: Vec<Cow<'a, str>>,
    /// The task of each name, by the name's number.
    owners: Vec<u32>,
    index: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    tasks: Vec<Task>,
    needs: Vec<u32>,
    /// The last task that named each name, plus one: finds a dependency named twice.
    seen: Vec<u32>,
    /// By task; empty for a file that has only names.
    details: Vec<Details<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    name: u32,
    line: u32,
    needs_end: u32,
}

/// A name's number and its hash, so that a table that grows does not read all names again.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    name: u32,
}

impl Entry {
    /// 32 bits spread over the 64 that the table looks at.
    fn spread(self) -> u64 {
        u64::from(self.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What a line says besides names; what it leaves out comes from the command line.
#[derive(Debug, Default)]
pub struct Details<'a> {
    pub command: Cow<'a, str>,
    pub priority: Option<i32>,
    pub retries: Option<u32>,
    pub time_limit_ms: Option<u64>,
    /// Few have any.
    pub surroundings: Option<Box<Surroundings>>,
}

/// Where a task runs, and with what.
#[derive(Debug, Default, PartialEq)]
pub struct Surroundings {
    pub dir: Option<String>,
    /// NAME=VALUE
    pub env: Vec<String>,
    pub stdin: String,
}

/// What is wrong with a file: the first thing, and how many more there are.
#[derive(Debug, Default)]
struct Problems {
    first: Option<String>,
    more: u64,
}

impl Problems {
    fn add(&mut self, problem: impl FnOnce() -> String) {
        match self.first {
            None => self.first = Some(problem()),
            Some(_) => self.more += 1,
        }
    }

    fn into_result(self, advice: &str) -> Result<(), Failure> {
        let Some(first) = self.first else { return Ok(()) };
        let more = match self.more {
            0 => String::new(),
            n => format!("{} more like it; ", number(n)),
        };
        Err(Failure::new(Exit::Input, first).hint(format!("({more}nothing was added){advice}")))
    }
}

impl<'a> TaskFile<'a> {
    /// Reads the whole file; every line that is wrong is counted.
    pub fn parse(file: &'a str, bytes: &'a [u8], format: Format) -> Result<Self, Failure> {
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!("{file}: larger than 4 GiB; split it");
            return Err(Failure::new(Exit::Input, message));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count() + 1;
            Failure::new(Exit::Input, format!("{file}:{line}: not UTF-8"))
                .hint("(nothing was added)")
        })?;
        let lines = memchr::memchr_iter(b'\n', bytes).count() + 1;
        let mut tasks = Self {
            file,
            names: Vec::with_capacity(lines),
            owners: Vec::with_capacity(lines),
            index: HashTable::with_capacity(lines),
            hasher: DefaultHashBuilder::default(),
            tasks: Vec::with_capacity(lines),
            needs: Vec::new(),
            seen: Vec::with_capacity(lines),
            details: Vec::new(),
        };
        let mut problems = Problems::default();
        // Each line has a line end, except perhaps the last.
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.starts_with('#') || line.trim_ascii().is_empty() {
                continue;
            }
            let number = index as u32 + 1;
            let result = match format {
                Format::Lines => lines::add(&mut tasks, number, line),
                Format::Json => jsonl::add(&mut tasks, number, line),
            };
            if let Err(problem) = result {
                problems.add(|| format!("{file}:{number}: {problem}"));
            }
        }
        problems.into_result("")?;
        Ok(tasks)
    }

    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    pub fn name(&self, task: u32) -> &str {
        &self.names[self.tasks[task as usize].name as usize]
    }

    pub fn needs(&self, task: u32) -> impl Iterator<Item = &str> {
        self.need_numbers(task).iter().map(|&need| &*self.names[need as usize])
    }

    pub fn details(&self, task: u32) -> Option<&Details<'a>> {
        self.details.get(task as usize)
    }

    /// Names that tasks depend on and that are no tasks of this file.
    pub fn foreign(&self) -> Vec<String> {
        let names = self.names.iter().zip(&self.owners);
        names.filter(|(_, owner)| **owner == NOBODY).map(|(name, _)| name.to_string()).collect()
    }

    /// Complains about the dependencies that the hub does not know either.
    pub fn refuse_unknown(&self, unknown: &[String]) -> Result<(), Failure> {
        let unknown: hashbrown::HashSet<&str> = unknown.iter().map(String::as_str).collect();
        let mut problems = Problems::default();
        for task in 0..self.len() as u32 {
            for need in self.needs(task).filter(|need| unknown.contains(need)) {
                problems.add(|| {
                    let (file, line) = (self.file, self.tasks[task as usize].line);
                    let (name, need) = (plain(self.name(task)), plain(need));
                    format!(
                        "{file}:{line}: '{name}' depends on '{need}', which is neither in this \
                         file nor in the hub"
                    )
                });
            }
        }
        problems.into_result("      if it will be added later: --allow-missing")
    }

    /// Complains about commands that a template makes too long.
    pub fn refuse_long_commands(&self, template: &Template) -> Result<(), Failure> {
        let mut problems = Problems::default();
        if template.bytes_at_most(NAME_BYTES_MAX) > COMMAND_BYTES_MAX {
            let mut command = String::new();
            for task in 0..self.len() as u32 {
                if self.details(task).is_some_and(|details| !details.command.is_empty()) {
                    continue;
                }
                template.fill(self.name(task), &mut command);
                if command.len() > COMMAND_BYTES_MAX {
                    problems.add(|| {
                        let line = self.tasks[task as usize].line;
                        format!("{}:{line}: {}", self.file, too_long("command", command.len()))
                    });
                }
            }
        }
        problems.into_result("")
    }

    fn need_numbers(&self, task: u32) -> &[u32] {
        let task = task as usize;
        let start = task.checked_sub(1).map_or(0, |before| self.tasks[before].needs_end);
        &self.needs[start as usize..self.tasks[task].needs_end as usize]
    }

    /// Adds a task whose dependencies were pushed to `needs` since the task before.
    fn add(&mut self, line: u32, name: u32) -> Result<(), String> {
        let task = self.tasks.len() as u32;
        let start = self.tasks.last().map_or(0, |before| before.needs_end) as usize;
        self.drop_repeated_needs(start, task + 1);
        let count = self.needs.len() - start;
        let owner = self.owners[name as usize];
        let problem = if owner != NOBODY {
            let first = self.tasks[owner as usize].line;
            let name = plain(&self.names[name as usize]);
            Some(format!("'{name}' is on line {first} already"))
        } else if count > NEEDS_MAX {
            let (count, max) = (number(count as u64), number(NEEDS_MAX as u64));
            Some(format!("{count} dependencies; a task has at most {max}"))
        } else if count > MESSAGE_BYTES_MAX / (4 * NAME_BYTES_MAX) && self.bytes(start) {
            Some("the names of its dependencies do not fit in a message".to_owned())
        } else {
            None
        };
        if let Some(problem) = problem {
            self.needs.truncate(start);
            return Err(problem);
        }
        self.owners[name as usize] = task;
        self.tasks.push(Task { name, line, needs_end: self.needs.len() as u32 });
        Ok(())
    }

    /// A dependency named twice counts once.
    fn drop_repeated_needs(&mut self, start: usize, mark: u32) {
        let mut end = start;
        for place in start..self.needs.len() {
            let need = self.needs[place];
            if std::mem::replace(&mut self.seen[need as usize], mark) != mark {
                self.needs[end] = need;
                end += 1;
            }
        }
        self.needs.truncate(end);
    }

    /// Is a task with the dependencies from `start` on too large for a message?
    fn bytes(&self, start: usize) -> bool {
        let names = self.needs[start..].iter().map(|&need| self.names[need as usize].len() + 4);
        names.sum::<usize>() + NAME_BYTES_MAX + COMMAND_BYTES_MAX + FRAME_BYTES > MESSAGE_BYTES_MAX
    }

    /// The number of a name; each name is kept once.
    fn intern(&mut self, name: Cow<'a, str>) -> Result<u32, String> {
        let new = self.names.len() as u32;
        let new = Entry { hash: self.hasher.hash_one(&*name) as u32, name: new };
        let same = |it: &Entry| it.hash == new.hash && self.names[it.name as usize] == name;
        if let Some(known) = self.index.find(new.spread(), same) {
            return Ok(known.name);
        }
        if name.is_empty() {
            return Err("a name is empty".to_owned());
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(too_long("name", name.len()));
        }
        if name.as_bytes().contains(&0) {
            return Err(format!("the name '{}' has a NUL byte", plain(&name)));
        }
        self.names.push(name);
        self.owners.push(NOBODY);
        self.seen.push(0);
        self.index.insert_unique(new.spread(), new, |it| it.spread());
        Ok(new.name)
    }
}

fn too_long(what: &str, bytes: usize) -> String {
    let max = match what {
        "command" => COMMAND_BYTES_MAX,
        _ => NAME_BYTES_MAX,
    };
    format!("a {what} has {} bytes; at most {}", number(bytes as u64), number(max as u64))
}

#[cfg(test)]
mod tests;
