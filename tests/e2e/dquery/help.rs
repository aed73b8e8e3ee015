//! --help, manual pages and colours: of all three programs and each of their verbs.

use std::collections::BTreeSet;

use e2e::{Hub, Output, Space, Terminal};

const PROGRAMS: [&str; 3] = ["dquery", "kworker", "dhub"];

/// The program with each of its verbs, and theirs.
fn verbs(space: &Space, words: &[String], all: &mut Vec<Vec<String>>) {
    all.push(words.to_vec());
    let help = help(space, words);
    let commands = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let verb = line.split_whitespace().next().unwrap_or_default();
        // A line that goes on from the one before is further to the right.
        if line.starts_with("  ") && !line.starts_with("   ") && verb != "help" {
            verbs(space, &[words, &[verb.to_owned()]].concat(), all);
        }
    }
}

fn help(space: &Space, words: &[String]) -> String {
    let args = [&words[1..], &["--help".to_owned()]].concat();
    let output = space.run(&words[0], &args);
    output.exits(0);
    assert_eq!(output.stderr, "", "{words:?}");
    output.stdout
}

fn all() -> Vec<Vec<String>> {
    let (space, mut all) = (Space::new(), Vec::new());
    for program in PROGRAMS {
        verbs(&space, &[program.to_owned()], &mut all);
    }
    assert!(all.len() > 30, "{all:?}");
    all
}

#[test]
fn each_verb_has_help_with_examples() {
    let space = Space::new();
    for words in all() {
        let help = help(&space, &words);
        assert!(help.contains("\nUsage: "), "{words:?}: {help}");
        assert!(!help.contains('\x1b'), "{words:?}");
        let example = help.split("Examples:\n").nth(1).unwrap_or_default();
        assert!(example.contains(&words[0]), "no example of {words:?}: {help}");
        let title = help.matches("\nOptions:\n").count();
        assert!(title <= 1, "{words:?}: {help}");
        // What is written for a terminal is no Markdown.
        let escaped = help.split("Examples:\n").next().unwrap_or_default().contains('\\');
        assert!(!escaped, "{words:?}: {help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 105, "{words:?}: {line}");
        }
    }
}

/// Each program lists the codes that the docs say it has, and no others.
#[test]
fn help_lists_the_exit_codes_of_the_docs() {
    let docs = include_str!("../../../docs/operations.md");
    let table = docs.split("\n## Exit codes\n").nth(1).expect("a section");
    let table = table.split("\n## ").next().expect("a section");
    let space = Space::new();
    for (program, letter) in [("dhub", "d"), ("dquery", "q"), ("kworker", "k")] {
        let rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let own = rows.filter(|row| row.len() > 3 && row[3].split(' ').any(|of| of == letter));
        let documented: BTreeSet<u8> = own.map(|row| row[1].parse().expect("a code")).collect();
        assert!(documented.len() > 9, "{documented:?}");
        let help = help(&space, &[program.to_owned()]);
        let list = help.split("Exit codes:\n").nth(1).expect("a list");
        let list = list.split("\n\n").next().expect("a list");
        let listed: BTreeSet<u8> = list
            .split("  ")
            .filter_map(|item| item.trim_start().split(' ').next()?.parse().ok())
            .collect();
        assert_eq!(listed, documented, "{program}: {list}");
    }
}

#[test]
fn each_verb_has_a_manual_page() {
    let space = Space::new();
    for program in PROGRAMS {
        space.run(program, &["--manual-into", "."]).exits(0);
    }
    for words in all() {
        let page = space.path(&format!("{}.1", words.join("-")));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("no page of {words:?}"));
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"] {
            assert!(text.contains(part), "{part} of {words:?}");
        }
        assert!(text.contains(".SH EXAMPLES\n.nf\n"), "{words:?}");
        if std::env::var_os("DHUB_MANDOC").is_some() {
            let page = page.display().to_string();
            // There is no date; the rest of what it would warn of is of how paragraphs are spaced.
            let lint = space.run("mandoc", &["-T", "lint", "-W", "error", &page]);
            lint.exits(0);
        }
    }
    let output = space.run("dquery", &["--manual-into", "nowhere/there"]);
    output.exits(9).says(&["cannot write manual pages into nowhere/there"]);
}

fn run(args: &[&str]) -> Output {
    Space::new().run(args[0], &args[1..])
}

#[test]
fn what_is_misspelt_is_suggested() {
    for (line, suggested) in [
        (&["dquery", "statsu"][..], "status"),
        (&["dquery", "list", "--faild"], "--failed"),
        (&["dquery", "list", "--state", "runing"], "running"),
        (&["dquery", "worker", "dran", "x"], "drain"),
        (&["kworker", "--until-don"], "--until-done"),
        (&["kworker", "--when-hub-is-lost", "kil", "--hub-timeout", "1s"], "kill"),
        (&["dhub", "--loacl"], "--local"),
        (&["dhub", "chekc", "run.db"], "check"),
        (&["dhub", "access", "revok", "x"], "revoke"),
    ] {
        let output = run(line);
        output.exits(2).says(&[suggested, "--help"]);
        assert!(!output.stderr.contains('\x1b'), "no colours without a terminal: {output:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let hub = Hub::start();
    hub.query(&["create", "a"]).ok();
    for (program, args) in [
        ("dquery", &["status"][..]),
        ("dquery", &["--help"]),
        ("dquery", &["list", "--nosuch"]),
        ("kworker", &["--help"]),
        ("kworker", &["--nosuch"]),
        ("dhub", &["--help"]),
        ("dhub", &["--nosuch"]),
    ] {
        let at_terminal = |env: &[(&str, &str)], args: &[&str]| {
            let mut command = hub.command(program);
            command.args(args);
            let mut screen = Terminal::start_with(&command, env, 100, 60);
            screen.end();
            screen.shows(if args.contains(&"status") { "run.db" } else { "-h" });
            screen.has_styles()
        };
        let what = format!("{program} {args:?}");
        assert!(at_terminal(&[], args), "{what}");
        assert!(!at_terminal(&[("NO_COLOR", "1")], args), "{what}");
        assert!(!at_terminal(&[], &[&["--color=never"], args].concat()), "{what}");
        assert!(
            at_terminal(&[("NO_COLOR", "1")], &[&["--color", "always"], args].concat()),
            "{what}"
        );
        // Without a terminal they have to be asked for.
        let mut command = hub.command(program);
        command.args(args).arg("--color=always");
        let output = e2e::Process::start(command).end();
        let said = output.stdout.clone() + &output.stderr;
        assert!(said.contains('\x1b'), "{what}: {output:?}");
    }
}
