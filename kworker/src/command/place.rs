//! Placeholders: what stands for something that each task has of its own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a task is told about itself.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    pub name: &'a str,
    pub attempt: u32,
    pub worker: &'a str,
    pub slot: u32,
}

pub struct Place {
    pub written: &'static str,
    pub variable: &'static str,
    value: fn(&Who) -> String,
}

pub const PLACES: [Place; 4] = [
    Place { written: "{}", variable: "DHUB_TASK", value: |who| who.name.to_owned() },
    Place { written: "{attempt}", variable: "DHUB_ATTEMPT", value: |who| who.attempt.to_string() },
    Place { written: "{worker}", variable: "DHUB_WORKER", value: |who| who.worker.to_owned() },
    Place { written: "{slot}", variable: "DHUB_SLOT", value: |who| who.slot.to_string() },
];

/// The same in the environment.
pub fn variables<'a>(who: &'a Who) -> impl Iterator<Item = (&'static str, String)> + 'a {
    PLACES.iter().map(|place| (place.variable, (place.value)(who)))
}

impl Place {
    /// `${slot}` is a variable of the shell that reads it, if one does.
    pub fn is_placeholder(&self, follows_dollar: bool) -> bool {
        !follows_dollar || self.written == "{}"
    }
}

/// The first placeholder: what is before it, it, what is after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &'static Place, &[u8])> {
    (0..bytes.len()).filter(|&at| bytes[at] == b'{').find_map(|at| {
        let (before, from) = bytes.split_at(at);
        let is_here = |it: &&Place| from.starts_with(it.written.as_bytes());
        let place = PLACES.iter().find(is_here)?;
        if !place.is_placeholder(before.ends_with(b"$")) {
            return None;
        }
        Some((before, place, &from[place.written.len()..]))
    })
}

pub fn has_place(text: &OsStr) -> bool {
    split(text.as_bytes()).is_some()
}

/// Puts the values in as they are. What is put in is not looked at again.
pub fn fill(text: &OsStr, who: &Who) -> OsString {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len() + who.name.len());
    while let Some((before, place, after)) = split(rest) {
        out.extend_from_slice(before);
        out.extend_from_slice((place.value)(who).as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest);
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_as_they_are() {
        let who = Who { name: "a {slot} {}", attempt: 3, worker: "w", slot: 7 };
        let fill = |text: &str| fill(OsStr::new(text), &who).into_string().unwrap();
        assert_eq!(fill("{}"), "a {slot} {}");
        assert_eq!(fill("x{attempt}{{worker}-{slot}{x}{"), "x3{w-7{x}{");
        assert_eq!(fill("${slot} $ {slot} ${}"), "${slot} $ 7 $a {slot} {}");
        assert!(has_place(OsStr::new("a{slot}")) && !has_place(OsStr::new("a{name}{ }")));
    }
}
