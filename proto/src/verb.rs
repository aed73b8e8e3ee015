//! What can be asked of a hub, and the role that each request needs: one table, from which come the
//! hub's check, the table of docs/security.md and the test of each of its cells.

use crate::role::Role;
use crate::wire::request::Body;

macro_rules! verbs {
    ($($name:ident: $role:expr, $way:expr;)*) => {
        /// One request of the native dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Verb {
            $($name),*
        }

        impl Verb {
            pub const ALL: &[Verb] = &[$(Verb::$name),*];

            // A request without a row does not compile.
            pub fn of(body: &Body) -> Self {
                match body {
                    $(Body::$name(_) => Self::$name),*
                }
            }

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }

            /// None: whoever is let in may ask that.
            pub fn role(self) -> Option<Role> {
                match self {
                    $(Self::$name => $role),*
                }
            }

            pub fn way(self) -> Way {
                match self {
                    $(Self::$name => $way),*
                }
            }
        }
    };
}

/// Over which sockets something may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Any,
    /// On the hub's machine.
    Ipc,
}

const ANYBODY: Option<Role> = None;
const OBSERVE: Option<Role> = Some(Role::Observe);
const SUBMIT: Option<Role> = Some(Role::Submit);
const WORK: Option<Role> = Some(Role::Work);
const ADMIN: Option<Role> = Some(Role::Admin);

verbs! {
    Hello: ANYBODY, Way::Any;
    Status: OBSERVE, Way::Any;
    List: OBSERVE, Way::Any;
    Show: OBSERVE, Way::Any;
    Count: OBSERVE, Way::Any;
    Export: OBSERVE, Way::Any;
    Wait: OBSERVE, Way::Any;
    Workers: OBSERVE, Way::Any;
    Create: SUBMIT, Way::Any;
    Cancel: SUBMIT, Way::Any;
    Retry: SUBMIT, Way::Any;
    Adjust: SUBMIT, Way::Any;
    Steal: WORK, Way::Any;
    Complete: WORK, Way::Any;
    Release: WORK, Way::Any;
    Heartbeat: WORK, Way::Any;
    Exit: WORK, Way::Any;
    Reload: ADMIN, Way::Any;
    Shutdown: ADMIN, Way::Any;
    Steer: ADMIN, Way::Any;
    Backup: ADMIN, Way::Ipc;
}

impl Verb {
    /// May a key with this one role, and what comes with it, ask that?
    pub fn is_for(self, role: Role) -> bool {
        self.role().is_none_or(|needed| crate::role::Roles::from(role).has(needed))
    }

    /// Does the reply tell what was changed? Then the hub keeps it for copies of the request, by their token.
    pub fn takes_token(self) -> bool {
        use Verb::*;
        matches!(self, Create | Cancel | Retry | Adjust | Complete | Release | Exit | Backup)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// What docs/security.md has between its header and the next paragraph.
    fn rendered() -> String {
        let cells = |verb: Verb| {
            let cell = |role| match (verb.is_for(role), verb.way()) {
                (false, _) => "no",
                (true, Way::Any) => "yes",
                (true, Way::Ipc) => "over ipc only",
            };
            Role::ALL.map(cell)
        };
        let mut table = String::from("| request | observe | submit | work | admin |\n");
        table += "| --- | --- | --- | --- | --- |\n";
        for group in Verb::ALL.chunk_by(|a, b| cells(*a) == cells(*b)) {
            let names: Vec<_> = group.iter().map(|verb| verb.name()).collect();
            let cells = cells(group[0]).join(" | ");
            writeln!(table, "| {} | {cells} |", names.join(", ")).expect("a string");
        }
        table
    }

    /// DHUB_WRITE_DOCS=1 writes it there.
    #[test]
    fn docs_security_has_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md");
        let text = std::fs::read_to_string(path).expect("docs/security.md");
        let begin = text.find("| request | observe |").expect("the table of roles");
        let end = begin + text[begin..].find("\n\n").expect("its end") + 1;
        if std::env::var_os("DHUB_WRITE_DOCS").is_some() {
            let text = format!("{}{}{}", &text[..begin], rendered(), &text[end..]);
            std::fs::write(path, text).expect("docs/security.md");
            return;
        }
        assert_eq!(&text[begin..end], rendered(), "DHUB_WRITE_DOCS=1 cargo test -p dhub-proto");
    }
}
