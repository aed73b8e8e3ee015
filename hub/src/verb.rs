//! The role that each request needs. docs/security.md has the same table for people.

use dhub_proto::role::Role;

use crate::convert::{Asked, Long};
use crate::dwork;
use crate::scheduler::message::Command;

/// None: whoever is let in may ask that.
pub fn role(asked: &Asked) -> Option<Role> {
    Some(match asked {
        Asked::Hello => return None,
        Asked::Command(command) | Asked::Heartbeat(command, _) => command_role(command),
        Asked::Status
        | Asked::Show(_)
        | Asked::Workers { .. }
        | Asked::Long(Long::List(_) | Long::Export(_) | Long::Count(_)) => Role::Observe,
        Asked::Long(Long::Sweep { .. } | Long::Retry { .. }) => Role::Submit,
        Asked::Long(Long::Backup { .. } | Long::Steer { .. }) | Asked::Shutdown | Asked::Reload => {
            Role::Admin
        }
    })
}

/// dwork knows no question that needs no role.
pub fn dwork_role(asked: &dwork::Asked) -> Role {
    match asked {
        dwork::Asked::Command(command) => command_role(command),
        dwork::Asked::Status => Role::Observe,
    }
}

fn command_role(command: &Command) -> Role {
    match command {
        Command::Create { .. }
        | Command::Cancel { .. }
        | Command::Adjust { .. }
        | Command::Revive { .. }
        | Command::Hasten { .. } => Role::Submit,
        Command::Wait { .. } | Command::Await { .. } => Role::Observe,
        Command::Steal { .. }
        | Command::Complete { .. }
        | Command::Release { .. }
        | Command::Heartbeat { .. }
        | Command::Exit { .. } => Role::Work,
        // The hub's own, but for Steer.
        Command::Steer { .. } | Command::Undelivered { .. } | Command::Tick => Role::Admin,
    }
}
