//! scripts/slurm-pool.sh in a real Slurm: munged, slurmctld and two slurmd of each test alone,
//! on this machine, with all their files in a directory of the test.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use e2e::{Log, Output, Process, eventually, free_ports};
use rustix::process::Signal;

use crate::guarded::Guarded;
use crate::{has, left, script, skips};

/// A Slurm of two nodes, and a hub that is reached from there over encrypted TCP.
struct Slurm {
    hub: Guarded,
    /// What the pools are given.
    access: PathBuf,
    daemons: Vec<Process>,
}

/// Ends when `gate` is there, or the hub's file is not.
const GATED: &str =
    "echo {} >>started; while test -e run.db && ! test -e gate; do sleep 0.05; done; echo {} >>log";

/// With so many tasks. None: there is no Slurm here.
fn slurm(tasks: usize) -> Option<Slurm> {
    let root = rustix::process::geteuid().is_root();
    let installed = ["munged", "slurmctld", "slurmd", "sbatch", "srun"].into_iter().all(has);
    if skips(root && installed, "Slurm", "DHUB_SLURM") {
        return None;
    }
    let hub = Guarded::with(&["--worker-timeout", "4s"]);
    let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    hub.space.write("tasks.txt", names.join("\n"));
    hub.query(&["addfile", "tasks.txt"]).ok();
    let access = hub.key("slurm");
    let mut slurm = Slurm { hub, access, daemons: Vec::new() };
    slurm.start();
    Some(slurm)
}

impl Slurm {
    fn start(&mut self) {
        // munged wants its socket below directories that others may search.
        for dir in ["", "munge", "state", "n1", "n2"] {
            fs::create_dir_all(self.path(dir)).expect("a directory");
            self.mode(dir, 0o755);
        }
        let mut key = [0; 128];
        let random = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut key));
        random.expect("random bytes");
        self.hub.space.write("munge/key", key);
        self.mode("munge/key", 0o600);
        self.hub.space.write("slurm.conf", self.conf());

        let munge = |option: &str, file: &str| {
            format!("--{option}={}", self.path("munge").join(file).display())
        };
        let munge = [
            "--foreground".to_owned(),
            munge("socket", "socket"),
            munge("key-file", "key"),
            munge("pid-file", "pid"),
            munge("log-file", "log"),
            munge("seed-file", "seed"),
        ];
        self.daemon("munged", &munge);
        eventually("munged", || self.path("munge/socket").exists().then_some(()));
        self.daemon("slurmctld", &["-D".into()]);
        for node in ["n1", "n2"] {
            self.daemon("slurmd", &["-D".into(), "-N".into(), node.into()]);
        }
        eventually("two nodes that are idle", || {
            let nodes = self.run("sinfo", &["--noheader", "--format=%t %D"]).stdout;
            (nodes.trim() == "idle 2").then_some(())
        });
    }

    /// More cores than there are: nothing here computes.
    fn conf(&self) -> String {
        let dir = self.path("");
        let dir = dir.to_str().expect("UTF-8").trim_end_matches('/');
        let host = dhub_proto::host_name();
        let host = host.split('.').next().expect("a name");
        let (first, second) = (free_ports(), free_ports());
        format!(
            "ClusterName=dhub-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge/socket
CredType=cred/munge
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/%n.log
PlugStackConfig=/dev/null
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={third} CPUs=4
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
",
            third = second + 1
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.hub.space.path(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn daemon(&mut self, name: &str, args: &[String]) {
        let mut command = self.command(name);
        command.args(args);
        self.daemons.push(Process::start(command));
    }

    /// As a user calls it who has an access file for the hub.
    fn command(&self, program: &str) -> Command {
        let mut command = self.hub.command("env", &self.access);
        let path = command.get_envs().find_map(|(name, value)| (name == "PATH").then_some(value));
        let path = path.flatten().expect("a search path").to_string_lossy().into_owned();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.env("SLURM_CONF", self.path("slurm.conf")).arg(program);
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.command(program);
        command.args(args);
        Process::start(command).end()
    }

    /// Submits the pools; the number of the job.
    fn submit(&self, options: &[&str], kworker: &[&str]) -> String {
        let script = script("slurm-pool.sh");
        let job = self.run("sbatch", &[&["--parsable"], options, &[&script], kworker].concat());
        job.ok().trim().to_owned()
    }

    /// Waits until no job is left, and nothing of one.
    fn no_job_is_left(&self) {
        eventually("the end of the jobs", || {
            let jobs = self.run("squeue", &["--noheader"]);
            jobs.exits(0).stdout.trim().is_empty().then_some(())
        });
        left::nothing(&self.job_entry());
    }

    /// What Slurm adds to the environment of what runs in a job, and to nothing else.
    fn job_entry(&self) -> String {
        format!("SLURM_SUBMIT_DIR={}", self.path("").to_str().expect("UTF-8").trim_end_matches('/'))
    }

    fn log(&self, name: &str) -> Log {
        Log::new(self.path(name))
    }

    /// What the pools of a job said.
    fn said(&self, job: &str) -> String {
        let mut text = String::new();
        for file in fs::read_dir(self.path("")).expect("a directory").flatten() {
            if file.file_name().to_string_lossy().starts_with(&format!("kworker-{job}-")) {
                text += &fs::read_to_string(file.path()).expect("a log");
            }
        }
        text
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let mut cancel = self.command("scancel");
        cancel.args(["--user=root", "--signal=KILL", "--full"]);
        let _ = cancel.output();
        // A daemon that is killed would leave those that it started.
        for daemon in self.daemons.iter().rev() {
            daemon.signal(Signal::TERM);
        }
        for mut daemon in self.daemons.drain(..).rev() {
            for _ in 0..500 {
                if !daemon.is_running() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }
}

#[test]
fn an_array_of_pools_does_all_tasks_over_encrypted_tcp() {
    let Some(slurm) = slurm(40) else { return };
    // No task ends before both pools run one.
    let task = "echo $SLURM_ARRAY_TASK_ID >>pools; \
                until test $(sort -u pools | wc -l) = 2; do sleep 0.05; done; echo {} >>log";
    let job = slurm.submit(&["--array=1-2", "-c", "2"], &["--shell", task]);
    slurm.no_job_is_left();
    assert_eq!((slurm.hub.count("done"), slurm.hub.count("failed")), (40, 0));
    let mut names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    names.sort();
    assert_eq!(slurm.log("log").sorted(), names, "each once");
    let said = slurm.said(&job);
    assert_eq!(said.matches("2 slots").count(), 2, "{said}");
    assert!(said.contains("hub 127.0.0.1:"), "{said}");
}

#[test]
fn the_tasks_of_a_cancelled_job_finish_in_another_one() {
    let Some(slurm) = slurm(6) else { return };
    let job = slurm.submit(&["--array=1", "-c", "4"], &["--shell", GATED]);
    let started = slurm.log("started");
    eventually("four tasks to run", || (started.len() == 4).then_some(()));
    slurm.run("scancel", &[&job]).exits(0);
    slurm.no_job_is_left();
    // Given back at once, or taken back when the lease has ended.
    eventually("all to be ready", || (slurm.hub.count("ready") == 6).then_some(()));
    slurm.hub.space.write("gate", "");
    slurm.submit(&["--array=1-2", "-c", "2"], &["--shell", GATED]);
    slurm.no_job_is_left();
    assert_eq!((slurm.hub.count("done"), slurm.log("log").len()), (6, 6), "{}", slurm.said(&job));
}

#[test]
fn one_job_of_two_nodes_has_a_pool_on_each() {
    let Some(slurm) = slurm(8) else { return };
    let task = "echo $SLURMD_NODENAME >>pools; \
                until test $(sort -u pools | wc -l) = 2; do sleep 0.05; done; echo {} >>log";
    let options = ["--array=0", "--nodes=2", "-c", "3"];
    let job = slurm.submit(&options, &["--shell", task]);
    slurm.no_job_is_left();
    assert_eq!((slurm.hub.count("done"), slurm.log("log").len()), (8, 8), "{}", slurm.said(&job));
    assert_eq!(slurm.said(&job).matches("3 slots").count(), 2);
}

#[test]
fn a_pool_steals_no_more_before_the_time_of_its_job_is_over() {
    let Some(slurm) = slurm(6) else { return };
    // A minute is the shortest time that there is, and a second task would not end within it.
    let options = ["--array=1", "-c", "2", "-t", "1"];
    let job = slurm.submit(&options, &["--shell", "sleep 26; echo {} >>log"]);
    slurm.no_job_is_left();
    let said = slurm.said(&job);
    let (done, ready) = (slurm.hub.count("done"), slurm.hub.count("ready"));
    assert_eq!((done, ready, slurm.log("log").len()), (2, 4, 2), "{said}");
    assert!(said.contains("the time is nearly over"), "{said}");
}
