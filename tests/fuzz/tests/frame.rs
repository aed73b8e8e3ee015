//! Frames of no sense, and of too much of it.

use std::time::Duration;

use fuzz::memory::alone;
use fuzz::{frame, run};

const INPUTS: u64 = 30_000;

/// The corpus, then what bolero makes up; or what an engine does, under `cargo bolero`.
#[test]
fn any_frame() {
    let _alone = alone();
    bolero::check!(name = "frame").with_iterations(20_000).with_max_len(4096).for_each(
        |bytes: &[u8]| {
            frame::check(bytes);
        },
    );
}

#[test]
fn changed_frames() {
    let _alone = alone();
    let mut valid = 0;
    let ran = run::frames(0, INPUTS, Duration::ZERO, &mut valid);
    let ran = ran.unwrap_or_else(|(seed, why)| {
        panic!("{why}\nreplay: cargo run -p fuzz -- --target frame --seed {seed}")
    });
    println!("frame: {ran} inputs, {valid} valid");
    assert_eq!(ran, INPUTS);
    assert!(valid > INPUTS / 10);
}

/// Small parts, so many that they would take a hundred times the frame's memory.
#[test]
fn frames_of_many_small_parts() {
    let _alone = alone();
    const PARTS: usize = 2_000_000;
    let many = |tag: u64| field(tag, &[]).repeat(PARTS);
    let worker = field(1, &field(1, b"w"));
    let with_worker = |body: Vec<u8>| [worker.clone(), body].concat();
    let dwork_create = |task: Vec<u8>| [vec![0x08, 0x00], task].concat();
    let dwork_task = |parts: Vec<u8>| field(2, &[field(1, b"a"), field(2, b"b"), parts].concat());
    let frames = [
        // Create: tasks, needs; the same body again and again is one body with all their tasks.
        field(11, &many(1)),
        field(11, &field(1, &[field(1, b"a"), many(2)].concat())),
        field(11, &field(1, &[]).repeat(50_000)).repeat(80),
        // Complete, Release, Heartbeat: outcomes and attempts.
        field(13, &with_worker(many(2))),
        field(14, &with_worker(many(2))),
        field(15, &with_worker(many(2))),
        // Cancel: names; states one by one, and packed in one field.
        field(17, &field(1, &many(1))),
        field(17, &field(1, &[0x10, 0x05].repeat(PARTS))),
        field(17, &field(1, &field(2, &vec![5; 8 * PARTS]))),
        // A report.
        field(1, &with_worker(many(2))),
        // dwork's Create: tasks, dependencies both ways, log.
        dwork_create(many(2)),
        dwork_create(dwork_task(many(4))),
        dwork_create(dwork_task(many(5))),
        dwork_create(dwork_task(many(6))),
        // Groups, which nobody uses, one in the other; and beside each other.
        [0xf3, 0x01].repeat(PARTS),
        [0xf3, 0x01, 0xf4, 0x01].repeat(PARTS),
    ];
    for frame in &frames {
        frame::check(frame);
    }
}

/// A field of bytes.
fn field(tag: u64, inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(inner.len() + 12);
    prost::encoding::encode_varint(tag << 3 | 2, &mut bytes);
    prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
    bytes.extend(inner);
    bytes
}
