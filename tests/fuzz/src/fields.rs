//! A frame taken apart into its fields, changed there, and put together with lengths that are true:
//! what comes of it reaches the checks behind the decoder.

use prost::encoding::{decode_varint, encode_varint};

use crate::random::Random;

/// Deeper than any message of ours.
const DEPTH_MAX: usize = 6;

#[derive(Clone)]
enum Value {
    Number(u64),
    Fixed(Vec<u8>),
    Text(Vec<u8>),
    Message(Vec<Field>),
}

#[derive(Clone)]
struct Field {
    tag: u64,
    value: Value,
}

/// False if the frame is no protobuf, or has no field to change.
pub fn mutate(frame: &mut Vec<u8>, random: &mut Random) -> bool {
    let Some(mut fields) = parse(frame, 0).filter(|fields| !fields.is_empty()) else {
        return false;
    };
    change_one(&mut fields, random);
    frame.clear();
    write(&fields, frame);
    true
}

fn parse(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = decode_varint(&mut bytes).ok()?;
        let mut take = |many: usize| {
            let (taken, rest) = bytes.split_at_checked(many)?;
            bytes = rest;
            Some(taken.to_vec())
        };
        let value = match key & 7 {
            0 => Value::Number(decode_varint(&mut bytes).ok()?),
            1 => Value::Fixed(take(8)?),
            5 => Value::Fixed(take(4)?),
            2 => {
                let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let message = (depth < DEPTH_MAX).then(|| parse(inner, depth + 1)).flatten();
                message.map_or_else(|| Value::Text(inner.to_vec()), Value::Message)
            }
            _ => return None,
        };
        fields.push(Field { tag: key >> 3, value });
    }
    Some(fields)
}

fn write(fields: &[Field], out: &mut Vec<u8>) {
    for Field { tag, value } in fields {
        let mut text = |bytes: &[u8]| {
            encode_varint(tag << 3 | 2, out);
            encode_varint(bytes.len() as u64, out);
            out.extend(bytes);
        };
        match value {
            Value::Text(bytes) => text(bytes),
            Value::Message(fields) => {
                let mut inner = Vec::new();
                write(fields, &mut inner);
                text(&inner);
            }
            Value::Number(number) => {
                encode_varint(tag << 3, out);
                encode_varint(*number, out);
            }
            Value::Fixed(bytes) => {
                encode_varint(tag << 3 | if bytes.len() == 8 { 1 } else { 5 }, out);
                out.extend(bytes);
            }
        }
    }
}

/// A field at any depth.
fn change_one(fields: &mut Vec<Field>, random: &mut Random) {
    let at = random.below(fields.len());
    if let Value::Message(inner) = &mut fields[at].value
        && !inner.is_empty()
        && random.below(4) > 0
    {
        return change_one(inner, random);
    }
    match random.below(8) {
        0 => drop(fields.remove(at)),
        1 => {
            let again = fields[at].clone();
            (0..1 + random.below(5)).for_each(|_| fields.push(again.clone()));
        }
        2 => {
            let other = random.below(fields.len());
            fields.swap(at, other);
        }
        3 => fields[at].tag = 1 + random.below(26) as u64,
        4 => {
            let tag = 1 + random.below(26) as u64;
            fields.push(Field { tag, value: Value::Number(a_number(random)) });
        }
        _ => fields[at].value = other_value(&fields[at].value, random),
    }
}

fn a_number(random: &mut Random) -> u64 {
    const EDGES: [u64; 12] = [
        0,
        1,
        2,
        6,
        999,
        1000,
        65_536,
        65_537,
        u32::MAX as u64,
        1 << 40,
        i64::MAX as u64,
        u64::MAX,
    ];
    *random.pick(&EDGES)
}

fn other_value(value: &Value, random: &mut Random) -> Value {
    match value {
        Value::Number(_) => Value::Number(a_number(random)),
        Value::Fixed(bytes) => Value::Fixed(random.bytes(bytes.len())),
        Value::Text(_) | Value::Message(_) => {
            const TEXTS: [&str; 8] = ["", "a", "t1", "\0", "é", "t1\n", "/tmp", "0123456789abcdef"];
            match random.below(10) {
                0 => Value::Text(random.bytes(16)),
                1 => {
                    let length = *random.pick(&[255, 256, 1024, 1025, 131_072, 131_073]);
                    Value::Text(vec![b'x'; length])
                }
                _ => Value::Text(random.pick(&TEXTS).as_bytes().to_vec()),
            }
        }
    }
}
