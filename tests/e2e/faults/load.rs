//! Each fault while many short tasks run, and while tasks of a second do.

use std::time::Duration;

use e2e::{Cut, Proxy, Way, eventually};

use crate::run::{LONG, Run, SHORT};

const BOTH: [Way; 2] = [Way::ToHub, Way::ToClient];
/// Longer than a pool waits for an answer, far shorter than a lease.
const WHILE: Duration = Duration::from_secs(3);

/// 600 short tasks; the network is bad from the 50th to the 550th.
fn short(begin: impl Fn(&Proxy)) -> Run {
    let run = Run::start(600, SHORT);
    run.await_ran(50);
    begin(&run.proxy);
    run.await_ran(550);
    run.proxy.heal();
    run
}

/// 600 short tasks; five times something happens to the network.
fn short_often(what: impl Fn(&Proxy)) -> Run {
    let run = Run::start(600, SHORT);
    for ran in [50, 150, 250, 350, 450] {
        run.await_ran(ran);
        what(&run.proxy);
    }
    run
}

/// 16 tasks of a second on 8 slots; the network is bad when those end that began second.
fn long(begin: impl Fn(&Proxy)) -> Run {
    let run = Run::start(16, LONG);
    run.await_ran(1);
    begin(&run.proxy);
    std::thread::sleep(WHILE);
    run.proxy.heal();
    run
}

/// Cuts all connections and waits until both pools have new ones.
fn cut(proxy: &Proxy, how: Cut) {
    let before = proxy.requests.accepted();
    proxy.cut(how);
    eventually("new connections", || (proxy.requests.accepted() >= before + 2).then_some(()));
}

fn both(what: impl FnMut(Way)) {
    BOTH.into_iter().for_each(what);
}

fn swallow(proxy: &Proxy, ways: &[Way]) {
    ways.iter().for_each(|&way| proxy.swallow(way));
    std::thread::sleep(Duration::from_millis(300));
    assert!(ways.iter().any(|&way| proxy.requests.swallowed(way) > 0), "nothing was lost");
    proxy.heal();
}

#[test]
fn a_slow_network_delays_and_loses_nothing() {
    short(|proxy| both(|way| proxy.delay(way, 40))).ends_well();
    long(|proxy| both(|way| proxy.delay(way, 700))).ends_well();
}

#[test]
fn a_network_of_single_bytes_delays_and_loses_nothing() {
    short(Proxy::trickle).ends_well();
}

#[test]
fn connections_that_are_closed_are_made_again() {
    short_often(|proxy| cut(proxy, Cut::Fin)).ends_well();
    long(|proxy| proxy.cut(Cut::Fin)).ends_well();
}

#[test]
fn connections_that_are_reset_are_made_again() {
    short_often(|proxy| cut(proxy, Cut::Rst)).ends_well();
    long(|proxy| proxy.cut(Cut::Rst)).ends_well();
}

#[test]
fn a_hub_that_cannot_be_reached_for_a_while_finds_all_results_later() {
    let away = |proxy: &Proxy| {
        proxy.refuse();
        proxy.cut(Cut::Fin);
    };
    let run = Run::start(300, SHORT);
    run.await_ran(50);
    away(&run.proxy);
    std::thread::sleep(WHILE);
    run.proxy.heal();
    run.ends_well();
    long(away).ends_well();
}

#[test]
fn a_cable_that_is_pulled_for_a_while_loses_nothing() {
    let stall = |proxy: &Proxy| both(|way| proxy.stall(way));
    let run = Run::start(300, SHORT);
    run.await_ran(50);
    stall(&run.proxy);
    std::thread::sleep(WHILE);
    run.proxy.heal();
    run.ends_well();
    long(stall).ends_well();
}

#[test]
fn requests_that_vanish_are_sent_again() {
    short_often(|proxy| swallow(proxy, &[Way::ToHub])).ends_well();
    long(|proxy| proxy.swallow(Way::ToHub)).ends_well();
}

#[test]
fn replies_that_vanish_are_given_again() {
    short_often(|proxy| swallow(proxy, &[Way::ToClient])).ends_well();
    long(|proxy| proxy.swallow(Way::ToClient)).ends_well();
}

#[test]
fn a_black_hole_in_both_directions_is_noticed() {
    short_often(|proxy| swallow(proxy, &BOTH)).ends_well();
    long(|proxy| both(|way| proxy.swallow(way))).ends_well();
}

/// The hub takes the old connections for alive while the pools have new ones.
#[test]
fn the_old_half_of_a_connection_takes_nothing_away() {
    short_often(Proxy::cut_clients).ends_well();
    long(Proxy::cut_clients).ends_well();
}
