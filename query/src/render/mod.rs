//! What replies look like: tables for people (with colours, which `Output` strips where they are
//! not wanted) and JSON for programs.

pub mod blocked;
pub mod cut;
pub mod dot;
pub mod json;
pub mod progress;
pub mod room;
pub mod show;
pub mod status;
pub mod table;
pub mod tasks;
pub mod trouble;
pub mod words;
pub mod workers;
