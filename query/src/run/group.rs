//! Tasks that belong together, by their names: "sim-0001" and "sim-0002" are both "sim-#".

use hashbrown::HashMap;

/// Where a name can be cut.
const SEPARATORS: &[char] = &['-', '_', '.', '/', ':', ',', '=', ' '];
/// Names are cut to so many parts, and then to fewer, until there are few enough groups.
const PARTS_MAX: usize = 8;

pub struct Groups {
    pub names: Vec<String>,
    /// The group of each name that was given.
    pub of_name: Vec<u32>,
}

/// At most `most` groups, in the order of their first tasks.
pub fn groups(names: &[&str], most: usize) -> Groups {
    let whole = gathered(names, pattern);
    if whole.names.len() <= most {
        return whole;
    }
    for parts in (1..=PARTS_MAX).rev() {
        let cut = gathered(names, |name| prefix(&pattern(name), parts));
        if cut.names.len() <= most {
            return cut;
        }
    }
    with_others(gathered(names, |name| prefix(&pattern(name), 1)), most)
}

fn gathered(all: &[&str], group: impl Fn(&str) -> String) -> Groups {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut number = |name: String| {
        *numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            names.len() as u32 - 1
        })
    };
    let of_name = all.iter().map(|name| number(group(name))).collect();
    Groups { names, of_name }
}

/// The largest stay, what is left becomes one.
fn with_others(all: Groups, most: usize) -> Groups {
    let mut sizes = vec![0_u64; all.names.len()];
    all.of_name.iter().for_each(|&group| sizes[group as usize] += 1);
    let mut largest: Vec<usize> = (0..sizes.len()).collect();
    largest.sort_by_key(|&group| std::cmp::Reverse(sizes[group]));
    let mut numbers = vec![most as u32 - 1; sizes.len()];
    let mut names = Vec::new();
    for &group in &largest[..most - 1] {
        numbers[group] = names.len() as u32;
        names.push(all.names[group].clone());
    }
    names.push(format!("({} other names)", sizes.len() + 1 - most));
    let of_name = all.of_name.iter().map(|&group| numbers[group as usize]).collect();
    Groups { names, of_name }
}

/// Each number is #.
fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if pattern.ends_with('#') => {}
            '0'..='9' => pattern.push('#'),
            c => pattern.push(c),
        }
    }
    pattern
}

/// The first parts of a name, and … for the others. What it begins with is no part.
fn prefix(name: &str, parts: usize) -> String {
    let begin = name.len() - name.trim_start_matches(SEPARATORS).len();
    match name[begin..].match_indices(SEPARATORS).nth(parts - 1) {
        Some((at, _)) => format!("{}…", &name[..=begin + at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tasks: &[String], most: usize) -> Vec<String> {
        let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        let groups = groups(&tasks, most);
        assert!(groups.of_name.iter().all(|&group| (group as usize) < groups.names.len()));
        groups.names
    }

    #[test]
    fn numbers_do_not_make_a_group() {
        let tasks = ["sim-0001", "sim-27", "merge-1.5", "end", "größe 9"].map(String::from);
        assert_eq!(names(&tasks, 10), ["sim-#", "merge-#.#", "end", "größe #"]);
    }

    #[test]
    fn too_many_names_are_cut_as_little_as_will_do() {
        let paths = ["a", "b"]
            .iter()
            .flat_map(|dir| ["x", "y", "z"].iter().map(move |file| format!("/usr/{dir}/{file}")));
        let paths: Vec<String> = paths.collect();
        assert_eq!(names(&paths, 6).len(), 6);
        assert_eq!(names(&paths, 4), ["/usr/a/…", "/usr/b/…"]);
        assert_eq!(names(&paths, 1), ["/usr/…"]);
    }

    #[test]
    fn what_cannot_be_cut_is_counted() {
        let words: Vec<String> = ('a'..='z').map(String::from).collect();
        let named = names(&words, 5);
        assert_eq!((named.len(), named[4].as_str()), (5, "(22 other names)"));
    }
}
