//! Files of keys that somebody damaged, mixed up or cannot keep.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::Guarded;

#[test]
fn the_files_of_a_hub_are_not_replaced_by_a_key() {
    let hub = Guarded::start();
    for name in ["server.json", "keys.json", "place.json", "live.json", "lock", "nothing yet"] {
        let path = hub.home().join(name);
        let before = fs::read(&path).ok();
        let to = path.display().to_string();
        let said = hub.dhub(&["access", "new", "ada", "--role", "work", "--to", &to]);
        said.exits(6).says(&[name, "files of their own"]);
        assert_eq!(fs::read(&path).ok(), before, "{name}");
    }
    // Nor those beside another hub's keys, by whatever name.
    std::os::unix::fs::symlink(hub.space.path(".dhub"), hub.space.path("link")).unwrap();
    let said = hub.dhub(&["access", "new", "ada", "--role", "work", "--to", "link/x"]);
    said.exits(6).says(&["files of their own"]);
    hub.dhub(&["access", "new", "ada", "--role", "work", "--to", "ada"]).exits(0);
}

#[test]
fn one_access_file_of_no_use_keeps_no_hub_from_starting() {
    let mut hub = Guarded::start();
    for name in ["ada", "bob"] {
        hub.new_key(name, &["work"]);
    }
    hub.terminate().exits(0);
    fs::write(hub.access("ada"), "{").unwrap();
    fs::set_permissions(hub.access("bob"), fs::Permissions::from_mode(0o644)).unwrap();
    hub.start_again(&[]);
    let said = hub.process().stderr();
    assert!(said.contains("ada.access") && said.contains("chmod 600"), "{said}");
    hub.space.run("dquery", &["status"]).exits(0);
}

#[test]
fn without_its_own_keys_a_hub_makes_no_others() {
    let mut hub = Guarded::start();
    hub.terminate().exits(0);
    let (server, keys) = (hub.home().join("server.json"), hub.home().join("keys.json"));
    let (own, others) = (fs::read(&server).unwrap(), fs::read(&keys).unwrap());
    fs::remove_file(&server).unwrap();
    let said = hub.dhub(&["-f", "run.db", "-p", "0"]);
    said.exits(26).says(&["server.json", "is missing", "move the directory away"]);
    assert_eq!(fs::read(&keys).unwrap(), others);
    fs::write(&server, own).unwrap();
    fs::set_permissions(&server, fs::Permissions::from_mode(0o600)).unwrap();
    hub.start_again(&[]);
    hub.space.run("dquery", &["status"]).exits(0);
}

#[test]
fn all_keys_of_one_name_are_taken_back() {
    let mut hub = Guarded::start();
    hub.new_key("ada", &["observe"]);
    let first = hub.abroad("ada");
    hub.terminate().exits(0);
    // As if two directories of keys had been put together.
    let path = hub.home().join("keys.json");
    let mut keys: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let all = keys["keys"].as_array_mut().unwrap();
    let owner = all.iter().find(|key| key["name"] == "worker").unwrap().clone();
    let mut twin = owner;
    twin["name"] = "ada".into();
    all.insert(0, twin);
    fs::write(&path, keys.to_string()).unwrap();
    hub.start_again(&[]);
    let status = ["status", "--timeout", "1s", "--access", first.to_str().unwrap()];
    hub.space.run("dquery", &status).exits(0);
    hub.dhub(&["access", "revoke", "ada"]).exits(0);
    hub.space.run("dquery", &status).exits(11);
    hub.dhub(&["access", "revoke", "ada"]).exits(6);
}

#[test]
fn keys_that_cannot_be_read_again_are_told_as_that() {
    let hub = Guarded::start();
    let path = hub.home().join("keys.json");
    let good = fs::read(&path).unwrap();
    fs::write(&path, "{").unwrap();
    hub.dhub(&["access", "reload"]).exits(26).says(&["keys.json", "those of before stay valid"]);
    hub.space.run("dquery", &["status"]).exits(0);
    fs::write(&path, good).unwrap();
    hub.dhub(&["access", "reload"]).exits(0);
}

#[test]
fn a_key_that_could_not_be_handed_out_is_not_valid() {
    let hub = Guarded::start();
    let new = "dhub access new ada --role work --to -";
    let said = hub.space.run("sh", &["-c", &format!("{new} >/dev/full")]);
    said.exits(24).says(&["standard output", "the disk is full", "taken back"]);
    let listed = hub.dhub(&["access", "list", "--json"]).json();
    let keys = listed["keys"].as_array().unwrap();
    let ada = keys.iter().find(|key| key["name"] == "ada").unwrap();
    assert!(ada["revoked"].is_string(), "{ada}");
    hub.space.run("sh", &["-c", new]).exits(0);
}
