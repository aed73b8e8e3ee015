//! A bug as a text: which lines of the hub are replaced by which.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// In new lines: whether the bug is there.
pub const SWITCH: &str = "planted!()";

/// What a file of tests/sim/bugs says; the file is called as the bug.
pub struct Bug {
    pub name: String,
    pub replacements: Vec<Replacement>,
}

/// Lines without what is around them: how far they are indented does not matter.
#[derive(Default)]
pub struct Replacement {
    /// Its path below hub/src.
    pub file: String,
    pub old: Vec<String>,
    pub new: Vec<String>,
}

/// All bugs of a directory, by name: NAME.txt.
pub fn read_all(directory: &Path) -> io::Result<Vec<Result<Bug, String>>> {
    let mut bugs = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "txt") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bug = Bug::parse(&name, &fs::read_to_string(&path)?);
        bugs.insert(name, bug);
    }
    Ok(bugs.into_values().collect())
}

impl Bug {
    /// A sentence; then `--- FILE` and blocks of lines, with empty lines between the blocks: `-`
    /// before a line that goes, `+` before one that comes, a space before one that stays.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (mut replacements, mut file) = (Vec::new(), None);
        for block in text.replace("\r\n", "\n").split("\n\n") {
            let mut lines = block.trim_matches('\n').lines().peekable();
            if let Some(path) = lines.peek().and_then(|line| line.strip_prefix("--- ")) {
                file = Some(path.to_string());
                lines.next();
            }
            let Some(file) = &file else { continue };
            let mut replacement = Replacement { file: file.clone(), ..Replacement::default() };
            for line in lines {
                replacement.add(line).map_err(|what| format!("{name}: {what}"))?;
            }
            if replacement.old.is_empty() {
                return Err(format!("{name}: {file}: a block in which no line is old"));
            }
            replacements.push(replacement);
        }
        if text.trim_start().is_empty() || text.starts_with("--- ") {
            return Err(format!("{name}: does not say what goes wrong"));
        }
        if !replacements.iter().flat_map(|it| &it.new).any(|line| line.contains(SWITCH)) {
            return Err(format!("{name}: has no {SWITCH}, so it would always be there"));
        }
        Ok(Self { name: name.to_string(), replacements })
    }
}

impl Replacement {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let Some((kind, code)) = line.split_at_checked(1) else {
            return Err(format!("begins with neither ' ', '-' nor '+': {line}"));
        };
        let code = code.trim().to_string();
        match kind {
            " " => {
                self.old.push(code.clone());
                self.new.push(code);
            }
            "-" => self.old.push(code),
            "+" => self.new.push(code),
            _ => return Err(format!("begins with neither ' ', '-' nor '+': {line}")),
        }
        Ok(())
    }
}
