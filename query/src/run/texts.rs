//! Each text once: the names of workers and hosts, and reasons, repeat a million times.

use hashbrown::HashMap;

#[derive(Default)]
pub struct Texts {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Texts {
    /// The number of a text; the same for equal ones.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.into(), number);
        self.texts.push(text.into());
        number
    }

    pub fn get(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }
}
