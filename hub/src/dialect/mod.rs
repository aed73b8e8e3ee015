//! Frames to requests, and answers to frames: the native dialect and dwork's.

pub(crate) mod check;
pub(crate) mod definition;
pub mod dwork;
pub(crate) mod fields;
pub mod frame;
pub mod native;
