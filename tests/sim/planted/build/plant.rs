//! Puts all bugs into one text, each behind a switch of its own.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::bug::{Bug, Replacement, SWITCH};

/// What becomes of a piece of a file.
struct Edit<'a> {
    bug: &'a str,
    at: Range<usize>,
    new: String,
}

/// The files that change, with all bugs in them; or all that is wrong. `read` gives a file of the hub.
pub fn plant(
    bugs: &[Bug],
    read: impl Fn(&str) -> io::Result<String>,
) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut by_file: BTreeMap<&str, Vec<(&Bug, &Replacement)>> = BTreeMap::new();
    for bug in bugs {
        for it in &bug.replacements {
            by_file.entry(&it.file).or_default().push((bug, it));
        }
    }
    let (mut files, mut wrong) = (BTreeMap::new(), Vec::new());
    for (file, replacements) in by_file {
        let text = read(file).map_err(|error| error.to_string());
        let mut edits = Vec::new();
        for (bug, it) in replacements {
            match text.as_ref().map_err(String::clone).and_then(|text| edit(bug, it, text)) {
                Ok(edit) => edits.push(edit),
                Err(what) => wrong.push(format!("{}: {file}: {what}", bug.name)),
            }
        }
        match carry_out(edits, text.as_deref().unwrap_or_default()) {
            Ok(text) => _ = files.insert(file.to_string(), text),
            Err(what) => wrong.push(format!("{what} in {file}")),
        }
    }
    if wrong.is_empty() { Ok(files) } else { Err(wrong) }
}

/// As small as can be, so that other bugs may be planted on the same line.
fn edit<'a>(bug: &'a Bug, it: &Replacement, text: &str) -> Result<Edit<'a>, String> {
    let lines = lines(text);
    let is_it = |place: &&[(usize, &str)]| place.iter().map(|(_, line)| line).eq(&it.old);
    let places: Vec<_> = lines.windows(it.old.len()).filter(is_it).collect();
    let &[place] = &places[..] else {
        return Err(format!("is there {} times, not once: {}", places.len(), it.old.join("\n")));
    };
    let is_planted = format!("crate::planted::planted({:?})", bug.name);
    let (old, new) = (it.old.join("\n"), it.new.join("\n").replace(SWITCH, &is_planted));
    let begin = common(old.chars(), new.chars());
    let end = common(old[begin..].chars().rev(), new[begin..].chars().rev());
    let at = position(place, begin)..position(place, old.len() - end);
    Ok(Edit { bug: &bug.name, at, new: new[begin..new.len() - end].to_string() })
}

/// Where each begins. Empty ones say nothing.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let mut next = 0;
    let begins = text.split_inclusive('\n').map(|line| {
        let begin = next + line.len() - line.trim_start().len();
        next += line.len();
        (begin, line.trim())
    });
    begins.filter(|(_, line)| !line.is_empty()).collect()
}

/// How many bytes are the same at the begin.
fn common(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum()
}

/// In the file, of a place among the joined lines.
fn position(lines: &[(usize, &str)], mut at: usize) -> usize {
    for (begin, line) in lines {
        if at <= line.len() {
            return begin + at;
        }
        at -= line.len() + 1;
    }
    unreachable!("a place among the lines")
}

fn carry_out(mut edits: Vec<Edit>, text: &str) -> Result<String, String> {
    edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
    let (mut planted, mut done, mut last) = (String::new(), 0, "");
    for edit in edits {
        if edit.at.start < done {
            return Err(format!("{last} and {} replace the same text", edit.bug));
        }
        planted += &text[done..edit.at.start];
        planted += &edit.new;
        (done, last) = (edit.at.end, edit.bug);
    }
    Ok(planted + &text[done..])
}
