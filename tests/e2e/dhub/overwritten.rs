//! Another program writes to the file of a hub that runs.

use std::fs::{self, File};
use std::path::Path;

use dhub_proto::exit::Exit;
use e2e::{Hub, task};

use crate::gone::{goes_on, saved};
use crate::load::{big_task, work_until_it_stops};

/// By the file of another hub, as `cp other.db run.db` does it: the inode is the same, and it is no shorter.
pub fn overwrite(path: &Path) {
    let mut other = Hub::start();
    let tasks: Vec<_> = (0..3000).map(|n| big_task(&format!("other-{n}"))).collect();
    other.native().create(&tasks);
    other.terminate().exits(0);
    fs::copy(other.path("run.db"), path).expect("a copy");
}

#[test]
fn another_file_that_is_written_over_it_is_noticed_and_nothing_that_was_acknowledged_is_lost() {
    // Under load, also of a part of it; and of a hub that nobody asks anything.
    let one_page = |path: &Path| {
        let file = File::options().write(true).open(path).expect("the file");
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], 4096).expect("a page");
    };
    for act in [overwrite as fn(&Path), one_page] {
        let mut hub = Hub::start();
        let path = hub.path("run.db");
        let told = work_until_it_stops(&mut hub, |round| {
            if round == 40 {
                act(&path);
            }
        });
        assert!(told.created.len() >= 200, "{}", told.created.len());
        let output = hub.end();
        output.says(&["run.db was written to by another program"]);
        told.is_kept_by(&goes_on(&saved(&output)).native());
    }
    let mut hub = Hub::start();
    hub.native().create(&[task("a", &[])]);
    overwrite(&hub.path("run.db"));
    assert_eq!(goes_on(&saved(&hub.end())).count("ready"), 1);
}

#[test]
fn what_the_hub_does_itself_and_what_others_may_do_is_no_damage() {
    let mut hub = Hub::start();
    let native = hub.native();
    let ipc = hub.ipc();
    for round in 0..8 {
        // Each moves SQLite's log into the file.
        let tasks: Vec<_> = (0..2000).map(|n| big_task(&format!("t{round}-{n}"))).collect();
        native.create(&tasks);
        hub.query(&["list", "--failed"]).ok();
        hub.sh("touch run.db; touch -a run.db; chmod 640 run.db; cat run.db > /dev/null").exits(0);
        hub.space.run("dhub", &["check", "run.db"]).exits(Exit::FileInUse as i32);
        hub.query(&["-s", &ipc, "backup", &format!("copy-{round}.db")]).exits(0);
    }
    let copy = fs::metadata(hub.path("run.db")).expect("the file").len();
    assert!(copy > 30 << 20, "{copy} bytes: nothing was moved into it");
    hub.terminate().exits(0);
    hub.space.run("dhub", &["check", "run.db"]).exits(0).prints(&["16000 ready"]);
}
