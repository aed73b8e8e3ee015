//! scripts/pbs-pool.sh, with the environment that PBS gives a job. No PBS is free and small
//! enough to be installed for a test.

use std::fs;
use std::process::Command;

use e2e::{Hub, Log, Process};

use crate::script;

fn job(hub: &Hub) -> Command {
    let mut command = hub.command("sh");
    command.arg(script("pbs-pool.sh")).current_dir("/");
    command.env("PBS_O_WORKDIR", hub.path("")).env("PBS_JOBID", "7[1].login3");
    command
}

#[test]
fn a_pool_has_the_cores_of_the_job_and_its_directory() {
    let hub = Hub::start();
    hub.query(&["create", "it's", "--command", "echo by command >>log"]).ok();
    let mut openpbs = job(&hub);
    openpbs.env("NCPUS", "3");
    Process::start(openpbs).end().exits(0).says(&["3 slots"]);
    hub.query(&["create", "two words"]).ok();
    let mut torque = job(&hub);
    torque.env("PBS_NUM_PPN", "2").env("KWORKER_SHELL", "echo by script {} >>log");
    Process::start(torque).end().exits(0).says(&["2 slots"]);
    let log = Log::new(hub.path("log"));
    assert_eq!(log.names(), ["by command", "by script two words"]);
}

#[test]
fn outside_of_a_job_it_says_so() {
    let hub = Hub::start();
    let mut command = job(&hub);
    command.env_remove("PBS_JOBID");
    Process::start(command).end().exits(2).says(&["qsub"]);
    let text = fs::read_to_string(script("pbs-pool.sh")).expect("the script");
    assert!(text.contains("#PBS -J") && text.contains("#PBS -l walltime"));
}
