//! A hub at an address of IPv6, and at all addresses of both kinds.

use std::net::UdpSocket;

use e2e::{Process, Space};
use rustix::process::Signal;

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
