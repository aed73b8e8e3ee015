//! Bugs are planted where their text is, all in one copy; and each of them has its text in the hub.

#[path = "../build/bug.rs"]
mod bug;
#[path = "../build/plant.rs"]
mod plant;

use std::path::Path;
use std::{fs, io};

use bug::Bug;

const TEXT: &str = "fn first(a: u32) -> bool {
    a > 1
}

fn second(a: u32) -> bool {
    let b = a + 1;

    b > 1
}
";

/// Bugs by name, each with its text, in TEXT.
fn planted(bugs: &[(&str, &str)]) -> Result<String, Vec<String>> {
    let parse = |(name, text): &(&str, &str)| Bug::parse(name, text).map_err(|what| vec![what]);
    let bugs = bugs.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let read = |file: &str| match file {
        "a.rs" => Ok(TEXT.to_string()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    Ok(plant::plant(&bugs, read)?.remove("a.rs").expect("a bug in a.rs"))
}

/// The text of a bug in a file, of its blocks.
fn text(file: &str, blocks: &str) -> String {
    format!("Something goes wrong.\n\n--- {file}\n{blocks}\n")
}

#[test]
fn two_bugs_on_one_line() {
    let one = text("a.rs", "-b > 1\n+b > 1 || planted!()");
    let other = text("a.rs", " let b = a + 1;\n-b > 1\n+!planted!() && b > 1");
    let expected = TEXT.replace(
        "    b > 1\n",
        "    !crate::planted::planted(\"other\") && b > 1 || crate::planted::planted(\"one\")\n",
    );
    assert_eq!(planted(&[("one", &one), ("other", &other)]), Ok(expected));
}

#[test]
fn lines_that_come_and_lines_that_go() {
    let bug = text("a.rs", "+use x;\n fn first(a: u32) -> bool {\n\n-let b = a + 1;\n+let b = 0;");
    let bug = bug + "\n fn second(a: u32) -> bool {\n+if planted!() { return true; }\n";
    let expected = TEXT.replace("fn first", "use x;\nfn first").replace("a + 1;", "0;").replace(
        "fn second(a: u32) -> bool {",
        "fn second(a: u32) -> bool {\nif crate::planted::planted(\"one\") { return true; }",
    );
    assert_eq!(planted(&[("one", &bug)]), Ok(expected));
}

#[test]
fn two_bugs_that_replace_the_same_text() {
    let (one, other) = ("-b > 1\n+planted!()", "-b > 1\n+b + 5 > u32::from(planted!())");
    let (one, other) = (text("a.rs", one), text("a.rs", other));
    let wrong = planted(&[("one", &one), ("other", &other)]).expect_err("both");
    assert_eq!(wrong, ["one and other replace the same text in a.rs"]);
}

/// Of all bugs at once, with the bug and the file.
#[test]
fn text_that_is_not_there_or_not_once() {
    let missing = text("a.rs", "-c > 1\n+planted!()");
    let part = text("a.rs", "-> 1\n+planted!()");
    let twice = text("a.rs", " }\n+// planted!()");
    let gone = text("gone.rs", "-b > 1\n+planted!()");
    let bugs = [("missing", &*missing), ("part", &part), ("twice", &twice), ("gone", &gone)];
    assert_eq!(
        planted(&bugs).expect_err("four"),
        [
            "missing: a.rs: is there 0 times, not once: c > 1",
            "part: a.rs: is there 0 times, not once: > 1",
            "twice: a.rs: is there 2 times, not once: }",
            "gone: gone.rs: entity not found",
        ]
    );
}

#[test]
fn files_that_are_no_bugs() {
    let wrong = |text: &str| planted(&[("one", text)]).expect_err(text).remove(0);
    let silent = "--- a.rs\n-b > 1\n+planted!()\n";
    assert_eq!(wrong(silent), "one: does not say what goes wrong");
    let always = text("a.rs", "-b > 1\n+false");
    assert_eq!(wrong(&always), "one: has no planted!(), so it would always be there");
    let nowhere = text("a.rs", "+planted!()");
    assert_eq!(wrong(&nowhere), "one: a.rs: a block in which no line is old");
    for other in ["b > 1", "\u{e9} > 1"] {
        let begin = text("a.rs", other);
        let expected = format!("one: begins with neither ' ', '-' nor '+': {other}");
        assert_eq!(wrong(&begin), expected);
    }
}

/// Whoever changes the hub so that a bug has no place any more is told here.
#[test]
fn each_bug_has_its_text_in_the_hub() {
    let bugs = bug::read_all(Path::new("../bugs")).expect("the bugs");
    let bugs = bugs.into_iter().collect::<Result<Vec<_>, _>>().unwrap_or_else(|it| panic!("{it}"));
    assert!(bugs.len() > 50, "only {}", bugs.len());
    let read = |file: &str| fs::read_to_string(Path::new("../../../hub/src").join(file));
    let wrong = plant::plant(&bugs, read).err().unwrap_or_default();
    assert!(wrong.is_empty(), "change the files below tests/sim/bugs:\n{}", wrong.join("\n"));
}
