//! The native dialect at the raw port: what docs/protocol.md promises to the author of a client.

mod busy;
mod choose;
mod create;
mod delivery;
mod end;
mod export;
mod large;
mod leases;
mod outcome;
mod read;
mod robust;
mod steal;
mod steer;
mod surroundings;
