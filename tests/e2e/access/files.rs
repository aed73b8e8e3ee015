//! The files of keys: who may read them, and how a hub is found by them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dhub_proto::access::Access;
use e2e::{Process, Space};

use super::{Guarded, read};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a file");
}

#[test]
fn nobody_else_can_read_what_is_made() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    assert_eq!(mode(&hub.space.path(".dhub")), 0o700);
    assert_eq!(mode(&hub.home()), 0o700);
    let files: Vec<_> = fs::read_dir(hub.home()).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

#[test]
fn files_that_others_can_read_are_refused_with_the_command_that_mends_them() {
    let mut hub = Guarded::start();
    let file = hub.abroad("owner");
    set_mode(&file, 0o644);
    let path = file.display().to_string();
    let chmod = format!("chmod 600 {path}");
    for tool in ["dquery", "kworker"] {
        let args: &[&str] = if tool == "dquery" { &["status"] } else { &["-j", "1"] };
        let said = hub.space.run(tool, &[args, &["--access", &path]].concat());
        said.exits(26).says(&[&path, &chmod]);
    }
    let mended = hub.space.run("sh", &["-c", &chmod]);
    mended.exits(0);
    hub.space.run("dquery", &["status", "--access", &path]).exits(0);

    let server = hub.home().join("server.json");
    hub.terminate().exits(0);
    for (path, bad, good) in [
        (server, 0o640, 0o600),
        (hub.home(), 0o755, 0o700),
        (hub.space.path(".dhub"), 0o711, 0o700),
    ] {
        set_mode(&path, bad);
        let said = hub.space.run("dhub", &["-f", "run.db", "-p", &hub.port.to_string()]);
        said.exits(26).says(&[&format!("chmod {good:o} {}", path.display())]);
        set_mode(&path, good);
    }
}

#[test]
fn a_key_is_held_to_its_roles_on_the_machine_of_the_hub_too() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    let node = hub.access("node").display().to_string();
    let said = hub.space.run("dquery", &["create", "a", "--access", &node]);
    said.exits(11).says(&["'node' has the role work", "needs submit"]);
    let owner = hub.access("owner").display().to_string();
    hub.space.run("dquery", &["create", "a", "--access", &owner]).exits(0);
}

#[test]
fn what_is_no_access_file_is_told_so() {
    let hub = Guarded::start();
    hub.space.write("junk", "junk");
    set_mode(&hub.space.path("junk"), 0o600);
    let said = hub.space.run("dquery", &["status", "--access", "junk"]);
    said.exits(26).says(&["junk is no access file", "dhub access new"]).is_one_message();
    let said = hub.space.run("dquery", &["status", "--access", "absent"]);
    said.exits(26)
        .says(&["the access file of --access: ", "absent", "no such file"])
        .is_one_message();
}

#[test]
fn a_directory_of_keys_that_cannot_be_read_is_not_an_empty_one() {
    let space = Space::new();
    space.write(".dhub", "no directory");
    for (tool, args) in [
        ("dquery", &["status"][..]),
        ("dquery", &["status", "--insecure", "-s", "localhost:9"]),
        ("kworker", &["-j", "1"]),
        ("dhub", &["access", "list"]),
    ] {
        space.run(tool, args).exits(26).says(&[".dhub: not a directory"]);
    }
}

#[test]
fn a_hub_that_is_gone_is_said_to_be_gone() {
    let mut hub = Guarded::start();
    hub.process().kill9();
    let said = hub.space.run("dquery", &["status", "--timeout", "100ms"]);
    let tried = format!("(nothing answers at {})", read(&hub.access("owner")).ipc);
    said.exits(7)
        .says(&["run.db", "is gone", &tried, "start it again with: dhub -f"])
        .is_one_message();
    // Stopped as asked, nothing says that it should be there.
    hub.start_again(&[]);
    hub.terminate().exits(0);
    let said = hub.space.run("dquery", &["status", "--timeout", "100ms"]);
    said.exits(7).says(&["none of your hubs runs", "dhub -f"]).is_one_message();
    // Without a file nothing is left of it.
    let mut command = hub.space.command("dhub");
    command.args(["--local"]);
    let mut memory = e2e::Process::start(command);
    memory.hear("your tools find it");
    memory.kill9();
    let said = hub.space.run("dquery", &["status", "--timeout", "100ms"]);
    said.exits(7)
        .says(&["the hub in memory", "is gone (nothing answers at ipc:", "and its tasks with it"])
        .is_one_message();
}

/// Both were killed and left their keys: a hub that only this machine reaches is looked for as any other.
#[test]
fn the_last_hub_is_the_one_that_is_gone_also_if_it_was_local() {
    let mut older = Guarded::start();
    older.process().kill9();
    let space = &older.space;
    let mut command = space.command("dhub");
    command.args(["-f", "local.db", "--local"]);
    let mut local = Process::start(command);
    local.hear("your tools find it");
    space.run("dquery", &["create", "a"]).exits(0);
    local.kill9();
    let said = space.run("dquery", &["status", "--timeout", "100ms"]);
    said.exits(7).says(&["local.db", "is gone", "dhub -f"]).is_one_message();
    assert!(!said.stderr.contains("run.db"), "{said:#?}");
}

/// Nothing is made up: what was looked at is told, or that there was nothing to look at.
#[test]
fn where_a_hub_was_looked_for_is_told() {
    let space = e2e::Space::new();
    let keys = space.path(".dhub").display().to_string();
    let run = |program: &str, args: &[&str], home: bool| {
        let mut command = space.command(program);
        command.args(args);
        if !home {
            command.env_remove("HOME").env_remove("DHUB_DIR");
        }
        e2e::Process::start(command).end()
    };
    for (program, args) in [
        ("dquery", &["status", "--timeout", "50ms"][..]),
        ("kworker", &["--timeout", "50ms"]),
        ("kworker", &["--wait-for-hub", "--time-limit", "1s"]),
    ] {
        run(program, args, true).exits(7).says(&["none of your hubs runs", &keys]);
        let said = run(program, args, false);
        said.exits(7).says(&["none of your hubs runs", "neither DHUB_DIR nor HOME is set"]);
        assert!(!said.stderr.contains("~/.dhub"), "{said:?}");
    }
    let said = run("kworker", &["--insecure", "-s", "127.0.0.1:9", "--timeout", "50ms"], true);
    said.exits(7).says(&["tcp://127.0.0.1:9", "dhub -f FILE"]);
    assert!(!said.stderr.contains("run.db"), "{said:?}");
}

#[test]
fn of_several_that_are_gone_the_last_one_is_meant() {
    let mut old = Guarded::start();
    old.process().kill9();
    let gone = |part: &str| {
        let said = old.space.run("dquery", &["status", "--timeout", "100ms"]);
        said.exits(7).says(&[part]).is_one_message();
    };
    gone("run.db");
    // By its name it comes before the other one in the directory of all hubs.
    let local = || {
        let mut command = old.space.command("dhub");
        command.args(["--local", "-f", "last.db"]);
        let mut local = e2e::Process::start(command);
        local.hear("your tools find it");
        local
    };
    local().kill9();
    gone("last.db");
    // Nobody misses one that was stopped, nor means an older one that was killed.
    let stopped = local();
    stopped.signal(rustix::process::Signal::TERM);
    stopped.end().exits(0);
    gone("none of your hubs runs");
}

#[test]
fn a_hub_on_another_machine_is_found_and_one_that_died_there_is_named() {
    let mut hub = Guarded::start();
    let elsewhere = |host: &str| {
        let path = hub.access("owner");
        Access { host: host.into(), ..read(&path) }.write(&path).unwrap();
    };
    elsewhere("another-machine");
    let mut command = hub.space.command("dquery");
    // Another machine has another runtime directory.
    command.args(["status", "--json"]).env("XDG_RUNTIME_DIR", hub.space.path("elsewhere"));
    let output = Process::start(command).end();
    output.exits(0);
    hub.process().kill9();
    let said = hub.space.run("dquery", &["status", "--timeout", "1s"]);
    said.exits(7).says(&["no hub answers at tcp://127.0.0.1", "another-machine"]).is_one_message();
}

#[test]
fn of_hubs_without_an_address_files_are_offered_and_an_owner_is_told_how_to_reach_one() {
    let space = e2e::Space::new();
    let start = |file: &str| {
        let mut command = space.command("dhub");
        command.args(["-f", file, "--local"]);
        let mut hub = Process::start(command);
        hub.hear("your tools find it");
        hub
    };
    let _run = start("run.db");
    // The first day's guess.
    let said = space.run("dquery", &["-s", "localhost:6125", "status"]);
    said.exits(11)
        .says(&["no key is known", "yours that runs is found without -s", "run.db"])
        .is_one_message();
    let _other = start("other.db");
    let said = space.run("dquery", &["status"]);
    said.exits(2).says(&["--access ~/.dhub/run-", "--access ~/.dhub/other-"]).is_one_message();
    let way = said.stderr.lines().find(|line| line.contains("other.db")).expect("a line");
    let way = way.split("  (").next().expect("its begin").trim();
    space.run("sh", &["-c", &format!("dquery {way} status --json")]).exits(0).prints(&["other.db"]);
    let said = space.run("dquery", &["-s", "localhost:6125", "status"]);
    said.exits(11).says(&["yours that run:", "--access ~/.dhub/run-"]).is_one_message();
}

#[test]
fn of_several_hubs_one_is_chosen() {
    let hub = Guarded::start();
    let mut command = hub.space.command("dhub");
    command.args(["-f", "other.db"]);
    let mut other = Process::start(command);
    other.hear("your tools find it");
    let said = hub.space.run("dquery", &["status"]);
    said.exits(2).says(&["several of your hubs run", "-s 127.0.0.1:", "--access"]).is_one_message();
    // What is offered works as it stands.
    for stem in ["run.db", "other.db"] {
        let line = said.stderr.lines().find(|line| line.contains(stem)).expect("a line for each");
        let way = line.split("  (").next().expect("its begin").trim();
        hub.space
            .run("sh", &["-c", &format!("dquery {way} status --json")])
            .exits(0)
            .prints(&[stem]);
    }
    let owner = |stem: &str| {
        let mut homes = fs::read_dir(hub.space.path(".dhub")).unwrap().map(|it| it.unwrap().path());
        let home = homes.find(|it| it.file_name().unwrap().to_string_lossy().starts_with(stem));
        home.unwrap().join("owner.access").display().to_string()
    };
    for stem in ["run", "other"] {
        let output = hub.space.run("dquery", &["status", "--json", "--access", &owner(stem)]);
        assert!(output.ok().contains(&format!("{stem}.db")), "{output:?}");
    }
    let keys = [owner("run"), owner("other")].map(|path| read(Path::new(&path)));
    assert_ne!(keys[0].server_key, keys[1].server_key);
    assert_ne!(keys[0].public_key, keys[1].public_key);
    assert_ne!(keys[0].endpoints, keys[1].endpoints);
    hub.dhub(&["access", "show"]).exits(2).says(&["several hubs", "-f"]);
    hub.dhub(&["access", "show", "-f", "other.db"]).exits(0).prints(&["other-", "owner"]);
}

#[test]
fn a_hub_for_this_machine_only_has_keys_and_no_port() {
    let space = e2e::Space::new();
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--local"]);
    let mut hub = Process::start(command);
    hub.hear("encrypted, on this machine");
    assert!(!hub.stderr().contains("tcp://"), "{}", hub.stderr());
    space.run("dquery", &["status"]).exits(0);
    space.run("dhub", &["access", "list"]).exits(0).prints(&["owner"]);
    // A key with few roles opens no more over ipc than elsewhere.
    space.run("dhub", &["access", "new", "eye", "--role", "observe"]).exits(0);
    let eye = space.run("sh", &["-c", "echo .dhub/*/eye.access"]);
    let eye = eye.ok().trim();
    space.run("dquery", &["status", "--access", eye]).exits(0).prints(&["ipc on"]);
    let said = space.run("dquery", &["create", "a", "--access", eye]);
    said.exits(11).says(&["'eye' has the role observe", "needs submit"]);
}

#[test]
fn a_key_can_be_carried_through_a_pipe() {
    let hub = Guarded::start();
    let output = hub.dhub(&["access", "new", "node", "--role", "work", "--to", "-"]);
    assert!(output.ok().contains("\"secret_key\""));
    assert!(!hub.access("node").exists(), "one copy is enough");
    let path = hub.space.path("node.access");
    hub.space.write("node.access", &output.stdout);
    set_mode(&path, 0o600);
    let access = Access { boot_id: "another".into(), ..read(&path) };
    access.write(&path).unwrap();
    let said = hub.space.run("dquery", &["steal", "--access", "node.access"]);
    said.exits(3).says(&["no task was added yet"]);
    hub.dhub(&["access", "new", "node", "--role", "work"]).exits(6).says(&["revoke node"]);
    hub.dhub(&["access", "new", "../x", "--role", "work"]).exits(2);
    hub.dhub(&["access", "new", "x", "--role", "root"]).exits(2).says(&["observe"]);
}

#[test]
fn keys_are_listed_for_people_and_for_programs() {
    let hub = Guarded::start();
    hub.new_key("node", &["work"]);
    hub.dhub(&["access", "revoke", "worker"]).exits(0);
    let table = hub.dhub(&["access", "list"]);
    table.exits(0).prints(&["NAME", "node", "TAKEN BACK", "owner.access"]);
    assert_eq!(hub.dhub(&["access", "show"]).stdout, table.stdout, "its older name");
    let listed = hub.dhub(&["access", "list", "--json"]);
    assert!(!listed.ok().contains(read(&hub.access("node")).secret_key.expose()));
    let listed = listed.json();
    let keys = listed["keys"].as_array().unwrap();
    let of = |name: &str| keys.iter().find(|key| key["name"] == name).unwrap();
    assert_eq!(of("node")["roles"], serde_json::json!(["work"]));
    assert_eq!(of("node")["access_file"], hub.access("node").display().to_string());
    assert!(of("node")["revoked"].is_null() && of("worker")["revoked"].is_string());
    assert!(of("worker")["access_file"].is_null());
    assert!(listed["process"].is_u64() && listed["file"].as_str().unwrap().ends_with("run.db"));
}

#[test]
fn a_pipe_is_read_only_if_nobody_else_can() {
    let hub = Guarded::start();
    let owner = hub.access("owner").display().to_string();
    let through = |mode: &str| {
        let script =
            format!("rm -f p; mkfifo -m {mode} p; cat {owner} >p & dquery status --access p");
        hub.space.run("sh", &["-c", &script])
    };
    through("600").exits(0);
    for mode in ["640", "604", "620"] {
        through(mode).exits(26).says(&["can be read by others", "chmod 600"]);
    }
    let said = hub.space.run("dquery", &["status", "--access", "/dev/null"]);
    said.exits(26).says(&["neither a file nor a pipe"]);
    // As bash's <(...) gives it.
    let script = format!("cat {owner} | dquery status --access /dev/stdin");
    hub.space.run("sh", &["-c", &script]).exits(0);
}

#[test]
fn a_pipe_in_place_of_a_key_makes_nobody_wait() {
    let hub = Guarded::start();
    let owner = hub.access("owner");
    let keys = owner.with_file_name("keys.json");
    for (path, tool) in
        [(keys, ["dhub", "access", "list"].as_slice()), (owner, &["dquery", "status"])]
    {
        let aside = path.with_extension("aside");
        fs::rename(&path, &aside).unwrap();
        hub.space.run("mkfifo", &["-m", "600", &path.display().to_string()]).exits(0);
        let said = hub.space.run(tool[0], &tool[1..]);
        said.exits(26).says(&["no regular file"]);
        fs::rename(&aside, &path).unwrap();
    }
    hub.space.run("dquery", &["status"]).exits(0);
}

#[test]
fn the_access_file_of_a_valid_key_is_not_replaced_by_another() {
    let hub = Guarded::start();
    let new = ["access", "new", "ada", "--role", "work"];
    hub.space.run("dhub", &new).exits(0);
    let ada = hub.access("ada").display().to_string();
    let before = fs::read(&ada).unwrap();
    let other = ["access", "new", "ada2", "--role", "work", "--to", &ada];
    hub.space.run("dhub", &other).exits(6).says(&["has the key 'ada', which is valid"]);
    assert_eq!(fs::read(&ada).unwrap(), before);
    hub.space.run("dhub", &["access", "revoke", "ada"]).exits(0);
    hub.space.run("dhub", &other).exits(0);
}

#[test]
fn what_stands_in_for_a_hub_that_is_gone_is_read_as_strictly() {
    let mut hub = Guarded::start();
    for (name, key) in [("live.json", "worker"), ("owner.access", "submit")] {
        set_mode(&hub.home().join(name), 0o644);
        hub.space.run("dquery", &["status"]).exits(26).says(&[name, "chmod 600"]);
        hub.dhub(&["access", "reload"]).exits(26).says(&[name, "chmod 600"]);
        // A key is taken back all the same.
        let said = hub.dhub(&["access", "revoke", key]);
        said.exits(0).says(&[name, "chmod 600", "not told", "taken back"]);
        set_mode(&hub.home().join(name), 0o600);
    }
    hub.terminate().exits(0);
}
