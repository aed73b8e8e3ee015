//! The fields of a protobuf message, read in place: nothing is copied.
//!
//! Takes and refuses the same bytes as prost does, which reads into structs of owned strings.

use prost::encoding::{WireType, decode_key, decode_varint};

/// Messages and groups within each other, as prost has it.
const DEPTH_MAX: u32 = 100;

/// The bytes are not what they should be.
#[derive(Debug)]
pub struct Malformed;

#[derive(Clone, Copy)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no message of ours has.
    Other,
}

impl<'a> Value<'a> {
    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Value::Number(number) => Ok(number),
            _ => Err(Malformed),
        }
    }

    pub fn text(self) -> Result<&'a str, Malformed> {
        match self {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    }
}

#[derive(Clone, Copy)]
pub struct Fields<'a> {
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message, depth: DEPTH_MAX }
    }

    /// The fields of a message within this one.
    pub fn within(&self, value: Value<'a>) -> Result<Fields<'a>, Malformed> {
        match value {
            Value::Bytes(rest) => Ok(Fields { rest, depth: self.depth - 1 }),
            _ => Err(Malformed),
        }
    }

    /// The next field: its number and value.
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, wire_type) = key(&mut self.rest)?;
        let value = match wire_type {
            WireType::Varint => Value::Number(number(&mut self.rest)?),
            WireType::LengthDelimited => Value::Bytes(bytes(&mut self.rest)?),
            _ => {
                skip(wire_type, tag, &mut self.rest, self.depth)?;
                Value::Other
            }
        };
        Ok(Some((tag, value)))
    }
}

fn key(rest: &mut &[u8]) -> Result<(u32, WireType), Malformed> {
    decode_key(rest).map_err(|_| Malformed)
}

fn number(rest: &mut &[u8]) -> Result<u64, Malformed> {
    decode_varint(rest).map_err(|_| Malformed)
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(number(rest)?).map_err(|_| Malformed)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    Ok(bytes)
}

/// prost's `skip_field` starts to count the depth anew, wherever it is called.
fn skip(wire_type: WireType, tag: u32, rest: &mut &[u8], depth: u32) -> Result<(), Malformed> {
    if depth == 0 {
        return Err(Malformed);
    }
    let length = match wire_type {
        WireType::Varint => return number(rest).map(drop),
        WireType::LengthDelimited => return bytes(rest).map(drop),
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::EndGroup => return Err(Malformed),
        WireType::StartGroup => loop {
            let (inner_tag, inner_type) = key(rest)?;
            match inner_type {
                WireType::EndGroup if inner_tag == tag => return Ok(()),
                _ => skip(inner_type, inner_tag, rest, depth - 1)?,
            }
        },
    };
    *rest = rest.get(length..).ok_or(Malformed)?;
    Ok(())
}
