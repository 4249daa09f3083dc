//! The encoding of protobuf, as far as OTLP needs it.
//!
//! A field's key is its number times eight, and how its value is written: 0 a varint, 1 eight bytes, 2 a length
//! and so many bytes, 5 four bytes. Numbers up to 15 have a key of one byte.

/// How a value is written.
pub(super) const VARINT: u8 = 0;
pub(super) const EIGHT: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const FOUR: u8 = 5;

/// The key of a field whose number is at most 15.
pub(super) const fn key(number: u8, written: u8) -> u8 {
    assert!(number >= 1 && number <= 15, "a key of one byte");
    number << 3 | written
}

/// How long a varint is.
pub(super) const fn varint_len(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// How long a field with a length is, its key and its length included.
pub(super) const fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Seven bits a byte, the lowest first.
#[inline]
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The key and the length of a field that has one.
#[inline]
pub(super) fn head(key: u8, len: usize, out: &mut Vec<u8>) {
    if len < 0x80 {
        out.extend_from_slice(&[key, len as u8]);
    } else {
        out.push(key);
        varint(len as u64, out);
    }
}

/// A field of bytes.
#[inline]
pub(super) fn bytes(key: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(key, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// A field of text, left out where it is empty, as protobuf has it.
#[inline]
pub(super) fn text(key: u8, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        bytes(key, text.as_bytes(), out);
    }
}

/// A number, left out where it is zero.
#[inline]
pub(super) fn number(key: u8, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        out.push(key);
        varint(number, out);
    }
}

/// A number of eight bytes, left out where it is zero.
#[inline]
pub(super) fn eight(key: u8, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        out.push(key);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// A message within another one, written in one pass: room for a length of two bytes, which most have, is left
/// before it, and what it turned out to be is put there.
#[inline]
pub(super) fn message(key: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[key, 0, 0]);
    let start = out.len();
    write(out);
    let len = out.len() - start;
    if let 0x80..=0x3fff = len {
        out[start - 2] = len as u8 | 0x80;
        out[start - 1] = (len >> 7) as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(len as u64, &mut prefix);
        out.splice(start - 2..start, prefix);
    }
}
