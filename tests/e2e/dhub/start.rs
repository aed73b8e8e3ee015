//! What a hub says when it starts.

use dhub_proto::exit::HUB_HELP;
use e2e::{Hub, Native, Process, Space, task};

#[test]
fn a_new_file_is_announced_with_its_endpoints() {
    let mut hub = Hub::start();
    let said = hub.stderr();
    let first = said.lines().next().unwrap();
    assert!(first.starts_with(&format!("dhub {}", dhub_proto::VERSION)), "{said}");
    assert!(first.contains("run.db: new"), "{said}");
    assert!(said.contains(&hub.tcp()) && said.contains("warning"), "{said}");
    assert!(said.contains(&hub.ipc_target().endpoint), "{said}");
    Native::to(&hub.ipc_target()).create(&[task("a", &[])]);
    assert_eq!(hub.native().counts().ready, 1, "one hub at both");
}

#[test]
fn a_restart_says_what_it_found_by_state() {
    let mut hub = Hub::start();
    let native = hub.native();
    native.create(&["a", "b", "c", "d"].map(|name| task(name, &[])));
    native.create(&[task("e", &["nobody"]), task("f", &["b"])]);
    let worker = e2e::worker(1);
    let leases = [(); 3].map(|()| native.steal_one(&worker));
    native.report(&worker, vec![e2e::outcome_done(&leases[0]), e2e::outcome_failed(&leases[1])]);
    hub.restart();
    let said = hub.stderr();
    let first = said.lines().next().unwrap();
    assert!(first.contains("6 tasks"), "{first}");
    for count in ["1 done", "1 failed", "1 skipped", "1 running", "1 ready", "1 waiting"] {
        assert!(first.contains(count), "{first}");
    }
}

#[test]
fn without_a_file_it_warns_and_works() {
    let space = Space::new();
    let mut command = space.command("dhub");
    command.stdin(std::process::Stdio::null());
    let mut hub = Process::start(command);
    hub.hear("the tasks are lost when this hub stops");
    // The only hub here: found without any option.
    space.run("dquery", &["create", "a"]).ok();
    space.run("dquery", &["steal", "-q"]).prints(&["a\n"]);
    hub.signal(rustix::process::Signal::INT);
    hub.end().exits(0);
}

#[test]
fn two_hubs_of_one_user_want_a_choice() {
    let space = Space::new();
    let start = |file: &str| {
        let mut command = space.command("dhub");
        command.args(["-f", file]);
        let mut hub = Process::start(command);
        hub.hear("your tools find it");
        hub
    };
    let (_one, _two) = (start("one.db"), start("two.db"));
    let output = space.run("dquery", &["status"]);
    output.exits(2).says(&["several", "one.db", "two.db", "  -s "]).is_one_message();
}

#[test]
fn help_lists_the_exit_codes() {
    let help = Space::new().run("dhub", &["--help"]);
    help.exits(0).prints(&["--insecure", "--lease", "Exit codes:"]);
    for line in HUB_HELP.lines() {
        for code in line.split("  ").map(str::trim).filter(|code| !code.is_empty()) {
            assert!(help.stdout.contains(code), "no '{code}' in {}", help.stdout);
        }
    }
}
