//! Words to values and back: durations, sizes, addresses. Pure; the error says what was expected.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::Listen;
use crate::event::Pattern;

/// A value, or what was expected in its place.
pub type Parsed<T> = Result<T, String>;

const DURATIONS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// `250ms`, `2s`, `5m`, `1.5h`, `30d`: up to 100 years, in whole milliseconds.
pub fn duration(word: &str) -> Parsed<Duration> {
    let millis = with_unit(word, &DURATIONS, 100 * 366 * 86_400_000);
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration such as 250ms, 2s, 5m, 1h or 30d, above zero".into())
}

/// A duration, or `off`.
pub(super) fn optional_duration(word: &str) -> Parsed<Option<Duration>> {
    match word {
        "off" => Ok(None),
        _ => duration(word).map(Some).map_err(|expected| format!("{expected}, or off")),
    }
}

/// `512B`, `256MiB`, `10GB`: up to 2^60 bytes.
pub fn size(word: &str) -> Parsed<u64> {
    with_unit(word, &SIZES, 1 << 60).ok_or_else(|| "a size such as 64KiB, 256MiB or 10GB, above zero".into())
}

/// A number with a unit; the number may have decimals where the result is whole.
fn with_unit(word: &str, units: &[(&str, u64)], most: u64) -> Option<u64> {
    let at = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (&word[..at], word[at..].trim_start());
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = part.parse::<u64>().ok()?.checked_mul(factor)?;
    let total = whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part / scale)?;
    (part % scale == 0 && (1..=most).contains(&total)).then_some(total)
}

fn written(value: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    let (name, factor) = unit.unwrap_or(&units[units.len() - 1]);
    format!("{}{name}", value / factor)
}

/// The shortest way to write a duration.
pub fn write_duration(duration: Duration) -> String {
    written(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// The shortest way to write a size.
pub fn write_size(bytes: u64) -> String {
    written(bytes, &SIZES)
}

pub(super) fn flag(word: &str) -> Parsed<bool> {
    match word {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err("true or false".into()),
    }
}

/// A whole number between two bounds.
pub(super) fn count<const LEAST: u32, const MOST: u32>(word: &str) -> Parsed<u32> {
    let number = word.parse().ok().filter(|n| (LEAST..=MOST).contains(n));
    number.ok_or_else(|| format!("a whole number from {LEAST} to {MOST}"))
}

/// The same, of things in memory.
pub(super) fn amount<const LEAST: u32, const MOST: u32>(word: &str) -> Parsed<usize> {
    count::<LEAST, MOST>(word).map(|number| number as usize)
}

pub(super) fn text(word: &str) -> Parsed<String> {
    if word.is_empty() { Err("some text".into()) } else { Ok(word.into()) }
}

/// The name of a source or of a sink.
pub(super) fn name(word: &str) -> Parsed<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    match (1..=32).contains(&word.len()) && word.chars().all(plain) {
        true => Ok(word.into()),
        false => Err("a name of 1 to 32 of a-z, 0-9, `_`, `-`".into()),
    }
}

/// The name of a JetStream stream.
pub(super) fn stream_name(word: &str) -> Parsed<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (1..=255).contains(&word.len()) && word.chars().all(plain) {
        true => Ok(word.into()),
        false => Err("a stream name of A-Z, a-z, 0-9, `_`, `-`".into()),
    }
}

pub(super) fn pattern(word: &str) -> Parsed<String> {
    Pattern::parse(word).map(|_| word.into()).map_err(|error| error.expected)
}

/// A path, in which `~/` stands for the home folder.
pub(super) fn path(word: &str) -> Parsed<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    match word.strip_prefix("~/") {
        _ if word.is_empty() => Err("a path".into()),
        Some(rest) => Ok(home().map_or_else(|| PathBuf::from(word), |home| home.join(rest))),
        None => Ok(word.into()),
    }
}

/// `http://HOST[:PORT][/PATH]`.
pub fn http_url(word: &str) -> Parsed<String> {
    url(word, &["http"]).ok_or_else(|| "a URL such as http://127.0.0.1:28081".into())
}

/// The same, or `https://`.
pub(super) fn web_url(word: &str) -> Parsed<String> {
    url(word, &["http", "https"]).ok_or_else(|| "a URL that begins with http:// or https://".into())
}

fn url(word: &str, schemes: &[&str]) -> Option<String> {
    let url = reqwest::Url::parse(word).ok()?;
    let plain = url.has_host() && url.query().is_none() && url.fragment().is_none();
    (schemes.contains(&url.scheme()) && plain).then(|| word.trim_end_matches('/').to_owned())
}

/// One or several `nats://HOST[:PORT]` or `tls://…`, with commas between.
pub fn nats_url(word: &str) -> Parsed<String> {
    let one = |url: &str| {
        let url = if url.contains("://") { url.to_owned() } else { format!("nats://{url}") };
        reqwest::Url::parse(&url).is_ok_and(|url| ["nats", "tls"].contains(&url.scheme()) && url.has_host())
    };
    match word.split(',').all(|url| one(url.trim())) {
        true => Ok(word.into()),
        false => Err("a URL such as nats://127.0.0.1:4222, or several with commas between".into()),
    }
}

/// `ADDRESS:PORT`, `localhost:PORT`, `unix:PATH` or `off`.
pub fn listen(word: &str) -> Parsed<Listen> {
    let expected = || "an address such as 127.0.0.1:9001 or [::1]:9001, unix:PATH, or off".to_owned();
    if word == "off" {
        return Ok(Listen::Off);
    }
    if let Some(socket) = word.strip_prefix("unix:") {
        return path(socket).map(Listen::Socket).map_err(|_| expected());
    }
    let word = word.replace("localhost:", "127.0.0.1:");
    word.parse().map(Listen::Tcp).map_err(|_| expected())
}

/// Whether only programs on this machine can reach it.
pub(super) fn is_loopback(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written() {
        let duration = |word: &str, millis: u64, written: &str| {
            let read = super::duration(word).expect(word);
            assert_eq!((read.as_millis(), write_duration(read).as_str()), (u128::from(millis), written));
        };
        duration("250ms", 250, "250ms");
        duration("2s", 2000, "2s");
        duration("1.5s", 1500, "1500ms");
        duration("60m", 3_600_000, "1h");
        duration("30d", 2_592_000_000, "30d");
        let size = |word: &str, bytes: u64, written: &str| {
            assert_eq!((super::size(word), write_size(bytes)), (Ok(bytes), written.to_owned()));
        };
        size("256MiB", 256 << 20, "256MiB");
        size("0.5 KiB", 512, "512B");
        size("10GB", 10_000_000_000, "10GB");
        for word in ["", "2", "s", "-1s", "0s", "1.0001ms", "9999999d", "1 week", "1e3s", "1..5s"] {
            assert!(super::duration(word).is_err(), "{word}");
        }
        for word in ["1", "1mb", "0B", "99999999TiB", "1.3B"] {
            assert!(super::size(word).is_err(), "{word}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(listen("localhost:80"), Ok(Listen::Tcp(([127, 0, 0, 1], 80).into())));
        assert_eq!(listen("unix:/run/w.sock"), Ok(Listen::Socket("/run/w.sock".into())));
        assert_eq!(listen("off"), Ok(Listen::Off));
        for word in ["", "9001", "unix:", "example.org:80"] {
            assert!(listen(word).is_err(), "{word}");
        }
        assert!(nats_url("nats://a:4222, tls://b").is_ok());
        for word in ["", "http://a", "nats://", "a,,b"] {
            assert!(nats_url(word).is_err(), "{word}");
        }
        assert_eq!(web_url("https://a/"), Ok("https://a".into()));
        assert!(web_url("ftp://a").is_err());
        for word in ["https://a", "a:28081", "http://", "http://a?b"] {
            assert!(http_url(word).is_err(), "{word}");
        }
    }
}
