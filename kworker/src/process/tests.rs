//! With real processes. Reaping takes whatever child has ended, so tests with children go one by one.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;

use super::*;

static CHILDREN: Mutex<()> = Mutex::new(());

/// Held by every test that has children.
pub fn alone() -> MutexGuard<'static, ()> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn attempt(name: &str) -> Attempt {
    Attempt { name: name.into(), attempt: 3, started: true }
}

fn to_start(command: Command, time_limit: Option<Duration>) -> Start {
    let (stdin, output) = (Stdio::null(), Output::Tail);
    Start { command, attempt: attempt("a"), time_limit, stdin, output }
}

fn start(processes: &mut Processes, script: &str, limit: Option<Duration>) {
    processes.start(to_start(sh(script), limit), Instant::now()).unwrap();
}

/// Does as the loop does, until something has ended.
fn await_end(processes: &mut Processes) -> Ended {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        sleep(Duration::from_millis(2));
        processes.read();
        processes.tick(Instant::now());
        processes.reap(Instant::now());
        if let Some(ended) = processes.take_ended().pop() {
            assert!(processes.alive.is_empty());
            assert!(processes.names.is_empty());
            assert!(processes.timers.is_empty() && processes.lingering.is_empty());
            assert_eq!(processes.free_slot(), 0);
            return ended;
        }
    }
    panic!("nothing has ended");
}

fn outcome(script: &str, limit: Option<Duration>) -> Outcome {
    let mut processes = Processes::new(100, None).unwrap();
    start(&mut processes, script, limit);
    await_end(&mut processes).outcome.unwrap()
}

fn await_file(path: &Path) -> String {
    for _ in 0..5000 {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => sleep(Duration::from_millis(2)),
        }
    }
    panic!("{} was not written", path.display());
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn assert_dies(pid: &str) {
    for _ in 0..2000 {
        if !is_alive(pid) {
            return;
        }
        sleep(Duration::from_millis(2));
    }
    panic!("{pid} still runs");
}

#[test]
fn exit_codes_and_both_outputs_are_reported() {
    let _alone = alone();
    let ok = outcome("echo out; echo err >&2; echo out again", None);
    assert_eq!(ok.output, b"out\nerr\nout again\n");
    assert_eq!((ok.result(), ok.exit_code, ok.attempt), (Verdict::Done, 0, 3));
    let failed = outcome("exit 7", None);
    assert_eq!((failed.result(), failed.exit_code), (Verdict::Failed, 7));
    let killed = outcome("kill -SEGV $$", None);
    assert_eq!((killed.result(), killed.exit_code), (Verdict::Failed, 128 + 11));
}

#[test]
fn standard_input_is_empty_and_no_descriptor_is_inherited() {
    let _alone = alone();
    assert_eq!(outcome("cat; readlink /proc/self/fd/0", None).output, b"/dev/null\n");
    // What the test itself was started with is inherited; another pipe of ours is not.
    let (read, _write) = io::pipe().unwrap();
    let ours = format!("pipe:[{}]", rustix::fs::fstat(&read).unwrap().st_ino);
    let output =
        String::from_utf8(outcome("for fd in /proc/$$/fd/*; do readlink $fd; done", None).output)
            .unwrap();
    assert!(output.contains("/dev/null") && !output.contains(&ours), "{ours} in {output}");
}

#[test]
fn only_the_last_bytes_of_much_output_are_kept() {
    let _alone = alone();
    let much = outcome("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done", None);
    assert_eq!(much.output.len(), 100);
    assert!(much.output.ends_with(b"\nline 29998\nline 29999\n"));
}

/// Its own process number, then it sleeps.
const LEFT: &str = "echo before; sleep 60 & echo $!";

#[test]
fn what_a_task_leaves_behind_is_gone_when_it_ends() {
    let _alone = alone();
    for script in [LEFT, "trap '' TERM; echo before; sleep 60 & echo $!"] {
        let outcome = outcome(script, None);
        assert_eq!((outcome.result(), outcome.left_behind), (Verdict::Done, 1));
        let text = String::from_utf8(outcome.output).unwrap();
        let (first, pid) = text.trim().split_once('\n').unwrap();
        assert_eq!(first, "before");
        assert!(!is_alive(pid), "it was left behind");
    }
}

#[test]
fn what_is_about_to_end_may() {
    let _alone = alone();
    let outcome = outcome("(trap 'echo asked' TERM; sleep 0.2; echo after) & echo before", None);
    assert_eq!((outcome.output, outcome.left_behind), (b"before\nafter\n".to_vec(), 0));
}

#[test]
fn who_leaves_the_group_is_found() {
    let _alone = alone();
    crate::children::adopt_orphans();
    for script in [
        "setsid sleep 60 & echo $!",
        "setsid sh -c 'sleep 60 & echo $!; exit' & wait",
        "setsid sh -c \"trap '' TERM; sleep 60; sleep 60\" & echo $!",
        "setsid env -i sleep 60 & echo $!",
    ] {
        let outcome = outcome(script, None);
        let pid = String::from_utf8(outcome.output.clone()).unwrap();
        // What hides all traces is killed when the task has ended.
        assert_dies(pid.trim());
        assert_eq!(outcome.result(), Verdict::Done, "{script}");
    }
}

/// A process that ends has no environment any more, and the children that it leaves are not yet given to this one: with
/// much memory that takes a while. A task that ends just then has not ended before those are gone, too.
#[test]
fn what_is_left_by_one_that_is_just_ending_is_found() {
    let _alone = alone();
    crate::children::adopt_orphans();
    let dir = tempfile::tempdir().unwrap();
    let deaf = "trap '' TERM; echo $$ >third; sleep 1000; sleep 1000";
    let second = "setsid sh -c \"$DEAF\" & until test -s third; do :; done
        exec dd if=/dev/zero of=/dev/null bs=400M count=1 2>/dev/null";
    let first = "setsid sh -c \"$SECOND\" & it=/proc/$!/cmdline
        until grep -q ^dd $it; do :; done; while grep -q . $it; do :; done 2>/dev/null";
    for _ in 0..5 {
        let mut command = sh(first);
        command.env("DHUB_TASK", "a").env("DHUB_ATTEMPT", "3").env("DEAF", deaf);
        command.env("SECOND", second).current_dir(dir.path());
        let mut processes = Processes::new(100, None).unwrap();
        processes.start(to_start(command, None), Instant::now()).unwrap();
        let outcome = await_end(&mut processes).outcome.unwrap();
        let third = std::fs::read_to_string(dir.path().join("third")).unwrap();
        assert!(!is_alive(third.trim()), "the task has ended, and {third} of it has not");
        assert_eq!(outcome.result(), Verdict::Done);
        std::fs::remove_file(dir.path().join("third")).unwrap();
    }
}

#[test]
fn orphans_of_one_task_end_with_it_and_not_with_another() {
    let _alone = alone();
    crate::children::adopt_orphans();
    let dir = tempfile::tempdir().unwrap();
    let mut processes = Processes::new(100, None).unwrap();
    for name in ["a", "b"] {
        let file = dir.path().join(name);
        let mut command = sh(&format!(
            "(setsid sh -c 'echo $$ >{0}; sleep 60' &); until test -e {0}.end; do sleep 0.02; done",
            file.display()
        ));
        command.env("DHUB_TASK", name).env("DHUB_ATTEMPT", "3");
        let start = Start { attempt: attempt(name), ..to_start(command, None) };
        processes.start(start, Instant::now()).unwrap();
    }
    assert_eq!(processes.free_slot(), 2);
    let orphans = ["a", "b"].map(|name| await_file(&dir.path().join(name)));
    let mut await_task = |name: &str| {
        std::fs::write(dir.path().join(format!("{name}.end")), "").unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < until, "{name} has not ended");
            sleep(Duration::from_millis(2));
            processes.tick(Instant::now());
            processes.reap(Instant::now());
            if let Some(ended) = processes.take_ended().pop() {
                assert_eq!(ended.name, name);
                return;
            }
        }
    };
    await_task("a");
    assert!(!is_alive(&orphans[0]) && is_alive(&orphans[1]));
    await_task("b");
    assert!(!is_alive(&orphans[1]));
}

#[test]
fn a_file_gets_all_of_the_output_and_its_end_is_reported() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    std::fs::write(&path, "of an earlier attempt\n").unwrap();
    let file = std::fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let mut processes = Processes::new(100, None).unwrap();
    let script = "seq 1000; echo err >&2";
    let output = Output::File { file, path: path.clone() };
    processes.start(Start { output, ..to_start(sh(script), None) }, Instant::now()).unwrap();
    let outcome = await_end(&mut processes).outcome.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("of an earlier attempt\n1\n2\n") && text.ends_with("\n1000\nerr\n"));
    assert_eq!(outcome.output, text.as_bytes()[text.len() - 100..]);
    assert_eq!(outcome.output_file, path.to_str().unwrap());

    let file = std::fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let output = Output::File { file, path };
    processes.start(Start { output, ..to_start(sh("echo short"), None) }, Instant::now()).unwrap();
    assert_eq!(await_end(&mut processes).outcome.unwrap().output, b"short\n");
    let output = Output::Nothing;
    processes.start(Start { output, ..to_start(sh("seq 1000"), None) }, Instant::now()).unwrap();
    assert_eq!(await_end(&mut processes).outcome.unwrap().output, b"");
}

#[test]
fn the_time_limit_stops_the_whole_group() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; echo started; wait", file.display());
    let limit = Duration::from_millis(300);
    let outcome = outcome(&script, Some(limit));
    assert_eq!(outcome.result(), Verdict::Failed);
    assert_eq!(outcome.reason, "timed out after 0.3 s");
    assert_eq!(outcome.exit_code, 128 + 15);
    assert_eq!(outcome.output, b"started\n");
    assert_dies(&await_file(&file));
}

#[test]
fn a_program_below_a_shell_may_save_its_work() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved");
    let saves = format!(
        "trap \"sleep 0.5; echo yes > {0}; exit\" TERM; echo > {0}.up; while :; do sleep 0.05; done",
        file.display()
    );
    // The outer shell dies at once, the inner one half a second later.
    let script = format!("/bin/sh -c '{saves}' & wait");
    let mut processes = Processes::new(100, None).unwrap();
    start(&mut processes, &script, None);
    await_file(&dir.path().join("saved.up"));
    processes.stop("a", Instant::now());
    assert!(await_end(&mut processes).outcome.is_none());
    assert_eq!(await_file(&file), "yes");
}

#[test]
fn who_does_not_listen_is_killed_after_the_grace() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("trap '' TERM; sleep 60 & echo $! > {}; wait; sleep 60", file.display());
    let mut processes = Processes::new(100, None).unwrap();
    start(&mut processes, &script, None);
    let grandchild = await_file(&file);
    let now = Instant::now();
    processes.stop("a", now);
    sleep(Duration::from_millis(100));
    processes.tick(now + GRACE / 2);
    processes.reap(now);
    assert!(processes.take_ended().is_empty());
    assert!(is_alive(&grandchild));
    processes.tick(now + GRACE);
    assert!(await_end(&mut processes).outcome.is_none());
    assert_dies(&grandchild);
}

#[test]
fn killing_at_once_takes_the_group_and_forgets_the_outcome() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("trap '' TERM; sleep 60 & echo $! > {}; wait", file.display());
    let mut processes = Processes::new(100, None).unwrap();
    start(&mut processes, &script, Some(Duration::from_secs(60)));
    let grandchild = await_file(&file);
    processes.kill("a", Instant::now());
    assert!(await_end(&mut processes).outcome.is_none());
    assert_dies(&grandchild);
}

#[test]
fn what_does_not_exist_is_an_error_and_leaves_nothing() {
    let _alone = alone();
    let mut processes = Processes::new(100, None).unwrap();
    let error = processes.start(to_start(Command::new("/no/such/program"), None), Instant::now());
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(processes.alive.is_empty());
}
