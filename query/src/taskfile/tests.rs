//! Files as people write them, and as they should not.

use std::time::{Duration, Instant};

use super::*;

fn lines(text: &str) -> Result<TaskFile<'_>, Failure> {
    TaskFile::parse("tasks.txt", text.as_bytes(), Format::Lines)
}

fn json(text: &str) -> Result<TaskFile<'_>, Failure> {
    TaskFile::parse("tasks.jsonl", text.as_bytes(), Format::Json)
}

/// The tasks in the order in which they are sent, as `name<dep,dep`.
fn sent(tasks: &TaskFile) -> Vec<String> {
    let order = tasks.order().expect("no cycle");
    let text = |task| {
        let needs: Vec<_> = tasks.needs(task).collect();
        format!("{}<{}", tasks.name(task), needs.join(","))
    };
    order.iter().map(text).collect()
}

fn refusal<T>(result: Result<T, Failure>) -> String {
    let failure = result.err().expect("refused");
    assert_eq!(failure.exit, Exit::Input);
    format!("{}\n{}", failure.message, failure.hints.join("\n"))
}

#[test]
fn lines_as_people_write_them() {
    let tasks =
        lines("\u{feff}a\r\n\n# no task\nb,a\r\n  \nc,,a,b,a,\nd,\n,,\nname with spaces,c#1")
            .unwrap();
    assert_eq!(sent(&tasks), ["a<", "b<a", "c<a,b", "d<", "name with spaces<c#1"]);
    assert_eq!(tasks.foreign(), ["c#1"]);
}

#[test]
fn a_line_begins_with_a_name() {
    assert_eq!(
        refusal(lines("a\n,x")),
        "tasks.txt:2: there is no name before the first comma\n(nothing was added)"
    );
}

#[test]
fn an_empty_file_has_no_tasks() {
    assert_eq!(lines("").unwrap().len(), 0);
    assert_eq!(lines("\u{feff}\r\n#x").unwrap().len(), 0);
}

#[test]
fn the_order_of_lines_does_not_matter() {
    let tasks = lines("z\nc,b,a\nb,a\ny\na\nx").unwrap();
    assert_eq!(sent(&tasks), ["z<", "y<", "a<", "b<a", "c<b,a", "x<"]);
}

#[test]
fn a_name_twice_is_refused_with_both_lines() {
    assert_eq!(
        refusal(lines("a\nb,a\n\na,b")),
        "tasks.txt:4: 'a' is on line 1 already\n(nothing was added)"
    );
    assert_eq!(
        refusal(lines("a\na\na\nb\nb")),
        "tasks.txt:2: 'a' is on line 1 already\n(2 more like it; nothing was added)"
    );
}

#[test]
fn text_that_is_not_utf_8_is_refused_with_its_line() {
    let result = TaskFile::parse("tasks.txt", b"a\nb\xff", Format::Lines);
    assert_eq!(refusal(result), "tasks.txt:2: not UTF-8\n(nothing was added)");
}

#[test]
fn names_have_limits() {
    let long = "x".repeat(1025);
    assert_eq!(
        refusal(lines(&format!("a\nb,{long}"))),
        "tasks.txt:2: a name has 1,025 bytes; at most 1,024\n(nothing was added)"
    );
    assert_eq!(
        refusal(lines("a\0b")),
        "tasks.txt:1: the name 'a\\u{0}b' has a NUL byte\n(nothing was added)"
    );
}

#[test]
fn a_task_has_at_most_65536_dependencies() {
    let line = |n: u32| (0..n).fold("a".to_owned(), |line, n| format!("{line},{n}"));
    assert_eq!(lines(&line(65_536)).unwrap().needs(0).count(), 65_536);
    assert_eq!(
        refusal(lines(&line(65_537))),
        "tasks.txt:1: 65,537 dependencies; a task has at most 65,536\n(nothing was added)"
    );
}

#[test]
fn dependencies_that_are_nowhere_are_refused() {
    let tasks = lines("sim-1,prep-1\nsim-2,prep-2\nsim-3,prep-2,known\nprep-1").unwrap();
    assert_eq!(tasks.foreign(), ["prep-2", "known"]);
    assert!(tasks.refuse_unknown(&[]).is_ok());
    assert_eq!(
        refusal(tasks.refuse_unknown(&["prep-2".to_owned()])),
        "tasks.txt:2: 'sim-2' depends on 'prep-2', which is neither in this file nor in the hub\n\
         (1 more like it; nothing was added)      if it will be added later: --allow-missing"
    );
}

#[test]
fn cycles_are_named() {
    let cycle = |text| refusal(lines(text).unwrap().order());
    assert_eq!(
        cycle("x\nstart,a\na,b,x\nb,c\nc,a"),
        "tasks.txt: these tasks wait for each other: a -> b -> c -> a\n(nothing was added)"
    );
    assert_eq!(
        cycle("a,a"),
        "tasks.txt: these tasks wait for each other: a -> a\n(nothing was added)"
    );
    let ring: String = (0..1000).map(|n| format!("{n},{}\n", (n + 1) % 1000)).collect();
    let message = cycle(&ring);
    assert!(message.contains(" -> 19 -> … (980 more) -> 0\n"), "{message}");
}

#[test]
fn a_chain_of_a_million_in_reverse_order_takes_no_time() {
    let text: String = (0..1_000_000).rev().map(|n| format!("t{},t{n}\n", n + 1)).collect();
    let start = Instant::now();
    let tasks = lines(&text).unwrap();
    let order: Vec<u32> = tasks.order().unwrap().iter().collect();
    assert_eq!((tasks.name(order[0]), tasks.name(order[999_999])), ("t1", "t1000000"));
    assert_eq!(tasks.foreign(), ["t0"]);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn json_lines_have_all_fields() {
    let text = "# tasks\n{\"name\":\"a\\n1\",\"needs\":[\"b\"],\"command\":\"./a 'x'\",\"priority\":-3,\
                \"retries\":2,\"time_limit\":\"10m\"}\r\n\n{\"name\": \"b\", \"time_limit\": 1.5}\n";
    let tasks = json(text).unwrap();
    assert_eq!(sent(&tasks), ["b<", "a\n1<b"]);
    let a = tasks.details(0).unwrap();
    assert_eq!(a.command, "./a 'x'");
    assert_eq!((a.priority, a.retries, a.time_limit_ms), (Some(-3), Some(2), Some(600_000)));
    let b = tasks.details(1).unwrap();
    assert_eq!((b.priority, b.retries, b.time_limit_ms), (None, None, Some(1500)));
}

#[test]
fn json_lines_are_refused_with_line_and_reason() {
    let first = |text: &str| refusal(json(text)).lines().next().unwrap_or_default().to_owned();
    let good = "{\"name\":\"a\"}\n";
    for (line, expected) in [
        (
            "{\"name\":\"b\",\"comand\":\"x\"}",
            "unknown field `comand`, expected one of `name`, `needs`, `command`, `priority`, \
             `retries`, `time_limit`, `dir`, `env`, `stdin` (column 20)",
        ),
        ("{\"needs\":[]}", "missing field `name` (column 12)"),
        ("{\"name\":\"b\"", "the line ends within an object (column 11)"),
        (
            "{\"name\":\"b\",\"priority\":\"high\"}",
            "invalid type: string \"high\", expected a whole number (column 29)",
        ),
        (
            "{\"name\":\"b\",\"retries\":-1}",
            "invalid value: integer `-1`, expected a whole number from 0 (column 24)",
        ),
        ("b,a", "expected value (column 1)"),
        ("{\"name\":\"\"}", "a name is empty"),
        ("{\"name\":\"b\",\"needs\":[\"\"]}", "a name is empty"),
        ("{\"name\":\"b\\u0000\"}", "the name 'b\\u{0}' has a NUL byte"),
        ("{\"name\":\"a\"}", "'a' is on line 1 already"),
        ("{\"name\":\"b\",\"retries\":1000001}", "retries is at most 1,000,000"),
        (
            "{\"name\":\"b\",\"time_limit\":-1}",
            "time_limit is not a number of seconds: -1 (column 28)",
        ),
        (
            "{\"name\":\"b\",\"time_limit\":[]}",
            "time_limit is a time like \"10m\" or a number of seconds (column 28)",
        ),
        ("{\"name\":\"b\",\"env\":{\"A=\":\"1\"}}", "a name in env is empty or has a ="),
        ("{\"name\":\"b\",\"env\":{\"A\":\"\\u0000\"}}", "env has a NUL byte"),
    ] {
        let message = first(&format!("{good}{line}"));
        assert_eq!(message, format!("tasks.jsonl:2: {expected}"));
    }
}

#[test]
fn a_template_must_not_make_commands_too_long() {
    let name = "x".repeat(1000);
    let text = format!("a\n{name}");
    let tasks = lines(&text).unwrap();
    assert!(tasks.refuse_long_commands(&Template::new(&"{}".repeat(131))).is_ok());
    assert_eq!(
        refusal(tasks.refuse_long_commands(&Template::new(&"{}".repeat(132)))),
        "tasks.txt:2: a command has 132,000 bytes; at most 131,072\n(nothing was added)"
    );
}
