//! Tasks on two pools behind a bad network, and what must be true in the end.

use e2e::{Hub, Log, Process, Proxy, eventually};

/// A program that knows the hub only through the proxy.
pub fn through(hub: &Hub, proxy: &Proxy, program: &str, args: &[&str]) -> Process {
    let mut command = hub.command(program);
    command.env("DHUB_HUB", proxy.tcp()).args(args);
    Process::start(command)
}

pub struct Run {
    pub hub: Hub,
    pub proxy: Proxy,
    pub log: Log,
    pools: Vec<Process>,
    names: Vec<String>,
}

/// Each writes its name at once, in one write.
pub const SHORT: &str = "echo {} >>log";
/// The name is written when a second is over.
pub const LONG: &str = "sleep 1; echo {} >>log";

impl Run {
    pub fn start(tasks: usize, script: &str) -> Self {
        let hub = Hub::start();
        let proxy = Proxy::to(&hub);
        let mut names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
        names.sort();
        hub.write("tasks.txt", names.join("\n"));
        hub.query(&["addfile", "tasks.txt"]).ok();
        let args = ["-j", "4", "--until-done", "--shell", script];
        let pools = (0..2).map(|_| through(&hub, &proxy, "kworker", &args)).collect();
        let log = Log::new(hub.path("log"));
        Self { hub, proxy, log, pools, names }
    }

    /// Waits until so many tasks have run.
    pub fn await_ran(&self, tasks: usize) {
        eventually("tasks to run", || (self.log.len() >= tasks).then_some(()));
    }

    /// Each task ran once and is done. A lease that reached nobody uses up an attempt, and to run
    /// it has to reach somebody; nothing was taken from a pool that had it.
    #[track_caller]
    pub fn ends_well(self) {
        let Self { hub, log, pools, names, .. } = self;
        for mut pool in pools {
            let mut before = usize::MAX;
            // As long as there is progress, it may take its time.
            while pool.is_running() {
                eventually("progress", || {
                    let now = log.len();
                    (now != before || !pool.is_running()).then(|| before = now)
                });
            }
            pool.end().exits(0);
        }
        assert_eq!(log.sorted(), names, "each once");
        let done = hub.query(&["list", "--all", "--state", "done", "--json"]).json_lines();
        assert_eq!(done.len(), names.len());
        for task in done.iter().filter(|task| task["attempt"] != 1) {
            let shown = hub.show(task["name"].as_str().expect("a name"));
            let attempts = shown["attempts"].as_array().expect("attempts");
            assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &"done".into()), "{shown:#}");
        }
    }
}
