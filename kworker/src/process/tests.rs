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

fn start(processes: &mut Processes, script: &str, limit: Option<Duration>) {
    processes.start(sh(script), attempt("a"), limit, Instant::now()).unwrap();
}

/// Does as the loop does, until something has ended.
fn await_end(processes: &mut Processes) -> Ended {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        sleep(Duration::from_millis(2));
        let readable: Vec<Pid> = processes.pipes().map(|(pid, _)| pid).collect();
        readable.into_iter().for_each(|pid| processes.read(pid));
        processes.tick(Instant::now());
        processes.reap(Instant::now());
        if let Some(ended) = processes.take_ended().pop() {
            assert!(processes.alive.is_empty());
            assert!(processes.names.is_empty());
            assert!(processes.timers.is_empty());
            return ended;
        }
    }
    panic!("nothing has ended");
}

fn outcome(script: &str, limit: Option<Duration>) -> Outcome {
    let mut processes = Processes::new(100);
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

#[test]
fn a_grandchild_with_the_pipe_does_not_delay_the_outcome() {
    let _alone = alone();
    let start = Instant::now();
    let outcome = outcome("echo before; sleep 60 & echo $!", None);
    assert!(start.elapsed() < Duration::from_secs(10));
    let text = String::from_utf8(outcome.output).unwrap();
    let (first, pid) = text.trim().split_once('\n').unwrap();
    assert_eq!(first, "before");
    assert!(is_alive(pid), "what it leaves in the background is its own affair");
    kill(pid);
}

fn kill(pid: &str) {
    let pid = pid.parse().ok().and_then(Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
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
    assert_eq!(outcome.reason, "timed out after 300ms");
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
    let mut processes = Processes::new(100);
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
    let mut processes = Processes::new(100);
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
    let mut processes = Processes::new(100);
    start(&mut processes, &script, Some(Duration::from_secs(60)));
    let grandchild = await_file(&file);
    processes.kill("a", Instant::now());
    assert!(await_end(&mut processes).outcome.is_none());
    assert_dies(&grandchild);
}

#[test]
fn what_does_not_exist_is_an_error_and_leaves_nothing() {
    let _alone = alone();
    let mut processes = Processes::new(100);
    let error =
        processes.start(Command::new("/no/such/program"), attempt("a"), None, Instant::now());
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(processes.alive.is_empty());
}
