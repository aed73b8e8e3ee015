//! Connections that stop, reset, half-close and flood, with and without keys, for some seconds;
//! `dhub-siege` does it and checks the end, and scripts/soak.sh lets it run longer.

use e2e::Space;

#[track_caller]
fn siege(args: &[&str]) {
    let mut command = Space::new().command(env!("CARGO_BIN_EXE_dhub-siege"));
    let ended = command.current_dir("/").args(args).output().expect("a siege");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn a_hub_outlives_hostile_connections_of_every_kind() {
    siege(&["--seconds", "6", "--threads", "3"]);
}

/// As long as it takes until the hub pings a connection that it reads no more from.
#[test]
fn a_ping_to_a_peer_that_flooded_and_reset_does_no_harm() {
    siege(&["--seconds", "20", "--threads", "0", "--ping"]);
}
