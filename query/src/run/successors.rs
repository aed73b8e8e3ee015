//! The way from a task to those that need it.

use super::Run;

pub struct Successors {
    /// Those of task `i` are `list[begins[i]..begins[i + 1]]`.
    begins: Vec<usize>,
    list: Vec<u32>,
}

impl Successors {
    pub fn of(run: &Run) -> Self {
        let mut begins = vec![0; run.tasks.len() + 1];
        let needs = || run.tasks.iter().flat_map(|task| task.needs.iter());
        for &need in needs() {
            begins[need as usize + 1] += 1;
        }
        for index in 1..begins.len() {
            begins[index] += begins[index - 1];
        }
        let mut list = vec![0; needs().count()];
        let mut next = begins.clone();
        for (index, task) in run.tasks.iter().enumerate() {
            for &need in &task.needs {
                list[next[need as usize]] = index as u32;
                next[need as usize] += 1;
            }
        }
        Self { begins, list }
    }

    pub fn of_task(&self, index: usize) -> &[u32] {
        &self.list[self.begins[index]..self.begins[index + 1]]
    }
}
