//! What a picture of the graph shows: tasks, or groups of them where they are too many.

use dhub_proto::wire::State;
use hashbrown::{HashMap, HashSet};

use super::group::groups;
use super::successors::Successors;
use super::{Outcome, Run};

/// More than these are no picture any more.
pub const NODES_MAX: usize = 200;
/// Groups that they are summarised to.
const GROUPS_MAX: usize = 60;

/// What a picture begins with and how far it goes.
pub struct Choice<'a> {
    /// None: the whole graph.
    pub names: &'a [String],
    /// Steps up and down from each of the names.
    pub depth: u32,
    /// However many they are.
    pub all: bool,
}

#[derive(Debug, Default)]
pub struct Picture {
    pub nodes: Vec<Node>,
    /// From what is needed to what needs it, and how many of them there are.
    pub edges: Vec<(usize, usize, u64)>,
    /// The nodes are groups of so many tasks.
    pub summary_of: Option<usize>,
}

#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// Of a group: the states of its tasks with their numbers. Of a task: its state, once.
    pub states: Vec<(State, u64)>,
    /// Of a task that is not simply done: what came of it.
    pub fate: String,
    /// It was asked for by name.
    pub named: bool,
}

/// Fails with the names that there are not.
pub fn picture(run: &Run, choice: &Choice) -> Result<Picture, Vec<String>> {
    let chosen = choose(run, choice)?;
    let picture = match chosen.len() > NODES_MAX && !choice.all {
        true => summary(run, &chosen),
        false => tasks(run, &chosen, choice.names),
    };
    Ok(picture)
}

/// Places of the tasks, in order.
fn choose(run: &Run, choice: &Choice) -> Result<Vec<usize>, Vec<String>> {
    let successors = Successors::of(run);
    if choice.names.is_empty() {
        // A name that nobody added nor needs is left over from tasks that were cancelled.
        let is_there = |&place: &usize| {
            run.tasks[place].state != State::Missing || !successors.of_task(place).is_empty()
        };
        return Ok((0..run.tasks.len()).filter(is_there).collect());
    }
    let places: HashMap<&str, usize> =
        run.tasks.iter().enumerate().map(|(place, task)| (&*task.name, place)).collect();
    let place = |name: &String| places.get(name.as_str()).copied().ok_or_else(|| name.clone());
    let (mut begins, mut unknown) = (Vec::new(), Vec::new());
    for found in choice.names.iter().map(place) {
        match found {
            Ok(place) => begins.push(place),
            Err(name) => unknown.push(name),
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let mut chosen = reach(&begins, choice.depth, |place| &run.tasks[place].needs);
    chosen.extend(reach(&begins, choice.depth, |place| successors.of_task(place)));
    let mut chosen: Vec<usize> = chosen.into_iter().collect();
    chosen.sort_unstable();
    Ok(chosen)
}

/// All within so many steps.
fn reach<'a>(begins: &[usize], depth: u32, next: impl Fn(usize) -> &'a [u32]) -> HashSet<usize> {
    let mut reached: HashSet<usize> = begins.iter().copied().collect();
    let mut edge: Vec<usize> = reached.iter().copied().collect();
    for _ in 0..depth {
        let mut further = Vec::new();
        for place in edge {
            let new = next(place).iter().map(|&next| next as usize);
            further.extend(new.filter(|&next| reached.insert(next)));
        }
        if further.is_empty() {
            break;
        }
        edge = further;
    }
    reached
}

fn tasks(run: &Run, chosen: &[usize], names: &[String]) -> Picture {
    let numbers: HashMap<usize, usize> =
        chosen.iter().enumerate().map(|(number, &place)| (place, number)).collect();
    let mut picture = Picture::default();
    for (number, &place) in chosen.iter().enumerate() {
        let task = &run.tasks[place];
        picture.nodes.push(Node {
            name: task.name.to_string(),
            states: vec![(task.state, 1)],
            fate: fate(run, place),
            named: names.iter().any(|name| **name == *task.name),
        });
        let needs = task.needs.iter().filter_map(|&need| numbers.get(&(need as usize)));
        picture.edges.extend(needs.map(|&need| (need, number, 1)));
    }
    picture
}

fn fate(run: &Run, place: usize) -> String {
    let task = &run.tasks[place];
    match (task.state, task.attempts.last()) {
        (State::Failed, Some(last)) if last.outcome == Outcome::Failed => match run.reason(last) {
            "" => format!("exit {}", last.exit_code),
            reason => reason.to_owned(),
        },
        (State::Running, Some(last)) => format!("on {}", run.worker(last)),
        _ => String::new(),
    }
}

fn summary(run: &Run, chosen: &[usize]) -> Picture {
    let names: Vec<&str> = chosen.iter().map(|&place| &*run.tasks[place].name).collect();
    let groups = groups(&names, GROUPS_MAX);
    let of_place: HashMap<usize, usize> = chosen
        .iter()
        .zip(&groups.of_name)
        .map(|(&place, &group)| (place, group as usize))
        .collect();
    let mut states: Vec<HashMap<i32, u64>> = vec![HashMap::new(); groups.names.len()];
    let mut edges: HashMap<(usize, usize), u64> = HashMap::new();
    for &place in chosen {
        let (task, group) = (&run.tasks[place], of_place[&place]);
        *states[group].entry(task.state.into()).or_default() += 1;
        for need in task.needs.iter().filter_map(|&need| of_place.get(&(need as usize))) {
            *edges.entry((*need, group)).or_default() += 1;
        }
    }
    let node = |(name, states): (String, HashMap<i32, u64>)| {
        let known = |(state, count)| Some((State::try_from(state).ok()?, count));
        let mut states: Vec<(State, u64)> = states.into_iter().filter_map(known).collect();
        states.sort_by_key(|&(state, count)| (std::cmp::Reverse(count), state as i32));
        Node { name, states, fate: String::new(), named: false }
    };
    let mut edges: Vec<(usize, usize, u64)> =
        edges.into_iter().map(|((from, to), count)| (from, to, count)).collect();
    edges.sort_unstable();
    Picture {
        nodes: groups.names.into_iter().zip(states).map(node).collect(),
        edges,
        summary_of: Some(chosen.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    fn chain() -> Run {
        run(&[
            ("a", State::Done, &[], &[(1, 2, "done")]),
            ("b", State::Failed, &[0], &[(2, 3, "failed")]),
            ("c", State::Skipped, &[1], &[]),
            ("d", State::Skipped, &[2, 4], &[]),
            ("x", State::Missing, &[], &[]),
            ("beside", State::Done, &[0], &[(2, 3, "done")]),
            ("nobody's", State::Missing, &[], &[]),
        ])
    }

    fn names(run: &Run, names: &[&str], depth: u32) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let choice = Choice { names: &names, depth, all: false };
        let picture = picture(run, &choice).expect("known names");
        picture.nodes.into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn a_neighbourhood_is_what_leads_there_and_what_follows() {
        let run = chain();
        assert_eq!(names(&run, &["b"], 1), ["a", "b", "c"]);
        assert_eq!(names(&run, &["b"], u32::MAX), ["a", "b", "c", "d"]);
        assert_eq!(names(&run, &["b"], 0), ["b"]);
        assert_eq!(names(&run, &["beside", "x"], 1), ["a", "d", "x", "beside"]);
        assert_eq!(names(&run, &[], 0).len(), 6, "all but the name that nobody needs");
        let unknown = ["q".to_owned()];
        let choice = Choice { names: &unknown, depth: 1, all: false };
        assert_eq!(picture(&run, &choice).expect_err("no such task"), ["q"]);
    }

    #[test]
    fn edges_lead_from_what_is_needed() {
        let run = chain();
        let choice = Choice { names: &["c".to_owned()], depth: 1, all: false };
        let picture = picture(&run, &choice).expect("known names");
        assert_eq!(picture.edges, [(0, 1, 1), (1, 2, 1)]);
        assert_eq!((picture.nodes[0].fate.as_str(), picture.nodes[1].named), ("exit 3", true));
    }

    #[test]
    fn many_tasks_become_groups() {
        let names: Vec<String> = (0..300).map(|n| format!("sim-{n:03}")).collect();
        let needs: Vec<u64> = (0..300).collect();
        let mut tasks: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let state = if n < 10 { State::Failed } else { State::Done };
                (name.as_str(), state, &[][..], &[][..])
            })
            .collect();
        tasks.push(("merge", State::Waiting, &needs, &[]));
        let run = run(&tasks);
        let choose = |all| picture(&run, &Choice { names: &[], depth: 0, all }).expect("a picture");
        let summary = choose(false);
        assert_eq!(summary.summary_of, Some(301));
        let nodes: Vec<_> =
            summary.nodes.iter().map(|node| (node.name.as_str(), &*node.states)).collect();
        let sims = [(State::Done, 290), (State::Failed, 10)];
        assert_eq!(nodes, [("sim-#", &sims[..]), ("merge", &[(State::Waiting, 1)][..])]);
        assert_eq!(summary.edges, [(0, 1, 300)]);
        assert_eq!(choose(true).nodes.len(), 301);
    }
}
