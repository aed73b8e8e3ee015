//! Roles: what a key may ask of the hub. docs/security.md has the table of requests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One right; keys have one or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look: status, list, show, wait
    Observe,
    /// Add, cancel and retry tasks, and look. Their commands run as the users of the workers
    Submit,
    /// Steal tasks and report their outcomes
    Work,
    /// Stop the hub, reload its keys, and look
    Admin,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Observe, Role::Submit, Role::Work, Role::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Role::Observe => "observe",
            Role::Submit => "submit",
            Role::Work => "work",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            format!("'{text}' is no role; there are observe, submit, work and admin")
        })
    }
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Role>", into = "Vec<Role>")]
pub struct Roles(u8);

impl Roles {
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    pub fn has(self, role: Role) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    /// Who may change a run may look at it.
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let bits = roles.into_iter().fold(0, |bits, role| {
            let observes = matches!(role, Role::Submit | Role::Admin);
            bits | 1 << role as u8 | u8::from(observes) << Role::Observe as u8
        });
        Self(bits)
    }
}

impl From<Vec<Role>> for Roles {
    fn from(roles: Vec<Role>) -> Self {
        roles.into_iter().collect()
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        [role].into_iter().collect()
    }
}

impl From<Roles> for Vec<Role> {
    fn from(roles: Roles) -> Self {
        roles.iter().collect()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_submits_or_administers_may_look_and_who_works_may_not() {
        assert_eq!(Roles::from(Role::Submit).to_string(), "observe, submit");
        assert_eq!(Roles::from(Role::Admin).to_string(), "observe, admin");
        assert_eq!(Roles::from(Role::Work).to_string(), "work");
        assert_eq!(Roles::default().to_string(), "none");
        assert_eq!(Roles::all().iter().count(), 4);
    }

    #[test]
    fn roles_are_a_list_of_names_in_a_file() {
        let text = serde_json::to_string(&Roles::all()).unwrap();
        assert_eq!(text, r#"["observe","submit","work","admin"]"#);
        assert_eq!(serde_json::from_str::<Roles>(r#"["work"]"#).unwrap(), Role::Work.into());
        assert!(serde_json::from_str::<Roles>(r#"["root"]"#).is_err());
    }
}
