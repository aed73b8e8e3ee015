//! A graph in DOT, the language of graphviz.

use std::fmt::Write;

use dhub_proto::steers_terminal;
use dhub_proto::wire::State;
use serde_json::{Value, json};

use super::words::{number, state};
use crate::run::graph::{Node, Picture};

/// Characters of a name that are drawn; the tooltip has all.
const LABEL_CHARS_MAX: usize = 48;

pub fn dot(picture: &Picture) -> String {
    let mut text = String::from(
        "digraph tasks {\n  rankdir=LR\n  bgcolor=transparent\n  \
         node [shape=box style=\"rounded,filled\" color=\"#55555588\" fontname=\"sans-serif\" fontsize=11 margin=\"0.12,0.06\"]\n  \
         edge [color=\"#888888\" arrowsize=0.7 fontname=\"sans-serif\" fontsize=9]\n",
    );
    if let Some(tasks) = picture.summary_of {
        let tasks = number(tasks as u64);
        let _ = writeln!(
            text,
            "  label=\"{tasks} tasks, grouped by name\" labelloc=t fontname=\"sans-serif\" fontcolor=\"#888888\""
        );
    }
    for (index, it) in picture.nodes.iter().enumerate() {
        let label = match picture.summary_of {
            Some(_) => group_label(it),
            None => task_label(it),
        };
        let (fill, font) = colours(it);
        let frame = match (it.named, it.states.as_slice()) {
            (true, _) => " penwidth=2.5 color=\"#222222\"",
            (false, [(State::Missing, _)]) => " style=\"rounded,filled,dashed\"",
            (false, _) => "",
        };
        let tooltip = quoted(&it.name);
        let _ = writeln!(
            text,
            "  n{index} [label={label} tooltip={tooltip} fillcolor=\"{fill}\" fontcolor=\"{font}\"{frame}]"
        );
    }
    for &(from, to, count) in &picture.edges {
        let label = match picture.summary_of {
            Some(_) => format!(" [label=\"{}\"]", number(count)),
            None => String::new(),
        };
        let _ = writeln!(text, "  n{from} -> n{to}{label}");
    }
    text + "}\n"
}

pub fn json(picture: &Picture) -> Value {
    let node = |node: &Node| {
        let states: serde_json::Map<String, Value> =
            node.states.iter().map(|&(of, count)| (state(of).to_owned(), count.into())).collect();
        json!({ "name": node.name, "states": states })
    };
    let edges: Vec<Value> = picture
        .edges
        .iter()
        .map(|&(from, to, count)| json!({ "from": from, "to": to, "count": count }))
        .collect();
    json!({
        "summary": picture.summary_of.is_some(),
        "nodes": picture.nodes.iter().map(node).collect::<Vec<_>>(),
        "edges": edges,
    })
}

/// The name, and its state where that is not simply done.
fn task_label(node: &Node) -> String {
    let mut label = short(&node.name);
    match node.states.first() {
        None | Some((State::Done, _)) => {}
        Some(&(of, _)) => {
            label += "\n";
            label += state(of);
            if !node.fate.is_empty() {
                label += ": ";
                label += &short(&node.fate);
            }
        }
    }
    quoted(&label)
}

fn group_label(node: &Node) -> String {
    let states: Vec<String> =
        node.states.iter().map(|&(of, count)| format!("{} {}", number(count), state(of))).collect();
    quoted(&format!("{}\n{}", short(&node.name), states.join(", ")))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LABEL_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Fill and text, readable on light and on dark. Of a group: of what is worst in it.
fn colours(node: &Node) -> (&'static str, &'static str) {
    let has = |state| node.states.iter().any(|&(of, _)| of == state);
    use State::*;
    let order = [Failed, Running, Missing, Cancelled, Skipped, Ready, Waiting, Done];
    match order.into_iter().find(|&state| has(state)) {
        Some(Failed) => ("#e4572e", "#ffffff"),
        Some(Running) => ("#f0b429", "#222222"),
        Some(Missing) => ("#ffffff", "#222222"),
        Some(Cancelled) => ("#b3a79c", "#222222"),
        Some(Skipped) => ("#d7c4dd", "#222222"),
        Some(Ready) => ("#cfe3f7", "#222222"),
        Some(Done) => ("#2f6fb0", "#ffffff"),
        _ => ("#e6e6e6", "#222222"),
    }
}

/// A string of DOT that shows this text: quotes and backslashes are its own, & begins an entity,
/// and no control character is drawn.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '&' => quoted.push_str("&amp;"),
            '\n' => quoted.push_str("\\n"),
            c if steers_terminal(c) => quoted.push('\u{fffd}'),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, of: State) -> Node {
        Node { name: name.into(), states: vec![(of, 1)], fate: String::new(), named: false }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("a \"b\" \\n <x> &lt;"), "\"a \\\"b\\\" \\\\n <x> &amp;lt;\"");
        assert_eq!(quoted("a\nb\u{1b}[2J"), "\"a\\nb\u{fffd}[2J\"");
    }

    #[test]
    fn tasks_have_their_state_and_groups_their_counts() {
        let nodes = vec![node("a", State::Done), node("b", State::Running)];
        let mut picture = Picture { nodes, edges: vec![(0, 1, 3)], summary_of: None };
        let text = dot(&picture);
        assert!(text.contains("label=\"a\"") && text.contains("label=\"b\\nrunning\""), "{text}");
        assert!(text.contains("  n0 -> n1\n"), "{text}");
        picture.summary_of = Some(2);
        let text = dot(&picture);
        assert!(text.contains("\"b\\n1 running\"") && text.contains("[label=\"3\"]"), "{text}");
    }
}
