//! Values larger than [`MAX_VALUE`], stored in parts.
//!
//! sled puts what is too large for a page into files that it never syncs, so no value is over 6 KB. A value
//! begins with a byte that tells how many parts follow it under `key 0x00 n`, which sort right behind it.

use super::engine::{Engine, Fault, Op, Pair, Tree};

/// The most bytes that one value in the database may have.
pub const MAX_VALUE: usize = 6 * 1024;

/// The most bytes that can be stored under one key, in parts.
pub(super) const MAX_WHOLE: usize = 1 << 20;

// A byte tells how many parts there are behind the first.
const _: () = assert!(MAX_WHOLE.div_ceil(MAX_VALUE - 1) <= 256);

fn part_key(key: &[u8], part: u8) -> Vec<u8> {
    [key, &[0, part]].concat()
}

/// Adds what stores a value; answers how many parts follow its beginning.
pub(super) fn put(tree: Tree, key: &[u8], value: &[u8], ops: &mut Vec<Op>) -> u8 {
    let mut chunks = value.chunks(MAX_VALUE - 1);
    let parts = chunks.len().saturating_sub(1) as u8;
    let first = chunks.next().unwrap_or_default();
    ops.push(Op::put(tree, key, [&[parts], first].concat()));
    for (part, chunk) in (1..=parts).zip(chunks) {
        ops.push(Op::put(tree, part_key(key, part), chunk));
    }
    parts
}

/// How many parts follow a stored value.
pub(super) fn count(stored: &[u8]) -> u8 {
    stored.first().copied().unwrap_or_default()
}

/// Adds what takes away a stored value's parts behind the first `kept`.
pub(super) fn remove(tree: Tree, key: &[u8], kept: u8, stored: &[u8], ops: &mut Vec<Op>) {
    let parts = u16::from(kept) + 1..=u16::from(count(stored));
    ops.extend(parts.map(|part| Op::remove(tree, part_key(key, part as u8))));
}

/// The whole of a value, of which `stored` is the beginning.
pub(super) fn join(engine: &dyn Engine, tree: Tree, key: &[u8], stored: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let parts = count(&stored);
    let mut value = stored;
    value.drain(..1.min(value.len()));
    for part in 1..=parts {
        let more = engine.get(tree, &part_key(key, part))?;
        let more = more.ok_or_else(|| Fault(format!("{}: part {part} of {parts} is missing", tree.name())))?;
        value.extend_from_slice(&more);
    }
    Ok(value)
}

/// The whole values of a range, without their parts.
pub(super) fn whole<'a>(
    engine: &'a dyn Engine,
    tree: Tree,
    range: super::engine::Range,
    backward: bool,
) -> impl Iterator<Item = Result<Pair, Fault>> + 'a {
    engine.range(tree, range, backward).filter_map(move |pair| match pair {
        Ok((key, _)) if is_part(tree, &key) => None,
        Ok((key, stored)) => Some(join(engine, tree, &key, stored).map(|value| (key, value))),
        Err(fault) => Some(Err(fault)),
    })
}

/// Whether a key is that of a part. An event's key is told by its length, as its seq may have any bytes.
fn is_part(tree: Tree, key: &[u8]) -> bool {
    match tree {
        Tree::Events => key.iter().position(|b| *b == b':').is_some_and(|at| key.len() > at + 9),
        _ => key.len() >= 2 && key[key.len() - 2] == 0,
    }
}
