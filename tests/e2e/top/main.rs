//! `dquery top`: at a terminal of its own, and in a real tmux.

mod keys;
mod terminal;
mod tmux;

use e2e::{Hub, Process};

/// Twenty that are done, one that failed, one that runs, and one that waits for it.
fn varied() -> (Hub, Process) {
    let hub = Hub::start();
    let mut tasks: String = (0..20).map(|n| format!("quick-{n:02}\n")).collect();
    tasks += "bad\nslow\nafter,slow\n";
    hub.write("tasks.txt", tasks);
    hub.write(
        "run.sh",
        "case $1 in\n\
         bad) echo no input; exit 3;;\n\
         slow) exec sleep 600;;\n\
         esac\n",
    );
    hub.query(&["addfile", "tasks.txt"]).ok();
    let pool = hub.worker(&["-j", "2", "--", "sh", "run.sh", "{}"]);
    e2e::eventually("all but three", || (hub.count("done") == 20).then_some(()));
    e2e::eventually("a failure", || (hub.count("failed") == 1).then_some(()));
    e2e::eventually("one that runs", || (hub.count("running") == 1).then_some(()));
    (hub, pool)
}
