//! The hub as a process: how it starts, refuses to start, and stops.

mod adrift;
mod checksums;
mod damage;
mod disk;
mod full;
mod gone;
mod ipv6;
mod load;
mod locked;
mod network;
mod overwritten;
mod recover;
mod redo;
mod refuse;
mod replaced;
mod rescue;
mod schema;
mod scrub;
mod start;
mod starting;
mod stop;
mod terminal;
mod traces;
mod unread;
