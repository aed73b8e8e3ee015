//! The tasks of a seed, in batches.

use dhub::dialect::native::definition;
use dhub::engine::message::{Details, Name, NewTask};

use super::{MINUTE, Step};
use crate::random::Random;

pub fn name(i: u64) -> Name {
    format!("t{i}").into()
}

fn new_task(name: Name, needs: Vec<Name>, priority: i32, retries: u32) -> NewTask {
    let definition = definition(&needs, priority, retries, None);
    NewTask { name, needs, definition, priority, retries, details: None }
}

/// What its worker is told besides the name: sometimes all there is, sometimes little.
fn with_details(random: &mut Random, mut task: NewTask) -> NewTask {
    let mut text = |what: &str| -> Option<Name> {
        let text = format!("{what}{}", random.below(100));
        random.chance(500).then(|| text.into())
    };
    let (command, dir) = (text("run "), text("/d/"));
    let env = text("A=").map(|entry| format!("[\"{entry}\"]").into());
    let stdin = text("in ").map(|text| text.as_bytes().into());
    let time_limit_ms = *random.pick(&[0, 0, MINUTE]);
    let details = Details { command, time_limit_ms, dir, env, stdin };
    task.details = (details != Details::default()).then(|| Box::new(details));
    let details = task.details.as_deref();
    task.definition = definition(&task.needs, task.priority, task.retries, details);
    task
}

/// Needs lead to smaller numbers, but for a few cycles; the batches come in any order.
pub fn batches(random: &mut Random, seed: u64) -> Vec<Step> {
    let count = random.mostly_low(2, 50);
    let dense = *random.pick(&[0, 300, 600, 900]);
    let ghosts = *random.pick(&[0, 0, 0, 30]);
    let mut tasks = Vec::new();
    for i in 0..count {
        let mut needs = Vec::new();
        for _ in 0..3 {
            if i > 0 && random.chance(dense) {
                let near = random.below(i.min(6)) + 1;
                let need = name(if random.chance(700) { i - near } else { random.below(i) });
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
        if random.chance(ghosts) {
            needs.push(format!("ghost{}", random.below(3)).into());
        }
        let priority = if random.chance(100) { random.below(5) as i32 - 2 } else { 0 };
        let retries = *random.pick(&[0, 0, 1, 3]);
        tasks.push(new_task(name(i), needs, priority, retries));
    }
    let merge = random.chance(150);
    // From numbers of its own, so that seeds stay what they are.
    let mut random_details = Random::apart(seed, 6);
    let detailed = if merge { 0 } else { *random_details.pick(&[0, 300, 900]) };
    let mut add_details = |task: NewTask| match random_details.chance(detailed) {
        true => with_details(&mut random_details, task),
        false => task,
    };
    tasks = tasks.into_iter().map(&mut add_details).collect();
    let mut steps = Vec::new();
    while !tasks.is_empty() {
        let many = random.within(1, 15).min(tasks.len() as u64) as usize;
        let mut batch: Vec<NewTask> = tasks.drain(..many).collect();
        if random.chance(300) {
            random.shuffle(&mut batch);
        }
        steps.push(Step::Create { tasks: batch, merge });
    }
    if random.chance(400) {
        random.shuffle(&mut steps);
    }
    for _ in 0..random.below(3) {
        let at = random.below(steps.len() as u64 + 1) as usize;
        let task = add_details(mistake(random, count));
        steps.insert(at, Step::Create { tasks: vec![task], merge });
    }
    steps
}

/// A cycle, or a definition that contradicts another.
fn mistake(random: &mut Random, count: u64) -> NewTask {
    let i = random.below(count);
    match random.below(3) {
        0 => new_task(name(i), Vec::new(), 77, 0),
        1 => new_task(name(i), vec![name(random.within(i, count - 1))], 0, 0),
        _ => new_task("ghost0".into(), vec![name(random.below(count))], 0, 0),
    }
}
