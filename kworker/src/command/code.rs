//! Where a name would be read as code: in what `sh -c`, `eval`, `ssh` and the like are given to run. No
//! quotes help there, for two shells read it; so it is refused before any task is stolen.
//!
//! Commands are told apart as far as words and quotes go. What hides behind variables, functions and other
//! programs is not seen.

use std::path::Path;

use super::commands::commands;

/// What the name of a task stands for.
const NAME: &str = "{}";
/// Programs that run an argument, the letter of the option before it, and the options with a value.
const BY_OPTION: [(&str, char, &str); 13] = [
    ("sh", 'c', "oO"),
    ("bash", 'c', "oO"),
    ("dash", 'c', "oO"),
    ("zsh", 'c', "oO"),
    ("ksh", 'c', "oO"),
    ("ash", 'c', "oO"),
    ("fish", 'c', "dDo"),
    ("su", 'c', "Ggsw"),
    ("perl", 'e', "IMmFx"),
    ("ruby", 'e', "CEFIKrWx"),
    ("node", 'e', "r"),
    ("Rscript", 'e', ""),
    ("php", 'r', "cdz"),
];
const OF_PYTHON: &str = "WX";
/// Long options of those with a value, and those that are before what is to be run.
const LONG_WITH_VALUE: [&str; 2] = ["--rcfile", "--init-file"];
const LONG_BEFORE_CODE: [&str; 3] = ["--command", "--eval", "--print"];
/// Options of ssh that have a value.
const OF_SSH: &str = "BbcDEeFIiJLlmOoPpQRSWw";
/// What may be before a command in a script.
const BEFORE: [&str; 14] = [
    "if", "then", "elif", "else", "while", "until", "do", "!", "{", "time", "exec", "command",
    "builtin", "coproc",
];
/// Programs that run the command behind them.
const WRAPPERS: [&str; 15] = [
    "env", "timeout", "nice", "ionice", "nohup", "setsid", "stdbuf", "taskset", "time", "srun",
    "mpirun", "mpiexec", "xargs", "sudo", "sshpass",
];

/// The program that would read a name as code, in a script of a shell.
pub fn reader(script: &str) -> Option<String> {
    commands(script).iter().find_map(|words| builtin(words).or_else(|| reader_of(words)))
}

/// What a shell has built in: only it runs that, and only as a command.
fn builtin(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| !is_before(word))?;
    let (program, rest) = words[at..].split_first()?;
    let reads = matches!(program.as_str(), "eval" | "trap") && has_name(rest);
    reads.then(|| program.clone())
}

/// The same in the words of one command.
pub fn reader_of(words: &[String]) -> Option<String> {
    (0..words.len()).find_map(|at| {
        let program = Path::new(&words[at]).file_name()?.to_str()?;
        let rest = &words[at + 1..];
        let option = BY_OPTION.iter().find(|(name, ..)| *name == program);
        match (program, option) {
            ("env", _) => reader_of(&split(rest)?),
            ("ssh", _) => {
                (is_run(&words[..at]) && has_name(of_ssh(rest))).then(|| program.to_owned())
            }
            (_, Some((_, letter, valued))) => {
                runs_name(program, rest, *letter, valued).then(|| format!("{program} -{letter}"))
            }
            _ if program.starts_with("python") => {
                runs_name(program, rest, 'c', OF_PYTHON).then(|| format!("{program} -c"))
            }
            _ => None,
        }
    })
}

fn has_name(words: &[String]) -> bool {
    words.iter().any(|word| word.contains(NAME))
}

/// Is the word behind these a command, as far as known programs tell?
fn is_run(words: &[String]) -> bool {
    let is_option = |word: &str| word.starts_with('-');
    if words.last().is_some_and(|last| last.starts_with("-exec")) {
        return true;
    }
    let mut is_value = false;
    let passed = words.iter().all(|word| {
        let program = word.rsplit('/').next().unwrap_or_default();
        let passes = is_before(word)
            || is_value
            || word.starts_with(|c: char| c.is_ascii_digit())
            || WRAPPERS.contains(&program);
        is_value = is_option(word);
        passes
    });
    // `rsync -e ssh`: it is no more than a value there.
    passed && !words.last().is_some_and(|it| it.ends_with('e') && is_option(it) && it.len() < 6)
}

/// Options, assignments and words of the shell come before a command.
fn is_before(word: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let assigns = word.split_once('=').is_some_and(|(name, _)| is_name(name));
    assigns || word.starts_with('-') || BEFORE.contains(&word)
}

/// The words that `env -S` makes of one.
fn split(words: &[String]) -> Option<Vec<String>> {
    let options = words.iter().take_while(|word| word.starts_with('-') || word.contains('='));
    for (at, word) in options.enumerate() {
        let attached = ["-S", "-iS", "-vS", "--split-string="]
            .iter()
            .find_map(|option| word.strip_prefix(option))
            .or((word == "--split-string").then_some(""));
        match attached {
            Some("") => return Some(commands(words.get(at + 1)?).concat()),
            Some(text) => return Some(commands(text).concat()),
            None => {}
        }
    }
    None
}

/// What follows from an option.
enum Step {
    /// So many values are its own.
    Over(usize),
    /// The same, and what is to be run is behind all options.
    Behind(usize),
    End(bool),
}

/// What the letters of one word ask for.
fn of_letters(
    program: &str,
    word: &String,
    next: Option<&String>,
    letter: char,
    valued: &str,
) -> Step {
    let letters = &word[1..];
    if program.ends_with("sh") {
        let values = letters.chars().filter(|&c| valued.contains(c)).count();
        let found = word.starts_with('-') && letters.contains(letter);
        return if found { Step::Behind(values) } else { Step::Over(values) };
    }
    let is_python = program.starts_with("python");
    let ends = |c: char| c == letter || valued.contains(c) || is_python && c == 'm';
    let Some((place, c)) = letters.char_indices().find(|&(_, c)| ends(c)) else {
        return Step::Over(0);
    };
    let is_last = place + c.len_utf8() == letters.len();
    let code = if is_last { next } else { Some(word) };
    if c == letter && code.is_some_and(|code| code.contains(NAME)) {
        return Step::End(true);
    }
    // All that follows is of the program or module that python runs.
    if is_python && matches!(c, 'c' | 'm') {
        return Step::End(false);
    }
    Step::Over(usize::from(is_last))
}

/// Does a program run a word that has a name in it, by an option of this letter?
fn runs_name(program: &str, words: &[String], letter: char, valued: &str) -> bool {
    // A shell takes the first word behind all options; others the one behind this option.
    let mut found = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word.len() < 2 || !word.starts_with(['-', '+']) {
            if program != "su" {
                break;
            }
            at += 1;
            continue;
        }
        at += 1;
        if word == "--" {
            break;
        }
        if word.starts_with("--") {
            let name = word.split('=').next().unwrap_or_default();
            if LONG_BEFORE_CODE.contains(&name) {
                return has_name(&words[at - 1..words.len().min(at + 1)]);
            }
            at += usize::from(LONG_WITH_VALUE.contains(&word.as_str()));
            continue;
        }
        match of_letters(program, word, words.get(at), letter, valued) {
            Step::Over(values) => at += values,
            Step::Behind(values) => {
                found = true;
                at += values;
            }
            Step::End(runs) => return runs,
        }
    }
    found && words.get(at).is_some_and(|word| word.contains(NAME))
}

/// What the machine behind it is to run.
fn of_ssh(words: &[String]) -> &[String] {
    let mut at = 0;
    while let Some(option) = words.get(at).and_then(|word| word.strip_prefix('-')) {
        let has_value = option.len() == 1 && OF_SSH.contains(option);
        at += if has_value { 2 } else { 1 };
    }
    words.get(at + 1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_name_as_code_is_found() {
        for (script, expected) in [
            ("sh -c 'echo {}'", "sh -c"),
            ("sh -c \"echo '{}'\"", "sh -c"),
            ("cd x && /bin/bash -e -lc -- \"run {}\"", "bash -c"),
            ("timeout 5 srun -n 1 sh -ec 'run {}'", "sh -c"),
            ("find . -exec sh -c 'echo {}' ';'", "sh -c"),
            ("out=$(sh -c 'echo {}')", "sh -c"),
            ("echo \"`sh -c \\\"echo {}\\\"`\"", "sh -c"),
            ("eval \"run {}\"", "eval"),
            ("eval run {}", "eval"),
            ("trap 'rm {}' EXIT; run", "trap"),
            ("ssh -p 22 node ./sim {}", "ssh"),
            ("ssh -oBatchMode=yes node \"./sim '{}'\"", "ssh"),
            ("find . -exec ssh node ./sim {} ';'", "ssh"),
            ("python3 -c \"print('{}')\"", "python3 -c"),
            ("perl -ne 'print if /{}/' file", "perl -e"),
            ("if ! eval run {}; then :; fi", "eval"),
            ("for i in 1 2; do X=1 command eval \"run {}\"; done", "eval"),
            ("timeout -k 5 10 ssh node ./sim {}", "ssh"),
            ("sudo -u ada X=1 /usr/bin/ssh node ./sim {}", "ssh"),
            ("bash -o pipefail -c 'echo {}'", "bash -c"),
            ("bash -eo pipefail -c 'echo {}'", "bash -c"),
            ("bash -O extglob -c 'echo {}'", "bash -c"),
            ("bash +x --rcfile f -c 'echo {}'", "bash -c"),
            ("bash -c -e 'echo {}'", "bash -c"),
            ("su - ada -c 'echo {}'", "su -c"),
            ("python3 -W ignore -c 'run(\"{}\")'", "python3 -c"),
            ("python3 -X dev -c'run(\"{}\")'", "python3 -c"),
            ("perl -I lib -e 1 -e 'print q({})'", "perl -e"),
            ("node --eval 'run(\"{}\")'", "node -e"),
            ("env -S \"sh -c 'echo {}'\"", "sh -c"),
            ("env -i '-Ssh -c \"echo {}\"'", "sh -c"),
            ("if true; then\n  bash -c \"{}\"\nfi", "bash -c"),
        ] {
            assert_eq!(reader(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn without_a_shell_nothing_is_built_in() {
        for words in [&["eval", "{}"][..], &["trap", "{}"], &["env", "eval", "{}"]] {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(reader_of(&words), None, "{words:?}");
        }
    }

    #[test]
    fn words_of_other_programs_are_no_code() {
        for script in [
            "./sim {}",
            "sh -c 'echo \"$1\"' sh {}",
            "sh script -c {}",
            "sh -c 'echo {slot} {attempt}'",
            "ssh {} uptime",
            "ssh -p 22 {} uptime",
            "python3 sim.py -c {}",
            "awk '{print}' {}",
            "echo 'sh -c' {}",
            "echo a; sh -c 'echo b'; echo {}",
            "# sh -c '{}'\n./sim {}",
            "grep -e {} file | sh -c 'cat'",
            "python3 main.py eval {}",
            "./train.sh eval {}",
            "make trap {}",
            "cat eval {}",
            "echo 'eval' {}",
            "rsync -a -e ssh data/ node:out/{}",
            "timeout 5 rsync -ae ssh data/ node:out/{}",
            "env X=1 ./ssh-test ssh {}",
            "python3 -m pytest -c {}",
            "python3 -Werror::DeprecationWarning {}",
            "python3 -c 'import sys' -c {}",
            "perl -e 'print @ARGV' {}",
            "bash -o pipefail script -c {}",
            "env -S 'sh run' {}",
            "it's {} unfinished",
        ] {
            assert_eq!(reader(script), None, "{script}");
        }
    }
}
