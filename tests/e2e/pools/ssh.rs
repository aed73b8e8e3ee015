//! scripts/ssh-pool.sh against a real sshd on this machine, with keys of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use e2e::{Log, Process, eventually, free_ports};
use rustix::process::Signal;

use crate::guarded::Guarded;
use crate::{has, left, script, skips};

/// The pools of a test: a hub, an sshd, and two names of this machine.
struct Hosts {
    hub: Guarded,
    access: PathBuf,
    port: u16,
    _sshd: Process,
}

const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

/// Ends when `gate` is there. The pools' directory is where the hub's file is.
const GATED: &str =
    "echo $$ >>pids; while test -e run.db && ! test -e gate; do sleep 0.02; done; echo {} >>log";

fn hosts(tasks: usize) -> Option<Hosts> {
    if skips(has("sshd") && has("ssh-keygen"), "sshd", "DHUB_SSHD") {
        return None;
    }
    let hub = Guarded::with(&[]);
    let space = &hub.space;
    let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    space.write("tasks.txt", names.join("\n"));
    hub.query(&["addfile", "tasks.txt"]).ok();
    for key in ["host", "user"] {
        let file = space.path(key).display().to_string();
        space.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file]).ok();
    }
    if rustix::process::geteuid().is_root() {
        // Where sshd's unprivileged part is shut in; empty, and there at each start of a system.
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
        fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let port = free_ports();
    let dir = space.path("").display().to_string();
    space.write(
        "sshd.conf",
        format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nPidFile none\nUsePAM no\n\
             AuthorizedKeysFile {dir}/user.pub\nStrictModes no\nPermitRootLogin yes\n"
        ),
    );
    let sshd = if Path::new("/usr/sbin/sshd").exists() { "/usr/sbin/sshd" } else { "sshd" };
    let mut command = space.command(sshd);
    command.args(["-D", "-e", "-f", &space.path("sshd.conf").display().to_string()]);
    let mut sshd = Process::start(command);
    sshd.hear("Server listening");
    let access = hub.key("node");
    Some(Hosts { hub, access, port, _sshd: sshd })
}

impl Hosts {
    fn pool(&self, hosts: &[&str], args: &[&str]) -> Process {
        let space = &self.hub.space;
        let path = |name: &str| space.path(name).display().to_string();
        let mut command = self.hub.command(&script("ssh-pool.sh"), &self.access);
        let kworker = which_kworker(&self.hub);
        command.args(["-d", &path(""), "-k", &kworker, "-o", &format!("Port={}", self.port)]);
        command.args(["-o", &format!("IdentityFile={}", path("user"))]);
        command.args(["-o", &format!("UserKnownHostsFile={}", path("known"))]);
        command.args(["-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes"]);
        // What a test leaves behind is found by it, on both sides.
        command.args(hosts).args(["--", "--name", &self.mark(), "-j", "2"]).args(args);
        Process::start(command)
    }

    fn mark(&self) -> String {
        format!("ssh-{}-{}", std::process::id(), self.port)
    }

    fn log(&self) -> Log {
        Log::new(self.hub.space.path("log"))
    }

    /// Waits until so many tasks run.
    fn running(&self, tasks: usize) {
        let pids = Log::new(self.hub.space.path("pids"));
        eventually("the tasks to start", || (pids.len() == tasks).then_some(()));
    }

    /// No task of it runs.
    fn no_task_is_left(&self) {
        left::nothing(&format!("DHUB_WORKER={}", self.mark()));
    }
}

fn which_kworker(hub: &Guarded) -> String {
    let mut command = hub.space.command("sh");
    command.args(["-c", "command -v kworker"]);
    Process::start(command).end().ok().trim().to_owned()
}

#[test]
fn the_tasks_run_on_the_hosts_and_the_access_file_does_not_stay() {
    let Some(hosts) = hosts(20) else { return };
    let task = "stat -c '%a %n' \"$DHUB_ACCESS\" >>access; echo {} >>log";
    let ended = hosts.pool(&HOSTS, &["--until-done", "--shell", task]).end();
    ended.exits(0).says(&["127.0.0.1: done", "localhost: done"]);
    ended.prints(&["127.0.0.1: kworker ", "localhost: kworker "]);
    assert_eq!((hosts.log().len(), hosts.hub.count("done")), (20, 20));
    let mut files = Log::new(hosts.hub.space.path("access")).names();
    files.sort();
    files.dedup();
    assert!((1..=2).contains(&files.len()), "{files:?}");
    for file in files {
        let path = file.strip_prefix("600 ").unwrap_or_else(|| panic!("{file}"));
        assert!(!fs::exists(path).expect("a directory"), "{path} is still there");
    }
}

#[test]
fn each_host_is_reported_by_itself() {
    let Some(hosts) = hosts(1) else { return };
    let pool = hosts.pool(&["nobody.invalid", "127.0.0.1"], &["--until-done", "--shell", "exit 3"]);
    let ended = pool.end();
    ended.exits(255).says(&[
        "nobody.invalid: ssh failed",
        "127.0.0.1: some tasks failed, were skipped or cancelled",
    ]);
}

#[test]
fn hosts_in_a_file_have_options_of_their_own() {
    let Some(hosts) = hosts(1) else { return };
    hosts
        .hub
        .space
        .write("hosts", "# two\n127.0.0.1 --output-bytes 10 # few\n\nlocalhost --verbose");
    let ended = hosts.pool(&["-f", "hosts"], &["--until-done", "--shell", "echo {} >>log"]).end();
    ended.exits(0).says(&["127.0.0.1: done", "localhost: done"]);
    assert_eq!(hosts.log().len(), 1);
}

#[test]
fn an_interrupt_lets_tasks_end_and_a_second_one_does_not() {
    let Some(hosts) = hosts(9) else { return };
    let mut pool = hosts.pool(&HOSTS, &["--ahead", "0", "--shell", GATED]);
    hosts.running(4);
    pool.signal(Signal::INT);
    pool.hear("the pools finish what runs");
    hosts.hub.space.write("gate", "");
    pool.end().exits(0).says(&["127.0.0.1: done, or left", "localhost: done, or left"]);
    assert_eq!((hosts.log().len(), hosts.hub.count("done"), hosts.hub.count("ready")), (4, 4, 5));

    fs::remove_file(hosts.hub.space.path("gate")).expect("a gate");
    let mut pool = hosts.pool(&HOSTS, &["--ahead", "0", "--shell", GATED]);
    hosts.running(8);
    pool.signal(Signal::INT);
    pool.hear("the pools finish what runs");
    pool.signal(Signal::INT);
    pool.end().exits(143).says(&["the pools stop", "localhost: stopped at once"]);
    assert_eq!((hosts.log().len(), hosts.hub.count("ready")), (4, 5));
    hosts.no_task_is_left();
}

#[test]
fn a_connection_that_is_cut_ends_its_pool_when_its_tasks_have_ended() {
    let Some(hosts) = hosts(4) else { return };
    let mut pool = hosts.pool(&["localhost"], &["--ahead", "2", "--shell", GATED]);
    hosts.running(2);
    assert_eq!(hosts.hub.count("running"), 4);
    pool.kill9();
    // The pool has given back what it stole ahead: it has noticed.
    eventually("the rest to be given back", || (hosts.hub.count("ready") == 2).then_some(()));
    hosts.hub.space.write("gate", "");
    eventually("what ran to be done", || (hosts.hub.count("done") == 2).then_some(()));
    hosts.no_task_is_left();
    assert_eq!(hosts.log().len(), 2);
}
