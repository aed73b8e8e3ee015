//! Who may read a file and not lock it cannot know whether a hub runs on it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{Hub, Output, Process, Space, task};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// `dhub rescue` by somebody who may not write beside the file.
fn rescue(file: &Path, to: &str) -> Output {
    let space = Space::new();
    set_mode(&space.path(""), 0o777);
    let program = space.path("dhub");
    fs::copy(space.command("dhub").get_program(), &program).expect("the program");
    let mut command = match rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root.
        true => {
            let mut command = space.command("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        }
        false => space.command("dhub"),
    };
    command.arg("rescue").arg(file).arg(to);
    Process::start(command).end()
}

#[test]
fn a_rescue_that_cannot_lock_the_file_says_that_a_hub_may_run_on_it() {
    let mut hub = Hub::with(&["--file-mode", "0644"]);
    hub.native().create(&[task("a", &[]), task("b", &[])]);
    hub.query(&["list", "--all"]).ok();
    let is_root = rustix::process::geteuid().is_root();
    let (dir, lock) = (hub.path(""), hub.path("run.db.lock"));
    let forbid = |of_dir, of_lock| {
        set_mode(&dir, of_dir);
        if !is_root {
            set_mode(&lock, of_lock);
        }
    };
    forbid(0o555, 0);
    let said = rescue(&hub.path("run.db"), "to.db");
    said.exits(Exit::Incomplete as i32).prints(&[
        "2 tasks",
        "cannot be locked",
        "a hub may run on it",
    ]);
    forbid(0o755, 0o600);
    hub.terminate().exits(0);
    // As a copy that was made to be read has none: no hub runs there, for it would have one.
    fs::remove_file(&lock).expect("the lock");
    set_mode(&dir, 0o555);
    rescue(&hub.path("run.db"), "to.db").exits(0).prints(&["2 tasks"]);
    set_mode(&dir, 0o755);
}
