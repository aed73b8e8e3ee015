//! What workers say of themselves, next to a heartbeat.

/// A worker's own words.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub sample: Option<Sample>,
    pub note: String,
    pub output_files: String,
}

/// Of its machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub slots: u32,
    pub running: u32,
    /// Of all cores.
    pub cpu_percent: f32,
    pub memory_used_bytes: u64,
    pub memory_total_bytes: u64,
    pub load_1m: f32,
    /// Free where tasks run.
    pub disk_free_bytes: u64,
}

impl Load {
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.note.len() + self.output_files.len()
    }
}
