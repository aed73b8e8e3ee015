//! A hub at an address of IPv6, and at all addresses of both kinds.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use e2e::{Process, Space};
use rustix::process::Signal;

use crate::full::unshare;

/// Starts a hub there, and tries to reach it at each of these, where PORT stands for its port.
fn is_reached(bind: &str, at: &[&str]) {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let space = Space::new();
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--bind", bind]);
    let mut hub = Process::start(command);
    hub.hear("access ");
    let said = hub.stderr();
    let endpoint = said.split_whitespace().find(|word| word.starts_with("tcp://"));
    let port = endpoint.and_then(|it| it.rsplit(':').next()).expect("a port").to_owned();
    for (n, server) in at.iter().enumerate() {
        let server = server.replace("PORT", &port);
        space.run("dquery", &["-s", &server, "create", &format!("t{n}")]).ok();
        let pool = ["-s", &server, "-j1", "--until-done", "--", "true"];
        space.run("kworker", &pool).exits(0).says(&["1 task ran here"]);
    }
    hub.signal(Signal::TERM);
    hub.end().exits(0);
}

#[test]
fn a_hub_at_an_address_of_ipv6_is_reached() {
    is_reached("tcp://[::1]:*", &["[::1]:PORT", "tcp://[::1]:PORT"]);
}

#[test]
fn a_hub_at_all_addresses_is_reached_by_both_kinds() {
    is_reached("tcp://*:*", &["[::1]:PORT", "127.0.0.1:PORT", "localhost:PORT"]);
}

/// libzmq looks names up for IPv4 alone, unless it is told otherwise.
#[test]
fn a_name_with_an_address_of_ipv6_alone_is_reached_in_each_way_to_name_a_hub() {
    let (Some(how), Ok(_)) = (unshare(), UdpSocket::bind("[::1]:0")) else {
        eprintln!("SKIPPED: this machine has no IPv6, or names cannot be given here (unshare)");
        return;
    };
    let space = Space::new();
    let mut command = space.command("dhub");
    command.args(["-f", "run.db", "--bind", "tcp://[::1]:*"]);
    let mut hub = Process::start(command);
    hub.hear("access ");
    let said = hub.stderr();
    let owner = said.split_whitespace().find(|word| word.ends_with(".access")).expect("a file");
    let endpoint = said.split_whitespace().find(|word| word.starts_with("tcp://")).expect("one");
    let endpoint = endpoint.replace("[::1]", "only6");
    // As on another machine.
    let mut access: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(owner).expect("a file")).expect("JSON");
    access["boot_id"] = "another".into();
    access["endpoints"] = vec![endpoint.clone()].into();
    space.write("far.access", access.to_string());
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(space.path("far.access"), mode).expect("a mode");
    space.write("hosts", "::1 only6\n127.0.0.1 localhost\n");
    let ways = [
        "dquery --access far.access create a",
        &format!("dquery -s {endpoint} --access far.access create b"),
        &format!("DHUB_HUB={endpoint} DHUB_ACCESS=far.access dquery create c"),
        "DHUB_ACCESS=far.access kworker -j1 --until-done -- true",
    ];
    for way in ways {
        let mut command = space.command("unshare");
        command.args([
            how,
            "sh",
            "-c",
            &format!("mount --bind hosts /etc/hosts || exit 99\n{way}"),
        ]);
        Process::start(command).end().exits(0);
    }
    hub.signal(Signal::TERM);
    hub.end().exits(0);
}
