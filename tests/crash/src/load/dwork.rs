//! A worker written for dwork: no id, no attempts, and a Steal that cannot be repeated. What it
//! stole and never heard of comes back when the lease is over.

use std::time::Duration;

use dhub_proto::dwork::QueryMsg;
use dhub_proto::dwork::query_msg::Type;
use e2e::{dwork_reply, dwork_task, location, names_of};

use crate::journal::{Kind, Lease, Outcome};
use crate::link::Link;
use crate::plan::Key;
use crate::shared::Shared;

const NAP: Duration = Duration::from_millis(20);

pub fn run(shared: &Shared, client: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut link = Link::dwork(shared, random.u64(..));
    let name = format!("dwork{client}");
    while !shared.stops() && turn(shared, &mut link, &mut random, &name).is_some() {}
}

fn turn(shared: &Shared, link: &mut Link, random: &mut fastrand::Rng, name: &str) -> Option<()> {
    let asked = shared.journal().now();
    let reply =
        link.ask_dwork(&QueryMsg { n: Some(random.i32(1..=4)), ..location(Type::Steal, name) })?;
    match reply.body.r#type() {
        Type::Transfer => {}
        Type::NotFound | Type::Exit => {
            std::thread::sleep(NAP);
            return Some(());
        }
        other => {
            shared.journal().fault(Kind::Wrong, format!("a dwork Steal was answered {other:?}"));
            return Some(());
        }
    }
    let names = names_of(&reply.body);
    let mut journal = shared.journal();
    let keys: Vec<Key> = names.iter().filter_map(|name| Key::parse(name)).collect();
    if keys.len() < names.len() {
        journal.fault(Kind::Wrong, format!("nobody added all of {names:?}"));
    }
    for &key in &keys {
        // Attempts are not told: who got which is not known.
        journal.leased(Lease { key, attempt: 0, client: 0, number: 0, asked });
    }
    drop(journal);
    for key in keys {
        match random.u32(0..100) {
            0..3 => {}
            3..8 => {
                link.ask_dwork(&about(Type::Transfer, name, key))?;
            }
            8..10 => {
                link.ask_dwork(&location(Type::Exit, name))?;
            }
            10..12 => {
                link.ask_dwork(&dwork_reply(Type::Ok))?;
                complete(shared, link, name, key)?;
            }
            _ => complete(shared, link, name, key)?,
        }
    }
    Some(())
}

fn complete(shared: &Shared, link: &mut Link, name: &str, key: Key) -> Option<()> {
    shared.journal().outcome_sent(key, Outcome::Done);
    let reply = link.ask_dwork(&about(Type::Complete, name, key))?;
    let mut journal = shared.journal();
    match reply.body.r#type() {
        Type::Ok => journal.outcome_acknowledged(key, 0, Outcome::Done),
        // It was given to somebody else meanwhile.
        Type::Error => journal.outcome_refused(key, 0, true),
        _ => journal.outcome_refused(key, 0, false),
    }
    Some(())
}

fn about(kind: Type, name: &str, key: Key) -> QueryMsg {
    QueryMsg { task: vec![dwork_task(&key.name(), &[])], ..location(kind, name) }
}
