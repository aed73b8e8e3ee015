//! How a line of a story is read.

use dhub::engine::message::{AttemptRef, Name};

/// The words of a command; those that were understood are taken out.
pub struct Words<'a> {
    pub words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub fn next(&mut self) -> &'a str {
        self.words.remove(0)
    }

    pub fn find<T: std::str::FromStr>(&mut self, key: &str) -> Option<T> {
        let at = self.words.iter().position(|word| *word == key)?;
        let value = self.words.get(at + 1).and_then(|word| word.parse().ok());
        self.words.drain(at..at + 2);
        Some(value.unwrap_or_else(|| panic!("'{key}' needs a value")))
    }

    pub fn after<T: std::str::FromStr>(&mut self, key: &str) -> T {
        self.find(key).unwrap_or_else(|| panic!("'{key}' is missing"))
    }

    pub fn find_ms(&mut self, key: &str) -> u64 {
        self.find::<String>(key).map_or(0, |text| ms(&text))
    }

    pub fn flag(&mut self, key: &str) -> bool {
        let at = self.words.iter().position(|word| *word == key);
        at.map(|at| self.words.remove(at)).is_some()
    }

    pub fn rest_after(&mut self, key: &str) -> Vec<Name> {
        let Some(at) = self.words.iter().position(|word| *word == key) else {
            return Vec::new();
        };
        self.words.drain(at..).skip(1).map(Name::from).collect()
    }
}

/// 1h, 2m, 3s, 4ms.
pub fn ms(text: &str) -> u64 {
    let (unit, times) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(unit))
        .unwrap_or_else(|| panic!("'{text}' is no time"));
    text[..text.len() - unit.len()].parse::<u64>().expect("a number") * times
}

/// NAME, NAME#ATTEMPT, and a star if its process runs.
pub fn attempt(text: &str) -> AttemptRef {
    let (text, started) = match text.strip_suffix('*') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (name, attempt) = text.split_once('#').unwrap_or((text, "0"));
    AttemptRef { name: name.into(), attempt: attempt.parse().expect("an attempt"), started }
}
