//! The critical path: the chain of tasks, each needed by the next, that took longest to run. No
//! number of workers makes the run shorter than that.

use super::Run;
use super::successors::Successors;

/// Where its tasks are in `Run::tasks`, in order.
pub fn critical_path(run: &Run) -> Vec<usize> {
    let successors = Successors::of(run);
    let mut left: Vec<usize> = run.tasks.iter().map(|task| task.needs.len()).collect();
    let mut ready: Vec<usize> = (0..left.len()).filter(|&index| left[index] == 0).collect();
    // The longest chain that ends with a task: its length, and the task before.
    let mut longest: Vec<(u64, Option<usize>)> = vec![(0, None); left.len()];
    while let Some(index) = ready.pop() {
        longest[index].0 += run.tasks[index].run_ms();
        let length = longest[index].0;
        for &next in successors.of_task(index) {
            let next = next as usize;
            if length > longest[next].0 {
                longest[next] = (length, Some(index));
            }
            left[next] -= 1;
            if left[next] == 0 {
                ready.push(next);
            }
        }
    }
    let last = (0..left.len())
        .filter(|&index| !run.tasks[index].attempts.is_empty())
        .max_by_key(|&index| (longest[index].0, std::cmp::Reverse(index)));
    let mut path: Vec<usize> = std::iter::successors(last, |&index| longest[index].1).collect();
    path.retain(|&index| !run.tasks[index].attempts.is_empty());
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use dhub_proto::wire::State;

    use super::super::tests::run;
    use super::*;

    fn path(run: &Run) -> Vec<&str> {
        critical_path(run).into_iter().map(|index| &*run.tasks[index].name).collect()
    }

    #[test]
    fn the_longest_chain_and_not_the_longest_task() {
        let run = run(&[
            ("end", State::Done, &[2, 3], &[(30, 31, "done")]),
            ("begin", State::Done, &[], &[(0, 8, "done")]),
            ("middle", State::Done, &[1], &[(9, 13, "failed"), (14, 18, "done")]),
            ("long", State::Done, &[], &[(0, 15, "done")]),
        ]);
        assert_eq!(path(&run), ["begin", "middle", "end"]);
    }

    #[test]
    fn what_never_ran_is_no_part_of_it() {
        let run = run(&[
            ("a", State::Failed, &[], &[(0, 8, "failed")]),
            ("b", State::Skipped, &[0], &[]),
            ("nobody", State::Missing, &[], &[]),
        ]);
        assert_eq!(path(&run), ["a"]);
        assert_eq!(path(&Run::default()), [""; 0]);
    }
}
