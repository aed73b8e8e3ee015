//! Completions in the shells themselves: verbs, options, and names that the hub has.

use std::process::Command;

use e2e::{Hub, Process, Terminal, eventually};

/// Names as people have them: with a colon, a blank, a quote, and many with the same beginning.
fn named() -> Hub {
    let hub = Hub::start();
    for name in ["sim-1", "sim-2", "lines:/usr/include/stdio.h", "two words", "done already"] {
        hub.query(&["create", name]).ok();
    }
    hub.query(&["steal", "-q", "-n", "1", "--worker", "node12:4711"]).ok();
    hub
}

/// With this shell at a terminal, which has read what `completions` printed.
fn shell(hub: &Hub, program: &str, args: &[&str], script: &str) -> Terminal {
    let mut command = hub.command(program);
    command.args(args).env("PS1", "$ ").env("PROMPT", "$ ").env("ZDOTDIR", hub.path(""));
    let mut shell = Terminal::start(&command, 100, 24);
    shell.shows("$ ");
    shell.type_keys(&format!("{script}; echo read$((1 + 1))\n"));
    shell.shows("read2");
    shell
}

/// Types the line and the tabulator; the line on the screen becomes what is expected.
#[track_caller]
fn completes(shell: &mut Terminal, line: &str, expected: &str) {
    // A new screen, and an empty line.
    shell.type_keys("\x15clear\n");
    eventually("an empty line", || (shell.text().trim() == "$").then_some(()));
    shell.type_keys(&format!("{line}\t"));
    let prompt = format!("$ {expected}");
    shell.becomes(&prompt, |text| text.lines().any(|line| line.trim_end() == prompt));
}

fn completes_all(shell: &mut Terminal) {
    for (line, expected) in [
        ("dquery stat", "dquery status"),
        ("dquery --js", "dquery --json"),
        ("dquery list --state run", "dquery list --state running"),
        ("dquery list --sort -prio", "dquery list --sort -priority"),
        ("dquery show sim-", "dquery show sim-"),
        ("dquery logs lines:/usr/inc", "dquery logs lines:/usr/include/stdio.h"),
        ("dquery show li", "dquery show lines:/usr/include/stdio.h"),
        ("dquery show tw", "dquery show two\\ words"),
        // Only what runs can be completed.
        ("dquery complete s", "dquery complete sim-1"),
        ("dquery worker drain n", "dquery worker drain node12:4711"),
        ("dquery worker drain node12:4", "dquery worker drain node12:4711"),
        ("kworker --until", "kworker --until-done"),
        ("dhub acc", "dhub access"),
    ] {
        completes(shell, line, expected);
    }
}

#[test]
fn bash_completes_names() {
    let hub = named();
    let args = ["--norc", "--noprofile", "-i"];
    let mut shell = shell(&hub, "bash", &args, "source <(dquery completions bash)");
    completes_all(&mut shell);
    completes(&mut shell, "dquery show 'two w", "dquery show 'two words'");
    completes(&mut shell, "dquery show two\\ w", "dquery show two\\ words");
    // Several: listed at the second tabulator, without the options.
    shell.type_keys("\x15clear\n");
    shell.type_keys("dquery show \t\t");
    let text = shell.shows("sim-2");
    assert!(!text.contains("--"), "{text}");
}

#[test]
fn zsh_completes_names() {
    if std::env::var_os("DHUB_ZSH").is_none() {
        eprintln!("skipped: no zsh (DHUB_ZSH)");
        return;
    }
    let hub = named();
    let script = "autoload -U compinit && compinit -u -D && source <(dquery completions zsh)";
    let mut shell = shell(&hub, "zsh", &["-f", "-i"], script);
    completes_all(&mut shell);
}

#[test]
fn fish_completes_names() {
    if std::env::var_os("DHUB_FISH").is_none() {
        eprintln!("skipped: no fish (DHUB_FISH)");
        return;
    }
    let hub = named();
    let offers = |line: &str| -> Vec<String> {
        let mut command = hub.command("fish");
        let script = "dquery completions fish | source; complete --do-complete $argv[1]";
        command.args(["--no-config", "-c", script, line]);
        let output = Process::start(command).end();
        // Behind a tabulator there is what it is about.
        output.ok().lines().map(|it| it.split('\t').next().unwrap_or_default().into()).collect()
    };
    assert_eq!(offers("dquery stat"), ["status"]);
    assert_eq!(offers("dquery show sim-"), ["sim-1", "sim-2"]);
    assert_eq!(offers("dquery show lines:/usr/inc"), ["lines:/usr/include/stdio.h"]);
    assert_eq!(offers("dquery show tw"), ["two words"]);
    assert_eq!(offers("dquery complete s"), ["sim-1"]);
    assert_eq!(offers("dquery worker drain node12:4"), ["node12:4711"]);
    assert_eq!(offers("kworker --until"), ["--until-done"]);
    assert_eq!(offers("dhub acc"), ["access"]);
}

/// Names that are commands where a shell reads them, each with what it would leave behind.
const EVIL: [(&str, &str); 4] = [
    ("ev1", "ev1$(touch ran)`touch ran`"),
    ("ev2", "ev2\";touch ran;\"${x:-$(touch ran)}"),
    ("ev3", "ev3';touch ran;'"),
    ("ev4", "ev4\\$(touch ran);touch ran"),
];

fn evil() -> Hub {
    let hub = Hub::start();
    for (_, name) in EVIL {
        hub.query(&["create", name, "--command", "true"]).ok();
    }
    hub
}

/// Completes each name behind what was typed, as far as it is offered there, closes the quotes, and runs the line.
fn runs_nothing(hub: &Hub, start: impl Fn() -> Terminal, typed: &str, not_offered: &[&str]) {
    for (begin, name) in EVIL {
        let mut shell = start();
        shell.type_keys(&format!("dquery show {typed}{begin}\t"));
        if !not_offered.contains(&begin) {
            shell.shows("touch");
        }
        shell.type_keys(" >/dev/null 2>&1; printf 'en%s\\n' d2\n");
        // The shell itself has closed the quotes, or it waits for them.
        let mut looks = 0;
        eventually("the line to end", || {
            looks += 1;
            if looks == 50 {
                shell.type_keys(&format!("{typed} >/dev/null 2>&1; printf 'en%s\\n' d2\n"));
            }
            shell.text().contains("end2").then_some(())
        });
        let ran = hub.path("ran").exists();
        assert!(!ran, "{typed}{name} was run:\n{}", shell.text());
    }
}

#[test]
fn a_name_is_no_command_in_any_quotes_of_bash() {
    let hub = evil();
    hub.query(&["create", "ev8!"]).ok();
    let start = || {
        let args = ["--norc", "--noprofile", "-i"];
        shell(&hub, "bash", &args, "source <(dquery completions bash)")
    };
    let mut shell = start();
    for (line, expected) in [
        ("dquery show \"ev1", "dquery show \"ev1\\$(touch ran)\\`touch ran\\`\""),
        ("dquery show ev1", "dquery show ev1\\$\\(touch\\ ran\\)\\`touch\\ ran\\`"),
        ("dquery show 'ev1", "dquery show 'ev1$(touch ran)`touch ran`'"),
        // It cannot be written there.
        ("dquery show 'ev3", "dquery show 'ev3"),
        ("dquery show \"ev8", "dquery show \"ev8"),
        // Where other quotes are around it nobody knows.
        ("echo $(dquery show ev1", "echo $(dquery show ev1"),
        ("echo `dquery show 'ev1", "echo `dquery show 'ev1"),
    ] {
        completes(&mut shell, line, expected);
    }
    runs_nothing(&hub, start, "", &[]);
    runs_nothing(&hub, start, "\"", &[]);
    runs_nothing(&hub, start, "'", &["ev3"]);
}

#[test]
fn a_name_is_no_command_in_any_quotes_of_zsh() {
    if std::env::var_os("DHUB_ZSH").is_none() {
        eprintln!("skipped: no zsh (DHUB_ZSH)");
        return;
    }
    let hub = evil();
    let start = || {
        let script = "autoload -U compinit && compinit -u -D && source <(dquery completions zsh)";
        shell(&hub, "zsh", &["-f", "-i"], script)
    };
    runs_nothing(&hub, start, "", &[]);
    // Behind a quote it offers nothing.
    let all = EVIL.map(|(begin, _)| begin);
    runs_nothing(&hub, start, "\"", &all);
    runs_nothing(&hub, start, "'", &all);
}

#[test]
fn a_name_is_no_command_in_any_quotes_of_fish() {
    if std::env::var_os("DHUB_FISH").is_none() {
        eprintln!("skipped: no fish (DHUB_FISH)");
        return;
    }
    let hub = evil();
    let prompt = "function fish_prompt; echo -n '$ '; end\nfunction fish_greeting; end\n";
    hub.write("prompt.fish", prompt);
    let start = || {
        let setup = "source prompt.fish; dquery completions fish | source; printf 're%s\\n' ad2";
        let mut command = hub.command("fish");
        command.args(["--no-config", "-i", "-C", setup]);
        let shell = Terminal::start(&command, 100, 24);
        shell
            .becomes("the prompt", |text| text.contains("read2") && text.trim_end().ends_with('$'));
        shell
    };
    runs_nothing(&hub, start, "", &[]);
    let all = EVIL.map(|(begin, _)| begin);
    runs_nothing(&hub, start, "\"", &all);
    runs_nothing(&hub, start, "'", &all);
}

/// As a shell asks.
fn asks(mut command: Command, words: &[&str]) -> String {
    command.env("_DHUB_COMPLETE", "bash").env_remove("DHUB_HUB").arg("--").args(words);
    let output = Process::start(command).end();
    output.exits(0);
    output.stdout
}

#[test]
fn the_hub_of_the_line_is_asked_and_a_silent_one_does_not_keep_the_shell() {
    let mut hub = named();
    let asks = |hub: &Hub, words: &[&str]| asks(hub.space.command("dquery"), words);
    let there = hub.tcp();
    assert_eq!(
        asks(&hub, &["dquery", "--insecure", "-s", &there, "show", "sim-"]),
        "sim-1\nsim-2\n"
    );
    assert_eq!(
        asks(&hub, &["dquery", "show", "--insecure", "--server", &there, "two"]),
        "two words\n"
    );
    hub.kill9();
    assert_eq!(asks(&hub, &["dquery", "--insecure", "-s", &there, "show", "sim-"]), "");
    assert_eq!(asks(&hub, &["dquery", "-s", "nosuch://x", "show", "sim-"]), "");
    assert_eq!(asks(&hub, &["dquery", "--insecure", "-s", &there, "list", "--st"]), "--state\n");
}

#[test]
fn what_a_shell_reads_is_printed_without_a_hub() {
    let space = e2e::Space::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = space.run("dquery", &["completions", shell]);
        output.exits(0).prints(&["dquery", "kworker", "dhub"]);
    }
    space.run("dquery", &["completions", "csh"]).exits(2).says(&["csh", "bash, zsh, fish"]);
}
