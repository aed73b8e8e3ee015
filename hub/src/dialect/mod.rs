//! Frames to requests, and answers to frames: the native dialect and dwork's.

pub mod check;
pub mod definition;
pub mod dwork;
pub mod fields;
pub mod frame;
pub mod native;
