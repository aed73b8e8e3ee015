//! The edges between unfinished tasks.
//!
//! An edge is on two lists: that of the task waited for (`pred`) and that of the one that waits
//! (`succ`). Each end lets go when its task leaves; the edge is freed when both have.

use hashbrown::{HashMap, HashSet};

use super::slab::Slab;
use super::slot::{NONE, Slot};
use super::task::Tasks;

#[derive(Clone, Copy, Debug, Default)]
struct Edge {
    pred: Slot,
    succ: Slot,
    /// On the list of the task waited for.
    next_succ: u32,
    /// On the list of the task that waits.
    next_pred: u32,
}

#[derive(Default)]
pub struct Edges {
    edges: Slab<Edge>,
}

impl Edges {
    pub fn add(&mut self, tasks: &mut Tasks, pred: Slot, succ: Slot) {
        let index = self.edges.insert(Edge {
            pred,
            succ,
            next_succ: tasks.get(pred).first_succ,
            next_pred: tasks.get(succ).first_pred,
        });
        tasks.get_mut(pred).first_succ = index;
        tasks.get_mut(succ).first_pred = index;
    }

    /// The task waited for leaves: hands over one of those that wait for it, until there are no more.
    pub fn take_succ(&mut self, tasks: &mut Tasks, pred: Slot) -> Option<Slot> {
        self.take(&mut tasks.get_mut(pred).first_succ, |edge| {
            (&mut edge.pred, edge.succ, edge.next_succ)
        })
    }

    /// The task that waits leaves, or waits no more: hands over one of those it still waited for,
    /// until there are no more.
    pub fn take_pred(&mut self, tasks: &mut Tasks, succ: Slot) -> Option<Slot> {
        self.take(&mut tasks.get_mut(succ).first_pred, |edge| {
            (&mut edge.succ, edge.pred, edge.next_pred)
        })
    }

    /// `ends` tells the end that lets go, the other one, and which edge is next on the list.
    fn take(
        &mut self,
        first: &mut u32,
        ends: impl Fn(&mut Edge) -> (&mut Slot, Slot, u32),
    ) -> Option<Slot> {
        while *first != NONE {
            let at = *first;
            let (own, other, next) = ends(&mut self.edges[at]);
            *first = next;
            if other != NONE {
                *own = NONE;
                return Some(other);
            }
            self.edges.remove(at);
        }
        None
    }

    /// Those that wait for `slot`.
    pub fn succs<'a>(&'a self, tasks: &Tasks, slot: Slot) -> impl Iterator<Item = Slot> + 'a {
        self.walk(tasks.get(slot).first_succ, |edge| (edge.succ, edge.next_succ))
    }

    /// The same, one for each edge: NONE where who waited is gone.
    pub fn succ_ends<'a>(&'a self, tasks: &Tasks, slot: Slot) -> impl Iterator<Item = Slot> + 'a {
        let mut at = tasks.get(slot).first_succ;
        std::iter::from_fn(move || {
            let edge = (at != NONE).then(|| &self.edges[at])?;
            at = edge.next_succ;
            Some(edge.succ)
        })
    }

    /// Those that `slot` waits for.
    pub fn preds<'a>(&'a self, tasks: &Tasks, slot: Slot) -> impl Iterator<Item = Slot> + 'a {
        self.walk(tasks.get(slot).first_pred, |edge| (edge.pred, edge.next_pred))
    }

    fn walk(&self, first: u32, step: fn(&Edge) -> (Slot, u32)) -> impl Iterator<Item = Slot> {
        let mut at = first;
        std::iter::from_fn(move || {
            while at != NONE {
                let (slot, next) = step(&self.edges[at]);
                at = next;
                if slot != NONE {
                    return Some(slot);
                }
            }
            None
        })
    }
}

/// Something that a cycle can go through: a task in memory, or a new one of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    Known(Slot),
    New(u32),
}

/// The edges that a request would add: `needs[i]` are those of node `nodes[i]`, which is `New(i)` or
/// known.
pub struct Additions {
    pub nodes: Vec<Node>,
    pub needs: Vec<Vec<Node>>,
}

/// Looks for a cycle that the additions would close; each task of it waits for the next.
///
/// Such a cycle lies wholly within the new tasks and the descendants of what they name, and wholly
/// within the new tasks and the ancestors of what they need. Both sets are explored in turn, one
/// step each, and the smaller one is searched: adding a long chain costs the same in either order.
pub fn find_cycle(tasks: &Tasks, edges: &Edges, additions: &Additions) -> Option<Vec<Node>> {
    let known = |node: &Node| match *node {
        Node::Known(slot) => Some(slot),
        Node::New(_) => None,
    };
    let numbered = additions.nodes.iter().enumerate();
    let index: HashMap<Slot, usize> =
        numbered.filter_map(|(i, node)| Some((known(node)?, i))).collect();
    let mut walk = Walk::new(
        tasks,
        edges,
        additions.nodes.iter().filter_map(known),
        additions.needs.iter().flatten().filter_map(known),
    );
    while !walk.is_over() {
        walk.step();
    }
    let within = walk.into_smaller();

    // Depth first along "waits for", by hand: the depth may be millions.
    let matters = |slot: Slot| within.contains(&slot) || index.contains_key(&slot);
    let waits_for = |node: Node| -> Vec<Node> {
        let (mut next, added): (Vec<Node>, _) = match node {
            Node::Known(slot) => {
                let preds = edges.preds(tasks, slot).filter(|&pred| matters(pred));
                (preds.map(Node::Known).collect(), index.get(&slot).copied())
            }
            Node::New(i) => (Vec::new(), Some(i as usize)),
        };
        let added = added.map_or([].as_slice(), |i| &additions.needs[i]);
        next.extend(added.iter().filter(|need| known(need).is_none_or(matters)));
        next
    };
    let mut on_path: HashMap<Node, bool> = HashMap::new();
    for &root in &additions.nodes {
        if on_path.contains_key(&root) {
            continue;
        }
        on_path.insert(root, true);
        let mut path = vec![(root, waits_for(root))];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(need) = next.pop() else {
                on_path.insert(node, false);
                path.pop();
                continue;
            };
            match on_path.get(&need) {
                Some(true) => {
                    let start = path.iter().position(|&(on, _)| on == need).unwrap_or(0);
                    return Some(path[start..].iter().map(|&(on, _)| on).collect());
                }
                Some(false) => {}
                None => {
                    on_path.insert(need, true);
                    path.push((need, waits_for(need)));
                }
            }
        }
    }
    None
}

/// From some tasks down to all that wait for them, and from others up to all that they wait for, until one of
/// both is done.
pub struct Walk<'a> {
    tasks: &'a Tasks,
    edges: &'a Edges,
    down: Exploration,
    up: Exploration,
}

impl<'a> Walk<'a> {
    pub fn new(
        tasks: &'a Tasks,
        edges: &'a Edges,
        down: impl Iterator<Item = Slot>,
        up: impl Iterator<Item = Slot>,
    ) -> Self {
        let down = Exploration::new(down, |slot| tasks.get(slot).first_succ);
        let up = Exploration::new(up, |slot| tasks.get(slot).first_pred);
        Self { tasks, edges, down, up }
    }

    pub fn is_over(&self) -> bool {
        self.down.is_over() || self.up.is_over()
    }

    pub fn step(&mut self) {
        let Self { tasks, edges, down, up } = self;
        let edges = &edges.edges;
        let succ = |edge| (edges[edge].succ, edges[edge].next_succ);
        down.step(succ, |slot| tasks.get(slot).first_succ);
        up.step(
            |edge| (edges[edge].pred, edges[edge].next_pred),
            |slot| tasks.get(slot).first_pred,
        );
    }

    /// What was seen on the way that is done.
    fn into_smaller(self) -> HashSet<Slot> {
        if self.down.is_over() { self.down.seen } else { self.up.seen }
    }
}

/// A search that can be advanced one edge at a time, since one task may have millions.
struct Exploration {
    seen: HashSet<Slot>,
    /// Edges whose lists are still to be followed.
    todo: Vec<u32>,
}

impl Exploration {
    fn new(from: impl Iterator<Item = Slot>, first: impl Fn(Slot) -> u32) -> Self {
        let seen: HashSet<Slot> = from.collect();
        let todo = seen.iter().map(|&slot| first(slot)).filter(|&edge| edge != NONE).collect();
        Self { seen, todo }
    }

    fn is_over(&self) -> bool {
        self.todo.is_empty()
    }

    fn step(&mut self, follow: impl Fn(u32) -> (Slot, u32), first: impl Fn(Slot) -> u32) {
        let Some(edge) = self.todo.pop() else {
            return;
        };
        let (slot, next) = follow(edge);
        if next != NONE {
            self.todo.push(next);
        }
        if slot != NONE && self.seen.insert(slot) {
            let first = first(slot);
            if first != NONE {
                self.todo.push(first);
            }
        }
    }
}
