//! Commands in which nothing needs a shell: they are executed directly, which a shell would do with
//! one more process.

/// Words that a shell, dash or bash, does not look up in PATH.
const OF_SHELL: [&str; 84] = [
    // reserved
    "case",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "esac",
    "fi",
    "for",
    "function",
    "if",
    "in",
    "select",
    "then",
    "time",
    "until",
    "while",
    // special
    ".",
    ":",
    "break",
    "continue",
    "eval",
    "exec",
    "exit",
    "export",
    "readonly",
    "return",
    "set",
    "shift",
    "source",
    "times",
    "trap",
    "unset",
    // built in
    "alias",
    "bg",
    "bind",
    "builtin",
    "caller",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "declare",
    "dirs",
    "disown",
    "echo",
    "enable",
    "false",
    "fc",
    "fg",
    "getopts",
    "hash",
    "help",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "shopt",
    "suspend",
    "test",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "wait",
    "newgrp",
    "print",
    "whence",
    "login",
    "stop",
    "setvar",
];

/// The words of a command that a shell would take as they are; None: it needs a shell.
pub fn plain(command: &str) -> Option<Vec<&str>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let is_blank = |c: char| c == ' ' || c == '\t';
    if !command.chars().all(|c| is_plain(c) || is_blank(c)) {
        return None;
    }
    let words: Vec<&str> = command.split(is_blank).filter(|word| !word.is_empty()).collect();
    let first = words.first()?;
    (!first.contains('=') && !OF_SHELL.contains(first)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_take_as_it_is() {
        assert_eq!(
            plain("./sim -n 3\t--out=a/b.dat  x@y:%+,_"),
            Some(vec!["./sim", "-n", "3", "--out=a/b.dat", "x@y:%+,_"])
        );
        assert_eq!(plain(" sleep 1 "), Some(vec!["sleep", "1"]));
        for command in [
            "",
            "  ",
            "a;b",
            "a|b",
            "a&",
            "a >b",
            "a $b",
            "a `b`",
            "a *",
            "a ?",
            "a ~",
            "a #b",
            "a 'b'",
            "a \"b\"",
            "a\nb",
            "a [b]",
            "a {b,c}",
            "!a",
            "a \\b",
            "X=1 a",
            "X=1",
            "echo a",
            "cd b",
            ". a",
            ": a",
            "exit 3",
            "true",
            "while a",
            "test -e a",
            "a ü",
        ] {
            assert_eq!(plain(command), None, "{command}");
        }
    }

    /// What the shells here know by themselves is on the list.
    #[test]
    fn the_list_has_what_the_shells_have() {
        let _alone = crate::process::tests::alone();
        let Ok(output) = std::process::Command::new("bash").args(["-c", "compgen -b -k"]).output()
        else {
            return;
        };
        let words = String::from_utf8(output.stdout).unwrap();
        assert!(words.contains("ulimit"));
        for word in words.lines() {
            assert!(plain(word).is_none(), "{word}");
        }
    }
}
